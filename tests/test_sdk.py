"""The SDK against the package: recorded cases, errors, and accuracy through the C library. What
needs the library is skipped where `make sdk` has not built it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import rtmpose
from rtmpose.evaluation import KeypointDataset, evaluate

ROOT = Path(__file__).parents[1]
CONFORMANCE = ROOT / "sdk" / "conformance"
BUILD = ROOT / "build" / "sdk"
LIBRARY = BUILD / "install" / "lib" / "librtmpose.so"
ORT = rtmpose.BackendOptions("onnxruntime", "cpu", 1, False, "fp32")

pytestmark = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the source package of Python has no SDK"
)


@pytest.fixture(scope="module")
def scripts():
    """The scripts of the cases, by name."""
    folder = str(CONFORMANCE)
    sys.path.insert(0, folder)
    try:
        loaded = {}
        for name in ("library", "recipes", "unpack"):
            spec = importlib.util.spec_from_file_location(name, CONFORMANCE / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # dataclasses look their module up
            spec.loader.exec_module(module)
            loaded[name] = module
        yield loaded
    finally:
        sys.path.remove(folder)
        for name in ("library", "recipes", "unpack"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def record():
    return json.loads((CONFORMANCE / "cases.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def engine(scripts):
    """The opened C library."""
    if not LIBRARY.is_file():
        pytest.skip("the SDK is not built: make sdk")
    os.environ.setdefault("RTMPOSE_ONNXRUNTIME", str(onnxruntime_library()))
    return scripts["library"].Library(LIBRARY)


def onnxruntime_library() -> Path:
    spec = importlib.util.find_spec("onnxruntime")
    return next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so*"))


def test_onnxruntime_next_to_the_library_is_found(tmp_path):
    """As programs are shipped: a folder with both, no variable, no environment of Python."""
    if not LIBRARY.is_file():
        pytest.skip("the SDK is not built: make sdk")
    (tmp_path / LIBRARY.name).write_bytes(LIBRARY.read_bytes())
    (tmp_path / "libonnxruntime.so.1").symlink_to(onnxruntime_library())
    hidden = ("RTMPOSE_ONNXRUNTIME", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH")
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    code = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).rtmpose_load_engine(None))"
    command = [sys.executable, "-c", code, str(tmp_path / LIBRARY.name)]
    assert subprocess.run(command, env=variables, check=False, timeout=60).returncode == 0


# ---- the cases are true, and readable without an image library


def test_images_are_read_the_same_without_an_image_library(scripts):
    photo = CONFORMANCE / "images" / "541055_half.png"
    width, height, pixels = scripts["unpack"].decode_png(photo.read_bytes())
    rgb = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    assert (rgb[:, :, ::-1] == cv2.imread(str(photo))).all()


def test_the_package_finds_what_is_recorded(scripts, record):
    detector = rtmpose.Detector(ROOT / record["models"]["detector"], options=ORT)
    pose = rtmpose.PoseEstimator(ROOT / record["models"]["pose"], options=ORT)
    kinds = {case["name"]: case for case in record["cases"]}

    case = kinds["detect 541055 bgr 0.3"]
    image = scripts["recipes"].compose(record["images"][case["image"]])
    found = detector(image, box_thr=case["box_thr"])
    assert len(found) == len(case["expected"]["boxes"])
    assert found.boxes == pytest.approx(np.array(case["expected"]["boxes"]), abs=0.1)

    case = kinds["pose 541055 over the edge"]
    poses = pose(image, np.array(case["boxes"], np.float32))
    distances = np.linalg.norm(poses.keypoints - case["expected"]["keypoints"], axis=2)
    assert np.median(distances) < 0.01
    assert np.percentile(distances, 95) < 0.5


def test_clips_have_ids(record):
    clips = [case for case in record["cases"] if case["kind"] == "track"]
    ids = {i for case in clips for frame in case["frames"] for i in frame["expected"]["ids"]}
    assert len(clips) == 6
    assert max(ids) > 6  # somebody was forgotten and is new again


# ---- the library


@pytest.mark.slow
def test_the_library_finds_what_is_recorded(engine):
    if not (BUILD / "conformance").is_dir():
        pytest.skip("the images of the cases are not unpacked: make sdk")
    command = [sys.executable, "run_cases.py", str(LIBRARY), str(BUILD / "conformance")]
    done = subprocess.run(command, cwd=CONFORMANCE, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_library_says_what_is_wrong(engine, scripts, record, tmp_path):
    error = scripts["library"].LibraryError
    with pytest.raises(error, match=r"nowhere\.onnx"):
        engine.open(tmp_path / "nowhere.onnx")
    pose_model = engine.open(ROOT / record["models"]["pose"])
    with pytest.raises(error, match="not a detector"):
        engine.detector(pose_model)

    pose = engine.pose_detector(pose_model)
    image = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(error, match="box"):
        engine.estimate(pose, image, np.array([[0, 0, np.nan, 5]], np.float32))
    with pytest.raises(error, match="0"):
        engine.estimate(pose, np.zeros((0, 0, 3), np.uint8), None)
    assert len(engine.estimate(pose, image, np.zeros((0, 4), np.float32)).boxes) == 0


OPEN = """
import sys
from pathlib import Path
from library import Library, LibraryError
try:
    Library(Path(sys.argv[1])).open(Path(sys.argv[2]))
except LibraryError as error:
    print(error)
"""


def test_the_library_says_why_there_is_no_engine(engine, record, tmp_path):
    # The number of the processor in the head of a library's file.
    other = bytearray(LIBRARY.read_bytes())
    other[18] = 0xF3
    (tmp_path / "other.so").write_bytes(other)
    (tmp_path / "text.so").write_text("text", encoding="utf-8")
    faults = {
        "other.so": "other.so: .*is it for another processor",
        "text.so": "text.so: .*is it for another processor, or damaged",
        "nothing.so": "nothing.so: ",
        str(LIBRARY): "is not ONNX Runtime",
    }
    for name, words in faults.items():
        # The engine is loaded once in a process.
        line = [sys.executable, "-c", OPEN, str(LIBRARY), str(ROOT / record["models"]["pose"])]
        environment = {**os.environ, "RTMPOSE_ONNXRUNTIME": str(tmp_path / name)}
        environment["PYTHONPATH"] = str(CONFORMANCE)
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
        assert re.search(words, done.stdout), done.stdout
        assert "RTMPOSE_ONNXRUNTIME" in done.stdout


class CDetector:
    """The C library's detector as the evaluation calls one."""

    def __init__(self, engine, path: Path) -> None:
        self.engine = engine
        self.handle = engine.detector(engine.open(path))

    def __call__(self, image, *, box_thr=None):
        found = self.engine.detect(self.handle, image, 0.3 if box_thr is None else box_thr)
        return rtmpose.Detections(found.boxes, found.scores, found.labels.astype(np.int64))


class CPose:
    """The C library's pose detector as the evaluation calls one."""

    def __init__(self, engine, path: Path, skeleton: rtmpose.Skeleton) -> None:
        self.engine = engine
        self.handle = engine.pose_detector(engine.open(path))
        self.skeleton = skeleton

    def estimate_batch(self, images, boxes, *, flip_test=False):
        return [self.one(image, found) for image, found in zip(images, boxes, strict=True)]

    def one(self, image, found):
        if not isinstance(found, rtmpose.Detections):
            found = rtmpose.Detections.from_boxes(found)
        poses = self.engine.estimate(self.handle, image, found.boxes)
        return rtmpose.Poses(
            found.boxes, found.scores, poses.keypoints, poses.scores, self.skeleton
        )


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("boxes", "expected"), [("gt", 70.50), ("detect", 67.59)])
def test_accuracy_through_the_library(engine, shared, record, boxes, expected):
    """As through Python on ONNX Runtime (test_accuracy.py)."""
    pytest.importorskip("pycocotools", reason="AP needs pycocotools")
    data = KeypointDataset.load(shared / "data" / "coco_val_subset")
    pose_file = ROOT / record["models"]["pose"]
    pose = CPose(engine, pose_file, rtmpose.PoseEstimator(pose_file, options=ORT).skeleton)
    detector = CDetector(engine, ROOT / record["models"]["detector"]) if boxes == "detect" else None

    result = evaluate(data, pose, boxes=boxes, detector=detector)
    assert 100 * result.metrics["AP"] == pytest.approx(expected, abs=0.1)
