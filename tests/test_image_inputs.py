"""Images in the forms that people have them, and results in the forms they want."""

import io
import json
import sys
import types

import cv2
import numpy as np
import pytest
from clips import clip
from networks import fixed_detector, spot_pose
from results import poses

import rtmpose
from rtmpose import Detections, Frame, Pipeline, Poses, PoseTracker, get_skeleton
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.image_inputs import as_image

OPTIONS = {"backend": "onnxruntime", "device": "cpu", "threads": 1}


@pytest.fixture
def image():
    """Blue, green and red differ everywhere."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., 0] = 40
    image[..., 1] = np.arange(80)
    image[10:40, 20:26, 2] = 255
    return image


@pytest.fixture
def pair(tmp_path):
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return {"detector": detector, "pose": spot_pose(tmp_path / "spot.onnx"), **OPTIONS}


def forms(image, folder):
    """The same image in all lossless forms: value and order of channels."""
    path = folder / "a.png"
    cv2.imwrite(str(path), image)
    alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
    return {
        "array": (image, "bgr"),
        "rgb": (image[..., ::-1], "rgb"),
        "bgra": (np.concatenate([image, alpha], axis=2), "bgr"),
        "rgba": (np.concatenate([image[..., ::-1], alpha], axis=2), "rgb"),
        "path": (path, "rgb"),  # a file says itself what it is
        "text": (str(path), "bgr"),
        "bytes": (path.read_bytes(), "bgr"),
        "bytearray": (bytearray(path.read_bytes()), "bgr"),
    }


FORMS = ["array", "rgb", "bgra", "rgba", "path", "text", "bytes", "bytearray"]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_image_in_every_form(image, tmp_path, pair, form):
    value, color = forms(image, tmp_path)[form]
    np.testing.assert_array_equal(as_image(value, color), image)
    assert as_image(value, color).flags.c_contiguous
    assert as_image(image) is image

    # Everywhere the same people.
    pipeline = Pipeline(**pair)
    expected = pipeline(image).keypoints
    np.testing.assert_array_equal(pipeline(value, color=color).keypoints, expected)
    assert len(pipeline.detect(value, color=color)) == 1
    (result,) = rtmpose.predict(value, color=color, **pair)
    np.testing.assert_array_equal(result.poses.keypoints, expected)
    tracker = PoseTracker(**pair, pose_min_keypoints=0)
    assert tracker(value, color=color).ids.tolist() == [1]
    (tracked,) = rtmpose.track(value, color=color, **pair, pose_min_keypoints=0)
    assert tracked.poses.ids.tolist() == [1]


def test_gray_images(image):
    gray = image[..., 1].copy()
    for value in (gray, gray[..., None]):
        np.testing.assert_array_equal(as_image(value), np.stack([gray] * 3, axis=2))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK", "LA"])
def test_pil_images(image, pair, mode):
    pil = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    original = pil.fromarray(image[..., ::-1].copy())
    found = as_image(original.convert(mode))
    expected = np.asarray(original.convert(mode).convert("RGB"))[..., ::-1]
    np.testing.assert_array_equal(found, expected)
    (result,) = rtmpose.predict(original, color="bgr", **pair)
    np.testing.assert_array_equal(result.frame.image, image)


def test_pil_images_are_turned_upright(image):
    pil = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    lying = pil.fromarray(image[..., ::-1].copy())
    lying.getexif()[0x0112] = 6
    assert as_image(lying).shape == (80, 60, 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((6, 8, 3), np.float32), r"not float32: \(image \* 255\)"),
        (np.zeros((6, 8)), "not float64"),
        (np.zeros((6, 8, 3), np.uint16), "not uint16: .*>> 8"),
        (np.zeros((6, 8), bool), "not bool: .*255"),
        (np.zeros((6, 8, 3), np.int64), "not int64"),
        (np.zeros((3, 6, 8), np.uint8), "np.moveaxis"),
        (np.zeros((0, 8, 3), np.uint8), "must not be empty"),
        (np.zeros((2, 6, 8, 3), np.uint8), "one at a time"),
        (np.zeros((6, 8, 2), np.uint8), r"shape \(H, W, 3\)"),
        (b"", "empty"),
        (b"no image", "not an image"),
        (None, "not NoneType: cv2.imread returns None"),
        (iter([]), "gives many frames"),
        (cv2.VideoCapture(), "gives many frames"),
        ({"image": 1}, "not dict"),
    ],
)
def test_what_is_no_image_is_refused_with_a_hint(value, words):
    with pytest.raises(InputError, match=words) as caught:
        as_image(value)
    assert "\n" not in str(caught.value)


def test_opened_files(image, tmp_path, pair):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), image)
    with path.open("rb") as file:
        np.testing.assert_array_equal(as_image(file), image)
        with pytest.raises(InputError, match=r"a.png is empty, or was read .*seek\(0\)"):
            as_image(file)
    with path.open("rb") as file:
        (result,) = rtmpose.predict(file, **pair)
        np.testing.assert_array_equal(result.frame.image, image)
    with path.open(encoding="latin-1") as file, pytest.raises(InputError, match="'rb'"):
        as_image(file)
    with path.open(encoding="utf-8") as file, pytest.raises(InputError, match="'rb'"):
        as_image(file)
    with pytest.raises(InputError, match=r"'rb'"):
        as_image(file)  # closed


def test_the_bytes_of_a_video_are_no_image(tmp_path, pair):
    path = clip(tmp_path / "a.avi", 2)
    for form in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        with pytest.raises(InputError, match=r"this is a video.* write it to a file"):
            rtmpose.predict(form, **pair)


def test_tensors_are_refused_with_the_line_that_converts_them(image, pair):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) / 255
    with pytest.raises(InputError, match="permute") as caught:
        rtmpose.predict(tensor, **pair)
    line = str(caught.value).split(": ")[1].split(" makes")[0]
    np.testing.assert_array_equal(as_image(eval(line, {"tensor": tensor}), "rgb"), image)


def test_lists_and_wrong_colors(image, pair):
    pipeline = Pipeline(**pair)
    found = pipeline([image, image[:50]])
    assert [len(p) for p in found] == [1, 1]
    assert pipeline([]) == []
    given = pipeline([image, image], [[[1, 2, 30, 40]], []])
    assert [len(p) for p in given] == [1, 0]
    with pytest.raises(InputError, match="color must be bgr or rgb, not 'gray'"):
        pipeline(image, color="gray")


def test_frames_one_after_the_other(image, tmp_path, pair):
    def frames():
        for _ in range(5):
            yield image

    results = list(rtmpose.predict(frames(), **pair))
    assert [r.frame.index for r in results] == list(range(5))
    assert [round(r.frame.time_s * 30) for r in results] == list(range(5))
    assert len(list(rtmpose.predict(frames(), limit=2, **pair))) == 2
    pipeline = Pipeline(**pair)
    assert [len(r.poses) for r in pipeline.run(frames())] == [1] * 5
    (one,) = rtmpose.predict(iter([Frame(image, 7, 2.5, "mine")]), **pair)
    assert (one.frame.index, one.frame.source) == (7, "mine")
    tracked = list(rtmpose.track(frames(), **pair, pose_min_keypoints=0))
    assert [t.poses.ids.tolist() for t in tracked] == [[1]] * 5

    # A capture that somebody has opened.
    capture = cv2.VideoCapture(str(clip(tmp_path / "a.avi", 4)))
    assert len(list(rtmpose.predict(capture, **pair))) == 4
    with pytest.raises(InputError, match="not opened"):
        list(rtmpose.predict(cv2.VideoCapture(), **pair))


def test_a_tracker_as_a_context_forgets_at_its_end(image, pair):
    with PoseTracker(**pair, pose_min_keypoints=0) as tracker:
        assert tracker(image).ids.tolist() == [1]
    assert not tracker.state.tracks
    assert tracker(image).ids.tolist() == [2]  # ids are never used again


# ---- results


def test_results_are_saved(image, tmp_path, pair):
    for results in (rtmpose.predict(image, **pair), rtmpose.track(image, **pair)):
        result = next(results)
        path = result.save(tmp_path / "drawn.png", kpt_thr=0.1)
        np.testing.assert_array_equal(cv2.imread(str(path)), result.draw(kpt_thr=0.1))
        picture = cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(picture, result.draw())
        with pytest.raises(InputError, match="no suffix of an image format"):
            result.save(tmp_path / "drawn")


def test_results_are_shown(image, pair, monkeypatch):
    pil = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    shown = []
    monkeypatch.setattr(pil.Image, "show", lambda picture: shown.append(picture.size))
    next(rtmpose.predict(image, **pair)).show()
    next(rtmpose.track(image, **pair)).show()
    assert shown == [(80, 60)] * 2


def test_results_are_shown_below_the_cell_of_a_notebook(image, pair, monkeypatch):
    shown = []
    kernel = types.SimpleNamespace(kernel=object())
    notebook = types.ModuleType("IPython")
    notebook.get_ipython = lambda: kernel
    display = types.ModuleType("IPython.display")
    display.display, display.Image = shown.append, lambda data: data
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    result = next(rtmpose.predict(image, **pair))
    result.show()
    assert shown == [result._repr_png_()]

    # IPython in a terminal has no cells.
    kernel.kernel = None
    pil = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    monkeypatch.setattr(pil.Image, "show", lambda picture: shown.append(picture.size))
    result.show()
    assert shown[1:] == [(80, 60)]


def test_keypoints_by_name():
    found = poses(3)
    np.testing.assert_array_equal(found["nose"], found.keypoints[:, 0])
    assert Poses.empty(found.skeleton)["left_wrist"].shape == (0, 2)
    assert len(found[0]) == 1
    skeleton = get_skeleton("coco17")
    assert skeleton.index("left_wrist") == 9
    for wrong, words in (
        ("left_writs", "did you mean left_wrist"),
        ("Left Wrist", "did you mean left_wrist"),
        ("tail", "there are nose, left_eye"),
    ):
        with pytest.raises(InputError, match=words):
            skeleton.index(wrong)
        with pytest.raises(InputError, match=words):
            found[wrong]


@pytest.mark.parametrize("people", [0, 2])
def test_plain_data(people):
    found = poses(people, ids=list(range(1, people + 1)))
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["skeleton"] == "coco17"
    assert [p["id"] for p in plain["people"]] == list(range(1, people + 1))
    for i, person in enumerate(plain["people"]):
        assert person["keypoints"]["nose"][:2] == pytest.approx(found["nose"][i].tolist())
        assert person["box"] == [1, 2, 31, 62]


def test_tables(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rtmpose\[pandas\]'"):
        poses(1).to_pandas()
    monkeypatch.undo()
    pytest.importorskip("pandas", reason="pandas is not installed: pip install 'rtmpose[pandas]'")
    table = poses(2, ids=[3, 4]).to_pandas()
    assert list(table.columns) == ["person", "id", "box_score", "keypoint", "x", "y", "score"]
    assert len(table) == 34
    assert table[table.keypoint == "nose"].x.tolist() == poses(2)["nose"][:, 0].tolist()
    assert len(Poses.empty(get_skeleton("coco17")).to_pandas()) == 0


def test_everything_public_is_a_line(image, pair):
    tracker = PoseTracker(**pair)
    pipeline = Pipeline(**pair)
    objects = [
        tracker,
        pipeline,
        pipeline.model,
        pipeline.detector,
        pipeline.pose,
        rtmpose.VideoTracker(tracker),
        next(rtmpose.predict(image, **pair)),
        next(rtmpose.track(image, **pair)),
        poses(2, ids=[1, 2]),
        poses(0),
        Detections.empty(),
        Frame(image),
        get_skeleton("coco17"),
        rtmpose.TrackerParams(),
        rtmpose.BackendOptions(),
    ]
    for one in objects:
        text = repr(one)
        assert text.startswith(type(one).__name__), text
        assert "\n" not in text
        assert "object at 0x" not in text
        assert "array(" not in text
