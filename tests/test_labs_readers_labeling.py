"""Formats of labeling and curation are read back by the programs they are for."""

import json
from pathlib import Path

import numpy as np
import pytest
from lab_clips import COUNT, FIRST, LABELING, ROOT, SIZE, array, convert, made_clip, photo, read_by

pytestmark = pytest.mark.slow


DATUMARO = """
import json, sys, datumaro
data = datumaro.Dataset.import_from(sys.argv[1], "coco_person_keypoints")
items = {}
for item in data:
    people = sorted((a for a in item.annotations if a.type.name == "points"), key=lambda a: a.id)
    items[item.id] = [{"points": a.points, "flags": [int(v.value) for v in a.visibility]}
        for a in people]
print(json.dumps(items))
"""


def test_coco_in_datumaro(tmp_path):
    clip = made_clip()
    folder = tmp_path / "annotations"
    (tmp_path / "images").mkdir()
    convert([clip], "coco", folder / "person_keypoints_all.json")
    found = read_by(DATUMARO, tmp_path, python=LABELING)
    assert len(found) == COUNT
    place, row = 5, int(np.searchsorted(clip.rows, 5))
    people = found[f"my clip.v2/{FIRST + place:06d}"]
    assert len(people) == 2
    np.testing.assert_allclose(
        np.reshape(people[0]["points"], (-1, 2)), clip.keypoints[row], atol=1e-2
    )
    assert [person["flags"].count(0) for person in people] == [0, 1]


FIFTYONE = """
import json, sys, fiftyone
content = json.load(open(sys.argv[1]))
samples = [fiftyone.Sample.from_dict(s) for s in content["samples"]]
skeleton = fiftyone.KeypointSkeleton(**content["skeleton"])
people = [[k.points for k in s.keypoints.keypoints] for s in samples]
def plain(point):
    return [None if v is None or v != v else v for v in point]
people = [[[plain(p) for p in person] for person in image] for image in people]
print(json.dumps({"people": people, "paths": [s.filepath for s in samples],
  "index": [[k.index for k in s.keypoints.keypoints] for s in samples],
  "confidence": max(max(k.confidence) for s in samples for k in s.keypoints.keypoints),
  "boxes": [[d.bounding_box for d in s.detections.detections] for s in samples],
  "labels": skeleton.labels}))
"""


def test_fiftyone(tmp_path):
    clip = made_clip(top=1.2)
    (path,) = convert([clip], "fiftyone", tmp_path / "samples.json")
    found = read_by(FIFTYONE, path, python=LABELING)
    assert found["labels"] == list(clip.skeleton.keypoints)
    assert len(found["paths"]) == COUNT
    assert found["paths"][0].endswith(f"my clip.v2/{FIRST:06d}.jpg")
    assert found["confidence"] <= 1
    assert found["index"][5] == [1, 3]
    row = int(np.searchsorted(clip.rows, 5))
    np.testing.assert_allclose(array(found["people"][5][0]) * SIZE, clip.keypoints[row], atol=1e-3)
    x, y, width, height = found["boxes"][5][0]
    np.testing.assert_allclose(
        [x * SIZE[0], y * SIZE[1], (x + width) * SIZE[0], (y + height) * SIZE[1]],
        clip.boxes[row],
        atol=1e-3,
    )


CVAT = """
import json, sys, datumaro
found = []
for folder in sys.argv[1:]:
    data = datumaro.Dataset.import_from(folder, "cvat")
    labels = data.categories()[datumaro.AnnotationType.label]
    items = {item.id: [[labels[a.label].name, *a.points] for a in item.annotations]
        for item in data}
    found.append({"items": items, "sizes": [list(item.media.size) for item in data],
        "labels": [label.name for label in labels]})
print(json.dumps(found))
"""


def test_cvat_in_datumaro(tmp_path):
    """Its reader has no skeletons: their points come as they are, those outside at 0, 0."""
    import cv2

    photos = [photo("p/a.jpg"), photo("p/b.jpg", 1)]
    video = made_clip()
    rows_of = [
        {clip.source: clip.keypoints for clip in photos},
        {
            f"frame_{frame:06d}.jpg": video.keypoints[video.rows == place]
            for place, frame in enumerate(video.frames.tolist())
        },
    ]
    image = cv2.imencode(".png", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))[1].tobytes()
    for name, clips, rows in zip("pv", (photos, [video]), rows_of, strict=True):
        convert(clips, "cvat", tmp_path / name / "annotations.xml")
        for source in rows:
            # Frames of a video have no suffix.
            target = tmp_path / name / "images" / (source if name == "p" else source[:-4])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(image)
    found = read_by(CVAT, tmp_path / "p", tmp_path / "v", python=LABELING)
    for data, rows, clip in zip(found, rows_of, (photos[0], video), strict=True):
        keypoints = clip.skeleton.keypoints
        assert data["labels"] == ["person", *keypoints]
        assert {tuple(size) for size in data["sizes"]} == {(SIZE[1], SIZE[0])}
        assert set(data["items"]) == {name.removesuffix(".jpg") for name in rows}
        for name, expected in rows.items():
            points = data["items"][name.removesuffix(".jpg")]
            assert [point[0] for point in points] == list(keypoints) * len(expected)
            places = np.array([point[1:] for point in points]).reshape(-1, len(keypoints), 2)
            np.testing.assert_allclose(places, np.nan_to_num(expected), atol=0.0051)


YOLO = """
import json, sys, numpy as np, sleap_io
from pathlib import Path
labels = sleap_io.load_ultralytics(sys.argv[1])
images = {}
for frame in labels.labeled_frames:
    points = [person.numpy() for person in frame.instances]
    name = frame.video.filename
    name = Path(name[0] if isinstance(name, list) else name).name
    images[name] = np.where(np.isnan(points), None, points).tolist()
print(json.dumps({"images": images, "nodes": labels.skeletons[0].node_names}))
"""


def test_yolo_pose_in_sleap_io(tmp_path):
    import cv2

    clips = [photo("p/a.jpg"), photo("p/b.jpg", 1)]
    clips[1].keypoints[0, 3] = np.nan
    (folder,) = convert(clips, "yolo-pose", tmp_path / "yolo")
    (folder / "images").mkdir()
    for name in ("a", "b"):
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), image)
    found = read_by(YOLO, folder)
    assert len(found["nodes"]) == 17
    for name, clip in zip(("a.jpg", "b.jpg"), clips, strict=True):
        people = array(found["images"][name])
        np.testing.assert_allclose(people, clip.keypoints, atol=1e-3)


SUPERVISION = """
import json, sys, numpy as np, supervision as sv
from rtmpose import Poses, get_skeleton
def drawn_of(name):
    skeleton = get_skeleton(name)
    points = np.random.default_rng(0).uniform(20, 400, (2, len(skeleton), 2)).astype(np.float32)
    poses = Poses(np.array([[0, 0, 300, 400], [100, 50, 420, 420.0]]), np.array([0.9, 0.6]),
        points, np.full((2, len(skeleton)), 0.8), skeleton, np.array([7, 9]))
    given = poses.to_supervision()
    scene = np.zeros((480, 640, 3), np.uint8)
    edges = sv.EdgeAnnotator(color=sv.Color.WHITE, thickness=1, edges=skeleton.links_from_1)
    drawn = edges.annotate(scene.copy(), given)
    dots = sv.VertexAnnotator(radius=3).annotate(scene.copy(), given)
    ends = points[:, list(skeleton.links[0])]
    middles = ends.mean(axis=1).round().astype(int).tolist()
    noses = points[:, 0].round().astype(int).tolist()
    return {"drawn": int(drawn.any(axis=2).sum()),
      "on_a_link": [bool(drawn[y - 2 : y + 3, x - 2 : x + 3].any()) for x, y in middles],
      "dots": [bool(dots[y, x].any()) for x, y in noses], "ids": given.data["tracker_id"].tolist(),
      "kept": len(given.with_nms(threshold=0.99)), "classes": given.class_id.tolist(),
      "boxes": given.detection_confidence.tolist()}
print(json.dumps({"version": sv.__version__, "sets": [drawn_of(name) for name in sys.argv[1:]]}))
"""


def test_supervision_draws():
    """Sets of 26 and 133 points draw nothing unless their links are given, counted from 1."""
    found = read_by(SUPERVISION, "halpe26", "coco-wholebody133", path=ROOT)
    assert found["version"] == "0.31.2"
    for drawn in found["sets"]:
        assert drawn["drawn"] > 200
        assert (drawn["on_a_link"], drawn["dots"]) == ([True, True], [True, True])
        assert (drawn["ids"], drawn["classes"], drawn["kept"]) == ([7, 9], [0, 0], 2)
        np.testing.assert_allclose(drawn["boxes"], [0.9, 0.6], atol=1e-6)


LABEL_STUDIO = """
import json, sys
from pathlib import Path
from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface
names = json.loads(sys.argv[2])
points = "".join(f'<Label value="{n}" model_index="{k}"/>' for k, n in enumerate(names))
setup = ('<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="box" toName="image"><Label value="person"/></RectangleLabels>'
    f'<KeyPointLabels name="keypoints" toName="image">{points}</KeyPointLabels></View>')
interface = LabelInterface(setup)
tasks = json.load(open(sys.argv[1]))
good = [all(interface.validate_prediction(p) for p in t["predictions"]) for t in tasks]
bad = interface.validate_prediction({**tasks[0]["predictions"][0], "result": [{"id": "x"}]})

# Somebody accepts every prediction, and exports what is then there.
accepted = [{"id": k, "data": t["data"], "annotations": [{"id": k, "result": p["result"]}]}
    for k, t in enumerate(tasks) for p in t["predictions"]]
out = Path(sys.argv[3])
out.mkdir()
(out / "accepted.json").write_text(json.dumps(accepted))
Converter(setup, str(out)).convert_to_yolo(str(out / "accepted.json"), str(out), is_dir=False)
labels = {path.stem: [[float(v) for v in line.split()] for line in path.read_text().splitlines()]
    for path in (out / "labels").iterdir()}
print(json.dumps({"good": good, "bad": bad, "labels": labels}))
"""


def test_label_studio(tmp_path):
    clips = [photo(str(tmp_path / f"{name}.jpg"), seed) for seed, name in enumerate("ab")]
    clips[1].keypoints[0, 3] = np.nan
    for clip in clips:
        Path(clip.source).touch()
    (path,) = convert(clips, "label-studio", tmp_path / "tasks.json")
    names = json.dumps(list(clips[0].skeleton.keypoints))
    found = read_by(LABEL_STUDIO, path, names, tmp_path / "exported", python=LABELING)
    assert (found["good"], found["bad"]) == ([True, True], False)
    for name, clip in zip("ab", clips, strict=True):
        rows = np.array(found["labels"][name])
        points = rows[:, 5:].reshape(2, 17, 3)
        np.testing.assert_allclose(points[..., :2] * SIZE, np.nan_to_num(clip.keypoints), atol=1e-3)
        known = np.isfinite(clip.keypoints[..., 0])
        np.testing.assert_array_equal(points[..., 2], np.where(known, 2, 0))
        corners = [rows[:, 1:3] - rows[:, 3:5] / 2, rows[:, 1:3] + rows[:, 3:5] / 2]
        np.testing.assert_allclose(np.hstack(corners) * (SIZE * 2), clip.boxes, atol=1e-3)
