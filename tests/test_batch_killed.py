"""Batches whose workers were killed, or whose files were lost: the next run mends it."""

import json
import shutil
import signal
import sys

import pytest
from batch_runs import SLOW_BATCH, csv_rows, parquet_rows
from jobs import image, in_a_process, posix, wait_for

from rtmpose.batch.ledger import Ledger
from rtmpose.batch.report import report_of


def test_a_file_without_an_entry_is_taken_up(batch, sources):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    batch(sources, form="parquet")
    before = {p: p.stat().st_mtime_ns for p in (batch.out / "data").iterdir()}
    rows = parquet_rows(batch.out)
    for path in (batch.out / "ledger").iterdir():
        path.unlink()
    # More photos, so that they would be put together in another way.
    image(sources / "00.png")
    batch(sources, form="parquet")
    assert (
        before.items() <= {p: p.stat().st_mtime_ns for p in (batch.out / "data").iterdir()}.items()
    )
    assert len(parquet_rows(batch.out)) == len(rows) + 1
    assert not report_of(batch.out).twice


def test_a_file_that_was_removed_is_made_again(batch, sources):
    batch(sources)
    rows = csv_rows(batch.out)
    next((batch.out / "data").glob("clip*.csv")).unlink()
    _, out, _ = batch(sources)
    assert csv_rows(batch.out) == rows
    assert "1 files were missing" in out


def test_a_source_that_ends_its_worker_again_and_again_fails(batch, sources):
    batch(sources / "0.png")
    ledger = Ledger(batch.out)
    (key,) = ledger.keys()
    shutil.move(ledger.path(key), ledger.busy_path(key))
    next((batch.out / "data").iterdir()).unlink()
    # As two killed workers left it.
    name = str(sources / "0.png")
    busy = {"begun": 2, "current": name, "ended_with": {name: 1}}
    ledger.busy_path(key).write_text(json.dumps(busy))
    _, out, err = batch(sources / "0.png", sources / "1.png")
    assert "1 of 2 sources done, 1 failed" in out
    assert "workers ended, crashed or killed" in err


def test_photos_that_share_a_file_with_such_a_source_are_done(batch, sources):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    photos = [str(sources / f"{number}.png") for number in range(5)]
    batch(*photos, form="parquet")
    rows = parquet_rows(batch.out)
    ledger = Ledger(batch.out)
    (key,) = ledger.keys()

    # Once ended: one after the other. Twice ended with the same photo: without it.
    for busy, done in (
        ({"begun": 1}, 5),
        ({"begun": 3, "current": photos[2], "ended_with": {photos[2]: 1}}, 4),
    ):
        ledger.path(key).unlink()
        next((batch.out / "data").iterdir()).unlink()
        ledger.busy_path(key).write_text(json.dumps(busy))
        batch(*photos, form="parquet")
        assert len(parquet_rows(batch.out)) == done
        report = report_of(batch.out)
        assert (report.done, len(report.failed)) == (done, 5 - done)
    assert list(report.failed) == [photos[2]]
    batch(*photos, "--retry-failed", form="parquet")
    assert parquet_rows(batch.out).equals(rows)
    assert not report_of(batch.out).twice


def test_a_damaged_entry_is_taken_from_its_file(batch, sources):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    batch(sources, form="parquet")
    rows = parquet_rows(batch.out)
    for path in (batch.out / "ledger").iterdir():
        path.write_text("")
    image(sources / "00.png")
    batch(sources, form="parquet")
    assert len(parquet_rows(batch.out)) == len(rows) + 1
    assert report_of(batch.out).done == 7
    assert not report_of(batch.out).twice


def test_a_file_that_changes_while_it_is_read_fails(batch, sources, monkeypatch):
    from rtmpose.batch import models

    check = models.refuse_non_numbers

    def still_being_copied(frame, poses):
        if frame.source.endswith("clip.avi"):
            with (sources / "clip.avi").open("ab") as file:
                file.write(b"more")
        check(frame, poses)

    monkeypatch.setattr(models, "refuse_non_numbers", still_being_copied)
    _, _, err = batch(sources / "clip.avi", sources / "0.png")
    assert "clip.avi: it was changed, or went away, while it was read" in err
    assert len(csv_rows(batch.out)) == 1


def test_a_full_disk_ends_the_run_and_blames_no_source(batch, sources, monkeypatch):
    from rtmpose.batch import unit_files
    from rtmpose.errors import OutputError

    move = unit_files.move_file

    def full(source, target):
        raise OutputError(f"{target} cannot be written: no space left")

    for _ in range(3):
        monkeypatch.setattr(unit_files, "move_file", full)
        status, _, err = batch(sources / "0.png")
        assert status == 1
        assert "no space left" in err
    monkeypatch.setattr(unit_files, "move_file", move)
    assert "1 of 1 sources done, 0 failed" in batch(sources / "0.png")[1]
    assert list((batch.out / "work").iterdir()) == []


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on(batch, sources, job_options, number):
    line = [sys.executable, "-c", SLOW_BATCH, "batch", sources, "--out", batch.out, *job_options]
    ledger = Ledger(batch.out)
    with in_a_process([*line, "--format", "csv"]) as process:
        wait_for(lambda: len(list(ledger.folder.glob("*.json"))) >= 3)
        process.send_signal(number)
        _, err = process.communicate()
    if number == signal.SIGTERM:
        assert "go on with the same command" in err
        assert list((batch.out / "work").iterdir()) == []
    batch(sources)
    assert len(csv_rows(batch.out)) == 5 + 6
    assert len(set(csv_rows(batch.out))) == 5 + 6
    assert not list(ledger.folder.glob("*.busy.json"))
    assert list((batch.out / "work").iterdir()) == []
    assert list((batch.out / "runs").glob("*.lock")) == []
