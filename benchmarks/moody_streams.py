"""Four local streams at a time: one is steady, one stalls, one dies and comes back, one changes the
size of its pictures. Does the steady one go on, do the others come back, does anything grow?

    python benchmarks/moody_streams.py [--seconds 40]

The streams are MJPEG over HTTP, the networks tiny; needs what the tests need. The exit status is 1
if the steady stream was held up, or another one did not come back.
"""

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from soak import report

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the tiny networks

from networks import fixed_detector, spot_pose

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.errors import InputError
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker

FPS = 15
PERIOD_S = 8.0
"""Every stream has its mood once in this time."""
STALL_S = 4.0
LONGEST_GAP_S = 1.5
"""Between two frames of the steady stream."""

HEAD = (
    b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"
    b"Cache-Control: no-cache\r\n\r\n"
)


class Stream:
    """A server of MJPEG; ``mood`` is told the time and says the size of the next picture, None to
    stall, or ``end`` to close the connection.
    """

    def __init__(self, mood: Callable[[float], tuple[int, int] | str | None]) -> None:
        self._mood = mood
        self._start = time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/stream"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(1 << 14)
                connection.sendall(HEAD)
                while True:
                    mood = self._mood(time.monotonic() - self._start)
                    if mood == "end":
                        return
                    if isinstance(mood, tuple):
                        connection.sendall(part(*mood))
                    time.sleep(1 / FPS)
            except OSError:
                return


def part(width: int, height: int) -> bytes:
    """One picture of the stream."""
    image = np.full((height, width, 3), 90, np.uint8)
    cv2.circle(image, (width // 2, height // 2), height // 4, (0, 0, 255), -1)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    length = b"Content-Length: %d" % len(data)
    return b"--frame\r\nContent-Type: image/jpeg\r\n%s\r\n\r\n%s\r\n" % (length, data)


def steady(_: float) -> tuple[int, int]:
    """Always the same."""
    return 96, 64


def stalls(seconds: float) -> tuple[int, int] | None:
    """Nothing for some seconds of every period, the connection stays."""
    return None if seconds % PERIOD_S > PERIOD_S - STALL_S else (96, 64)


def dies(seconds: float) -> tuple[int, int] | str:
    """Ends the connection once in a period, for a second."""
    return "end" if seconds % PERIOD_S > PERIOD_S - 1 else (96, 64)


def changes_size(seconds: float) -> tuple[int, int]:
    """Twice as large in every second period, after a new connection or within one."""
    return (192, 128) if (seconds // PERIOD_S) % 2 else (96, 64)


MOODS = {"steady": steady, "stalls": stalls, "dies": dies, "changes size": changes_size}


def watch(seconds: float) -> dict[str, list[float]]:
    """The moments at which each stream gave a tracked frame."""
    streams = {name: Stream(mood) for name, mood in MOODS.items()}
    items = expand_sources([stream.url for stream in streams.values()])
    names = dict(zip((item.name for item in items), streams, strict=True))
    options = BackendOptions("onnxruntime", "cpu", threads=1)
    moments: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        detector = fixed_detector(Path(folder) / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
        pose = spot_pose(Path(folder) / "spot.onnx")
        tracker = PoseTracker(
            Detector(detector, options=options),
            PoseEstimator(pose, options=options),
            TrackerParams(),
        )
        start = time.monotonic()
        told = 0
        run = VideoTracker(tracker, interval=1).run(items)
        try:
            for tracked in run:
                now = time.monotonic() - start
                moments[names[tracked.item.name]].append(now)
                if now // PERIOD_S > told:
                    told = int(now // PERIOD_S)
                    report(f"{now:.0f} s")
                if now > seconds:
                    break
        except InputError as error:
            print(f"ended early: {error}")
        finally:
            run.close()
    return moments


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=40.0)
    arguments = parser.parse_args()
    moments = watch(arguments.seconds)
    report("closed")

    print("| stream | frames | longest gap | last frame |")
    print("|---|---:|---:|---:|")
    good = True
    for name in MOODS:
        times = moments[name]
        gap = max(np.diff(times), default=arguments.seconds)
        last = times[-1] if times else 0.0
        print(f"| {name} | {len(times)} | {gap:.1f} s | {last:.1f} s |")
        # The others may be away for a while, and come back.
        limit = LONGEST_GAP_S if name == "steady" else 2 * PERIOD_S
        good &= gap < limit and last > arguments.seconds - 2 * PERIOD_S
    print("held" if good else "NOT held: the steady stream has gaps, or one did not come back")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
