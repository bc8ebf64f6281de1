"""What is asked of local cameras, with a capture in place of a camera."""

import cv2
import numpy as np
import pytest

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.sources import CameraSettings, expand_sources, open_frames
from rtmpose.sources.cameras import parse_size

PROPERTIES = {
    cv2.CAP_PROP_FRAME_WIDTH: 1280,
    cv2.CAP_PROP_FRAME_HEIGHT: 720,
    cv2.CAP_PROP_FPS: 30,
}


class Capture:
    """A camera that has one size and rate only."""

    made = ()

    def __init__(self, *arguments):
        Capture.made = (*Capture.made, self)
        self.arguments = arguments
        self.asked = []
        self.released = False

    def isOpened(self):  # noqa: N802
        return True

    def set(self, number, value):
        self.asked.append((number, value))

    def get(self, number):
        return PROPERTIES.get(number, 0)

    def read(self):
        return True, np.zeros((72, 128), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture(autouse=True)
def camera(monkeypatch):
    monkeypatch.setattr(Capture, "made", ())
    monkeypatch.setattr(cv2, "VideoCapture", Capture)


def test_what_is_asked(caplog):
    settings = CameraSettings((1280, 720), 30, "MJPG")
    (item,) = expand_sources([0], limit=2, camera=settings)
    frames = list(open_frames(item))
    assert [f.image.shape for f in frames] == [(72, 128, 3)] * 2
    (capture,) = Capture.made
    assert capture.released
    # Sizes depend on the format, so that comes first.
    assert capture.asked[0] == (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    assert (cv2.CAP_PROP_FRAME_WIDTH, 1280) in capture.asked
    assert (cv2.CAP_PROP_FPS, 30) in capture.asked
    assert caplog.text == ""


def test_what_is_not_given_is_said(caplog):
    settings = CameraSettings((640, 480), 60)
    list(open_frames(expand_sources([0], limit=1, camera=settings)[0]))
    assert "gives 1280 x 720 instead of 640 x 480" in caplog.text
    assert "gives 30 frames a second instead of 60" in caplog.text


def test_devices(tmp_path):
    for name, opened in (("0", 0), ("/dev/video3", 3), ("/dev/v4l/by-id/none", None)):
        list(open_frames(expand_sources([name], limit=1)[0]))
        assert Capture.made[-1].arguments == (name if opened is None else opened,)


def test_the_command_line(tmp_path, job_options):
    arguments = ["track", "/dev/video0", *job_options, "--limit", "2", "--jsonl", str(tmp_path)]
    asked = ["--camera-size", "1280x720", "--camera-fps", "30", "--camera-fourcc", "MJPG"]
    assert main([*arguments, *asked]) == 0
    assert (cv2.CAP_PROP_FRAME_HEIGHT, 720) in Capture.made[-1].asked


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--camera-size", "big", "WIDTHxHEIGHT"),
        ("--camera-size", "0x10", "1 to 16384"),
        ("--camera-fourcc", "H264!", "four letters"),
    ],
)
def test_what_makes_no_sense(job_options, capsys, option, value, words):
    assert main(["predict", "0", *job_options, option, value]) != 0
    assert words in capsys.readouterr().err
    assert not Capture.made


def test_settings():
    assert parse_size(" 640X480 ") == (640, 480)
    with pytest.raises(InputError, match="rate must be"):
        CameraSettings(fps=0)
