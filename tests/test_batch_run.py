"""Batches in this process: what is missing is done, and nothing else."""

import csv
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from clips import clip
from jobs import image, in_a_process, posix, wait_for

import rtmpose
from rtmpose.batch.ledger import Ledger, key_in_name
from rtmpose.batch.report import report_of
from rtmpose.batch.units import in_shard
from rtmpose.cli import main


def parquet_rows(out):
    """All rows of a data set, in one order."""
    dataset = pytest.importorskip("pyarrow.dataset", reason="reads Parquet")
    table = dataset.dataset(out / "data", format="parquet").to_table()
    return table.sort_by([(name, "ascending") for name in ("source", "frame", "person")])


def csv_rows(out):
    rows = []
    for path in sorted((out / "data").glob("*.csv")):
        with path.open() as file:
            rows += list(csv.DictReader(file))
    return sorted((row["source"], int(row["frame"])) for row in rows)


@pytest.fixture
def sources(tmp_path):
    """Five photos, a clip, and two files that are neither."""
    folder = tmp_path / "in"
    for number in range(5):
        image(folder / f"{number}.png", 60 + 20 * number)
    clip(folder / "clip.avi", 6)
    (folder / "bad.jpg").write_text("no picture")
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture
def batch(tmp_path, job_options, capsys):
    """Runs the command; its status, output and errors."""

    def run(*arguments, out="out", form="csv"):
        line = ["batch", *map(str, arguments), "--out", str(tmp_path / out), *job_options]
        status = main([*line, "--format", form])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    run.out = tmp_path / "out"
    return run


def snapshot(out):
    return {p: p.stat().st_mtime_ns for name in ("data", "ledger") for p in (out / name).iterdir()}


def test_every_source_once_and_failures_cost_only_themselves(batch, sources):
    status, out, err = batch(sources)
    assert status == 1
    assert "6 of 8 sources done, 2 failed, 0 missing" in out
    assert "bad.jpg: is not an image" in err
    assert "empty.mp4: is empty" in err
    assert len(csv_rows(batch.out)) == 5 + 6

    # Again: nothing is missing, no file is touched.
    before = snapshot(batch.out)
    status, out, _ = batch(sources, sources / "0.png")
    assert status == 1
    assert snapshot(batch.out) == before
    assert "1 sources were named more than once" in out

    # Only the new one.
    image(sources / "new.png")
    batch(sources)
    assert before.items() <= snapshot(batch.out).items()
    assert len(csv_rows(batch.out)) == 5 + 6 + 1


def test_the_data_set_holds_all_sources_and_their_entries(batch, sources):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    import pyarrow.parquet

    batch(sources, "--photos-per-file", 3, form="parquet")
    table = parquet_rows(batch.out)
    assert len(set(table["source"].to_pylist())) == 6
    assert {str(table.schema.field(name).type) for name in ("time_s",)} == {"double"}
    assert table["image_width"].to_pylist()[0] == 80
    names = [path.name for path in (batch.out / "data").iterdir()]
    assert len(names) == 3  # two files of photos and the clip

    clip_file = next(p for p in (batch.out / "data").iterdir() if p.name.startswith("clip"))
    metadata = pyarrow.parquet.read_metadata(clip_file).metadata
    head = json.loads(metadata[b"rtmpose"])
    assert head["keypoints"][0] == "nose"
    assert set(head["models"]) == {"pose", "detector"}
    (info,) = json.loads(metadata[b"rtmpose_sources"])
    assert (info["frames"], info["fps"], info["width"]) == (6, 10.0, 80)
    entry = json.loads(metadata[b"rtmpose_batch"])
    assert entry["sources"][0]["frames"] == 6
    assert key_in_name(clip_file.name) == entry["key"]


def test_the_rows_are_those_of_predict(batch, sources, tmp_path, job_options):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    import pyarrow.parquet

    batch(sources, form="parquet")
    all_rows = tmp_path / "all.parquet"
    main(["predict", str(sources), "--parquet", str(all_rows), *job_options])
    expected = pyarrow.parquet.read_table(all_rows).to_pylist()
    rows = parquet_rows(batch.out).to_pylist()
    expected.sort(key=lambda row: (row["source"], row["frame"], row["person"]))
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        # Those tables are rounded.
        assert {k: row[k] for k in other} == pytest.approx(other, abs=0.006)


def test_tracks_have_ids(batch, sources):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    batch(sources / "clip.avi", "--task", "track", "--smooth", "offline", form="parquet")
    assert set(parquet_rows(batch.out)["id"].to_pylist()) == {1}


def test_other_settings_are_refused(batch, sources):
    batch(sources)
    status, _, err = batch(sources, "--box-thr", 0.7)
    assert status == 1
    assert "box_thr was 0.3, now 0.7" in err
    assert "another --out" in err
    _, _, err = batch(sources, "--task", "track")
    assert "(task was 'predict', now 'track')" in err


def test_failures_are_tried_again_when_asked(batch, sources):
    batch(sources)
    shutil.copy(sources / "0.png", sources / "bad.jpg")
    batch(sources)
    assert len(report_of(batch.out).failed) == 2
    _, out, err = batch(sources, "--retry-failed")
    assert "7 of 8 sources done, 1 failed" in out
    assert "empty.mp4: is empty (0 bytes) (tried 2 times)" in err
    assert not report_of(batch.out).twice


def test_shards_make_what_one_run_makes(batch, sources, tmp_path):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    for shard in range(3):
        batch(sources, "--shard", f"{shard}/3", out="shards", form="parquet")
    batch(sources, form="parquet")
    assert parquet_rows(tmp_path / "shards").equals(parquet_rows(batch.out))
    report = report_of(tmp_path / "shards")
    assert (report.done, len(report.failed), report.missing, report.twice) == (6, 2, 0, [])


def test_a_shard_answers_for_its_own_sources(batch, sources):
    statuses = []
    for shard in range(8):
        status, _, err = batch(sources, "--shard", f"{shard}/8")
        statuses.append(status)
        told = {name for name in ("bad.jpg", "empty.mp4") if name in err}
        own = {n for n in ("bad.jpg", "empty.mp4") if in_shard(str(sources / n), (shard, 8))}
        assert told == own
        assert status == bool(own)
    assert 0 in statuses
    assert 1 in statuses
    assert batch("--status")[0] == 1


def test_status_tells_what_is_missing(batch, sources):
    batch(sources, "--shard", "0/2")
    done = report_of(batch.out)
    status, out, _ = batch("--status")
    assert f"{done.done} of 8 sources done" in out
    assert done.missing > 0
    assert status == (1 if done.failed else 0)
    status, _, err = batch("--status", out="nowhere")
    assert "holds no batch" in err


# ---- killed between two steps


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
    code = (
        "import sys, time\n"
        "import rtmpose.batch.models as models\n"
        "check = models.refuse_non_numbers\n"
        "models.refuse_non_numbers = lambda *a: (time.sleep(0.1), check(*a))\n"
        "from rtmpose.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    line = [sys.executable, "-c", code, "batch", sources, "--out", batch.out, *job_options]
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


# ---- what users do


def test_sources_that_change_are_told_and_redone_when_asked(batch, sources):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    batch(sources, form="parquet")
    rows = parquet_rows(batch.out)
    image(sources / "1.png", 200)
    clip(sources / "clip.avi", 9)
    _, out, _ = batch(sources, form="parquet")
    assert "2 sources have changed" in out
    assert parquet_rows(batch.out).equals(rows)
    _, out, _ = batch(sources, "--redo-changed", form="parquet")
    assert "6 of 8 sources done" in out
    assert len(parquet_rows(batch.out)) == len(rows) + 3
    assert not report_of(batch.out).twice


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


def test_only_one_file_knows_ray_and_no_other_part_knows_batches():
    root = Path(rtmpose.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(root).as_posix()
        knows_ray = re.search(r"^\s*(import|from) ray\b", text, re.MULTILINE) is not None
        assert knows_ray == (place in ("batch/ray_engine.py", "serve/ray_serve.py")), place
        ours = place.startswith("batch/") or place == "cli/batch.py"
        assert ours or "rtmpose.batch" not in text, place


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


def test_a_clip_without_people_is_done(batch, sources, tmp_path, job_models):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    _, out, _ = batch(sources / "clip.avi", "--box-thr", 1.0, form="parquet")
    assert "1 of 1 sources done, 0 failed, 0 missing; 6 frames, 0 people" in out
    assert len(parquet_rows(batch.out)) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no source was given"),
        (["x.png", "--task", "guess"], "task"),
        (["x.png", "--shard", "2/2"], "--shard 2/2"),
        (["x.png", "--start", "3", "--end", "2"], "must be later"),
    ],
)
def test_mistakes_are_told_at_once(batch, arguments, words):
    status, _, err = batch(*arguments)
    assert status != 0
    assert words in err
    assert not (batch.out / "ledger").exists()


def test_formats_of_labs_are_made_of_the_results(batch):
    status, _, err = batch("x.png", form="trc")
    assert status != 0
    assert "`rtmpose convert OUT --to trc`" in err


@pytest.mark.parametrize("form", ["json", "jsonl", "mot", "openpose", "npz"])
def test_every_format_of_track(batch, sources, form):
    batch(sources, form=form)
    report = report_of(batch.out)
    assert (report.done, len(report.failed)) == (6, 2)
    before = snapshot(batch.out)
    batch(sources, form=form)
    assert snapshot(batch.out) == before


def test_probabilities_have_columns_where_the_model_is_calibrated(tmp_path):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    import numpy as np
    import pyarrow.parquet

    from rtmpose import Calibration, Poses, get_skeleton
    from rtmpose.writers import FrameRecord, WriterContext
    from rtmpose.writers.parquet import ParquetTable

    skeleton = get_skeleton("coco17")
    poses = Poses(
        np.array([[1, 2, 30, 40]]),
        np.array([0.7]),
        np.arange(34).reshape(1, 17, 2) / 3,
        np.linspace(0, 1, 17)[None],
        skeleton,
        calibration=Calibration((4.0,), (-1.0,)),
    )
    context = WriterContext(skeleton)
    writer = ParquetTable(tmp_path / "a.parquet", context, with_probabilities=True)
    writer.write(FrameRecord("a.mp4", 7, 7 / 240, poses, size_wh=(80, 60)))
    writer.close()
    (row,) = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert row["time_s"] == 7 / 240
    for k, name in enumerate(skeleton.keypoints):
        assert row[f"{name}_probability"] == float(poses.probabilities[0, k])
        assert row[f"{name}_x"] == float(poses.keypoints[0, k, 0])
