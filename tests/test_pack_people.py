"""Packing people of photos and videos: who gets in, what is left out, and going on."""

import importlib.util
import json
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

import trainable

from rtmpose.training.data.packed import read_packed
from rtmpose.types import Poses

SCRIPT = Path(__file__).parents[1] / "scripts" / "pack_people.py"
SPEC = importlib.util.spec_from_file_location("pack_people", SCRIPT)
pack_people = importlib.util.module_from_spec(SPEC)
sys.modules["pack_people"] = pack_people
SPEC.loader.exec_module(pack_people)

BOX = (40.0, 30.0, 110.0, 150.0)


def photo(seed):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (15, 20, 3), np.uint8), (200, 160))


class FakePipeline:
    """Finds one person in the same place of every image."""

    skeleton = trainable.SKELETON
    calls = 0
    stop_at = None

    def __init__(self, **_):
        type(self).calls = 0

    def __call__(self, image):
        type(self).calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        scores = np.array([[0.9, 0.8, 0.1]], np.float32)
        points = np.array([[[60, 50], [90, 120], [70, 70]]], np.float32)
        return Poses(np.array([BOX]), np.ones(1), points, scores, self.skeleton)


@pytest.fixture
def run(monkeypatch, tmp_path):
    class Pipeline(FakePipeline):
        pass

    monkeypatch.setattr(pack_people, "Pipeline", Pipeline)
    monkeypatch.setattr(pack_people, "PEOPLE_PER_PART", 2)

    def command(*options, out="people.zip"):
        arguments = ["pack_people.py", str(tmp_path / out), *map(str, options)]
        monkeypatch.setattr(sys, "argv", arguments)
        pack_people.main()
        return tmp_path / out

    command.pipeline = Pipeline
    return command


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        place = folder / "more" if number > 3 else folder
        cv2.imwrite(str(place / f"{number}.jpg"), photo(number))
    return folder


def names(path):
    content = read_packed(path).content
    return [Path(i["source_image"]).name for i in content["images"]]


def test_people_are_cut_out_where_they_stand(run, photos):
    path = run(photos)
    assert names(path) == [f"{n}.jpg" for n in range(6)]
    packed = read_packed(path)
    row = packed.annotations[1][0]
    x, y, w, h = row["bbox"]
    # The box lies in the middle; a crop shows it 1.25 x 1.4 times as large.
    assert (x + w / 2, y + h / 2) == pytest.approx((108, 144), abs=0.2)
    assert h == pytest.approx(288 / 1.75, abs=0.2)
    scale = h / 120
    assert row["keypoints"][:2] == pytest.approx(
        [x + (60 - 40) * scale, y + (50 - 30) * scale], abs=0.2
    )
    assert row["keypoints"][6:] == [0, 0, 0]
    with zipfile.ZipFile(path) as archive:
        crop = cv2.imdecode(np.frombuffer(archive.read("images/000001.jpg"), np.uint8), 1)
    assert crop.shape == (288, 216, 3)
    inside = crop[round(y) : round(y + h), round(x) : round(x + w)]
    there = cv2.resize(photo(0)[30:150, 40:110], inside.shape[1::-1])
    assert np.abs(inside.astype(int) - there).mean() < 8
    assert not (path.parent / "people.zip.parts").exists()


def test_what_is_no_photo_and_what_was_seen_is_left_out(run, photos, caplog):
    caplog.set_level("INFO")
    (photos / "notes.txt").write_text("no photo")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 damaged")
    cv2.imwrite(str(photos / "copy.jpg"), photo(2), [cv2.IMWRITE_JPEG_QUALITY, 40])
    found = run(photos)
    assert sorted(names(found)) == [f"{n}.jpg" for n in range(6)]
    assert "'near duplicates': 1" in caplog.text
    assert "'unreadable': 1" in caplog.text
    assert "notes.txt" in caplog.text


def test_nobody_of_an_excluded_set_gets_in(run, photos, tmp_path):
    held = tmp_path / "held"
    (held / "images").mkdir(parents=True)
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 1, "name": "person", "keypoints": list(trainable.NAMES)}]
    # A mirrored photo; a photo of another picture whose id a file name holds.
    for number, image in ((1, photo(1)[:, ::-1]), (2, photo(77))):
        cv2.imwrite(str(held / "images" / f"{number}.png"), image)
        name = f"{number}.png"
        row = {"id": number, "file_name": name, "width": 200, "height": 160}
        content["images"].append(row | {"coco_image_id": 541050 + number})
        content["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [40, 30, 70, 120],
                "area": 8400,
                "iscrowd": 0,
                "num_keypoints": 1,
                "keypoints": [50, 50, 2] + [0] * 6,
            }
        )
    (held / "person_keypoints.json").write_text(json.dumps(content))
    cv2.imwrite(str(photos / "COCO_val2014_000000541052.jpg"), photo(99))
    assert names(run(photos, "--exclude", held)) == ["0.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"]


def test_a_run_that_was_stopped_goes_on(run, photos, monkeypatch):
    unbroken = run(photos, out="unbroken.zip")
    monkeypatch.setattr(run.pipeline, "stop_at", 5)
    with pytest.raises(SystemExit, match="goes on"):
        run(photos)
    monkeypatch.setattr(run.pipeline, "stop_at", None)
    with pytest.raises(SystemExit, match="other options"):
        run(photos, "--margin", 1.2)
    path = run(photos)
    assert run.pipeline.calls == 2
    assert path.read_bytes() == unbroken.read_bytes()
    with pytest.raises(SystemExit, match="exists already"):
        run(photos)


def test_a_full_file_ends_the_run(run, photos, caplog):
    caplog.set_level("INFO")
    path = run(photos, "--max-mb", 0.03)
    assert 0 < len(names(path)) < 6
    assert "full (--max-mb)" in caplog.text


def test_some_frames_of_a_video_are_taken(run, tmp_path):
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (200, 160))
    for number in range(12):
        video.write(photo(number // 3))
    video.release()
    assert names(run(path, "--every-s", 0.5)) == ["clip.avi#0", "clip.avi#5", "clip.avi#10"]


def test_an_empty_find_is_an_error(run, photos):
    with pytest.raises(SystemExit, match="nobody"):
        run(photos, "--min-side", 500)
    with pytest.raises(SystemExit, match="must end with"):
        run(photos, out="people.tar")
