"""Batches in this process: what is missing is done, and nothing else."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from batch_runs import csv_rows, parquet_rows, snapshot
from clips import clip
from jobs import image

import rtmpose
from rtmpose.batch import models
from rtmpose.batch.ledger import key_in_name
from rtmpose.batch.report import report_of
from rtmpose.batch.settings import BatchSettings, EngineOptions
from rtmpose.batch.units import in_shard
from rtmpose.cli import main
from rtmpose.sources.containers import opened_file


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


def test_only_one_file_knows_ray_and_no_other_part_knows_batches():
    root = Path(rtmpose.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(root).as_posix()
        knows_ray = re.search(r"^\s*(import|from) ray\b", text, re.MULTILINE) is not None
        assert knows_ray == (place in ("batch/ray_engine.py", "serve/ray_serve.py")), place
        ours = place.startswith("batch/") or place == "cli/batch.py"
        assert ours or "rtmpose.batch" not in text, place


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


def test_a_worker_that_shares_cores_keeps_to_its_own(job_models, monkeypatch):
    """Decoders and OpenCV would take a thread for each core of the machine."""
    told = []
    monkeypatch.setattr(models, "keep_to_threads", told.append)
    settings = BatchSettings(
        task="track", detector=job_models[0], pose=job_models[1], tracker={"pose_min_keypoints": 0}
    )
    engine = EngineOptions("onnxruntime", "cpu", 1)
    alone = models.Models(settings, engine)
    shared = models.Models(settings, replace(engine, shares_cores=True))
    assert told == [1]
    assert [opened.tracker.detect_ahead for opened in (alone, shared)] == [True, False]
    # Two cores are used by both at once.
    two = replace(engine, shares_cores=True, threads=2)
    assert models.Models(settings, two).tracker.detect_ahead


def test_decoders_are_held_to_some_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("rtmpose.media_threads.usable_cpus", lambda: 8)
    path = clip(tmp_path / "clip.avi", 2)
    before = cv2.getNumThreads()
    models.keep_to_threads(1)
    try:
        assert cv2.getNumThreads() == 1
        with opened_file(path, "clip") as video:
            assert video.stream.codec_context.thread_count == 1
    finally:
        models.keep_to_threads(0)
        cv2.setNumThreads(before)
    with opened_file(path, "clip") as video:
        assert video.stream.codec_context.thread_count == 0
