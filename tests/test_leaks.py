"""Nothing stays behind when a source, a tracker or a job is closed: no objects that only the
garbage collector could free, no threads, no open files, no memory.
"""

import ctypes
import gc
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from clips import clip
from jobs import image, small_models
from made_videos import numbered, write_video

from rtmpose import BackendOptions, Detector, Pipeline, PoseEstimator
from rtmpose.sources import expand_sources, open_frames, probe
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker
from rtmpose.writers.job import predict_to_files, track_to_files
from rtmpose.writers.outputs import Outputs

OPTIONS = BackendOptions("onnxruntime", "cpu", threads=1)
PIXELS_BYTES = 512 * 384
"""Of a frame of the video, one plane."""


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """What is started and left, by name."""
    folder = tmp_path_factory.mktemp("leaks")
    video = folder / "video.mp4"
    write_video(video, (numbered(k, (512, 384)) for k in range(12)))
    videos = expand_sources([str(video)])
    together = expand_sources([str(video), str(clip(folder / "clip.avi"))])
    photos = expand_sources([str(image(folder / "in" / f"{k}.{end}")) for k, end in KINDS])
    models = small_models(folder)
    detector = Detector(models[0], options=OPTIONS)
    pose = PoseEstimator(models[1], options=OPTIONS)
    out = folder / "out"

    def read_a_part():
        frames = open_frames(videos[0])
        for _ in range(3):
            next(frames)
        frames.close()

    def open_models():
        pipeline = Pipeline(
            Detector(models[0], options=OPTIONS), PoseEstimator(models[1], options=OPTIONS)
        )
        assert len(pipeline(np.full((60, 80, 3), 90, np.uint8))) == 1

    def tracker():
        return VideoTracker(PoseTracker(detector, pose, TrackerParams()), interval=2)

    def track_a_part(items):
        run = tracker().run(items)
        for _ in range(3):
            next(run)
        run.close()

    formats = dict.fromkeys(("json", "csv", "mot", "npz"), out)
    return {
        "a video that is left": read_a_part,
        "a whole video": lambda: sum(1 for _ in open_frames(videos[0])),
        "facts of a video": lambda: probe(videos[0]),
        "images": lambda: [list(open_frames(item)) for item in photos],
        "networks": open_models,
        "tracking that is left": lambda: track_a_part(videos),
        "tracking of two that is left": lambda: track_a_part(together),
        "a job of images": lambda: predict_to_files(
            Pipeline(detector, pose), photos, Outputs(formats, out)
        ),
        "a job of a video": lambda: track_to_files(tracker(), videos, Outputs(formats, out)),
    }


KINDS = tuple(enumerate(("jpg", "png", "bmp", "tiff", "webp")))
NAMES = (
    "a video that is left",
    "a whole video",
    "facts of a video",
    "images",
    "networks",
    "tracking that is left",
    "tracking of two that is left",
    "a job of images",
    "a job of a video",
)


def _is_heavy(found):
    """What pixels hang on: of PyAV, of numpy, of ours."""
    kind = type(found)
    if isinstance(found, np.ndarray):
        return found.nbytes >= 1000
    return kind.__module__.startswith(("av.", "rtmpose.", "PIL."))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_garbage_collector(operations, name):
    operations[name]()  # what is made once
    gc.collect()
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        operations[name]()
        gc.collect()
        heavy = sorted({type(found).__name__ for found in gc.garbage if _is_heavy(found)})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.collect()
    assert heavy == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("name", NAMES)
def test_threads_and_files_stay_level(operations, name):
    operations[name]()
    threads, files = threading.active_count(), _open_files()
    for _ in range(5):
        operations[name]()
    # Threads may need a moment to end.
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    assert _open_files() <= files


def _open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the GNU C library")
@pytest.mark.parametrize("name", NAMES)
def test_memory_in_use_stays_level(operations, name):
    """What is handed out, not what the process holds: that jumps with the allocator's moods."""
    in_use = _memory_counter()
    gc.disable()
    try:
        for _ in range(3):
            operations[name]()
        before = in_use()
        for _ in range(10):
            operations[name]()
        grown = in_use() - before
    finally:
        gc.enable()
    # A frame for each time would be 10 of them.
    assert grown < 3 * PIXELS_BYTES


def _memory_counter():
    class Figures(ctypes.Structure):
        # Of `struct mallinfo2`; mapped blocks are counted apart.
        _fields_ = [
            (name, ctypes.c_size_t)
            for name in (
                *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
                *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
            )
        ]

    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        pytest.skip("this C library does not tell")
    mallinfo.restype = Figures

    def in_use():
        figures = mallinfo()
        return figures.uordblks + figures.hblkhd

    return in_use
