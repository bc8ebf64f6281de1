"""Streams that die for good, and boxes that match nothing."""

import json
import time

import numpy as np
import pytest
from jobs import image

from rtmpose.cli import main
from rtmpose.files import write_text

REAL_FRAME_S = 0.02


class Clock:
    """Time without pauses between connections."""

    monotonic = staticmethod(time.monotonic)

    def sleep(self, _):
        pass


def dying(monkeypatch, frames):
    import rtmpose.sources.live as live

    left = dict(frames)

    def connection(item):
        """As many frames as are left; new connections find nothing."""
        while left[item.name]:
            left[item.name] -= 1
            time.sleep(REAL_FRAME_S)
            yield np.zeros((60, 80, 3), np.uint8)

    monkeypatch.setattr(live, "connection", connection)
    monkeypatch.setattr(live, "time", Clock())


@pytest.mark.parametrize("command", ["predict", "track"])
def test_a_stream_that_dies_for_good_is_a_failure(
    tmp_path, job_options, monkeypatch, capsys, command
):
    dying(monkeypatch, {"rtsp://a/live": 3})
    out = tmp_path / "out"
    arguments = [command, "rtsp://a/live", *job_options, "--jsonl", str(out)]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "rtsp://a/live gave no frame any more after" in error
    assert "Traceback" not in error
    assert (out / "live.jsonl").exists()


def test_streams_that_live_on_are_followed_to_their_end(tmp_path, job_options, monkeypatch, capsys):
    dying(monkeypatch, {"rtsp://a/one": 2, "rtsp://a/two": 60})
    out = tmp_path / "out"
    sources = ["rtsp://a/one", "rtsp://a/two"]
    arguments = ["track", *sources, *job_options, "--jsonl", str(out), "--together"]
    assert main([*arguments, "--limit", "30"]) == 1
    assert "rtsp://a/one gave no frame any more" in capsys.readouterr().err
    indices = [
        json.loads(line)["frame"] for line in (out / "two.jsonl").read_text().splitlines()[1:]
    ]
    assert len(indices) > 5


def test_a_boxes_file_that_matches_nothing(tmp_path, job_options, caplog):
    photo = image(tmp_path / "a.jpg")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image": "other.jpg", "bbox": [1, 2, 30, 40]}]))
    arguments = ["predict", str(photo), *job_options, "--boxes", str(boxes), "--json"]
    assert main([*arguments, str(tmp_path / "p.json")]) == 0
    assert str(boxes) in caplog.text
    assert "'other.jpg'" in caplog.text
    caplog.clear()
    boxes.write_text(json.dumps([{"image": "a.jpg", "bbox": [1, 2, 30, 40]}]))
    assert main([*arguments, str(tmp_path / "q.json")]) == 0
    assert caplog.text == ""


def test_results_are_written_as_before(tmp_path):
    """Files that are replaced while a lock is held on them can be read at once."""
    for text in ("one", "two"):
        write_text(tmp_path / "a", text)
        assert (tmp_path / "a").read_text() == text
