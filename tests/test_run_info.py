"""Every table says how long the clip is, its frame rate and its size, with or without people."""

import json

import numpy as np
import pytest
from jobs import image, small_models
from results import CONTEXT, SKELETON, poses, record

from rtmpose import get_skeleton
from rtmpose.cli import main
from rtmpose.types import Poses
from rtmpose.writers import WriterContext, format_named


def written(name, path, people_in=(0,)):
    """Five frames of a clip, people in some of them."""
    writer = format_named(name).writer(path, CONTEXT)
    for k in range(5):
        people = poses(1, ids=[7]) if k in people_in else Poses.empty(SKELETON)
        writer.write(record("v.mp4", k, people))
    writer.close()


@pytest.mark.parametrize("name", ["csv", "json"])
def test_next_to_csv_and_json(name, tmp_path):
    written(name, tmp_path / f"a.{name}")
    info = json.loads((tmp_path / "a.info.json").read_text())
    assert info["skeleton"] == "coco17"
    assert info["keypoints"][0] == "nose"
    assert info["models"] == {"pose": "p", "detector": "d"}
    assert info["sources"] == [
        {
            "source": "v.mp4",
            "width": 640,
            "height": 480,
            "fps": 10.0,
            "frames": 5,
            "first_frame": 0,
            "last_frame": 4,
            "last_time_s": 0.4,
        }
    ]


def test_mot_sequence(tmp_path):
    written("mot", tmp_path / "a.mot.txt")
    lines = (tmp_path / "a.seqinfo.ini").read_text().splitlines()
    assert lines == [
        "[Sequence]", "name=a", "frameRate=10", "seqLength=5", "imWidth=640", "imHeight=480",
    ]  # fmt: skip


def test_within_npz(tmp_path):
    written("npz", tmp_path / "a_people", people_in=(1, 3))
    with np.load(tmp_path / "a_people" / "person_0007.npz") as person:
        assert person["frames"].tolist() == [1, 3]
        assert (float(person["fps"]), int(person["frame_count"])) == (10.0, 5)
        assert person["size_wh"].tolist() == [640, 480]
        assert person["box_scores"].tolist() == [0.5, 0.5]
        assert person["filled"].tolist() == [False, False]
    info = json.loads((tmp_path / "a_people" / "info.json").read_text())
    assert info["sources"][0]["last_frame"] == 4
    assert info["skeleton"] == "coco17"


def test_of_a_clip_without_anybody(tmp_path):
    written("npz", tmp_path / "a_people", people_in=())
    info = json.loads((tmp_path / "a_people" / "info.json").read_text())
    assert info["sources"][0]["frames"] == 5


def test_within_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    written("parquet", tmp_path / "a.parquet", people_in=(1, 3))
    table = parquet.read_table(tmp_path / "a.parquet")
    assert json.loads(table.schema.metadata[b"rtmpose"])["skeleton"] == "coco17"
    metadata = parquet.read_metadata(tmp_path / "a.parquet").metadata
    assert json.loads(metadata[b"rtmpose_sources"])[0]["frames"] == 5
    assert str(table.schema.field("time_s").type) == "double"
    assert table["time_s"].to_pylist() == [0.1, 0.3]


def test_times_are_not_rounded(tmp_path):
    """At 240 frames per second, four decimals would make speeds wrong by six percent."""
    time_s = 1 / 240
    for name in ("csv", "json", "jsonl"):
        writer = format_named(name).writer(tmp_path / f"t.{name}", CONTEXT)
        writer.write(record("v.mp4", 1, poses(1), time_s=time_s))
        writer.close()
        assert repr(time_s) in (tmp_path / f"t.{name}").read_text()


def test_no_description_of_a_single_image(tmp_path):
    writer = format_named("json").writer(tmp_path / "a.json", CONTEXT)
    writer.write(record("a.jpg", still=True))
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    entry = json.loads((tmp_path / "a.json").read_text())[0]
    assert (entry["width"], entry["height"], entry["skeleton"]) == (640, 480, "coco17")
    assert entry["box_score"] == 0.5


def test_133_points_have_the_keys_of_the_official_evaluation(tmp_path):
    skeleton = get_skeleton("coco-wholebody133")
    x = np.arange(133, dtype=np.float32)
    person = Poses(
        np.array([[0, 0, 9, 9]], np.float32),
        np.ones(1, np.float32),
        np.stack([x, x], axis=1)[None],
        np.ones((1, 133), np.float32),
        skeleton,
    )
    writer = format_named("json").writer(tmp_path / "a.json", WriterContext(skeleton))
    writer.write(record("000012.jpg", people=person, still=True))
    writer.close()
    entry = json.loads((tmp_path / "a.json").read_text())[0]
    firsts = {"keypoints": 0, "foot_kpts": 17, "face_kpts": 23}
    firsts |= {"lefthand_kpts": 91, "righthand_kpts": 112}
    assert {key: entry[key][0] for key in firsts} == firsts
    assert sum(len(entry[key]) for key in firsts) == 3 * 133


def test_what_ran_is_written(tmp_path):
    """Engine, precision and device of each network, next to the ids of the models."""
    (tmp_path / "models").mkdir()
    detector, pose = small_models(tmp_path / "models")
    photo = image(tmp_path / "photo.png")
    out = tmp_path / "poses.jsonl"
    line = ["predict", str(photo), "--detector", detector, "--pose", pose, "--jsonl", str(out)]
    assert main([*line, "--backend", "onnxruntime", "--threads", "1"]) == 0
    with out.open() as file:
        first = json.loads(file.readline())
    ran = "onnxruntime fp32 on cpu"
    assert first["networks"] == {"pose": ran, "detector": ran}
