"""Results on disk: streamed, resumable, whole or not there."""

import csv
import json
import tracemalloc

import cv2
import numpy as np
import pytest

from rtmpose import get_skeleton
from rtmpose.errors import InputError, MissingDependencyError, OutputError
from rtmpose.sources import SourceInfo, SourceItem
from rtmpose.types import Frame, Poses
from rtmpose.writers import PictureSink, ResultWriter, Window

SKELETON = get_skeleton("coco17")
SETTINGS = {"pose": "p", "limit": None}


def poses(n=2, seed=0):
    rng = np.random.default_rng(seed)
    return Poses(
        np.tile(np.array([[1, 2, 31, 62]], np.float32), (n, 1)),
        np.full(n, 0.5, np.float32),
        rng.uniform(0, 60, (n, 17, 2)).astype(np.float32),
        np.full((n, 17), 0.8, np.float32),
        SKELETON,
    )


def frame(index=0):
    return Frame(np.zeros((4, 4, 3), np.uint8), index, index / 10)


def test_json_and_csv(tmp_path):
    json_path, csv_path = tmp_path / "out" / "p.json", tmp_path / "p.csv"
    with ResultWriter(json_path, csv_path, SETTINGS, SKELETON) as writer:
        writer.write("a/000012.jpg", frame(), poses())
        writer.finish("a/000012.jpg")
        writer.write("v.mp4", frame(3), poses(1), video=True)
        writer.finish("v.mp4")
        assert not json_path.exists()
    entries = json.loads(json_path.read_text())
    assert [e["image_id"] for e in entries] == [12, 12, "v.mp4"]
    assert entries[0]["image"] == "a/000012.jpg"
    assert entries[0]["bbox"] == [1, 2, 30, 60]
    assert entries[0]["score"] == pytest.approx(0.4)
    assert len(entries[0]["keypoints"]) == 51
    assert entries[2]["frame"] == 3
    assert entries[2]["time_s"] == 0.3
    rows = list(csv.DictReader(csv_path.read_text().splitlines()))
    assert len(rows) == 3
    assert float(rows[0]["nose_score"]) == pytest.approx(0.8)
    assert rows[0]["box_x2"] == "31.0"
    assert rows[1]["person"] == "1"
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["p.csv", "p.json"]


def test_nobody_is_an_empty_list(tmp_path):
    with ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON) as writer:
        writer.write("a.jpg", frame(), Poses.empty(SKELETON))
    assert json.loads((tmp_path / "p.json").read_text()) == []


def crash(tmp_path):
    """A job killed while it read the second source, its last line torn."""
    writer = ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON)
    writer.write("a.jpg", frame(), poses())
    writer.finish("a.jpg")
    writer.write("b.jpg", frame(), poses())
    writer._file.close()  # type: ignore[union-attr]
    journal = tmp_path / "p.json.part"
    journal.write_text(journal.read_text()[:-30])


def test_killed_job_resumes(tmp_path):
    crash(tmp_path)
    with ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON, resume=True) as writer:
        assert writer.is_done("a.jpg")
        assert not writer.is_done("b.jpg")
        writer.write("b.jpg", frame(), poses(1))
        writer.finish("b.jpg")
    assert [e["image"] for e in json.loads((tmp_path / "p.json").read_text())] == [
        "a.jpg",
        "a.jpg",
        "b.jpg",
    ]


def test_resume_with_other_settings_is_refused(tmp_path):
    crash(tmp_path)
    with pytest.raises(InputError, match=r"other settings \(limit\)"):
        ResultWriter(tmp_path / "p.json", None, {"pose": "p", "limit": 3}, SKELETON, resume=True)


def test_without_resume_it_starts_again(tmp_path):
    crash(tmp_path)
    with ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON) as writer:
        assert not writer.is_done("a.jpg")
    assert json.loads((tmp_path / "p.json").read_text()) == []


def test_interruption_keeps_what_there_is(tmp_path):
    def interrupted():
        with ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON) as writer:
            writer.write("a.jpg", frame(), poses())
            writer.finish("a.jpg")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(json.loads((tmp_path / "p.json").read_text())) == 2
    with ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON, resume=True) as writer:
        assert writer.is_done("a.jpg")


def test_full_disk(tmp_path, monkeypatch):
    import rtmpose.writers.journal as journal

    (tmp_path / "p.json").write_text("before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", full)
    with (
        pytest.raises(OutputError, match="No space left"),
        ResultWriter(tmp_path / "p.json", None, SETTINGS, SKELETON) as writer,
    ):
        writer.write("a.jpg", frame(), poses())
    assert (tmp_path / "p.json").read_text() == "before"
    assert {p.name for p in tmp_path.iterdir()} == {"p.json", "p.json.part"}


def test_unwritable_output(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        ResultWriter(tmp_path / "file" / "p.json", None, SETTINGS, SKELETON)
    with pytest.raises(OutputError, match="cannot be made"):
        PictureSink(tmp_path / "file" / "out")


def test_memory_does_not_grow(tmp_path):
    one = poses(4)
    with ResultWriter(tmp_path / "p.json", tmp_path / "p.csv", SETTINGS, SKELETON) as writer:
        writer.write("v.mp4", frame(), one, video=True)
        tracemalloc.start()
        for i in range(1000):
            writer.write("v.mp4", frame(i), one, video=True)
        writer.close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (tmp_path / "p.json").stat().st_size > 2_000_000
    assert peak < 700_000


# ---- pictures
# ---------------------------------------------------------------------------------------------


def test_pictures(tmp_path):
    sink = PictureSink(tmp_path / "out")
    image = np.full((20, 30, 3), 120, np.uint8)
    for name in ("a/x.jpg", "b/x.jpg", "y.PNG"):
        sink.write(SourceItem(name, "image"), SourceInfo(), image)
        sink.finish()
    assert [p.name for p in sink.saved] == ["x.jpg", "b_x.jpg", "y.png"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"x.jpg", "b_x.jpg", "y.png"}
    assert abs(int(cv2.imread(str(sink.saved[0])).mean()) - 120) < 2


def test_video(tmp_path):
    sink, item = PictureSink(tmp_path), SourceItem("clip.avi", "video")
    for i in range(12):
        size = (48, 64, 3) if i < 6 else (96, 128, 3)
        sink.write(item, SourceInfo(fps=10), np.full(size, 10 * i, np.uint8))
    assert not (tmp_path / "clip.mp4").exists()
    sink.finish()
    capture = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (
        64,
        48,
    )
    capture.release()
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def test_lost_video_is_an_error(tmp_path):
    sink = PictureSink(tmp_path)
    sink.write(SourceItem("clip.avi", "video"), SourceInfo(), np.zeros((48, 64, 3), np.uint8))
    sink._writer.release()
    sink._temporary.write_bytes(b"")
    with pytest.raises(OutputError, match="disk full"):
        sink.finish()
    assert list(tmp_path.iterdir()) == []


def test_window_needs_an_opencv_with_windows(monkeypatch):
    def no_windows(*_):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "namedWindow", no_windows)
    with pytest.raises(MissingDependencyError, match="opencv-python"):
        Window()
