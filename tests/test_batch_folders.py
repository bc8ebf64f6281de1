"""Output folders of batches: others at work in them, and folders of somebody else."""

import json
import os

import pytest
from jobs import posix


def test_two_runs_on_the_same_sources_are_refused(batch, sources):
    from rtmpose.batch.runs import begun

    batch(sources)
    with begun(batch.out, (0, 2), 8):
        for arguments in ([], ["--shard", "0/2"], ["--shard", "1/3"]):
            status, _, err = batch(sources, *arguments)
            assert status == 1
            assert "is being filled by another run" in err
        assert batch(sources, "--shard", "1/2")[0] in (0, 1)
        assert "at work" in batch("--status")[1]
    assert "is being filled" not in batch(sources)[2]


@posix
def test_a_lock_that_cannot_be_taken_counts_as_a_run(batch, sources, monkeypatch):
    from rtmpose.batch import runs

    def no_locks(descriptor):
        raise OSError("this disk has no locks")

    def refused(*_):
        raise PermissionError("of another user")

    batch(sources)
    with runs.begun(batch.out, None, 8):
        monkeypatch.setattr(runs, "try_lock", no_locks)
        assert len(runs.at_work(batch.out)) == 1
        monkeypatch.setattr(runs.os, "open", refused)
        assert len(runs.at_work(batch.out)) == 1
        monkeypatch.undo()
    # One that ended without removing its lock, on a disk without locks.
    summary = next((batch.out / "runs").glob("*.json"))
    monkeypatch.setattr(runs, "try_lock", no_locks)
    for process, count in ((os.getpid(), 1), (2**22 + 1, 0)):
        table = {**json.loads(summary.read_text()), "pid": process}
        summary.write_text(json.dumps(table))
        summary.with_suffix(".lock").touch()
        assert len(runs.at_work(batch.out)) == count


def test_a_folder_that_cannot_be_written_is_told(batch, sources, monkeypatch):
    from rtmpose.files import locks as file_locks

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    batch.out.mkdir()
    monkeypatch.setattr(file_locks.os, "open", read_only)
    status, _, err = batch(sources)
    assert status == 1
    assert "cannot be written: Read-only file system" in err


def test_a_folder_of_somebody_else_is_refused(batch, sources):
    (batch.out / "data").mkdir(parents=True)
    status, _, err = batch(sources)
    assert status == 1
    assert "did not make" in err
    assert list(batch.out.iterdir()) == [batch.out / "data"]


def test_a_folder_within_another_batch_is_refused(batch, sources):
    batch(sources / "0.png")
    status, _, err = batch(sources / "1.png", out="out/data")
    assert status == 1
    assert "belongs to the batch in" in err


def test_other_files_in_the_folder_stay(batch, sources):
    batch.out.mkdir()
    (batch.out / "notes.txt").write_text("mine")
    batch(sources)
    assert (batch.out / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs rights that are kept")
def test_sources_may_be_read_only(batch, sources):
    sources.chmod(0o500)
    try:
        assert "6 of 8 sources done" in batch(sources)[1]
    finally:
        sources.chmod(0o700)
