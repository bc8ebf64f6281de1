"""The program det_pose reads and writes image files without OpenCV's readers, the same pixels as
with them. Nobody scores 1, so nothing is drawn: what it writes is what it read.
"""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "build" / "sdk" / "programs" / "det_pose"
MODELS = ROOT / "rtmpose" / "assets" / "models"
DETECTOR = MODELS / "rtmdet-nano_finetuned_320x320.onnx"
POSE = MODELS / "rtmpose-s-pruned_finetuned-halpe26_192x144.onnx"

pytestmark = pytest.mark.skipif(
    not PROGRAM.is_file(), reason="the programs of the SDK are not built: make sdk"
)


def run(image: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """The program on an image in which nobody is sure enough to be drawn."""
    spec = importlib.util.find_spec("onnxruntime")
    engine = next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so*"))
    library = ROOT / "build" / "sdk" / "install" / "lib"
    environment = {
        **os.environ,
        "RTMPOSE_ONNXRUNTIME": str(engine),
        "LD_LIBRARY_PATH": str(library),
    }
    command = [PROGRAM, DETECTOR, POSE, image, "--output", output, "--det_thr", "1"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def picture(channels: int = 3) -> np.ndarray:
    """A smooth image, twice as wide as high, that looks different from all sides."""
    y, x = np.mgrid[:40, :80]
    planes = [x * 3, y * 6, 255 - x - y, (x + y) * 2][:channels]
    return np.stack(planes, axis=2).astype(np.uint8)


def with_orientation(jpeg: bytes, value: int, order: str) -> bytes:
    """A JPEG file with the EXIF data of a camera that was turned."""
    mark = b"II" if order == "<" else b"MM"
    tiff = mark + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x112, 3, 1, value, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize(("value", "order"), [(6, "<"), (7, ">")])
def test_photos_are_turned_upright(tmp_path, value, order):
    _, jpeg = cv2.imencode(".jpg", picture())
    photo = tmp_path / "turned photo.jpg"
    photo.write_bytes(with_orientation(jpeg.tobytes(), value, order))
    done = run(photo, tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    read = cv2.imread(str(tmp_path / "out.png"))
    expected = cv2.imread(str(photo))
    assert expected.shape[:2] == (80, 40)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= 2  # decoders of JPEG differ a little


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("alpha.png", picture(4)),
        ("gray.png", picture(1)),
        ("deep.png", picture().astype(np.uint16) * 257),
        ("windows.bmp", picture()),
    ],
)
def test_kinds_of_images(tmp_path, name, pixels):
    cv2.imwrite(str(tmp_path / name), pixels)
    done = run(tmp_path / name, tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert (cv2.imread(str(tmp_path / "out.png")) == cv2.imread(str(tmp_path / name))).all()


def test_readers_that_take_memory_are_not_linked():
    libraries = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert "libopencv_core" in libraries
    assert "imgcodecs" not in libraries


def test_output_is_of_the_kind_of_its_name(tmp_path):
    cv2.imwrite(str(tmp_path / "in.png"), picture())
    for name, start in (("out.jpeg", b"\xff\xd8\xff"), ("out.bmp", b"BM")):
        done = run(tmp_path / "in.png", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_bytes().startswith(start)
        written = cv2.imread(str(tmp_path / name)).astype(int)
        assert np.abs(written - picture()).mean() < 3


def test_outputs_are_refused_before_the_work(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), picture())
    says = {
        "no ending": "its name has no ending",
        "nowhere/out.png": "there is no folder",
        "out.xyz": "is its ending one of images",
    }
    for name, words in says.items():
        done = run(tmp_path / "photo.png", tmp_path / name)
        assert done.returncode == 1
        assert words in done.stderr, done.stderr
        assert "OpenCV" not in done.stderr


def test_files_that_are_no_images(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no image\n", encoding="utf-8")
    half = tmp_path / "half.png"
    cv2.imwrite(str(half), picture())
    half.write_bytes(half.read_bytes()[:200])
    for path, words in (
        (text, "damaged, or no image"),
        (half, "cannot read the image"),
        (tmp_path, "is a folder"),
        (tmp_path / "nowhere.jpg", "No such file"),
    ):
        done = run(path, tmp_path / "out.png")
        assert done.returncode == 1
        assert str(path) in done.stderr
        assert words in done.stderr
    done = run(ROOT / "rtmpose/assets/photos/astronaut.jpg", tmp_path / "no folder" / "out.png")
    assert done.returncode == 1
    assert "cannot write the image" in done.stderr
