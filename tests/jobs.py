"""Jobs in processes of their own, for the tests of interruptions and full disks."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from networks import fixed_detector, spot_pose

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and locks of POSIX")
HAS_PARQUET = importlib.util.find_spec("pyarrow") is not None
FORMATS = ("json", "jsonl", "csv", *(["parquet"] if HAS_PARQUET else []), "mot", "openpose", "npz")
"""Those that can be written here."""


def small_models(folder):
    """A detector that always finds one person, and a pose network."""
    detector = fixed_detector(folder / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return str(detector), str(spot_pose(folder / "spot.onnx", named=True))


def image(path, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((60, 80, 3), value, np.uint8))
    return path


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def temporaries(folder):
    # os.walk and not rglob: folders may go while a run in another process is looked at.
    names = [name for _, folders, files in os.walk(folder) for name in (*folders, *files)]
    return [name for name in names if ".tmp" in name or name.endswith((".lock", ".old"))]


@contextlib.contextmanager
def in_a_process(line, **settings):
    """Ends with the block: a test that failed leaves neither a process nor its pipes behind."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*map(str, line)], **{**pipes, **settings}) as process:
        try:
            yield process
        finally:
            process.kill()


def start(arguments, **settings):
    """The command in a process of its own, each frame slowed down."""
    code = (
        "import sys, time\n"
        "import rtmpose.writers.job as job\n"
        "from rtmpose.cli import main\n"
        "count = job.Job._count\n"
        "job.Job._count = lambda *a: (time.sleep(0.02), count(*a))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return in_a_process([sys.executable, "-c", code, *arguments], **settings)


def listen_to_sigint():
    """Shells let background processes ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def outputs_of(out, *, single="all.csv"):
    found = ["-o", out, "--csv", out / single]
    for name in FORMATS:
        found += [f"--{name}", out] if name != "csv" else []
    return found
