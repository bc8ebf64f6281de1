"""Several streams at the same time: each goes on by itself, whatever the others do."""

import json
import time
from itertools import takewhile

import numpy as np
import pytest
from clips import clip, threads
from jobs import small_models

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker
from rtmpose.tracking.video import VideoTracker

REAL_FRAME_S = 0.02
STALL_S = 4.0
SMALL, LARGE = (80, 60), (160, 120)


class Stream:
    """What one stream does: connections, with size and number of frames, and how they end."""

    def __init__(self, *connections):
        self.connections = list(connections)

    def images(self):
        if not self.connections:
            raise InputError("nobody answers")
        size, count, end = self.connections.pop(0)
        for _ in range(count):
            time.sleep(REAL_FRAME_S)
            yield np.zeros((size[1], size[0], 3), np.uint8)
        if end == "stall":
            time.sleep(STALL_S)
        raise InputError("the connection broke")


@pytest.fixture
def streams(monkeypatch):
    """Streams by address, in place of servers; no pauses between connections."""
    import rtmpose.sources.live as live

    class Clock:
        monotonic = staticmethod(time.monotonic)

        def sleep(self, _):
            time.sleep(0.005)

    known = {
        "rtsp://a/steady": Stream((SMALL, 300, "end")),
        "rtsp://a/stalls": Stream((SMALL, 5, "stall")),
        "rtsp://a/dies": Stream((SMALL, 5, "die")),
        "rtsp://a/back": Stream((SMALL, 50, "die"), (LARGE, 300, "end")),
    }
    monkeypatch.setattr(live, "connection", lambda item: known[item.name].images())
    monkeypatch.setattr(live, "time", Clock())
    return known


def test_a_stall_holds_up_nobody(streams, job_models):
    engine = {"backend": "onnxruntime", "device": "cpu", "threads": 1}
    tracker = VideoTracker(PoseTracker(*job_models, **engine))
    items = expand_sources(list(streams), limit=290)
    start = time.monotonic()
    frames = tracker.run(items)
    early = [*takewhile(lambda _: time.monotonic() - start < 0.75 * STALL_S, frames)]
    frames.close()
    counts = {name: sum(f.item.name == name for f in early) for name in streams}
    assert counts["rtsp://a/steady"] > 10
    assert counts["rtsp://a/back"] > 10
    assert counts["rtsp://a/stalls"] <= 5
    assert counts["rtsp://a/dies"] <= 5
    back = [f.frame.image.shape for f in early if f.item.name == "rtsp://a/back"]
    assert set(back) == {(60, 80, 3), (120, 160, 3)}


def test_four_streams_to_files(streams, tmp_path, job_options, capsys):
    out = tmp_path / "out"
    arguments = [
        "track",
        *streams,
        *job_options,
        "--jsonl",
        str(out),
        "-o",
        str(tmp_path / "drawn"),
    ]
    assert main([*arguments, "--together", "--limit", "30"]) == 1
    error = capsys.readouterr().err
    assert "rtsp://a/dies gave no frame any more" in error
    assert "rtsp://a/stalls gave no frame any more" in error
    assert "Traceback" not in error
    rows = {
        name: [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]
        for name in ("steady", "stalls", "dies", "back")
    }
    assert len(rows["steady"]) > 5
    assert max(row.get("frame", 0) for row in rows["back"]) >= 25
    assert (tmp_path / "drawn" / "back.mp4").exists()
    assert threads() == 0


@pytest.mark.slow
def test_two_hundred_files_together(tmp_path):
    """Each with its threads and its decoder; none is left, and nobody is mixed up."""
    (tmp_path / "in").mkdir()
    for k in range(200):
        clip(tmp_path / "in" / f"{k:03}.avi", frames=1 + k % 3)
    detector, pose = small_models(tmp_path)
    models = ["--detector", detector, "--pose", pose, "--backend", "onnxruntime", "--device", "cpu"]
    sources = str(tmp_path / "in" / "*.avi")
    out = tmp_path / "out"
    assert main(["track", sources, "--together", *models, "--json", str(out)]) == 0
    for k in range(200):
        content = json.loads((out / f"{k:03}.json").read_text())
        assert len(content) == 1 + k % 3
    assert threads() == 0
