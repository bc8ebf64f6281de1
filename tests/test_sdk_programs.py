"""The programs det_pose and pose_tracker. det_pose reads and writes image files without OpenCV's
readers, the same pixels as with them. Nobody scores 1, so nothing is drawn: what it writes is what
it read.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "build" / "sdk" / "programs" / "det_pose"
TRACKER = PROGRAM.with_name("pose_tracker")
MODELS = ROOT / "rtmpose" / "assets" / "models"
DETECTOR = MODELS / "rtmdet-nano_finetuned_320x320.onnx"
POSE = MODELS / "rtmpose-s-pruned_finetuned-halpe26_192x144.onnx"

pytestmark = pytest.mark.skipif(
    not PROGRAM.is_file(), reason="the programs of the SDK are not built: make sdk"
)


def environment() -> dict[str, str]:
    """Variables with which the programs find the libraries."""
    spec = importlib.util.find_spec("onnxruntime")
    engine = next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so*"))
    library = ROOT / "build" / "sdk" / "install" / "lib"
    return {
        **os.environ,
        "RTMPOSE_ONNXRUNTIME": str(engine),
        "LD_LIBRARY_PATH": str(library),
    }


def call(*arguments: object, program: Path = PROGRAM) -> subprocess.CompletedProcess[str]:
    """A program with the bundled models."""
    command = [str(word) for word in (program, DETECTOR, POSE, *arguments)]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def run(image: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """det_pose on an image in which nobody is sure enough to be drawn."""
    return call(image, "--output", output, "--det_thr", "1")


def track(*arguments: object) -> subprocess.CompletedProcess[str]:
    """pose_tracker without a window."""
    return call(*arguments, "--show", "-1", program=TRACKER)


def frames_of(path: Path) -> list[np.ndarray]:
    """All frames of a video."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(frame)


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
        "photo.png": "is the input itself",
        "folder.png": "it is a folder",
    }
    (tmp_path / "folder.png").mkdir()
    before = (tmp_path / "photo.png").read_bytes()
    for name, words in says.items():
        done = run(tmp_path / "photo.png", tmp_path / name)
        assert done.returncode == 1
        assert words in done.stderr, done.stderr
        assert "OpenCV" not in done.stderr
        assert "people" not in done.stdout
    assert (tmp_path / "photo.png").read_bytes() == before


def test_files_that_are_no_images(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no image\n", encoding="utf-8")
    half = tmp_path / "half.png"
    cv2.imwrite(str(half), picture())
    half.write_bytes(half.read_bytes()[:200])
    for path, words in (
        (text, "it is damaged, no image"),
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-device", "cpu", "photo.png"], "options begin with two dashes"),
        (["photo.png", "--det_thr", "5"], "--det_thr is a score from 0 to 1"),
        (["photo.png", "--det_label", "1.5"], "--det_label needs a whole number"),
        (["photo.png", "--nothing", "1"], "there is no option --nothing"),
        ([], "IMAGE is missing"),
    ],
)
def test_wrong_commands_end_with_2(arguments, words):
    done = call(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_program_without_arguments_says_how_to_use_it():
    done = subprocess.run([TRACKER], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--track_max_missing" in done.stderr


def test_lists_of_images_of_several_sizes_become_one_video(tmp_path):
    for name, size in (("small.png", (80, 40)), ("large.png", (160, 160))):
        cv2.imwrite(str(tmp_path / name), cv2.resize(picture(), size))
    images = tmp_path / "list.txt"
    images.write_text("  small.png\n\nlarge.png \r\n", encoding="utf-8")
    done = track(images, "--output", tmp_path / "both.avi")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 frames")
    frames = frames_of(tmp_path / "both.avi")
    assert [frame.shape for frame in frames] == [(40, 80, 3)] * 2
    assert frames[1][:, :15].max() < 30  # a square in the middle of black
    assert frames[1][:, 25:55].max() > 100


def test_numbered_images_are_read_and_written(tmp_path):
    (tmp_path / "50% off").mkdir()
    for i, pixels in enumerate((picture(1), picture(4), picture())):
        cv2.imwrite(str(tmp_path / f"in_{i:02d}.png"), pixels)
    done = track(tmp_path / "in_%02d.png", "--output", tmp_path / "50% off" / "out_%d.png")
    assert done.returncode == 0, done.stderr
    for i in range(3):
        written = cv2.imread(str(tmp_path / "50% off" / f"out_{i}.png"))
        assert (written == cv2.imread(str(tmp_path / f"in_{i:02d}.png"))).all()
    done = track(tmp_path / "no_%02d.png")
    assert done.returncode == 1
    assert "there are no images of the names" in done.stderr


def test_videos_are_not_written_over_themselves(tmp_path):
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 40))
    writer.release()
    before = video.read_bytes()
    done = track(video, "--output", video)
    assert done.returncode == 1
    assert "is the input itself" in done.stderr
    assert video.read_bytes() == before
    done = track(video)
    assert done.returncode == 1
    assert "there is no frame that can be read" in done.stderr


def test_what_was_done_before_an_interrupt_is_written(tmp_path):
    cv2.imwrite(str(tmp_path / "in.png"), picture())
    images = tmp_path / "list.txt"
    images.write_text("in.png\n" * 20_000, encoding="utf-8")
    output = tmp_path / "out.mp4"
    words = [TRACKER, DETECTOR, POSE, images, "--show", "-1", "--output", output]
    with subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        # Written once the first frames are done.
        end = time.monotonic() + 60
        while not (output.is_file() and output.stat().st_size) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "what was done until here is written" in errors
    assert len(frames_of(output)) >= 1


def test_classes_that_the_detector_does_not_have_are_refused(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the model's card is changed")
    model = onnx.load(DETECTOR)
    for entry in model.metadata_props:
        card = json.loads(entry.value)
        entry.value = json.dumps({**card, "classes": ["person", "dog"]})
    onnx.save(model, tmp_path / "pets.onnx")
    cv2.imwrite(str(tmp_path / "photo.png"), picture())
    for program, options in ((PROGRAM, ["--output", ""]), (TRACKER, ["--show", "-1"])):
        command = [program, tmp_path / "pets.onnx", POSE, tmp_path / "photo.png", *options]
        for label, status in (("1", 0), ("2", 1)):
            done = subprocess.run(
                [*map(str, command), "--det_label", label],
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == status, done.stderr
        assert "the detector's last class is 1 (dog)" in done.stderr


def test_one_stage_models_follow_people_but_take_no_boxes(tmp_path):
    pytest.importorskip("onnx", reason="makes a model with the onnx package")
    from networks import fixed_people

    model = fixed_people(tmp_path / "rtmo-s_64x64.onnx", [[10, 10, 40, 50, 0.9]])
    cv2.imwrite(str(tmp_path / "photo.png"), picture())

    def ends(program, *options):
        words = [program, DETECTOR, model, tmp_path / "photo.png", *options]
        return subprocess.run(
            [str(word) for word in words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    refused = ends(PROGRAM, "--output", "")
    assert refused.returncode == 1
    assert f"POSE_MODEL {model} is a one-stage model" in refused.stderr
    assert "pose_tracker" in refused.stderr
    followed = ends(TRACKER, "--show", "-1")
    assert followed.returncode == 0, followed.stderr
    assert followed.stdout.startswith("1 frame, ids up to")
