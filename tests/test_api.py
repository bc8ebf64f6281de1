"""The public names, and what they say to keywords they do not have."""

import importlib
import importlib.util
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from clips import clip, threads
from networks import fixed_detector, spot_pose

import rtmpose
from rtmpose import PoseTracker, TrackerParams
from rtmpose.errors import InputError, MissingDependencyError, ModelError, UnknownArgumentError
from rtmpose.keywords import check_keywords, checked_keywords

TORCH = {"export", "train"}
"""Public names that need torch."""


def has_torch():
    return importlib.util.find_spec("torch") is not None


@pytest.mark.parametrize("name", rtmpose.__all__)
def test_every_public_name(name):
    assert name in dir(rtmpose)
    value = getattr(rtmpose, name)
    assert value is not None
    if name in TORCH and not has_torch():
        with pytest.raises(MissingDependencyError, match=rf"rtmpose\.{name} needs torch.*pip"):
            value()


@pytest.mark.parametrize(
    ("other", "ours"),
    [("Wholebody", "Pipeline"), ("MMPoseInferencer", "Pipeline"), ("draw_skeleton", "draw_poses")],
)
def test_names_of_other_packages_lead_to_ours(other, ours):
    with pytest.raises(AttributeError, match=rf"{other}.*; here it is rtmpose\.{ours}$"):
        getattr(rtmpose, other)
    assert callable(getattr(rtmpose, ours))


def test_the_verbs_are_functions():
    for verb in ("predict", "track", "evaluate"):
        assert callable(getattr(rtmpose, verb))
        assert getattr(rtmpose, verb).__doc__
    with pytest.raises(AttributeError, match="no attribute 'detekt'"):
        rtmpose.detekt  # noqa: B018


def test_the_import_loads_no_engine_and_no_torch():
    heavy = ["torch", "onnxruntime", "openvino", "cv2", "scipy"]
    code = (
        "import sys, rtmpose\n"
        f"print([m for m in {heavy} if m in sys.modules])\n"
        "rtmpose.predict, rtmpose.track, rtmpose.PoseTracker, rtmpose.evaluate\n"
        f"print([m for m in {heavy[:3]} if m in sys.modules])\n"
    )
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert lines[:2] == ["[]", "[]"]


def test_a_run_leaves_nothing_in_the_home_of_the_user(tmp_path):
    """ONNX Runtime 1.32 would leave a device id and a database, and send what is in it."""
    code = (
        "import rtmpose, numpy as np\n"
        "pipeline = rtmpose.Pipeline(backend='onnxruntime', device='cpu', threads=1)\n"
        "pipeline(np.zeros((60, 80, 3), np.uint8))\n"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, **home})
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


# ---- unknown keywords


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rtmpose.Pipeline(scor_thr=0.5), "Pipeline has no argument 'scor_thr'.*box_thr"),
        (lambda: rtmpose.Pipeline(score_thr=0.5), "did you mean box_thr"),
        (lambda: rtmpose.Pipeline(max_persons=1), "did you mean max_people"),
        (lambda: rtmpose.predict("a.jpg", devcie="cpu"), "predict has no .*did you mean device"),
        (lambda: rtmpose.track("a.mp4", det_intervall=3), "track has no .*det_interval"),
        (lambda: rtmpose.track("a.mp4", backends="x"), "did you mean backend"),
        (lambda: rtmpose.TrackerParams(det_treshold=1), "TrackerParams has no .*det_thr"),
        (lambda: rtmpose.PoseTracker(devise="cpu"), "PoseTracker has no .*did you mean device"),
        (lambda: rtmpose.Pipeline(conf=0.5), r"no argument 'conf'; did you mean box_thr\?"),
        (lambda: rtmpose.predict("a.jpg", model="x"), "'model'; did you mean pose"),
        (lambda: rtmpose.Detector(scorethr=0.1), "Detector has no argument"),
        (lambda: rtmpose.PoseEstimator(antialiased=True), "did you mean antialias"),
        (lambda: rtmpose.OneStage("rtmo-s", boxthr=1), "did you mean box_thr"),
        (lambda: rtmpose.evaluate("x.json", boxs="gt"), "evaluate has no .*did you mean boxes"),
        (lambda: rtmpose.Pipeline(xyzzy=1), "it takes detector, pose, backend"),
    ],
)
def test_unknown_keywords_name_those_like_them(call, words):
    with pytest.raises(UnknownArgumentError, match=words) as caught:
        call()
    # For those who catch what Python itself would raise, and for those who catch ours.
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, InputError)


def test_other_type_errors_stay():
    @checked_keywords
    def function(a, *, b=1):
        return a + b

    assert function(1, b=2) == 3
    assert function.__name__ == "function"
    with pytest.raises(TypeError, match="positional"):
        function(1, 2, 3)
    with pytest.raises(TypeError, match="missing"):
        function()
    check_keywords("f", ["a"], ["a", "b"])


# ---- the tracker and the verb


def test_the_tracker_has_default_models():
    tracker = rtmpose.PoseTracker(backend="onnxruntime", device="cpu", threads=1)
    assert tracker.detector.card.id == "rtmdet-nano_finetuned_320x320"
    assert tracker.pose.card.id == "rtmpose-s_finetuned-halpe26_256x192"
    assert tracker.pose.options.threads == 1
    assert len(tracker(np.zeros((60, 80, 3), np.uint8))) == 0


@pytest.fixture
def models(tmp_path):
    return {
        "detector": fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]]),
        "pose": spot_pose(tmp_path / "spot.onnx"),
        "backend": "onnxruntime",
        "threads": 1,
        "pose_min_keypoints": 0,
    }


def test_tracker_of_paths(models):
    models.pop("pose_min_keypoints")
    tracker = rtmpose.PoseTracker(params=rtmpose.TrackerParams(pose_min_keypoints=0), **models)
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    assert tracker(image).ids.tolist() == [1]
    assert tracker(image).ids.tolist() == [1]


def test_track_is_lazy_and_draws(tmp_path, models):
    video = clip(tmp_path / "a.avi", 8)
    results = rtmpose.track(video, **models)
    first = next(results)
    assert first.poses.ids.tolist() == [1]
    assert first.frame.index == 0
    frame, poses = first
    assert frame is first.frame
    assert poses is first.poses
    drawn = first.draw()
    assert drawn.shape == frame.image.shape
    assert (drawn != first.draw(ids=False)).any()
    rest = list(results)
    assert [r.frame.index for r in rest] == list(range(1, 8))
    assert threads() == 0


def test_track_options(tmp_path, models):
    video = clip(tmp_path / "a.avi", 12)
    assert len(list(rtmpose.track([video, video], **models))) == 24
    taken = list(rtmpose.track(video, start_s=0.1, end_s=0.2, **models))
    assert 0 < len(taken) < 6
    assert len(list(rtmpose.track(video, det_interval=4, **models))) == 12
    assert len(list(rtmpose.track(video, det_interval="auto", **models))) == 12
    assert len(next(rtmpose.track(video, det_thr=0.95, **models)).poses) == 0
    params = rtmpose.TrackerParams(det_thr=0.95)
    assert len(next(rtmpose.track(video, params=params, **models)).poses) == 0
    with pytest.raises(InputError, match="interval must be a whole number from 1"):
        rtmpose.track(video, det_interval=0, **models)


def test_track_refuses_early(models):
    with pytest.raises(InputError, match="does not exist"):
        rtmpose.track("no/such/clip.mp4", **models)
    models["pose"] = "rtmpose-zz"
    image = np.zeros((60, 80, 3), np.uint8)
    with pytest.raises(ModelError, match="no model is called 'rtmpose-zz'"):
        rtmpose.track(image, **models)


def test_track_takes_images(tmp_path, models):
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    for source in (image, tmp_path / "a.png"):
        assert next(rtmpose.track(source, **models)).poses.ids.tolist() == [1]


# ---- what people guess


OPTIONS = {"backend": "onnxruntime", "device": "cpu", "threads": 1}


@pytest.fixture
def pair(tmp_path):
    """Files of a detector and of a pose model."""
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return detector, spot_pose(tmp_path / "spot.onnx")


@pytest.mark.parametrize(
    ("verb", "module"), [("train", "training"), ("export", "exporting.export")]
)
def test_a_verb_whose_packages_are_missing_says_so_when_called(verb, module, monkeypatch):
    def no_torch(name, *rest):
        if name == f"rtmpose.{module}":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *rest)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", no_torch)
    monkeypatch.delitem(vars(rtmpose), verb, raising=False)
    found = getattr(rtmpose, verb)  # help(rtmpose) and `from rtmpose import *` look at all names
    with pytest.raises(MissingDependencyError, match=rf"needs torch.*rtmpose\[{verb}\]"):
        found("anything")
    assert verb not in vars(rtmpose)  # installed later, it is found


def test_a_fault_in_another_module_is_not_hidden(monkeypatch):
    def broken(name, *rest):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(importlib, "import_module", broken)
    monkeypatch.delitem(vars(rtmpose), "predict", raising=False)
    with pytest.raises(ModuleNotFoundError, match="numpy"):
        getattr(rtmpose, "predict")  # noqa: B009


@pytest.mark.parametrize("folder", ["writers", "evaluation", "compat", "tracking", "zoo"])
def test_folders_need_no_import_of_their_own(folder):
    code = f"import rtmpose; print(rtmpose.{folder}.__name__, {folder!r} in dir(rtmpose))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"rtmpose.{folder}", "True"]


def test_settings_of_the_tracker_as_keywords(pair):
    detector, pose = pair
    tracker = PoseTracker(detector, pose, TrackerParams(smooth="off"), det_interval=5, **OPTIONS)
    assert (tracker.params.det_interval, tracker.params.smooth) == (5, "off")
    with pytest.raises(UnknownArgumentError, match="did you mean det_interval"):
        PoseTracker(detector, pose, det_intervall=5)
    with pytest.raises(InputError, match="det_interval must be a whole number from 1"):
        PoseTracker(detector, pose, det_interval=0, **OPTIONS)


def test_track_has_the_words_of_predict(tmp_path, pair):
    detector, pose = pair
    video = clip(tmp_path / "a.avi", 2)
    chosen = {"detector": detector, "pose": pose, "pose_min_keypoints": 0, **OPTIONS}
    assert [len(r.poses) for r in rtmpose.track(video, **chosen)] == [1, 1]
    assert [len(r.poses) for r in rtmpose.track(video, box_thr=0.95, **chosen)] == [0, 0]
    assert [len(r.poses) for r in rtmpose.track(video, max_people=0, **chosen)] == [0, 0]


def test_calls_name_near_keywords_too(pair):
    detector, pose = pair
    image = np.zeros((60, 80, 3), np.uint8)
    pipeline = rtmpose.Pipeline(detector, pose, **OPTIONS)
    with pytest.raises(UnknownArgumentError, match="did you mean boxes"):
        pipeline(image, box=[[1, 2, 3, 4]])
    with pytest.raises(UnknownArgumentError, match="PoseTracker has no argument 'times'"):
        PoseTracker(detector, pose, **OPTIONS)(image, times=1.0)
    with pytest.raises(UnknownArgumentError, match="draw_poses has no argument 'box'"):
        rtmpose.draw_poses(image, pipeline(image), box=True)
    with pytest.raises(UnknownArgumentError) as raised:
        rtmpose.predict(image, xyzzy=1)
    assert str(raised.value).count("detector") == 1  # every name once


def test_several_streams_need_as_many_of_everything(pair):
    detector, pose = pair
    tracker = PoseTracker(detector, pose, **OPTIONS)
    image = np.zeros((60, 80, 3), np.uint8)
    states = [tracker.create_state() for _ in range(2)]
    with pytest.raises(InputError, match="one is given twice"):
        tracker.track_batch([states[0], states[0]], [image, image])
    with pytest.raises(InputError, match="2 states need as many images, not 1"):
        tracker.track_batch(states, [image])
    with pytest.raises(InputError, match="2 states need as many times, not 1"):
        tracker.track_batch(states, [image, image], times=[0.0])


def test_images_that_are_something_else(pair):
    detector, pose = pair
    pipeline = rtmpose.Pipeline(detector, pose, **OPTIONS)
    with pytest.raises(InputError, match=r"a\.jpg does not exist"):
        pipeline("a.jpg")
    with pytest.raises(InputError, match="one at a time, or as a list"):
        pipeline(np.zeros((2, 60, 80, 3), np.uint8))
    with pytest.raises(InputError, match=r"rtmpose.read_image\('a.jpg'\)"):
        pipeline.detector("a.jpg")
    with pytest.raises(InputError, match="COLOR_GRAY2BGR"):
        pipeline.detector(np.zeros((60, 80), np.uint8))


def test_results_are_short_to_print(tmp_path, pair):
    detector, pose = pair
    chosen = {"detector": detector, "pose": pose, **OPTIONS}
    video = clip(tmp_path / "a.avi", 1)
    for results in (rtmpose.predict(video, **chosen), rtmpose.track(video, **chosen)):
        text = repr(next(results))
        assert "a.avi', index 0, 0.000 s, 80x60)" in text
        assert "array" not in text
        assert len(text) < 400
