"""One pipeline in many threads, forks after use, and standard output that is closed or full."""

import os
import random
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import rtmpose
from fault_kinds.commands import ENGINE, photo, tiny_models
from fault_kinds.engine import Kind, PromiseError
from fault_kinds.jobs import make_clip, wait
from fault_kinds.media import picture
from rtmpose import Pipeline

THREADS = 8
COMMAND_S = 60


@dataclass
class Shared:
    """An open pipeline, and what it gives for some images."""

    pipeline: Pipeline
    images: list[np.ndarray]
    expected: list[np.ndarray]

    def differs(self, k: int) -> bool:
        """Whether an image gives something else now."""
        return not np.array_equal(self.keypoints(k), self.expected[k])

    def keypoints(self, k: int) -> np.ndarray:
        """The keypoints of one image."""
        return self.pipeline(self.images[k]).keypoints


def prepare(folder: Path) -> Shared:
    """A pipeline of tiny networks, and what it gives undisturbed."""
    detector, pose = tiny_models(folder)
    pipeline = Pipeline(detector, pose, backend="onnxruntime", device="cpu", threads=1)
    images = [picture(k, 96 + 8 * k, 64 + 4 * k) for k in range(6)]
    shared = Shared(pipeline, images, [])
    shared.expected = [shared.keypoints(k) for k in range(len(images))]
    return shared


def _threads(shared: Shared, rng: random.Random) -> str:
    broken: list[str] = []
    rounds = [[rng.randrange(len(shared.images)) for _ in range(10)] for _ in range(THREADS)]

    def work(order: list[int]) -> None:
        try:
            broken.extend("other results in threads" for k in order if shared.differs(k))
        except Exception as error:  # noqa: BLE001 (it is what is counted)
            broken.append(f"traceback: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(order,)) for order in rounds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise PromiseError(broken[0])
    return "equal"


def _fork(shared: Shared, rng: random.Random) -> str:
    k = rng.randrange(len(shared.images))
    process = os.fork()
    if not process:
        status = 3
        try:
            status = int(shared.differs(k))
        finally:
            os._exit(status)
    status = wait(process)
    if status:
        raise PromiseError(f"a forked process ended with {status}")
    if shared.differs(k):
        raise PromiseError("other results after a fork")
    return "equal"


# ---- standard output


@dataclass
class Program:
    """The command in a process of its own."""

    folder: Path
    arguments: dict[str, list[str]]


def prepare_program(folder: Path) -> Program:
    """Commands that write to standard output, with little and much to say."""
    os.environ["RTMPOSE_HOME"] = str(folder / "home")
    os.environ["PYTHONPATH"] = str(Path(rtmpose.__file__).parents[1])
    detector, pose = tiny_models(folder)
    models = ["--detector", detector, "--pose", pose, *ENGINE]
    image = photo(folder / "photo.png")
    clip = make_clip(folder / "clip.avi", frames=200)
    arguments = {
        "predict": ["predict", image, *models, "-o", str(folder / "out")],
        "jsonl": ["predict", clip, *models, "--jsonl", "-"],
        "csv": ["track", clip, *models, "--csv", "-"],
        "list": ["models", "list"],
        "json": ["models", "list", "--json"],
        "doctor": ["doctor"],
        "help": ["--help"],
        "wrong": ["predict", "missing.jpg"],
    }
    return Program(folder, arguments)


def _standard_output(program: Program, rng: random.Random) -> str:
    name = rng.choice(sorted(program.arguments))
    ways = ("| head", "> /dev/full", ">&-", "2>&-", "<&-", "| true", "2> /dev/full", ">&- 2>&-")
    way = rng.choice(ways)
    errors = program.folder / "errors.txt"
    run = '"$PYTHON" -m rtmpose "$@"'
    kept = "" if "2>" in way else '2> "$ERRORS"'
    line = f"{run} {kept} {way}; echo ${{PIPESTATUS[0]}} >&3"
    errors.write_text("")
    reading, writing = os.pipe()
    settings = {**os.environ, "PYTHON": sys.executable, "ERRORS": str(errors)}
    try:
        with Path(os.devnull).open() as null:
            subprocess.run(
                ["bash", "-c", f"exec 3>&{writing}; {line}", "bash", *program.arguments[name]],
                env=settings,
                stdin=null,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writing,),
                timeout=COMMAND_S,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise PromiseError(f"hang: {name} {way}") from error
    finally:
        os.close(writing)
    with os.fdopen(reading) as pipe:
        status = int(pipe.read() or -1)
    text = errors.read_text()
    if "Traceback" in text or "Exception ignored" in text:
        raise PromiseError(f"a traceback: {name} {way}: {text[-200:]}")
    if status not in (0, 1, 2):
        raise PromiseError(f"exit status {status}: {name} {way}: {text[-200:]}")
    if len(text.splitlines()) > 12:
        raise PromiseError(f"many lines of error: {name} {way}")
    return f"exit status {status}"


KINDS = (
    Kind(
        "threads",
        f"one pipeline in {THREADS} threads, 80 images each time",
        "bit-equal results",
        prepare,
        _threads,
        tries=60,
        quick=6,
    ),
    Kind(
        "forks",
        "a process that has used a pipeline forks, and both go on",
        "bit-equal results in both",
        prepare,
        _fork,
        tries=60,
        quick=6,
    ),
    Kind(
        "standard streams",
        "`| head`, `> /dev/full`, closed input, output and errors",
        "no traceback, exit status 0, 1 or 2",
        prepare_program,
        _standard_output,
        tries=40,
        quick=4,
        limit_s=COMMAND_S + 10,
        per_process=10,
    ),
)
