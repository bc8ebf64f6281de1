"""One file per format: what is in it, and that it is whole or not there."""

import csv
import json

import cv2
import numpy as np
import pytest
from results import CONTEXT, SKELETON, poses, record

from rtmpose.errors import InputError, MissingDependencyError, OutputError
from rtmpose.types import Poses
from rtmpose.writers import FORMATS, WriterContext, format_named
from rtmpose.writers.columns import columns
from rtmpose.writers.image import ImageWriter
from rtmpose.writers.video import VideoEncoder, VideoWriter, has_h264
from rtmpose.writers.window import Window

NAMES = [row.name for row in FORMATS]
NEXT_TO = {"json": ["clip.info.json"], "csv": ["clip.info.json"], "mot": ["clip.seqinfo.ini"]}


def names_in(folder):
    return sorted(p.name for p in folder.iterdir())


def one(number, seed):
    return poses(1, seed, ids=[number])


def write_three(name, path):
    if name == "parquet":
        pytest.importorskip(
            "pyarrow", reason="pyarrow is not installed: pip install 'rtmpose[parquet]'"
        )
    writer = format_named(name).writer(path, CONTEXT)
    for k in range(3):
        writer.write(record("d/clip.mp4", k, one(7, k), filled=np.array([k == 1])))
    return writer


def read_back(name, path):
    """Frames, ids and first keypoints' x of a file."""
    if name == "json":
        people = json.loads(path.read_text())
        frames = [p["frame"] for p in people]
    elif name == "jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        people = [p for line in lines for p in line["people"]]
        frames = [line["frame"] for line in lines for _ in line["people"]]
    elif name in ("csv", "parquet"):
        if name == "csv":
            rows = list(csv.DictReader(path.read_text().splitlines()))
        else:
            import pyarrow.parquet as parquet

            rows = parquet.read_table(path).to_pylist()
        return [(int(r["frame"]), int(r["id"]), float(r["nose_x"])) for r in rows]
    elif name == "mot":
        rows = [line.split(",") for line in path.read_text().splitlines()]
        return [(int(r[0]) - 1, int(r[1]), None) for r in rows]
    elif name == "openpose":
        files = sorted(p for p in path.iterdir() if p.suffix == ".json")
        rows = [json.loads(p.read_text())["people"][0] for p in files]
        return [
            (int(p.name.split("_")[-2]), r["person_id"][0], r["pose_keypoints_2d"][0])
            for p, r in zip(files, rows, strict=True)
        ]
    else:
        with np.load(path / "person_0007.npz") as person:
            assert person["keypoints"].shape == (3, 17, 2)
            return [
                (int(f), 7, float(p[0, 0]))
                for f, p in zip(person["frames"], person["keypoints"], strict=True)
            ]
    return [(f, p["track_id"], p["keypoints"][0]) for f, p in zip(frames, people, strict=True)]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_holds_what_was_written(name, tmp_path):
    path = format_named(name).path_for(tmp_path, "clip", still=False)
    writer = write_three(name, path)
    assert not path.exists()
    writer.close()
    expected = [(k, 7, float(one(7, k).keypoints[0, 0, 0])) for k in range(3)]
    for (frame, number, x), (f, n, value) in zip(read_back(name, path), expected, strict=True):
        assert (frame, number) == (f, n)
        assert x is None or x == pytest.approx(value, abs=1e-3)
    assert names_in(tmp_path) == sorted([path.name, *NEXT_TO.get(name, [])])


@pytest.mark.parametrize("name", NAMES)
def test_an_abandoned_file_leaves_the_earlier_one(name, tmp_path):
    path = format_named(name).path_for(tmp_path, "clip", still=False)
    write_three(name, path).close()
    before = read_back(name, path)
    write_three(name, path).abandon()
    assert read_back(name, path) == before
    assert names_in(tmp_path) == sorted([path.name, *NEXT_TO.get(name, [])])


@pytest.mark.parametrize("name", NAMES)
def test_nobody_for_a_whole_clip(name, tmp_path):
    path = format_named(name).path_for(tmp_path, "clip", still=False)
    if name == "parquet":
        pytest.importorskip("pyarrow")
    writer = format_named(name).writer(path, CONTEXT)
    for k in range(3):
        writer.write(record(index=k, people=Poses.empty(SKELETON)))
    writer.close()
    assert path.exists()
    if name == "json":
        assert json.loads(path.read_text()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_cannot_be_made(name, tmp_path):
    (tmp_path / "file").write_text("")
    path = format_named(name).path_for(tmp_path / "file", "clip", still=False)
    with pytest.raises(OutputError, match="cannot be written"):
        write_three(name, path)


def test_coco_json(tmp_path):
    writer = format_named("json").writer(tmp_path / "p.json", CONTEXT)
    writer.write(record("a/000012.jpg", still=True))
    writer.write(record("v.mp4", 3, poses(1)))
    writer.close()
    entries = json.loads((tmp_path / "p.json").read_text())
    assert [e["image_id"] for e in entries] == [12, 12, "v.mp4"]
    assert entries[0]["image"] == "a/000012.jpg"
    assert entries[0]["bbox"] == [1, 2, 30, 60]
    assert entries[0]["score"] == pytest.approx(0.4)
    assert len(entries[0]["keypoints"]) == 51
    assert "frame" not in entries[0]
    assert entries[2]["frame"] == 3
    assert entries[2]["time_s"] == 0.3


def test_the_table(tmp_path):
    """The same columns in CSV and Parquet, with and without tracking."""
    writer = format_named("csv").writer(tmp_path / "p.csv", CONTEXT)
    writer.write(record("a/000012.jpg", still=True))
    writer.write(record("v.mp4", 1, poses(1, ids=[7]), filled=np.array([True])))
    writer.close()
    text = (tmp_path / "p.csv").read_text()
    assert text.splitlines()[3].startswith("v.mp4,1,0.1,0,7,1,1.0,2.0,31.0,62.0,0.5,0.4")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == columns(SKELETON)
    assert len(rows) == 3
    assert float(rows[0]["nose_score"]) == pytest.approx(0.8)
    assert rows[0]["box_x2"] == "31.0"
    assert [r["person"] for r in rows] == ["0", "1", "0"]
    assert {(r["image_width"], r["image_height"]) for r in rows} == {("640", "480")}
    assert [r["id"] for r in rows] == ["-1", "-1", "7"]
    assert [r["filled"] for r in rows] == ["0", "0", "1"]
    parquet = pytest.importorskip("pyarrow.parquet")
    writer = format_named("parquet").writer(tmp_path / "p.parquet", CONTEXT)
    writer.write(record("a/000012.jpg", still=True))
    writer.close()
    table = parquet.read_table(tmp_path / "p.parquet")
    assert table.column_names == columns(SKELETON)
    assert table["source"].to_pylist() == ["a/000012.jpg"] * 2


def test_json_lines(tmp_path):
    write_three("jsonl", tmp_path / "a.jsonl").close()
    first, *lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert first["keypoints"] == list(SKELETON.keypoints)
    assert first["skeleton"] == SKELETON.name
    assert first["fps"]["d/clip.mp4"] == 10.0
    assert first["models"] == {"pose": "p", "detector": "d"}
    assert (lines[0]["width"], lines[0]["height"]) == (640, 480)
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert lines[0]["source"] == "d/clip.mp4"
    assert lines[1]["people"][0]["track_id"] == 7
    assert [p.get("filled") for line in lines for p in line["people"]] == [None, True, None]


def test_mot(tmp_path):
    write_three("mot", tmp_path / "a.txt").close()
    assert (tmp_path / "a.txt").read_text().splitlines()[0] == (
        "1,7,1.00,2.00,30.00,60.00,0.5000,-1,-1,-1"
    )


def test_openpose(tmp_path):
    write_three("openpose", tmp_path / "clip_openpose").close()
    files = sorted(p.name for p in (tmp_path / "clip_openpose").glob("*.json"))
    assert files[0] == "clip_000000000000_keypoints.json"
    person = json.loads((tmp_path / "clip_openpose" / files[2]).read_text())["people"][0]
    assert person["person_id"] == [7]
    assert len(person["pose_keypoints_2d"]) == 3 * 18
    assert person["hand_left_keypoints_2d"] == []
    # An image is one file.
    row, context = format_named("openpose"), WriterContext(SKELETON, still=True)
    path = row.path_for(tmp_path, "photo", still=True)
    writer = row.writer(path, context)
    writer.write(record("photo.jpg", still=True))
    writer.close()
    assert path.name == "photo_keypoints.json"
    assert len(json.loads(path.read_text())["people"]) == 2


def test_which_paths_are_one_file(tmp_path):
    (tmp_path / "x.csv").mkdir()
    for name, path, single in (
        ("csv", "all.csv", True),
        ("csv", "ALL.CSV", True),
        ("csv", "out", False),
        ("csv", "out.json", False),
        ("csv", "x.csv", False),  # it is a folder already
        ("json", "out.jsonl", False),
        ("mot", "a.txt", True),
        ("openpose", "a.json", False),
        ("npz", "a.npz", False),
    ):
        assert format_named(name).is_single_file(tmp_path / path) == single, path
    assert format_named("json").is_single_file(type(tmp_path)("-"))
    with pytest.raises(InputError, match="the formats are json, jsonl"):
        format_named("xml")


# ---- images, videos, the window
# ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_image(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    writer = ImageWriter(path, WriterContext(SKELETON, still=True))
    writer.write(record(drawn=np.full((20, 30, 3), 120, np.uint8)))
    writer.close()
    assert abs(int(cv2.imread(str(path)).mean()) - 120) < 2
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_image_too_large_for_its_format(tmp_path):
    writer = ImageWriter(tmp_path / "x.jpg", WriterContext(SKELETON, still=True))
    with pytest.raises(OutputError, match="70000x1"):
        writer.write(record(drawn=np.zeros((1, 70000, 3), np.uint8)))
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_video_has_the_frame_rate_of_its_source(tmp_path):
    writer = VideoWriter(tmp_path / "clip.mp4", CONTEXT)
    for i in range(12):
        size = (48, 64, 3) if i < 6 else (96, 128, 3)
        writer.write(record(index=i, drawn=np.full(size, 10 * i, np.uint8)))
    assert not (tmp_path / "clip.mp4").exists()
    writer.close()
    capture = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    size = (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    assert size == (64, 48)
    capture.release()
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_video_encoder(codec, tmp_path):
    if codec == "h264" and not has_h264():
        pytest.skip("this build of PyAV has no H.264 encoder")
    with VideoEncoder(tmp_path / "v.mp4", 10, codec=codec) as encoder:
        for k in range(12):
            encoder.write(np.full((61, 81, 3), 20 * k, np.uint8), k / 10)
        encoder.write(np.zeros((30, 40, 3), np.uint8))  # another size is scaled
        assert not (tmp_path / "v.mp4").exists()
    capture = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 13
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.5)
    good, image = capture.read()
    assert good
    assert image.shape[:2] == (60, 80)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        VideoEncoder(tmp_path / "file" / "v.mp4", 10)


@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_tiny_and_empty_videos(codec, tmp_path):
    if codec == "h264" and not has_h264():
        pytest.skip("this build of PyAV has no H.264 encoder")
    with VideoEncoder(tmp_path / "none.mp4", 10, codec=codec):
        pass
    with VideoEncoder(tmp_path / "tiny.mp4", 10, codec=codec) as encoder:
        encoder.write(np.zeros((1, 2, 3), np.uint8))
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.mp4"]


def test_damaged_sound_is_left_out(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"no sound at all" * 100)
    encoder = VideoEncoder(tmp_path / "v.mp4", 10, sound_of=tmp_path / "noise.mp4")
    encoder.write(np.zeros((48, 64, 3), np.uint8))
    encoder.close()
    assert (tmp_path / "v.mp4").stat().st_size > 0


def test_window(monkeypatch):
    shown, keys = [], [-1, ord("q")]
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "destroyWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: keys.pop(0))
    window = Window()
    image = np.zeros((4, 4, 3), np.uint8)
    window.write(record(drawn=image))
    assert window.refresh()
    assert not window.refresh()
    assert len(shown) == 1
    window.close()


def test_window_needs_an_opencv_with_windows(monkeypatch):
    def no_windows(*_):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "namedWindow", no_windows)
    with pytest.raises(MissingDependencyError, match="opencv-python"):
        Window()
