"""What people and machines do to long runs: terminals that are closed, signals while a command
starts or waits for a server, network shares that go away.
"""

import errno
import io
import os
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rtmpose
from fault_kinds.commands import ENGINE, photo, tiny_models
from fault_kinds.engine import Kind, PromiseError
from fault_kinds.jobs import (
    DONE,
    FAILED,
    HANG_S,
    Jobs,
    check_no_half_file,
    empty_out,
    last_words,
    make_clip,
    prepare_jobs,
    temporaries,
    wait,
)
from rtmpose.cli import main

STATUS_OF = 128
"""A command that was ended by a signal exits with this plus its number."""
FRAMES = 60
PROMPT_S = 8.0
"""Longest time from a signal to the end, on a busy machine: 5 s for threads that do not end."""


@dataclass
class Commands:
    """The command line in processes of its own.

    Attributes:
        folder: An empty folder.
        models: Options that name the networks.
        clip: A video.
        server: Address of a server that stalls; empty without one.
    """

    folder: Path
    models: list[str]
    clip: str
    server: str = ""

    @property
    def out(self) -> Path:
        """The folder of the outputs."""
        return self.folder / "out"

    def empty(self) -> None:
        """Remove what earlier tries have left."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()

    def work(self, command: str, *more: str) -> list[str]:
        """The arguments of a command over the video."""
        outputs = ["--csv", str(self.out / "all.csv"), "--jsonl", str(self.out)]
        return [command, self.clip, *self.models, *outputs, *more]

    def finish(self, command: str) -> None:
        """Resume in a forked process, and look at the results.

        Raises:
            PromiseError: it fails, or frames are missing.
        """
        if wait(fork_command(self.work(command, "--resume"), self.folder / "said.txt")):
            raise PromiseError(f"it cannot be resumed: {self.said()}")
        rows = len((self.out / "all.csv").read_bytes().splitlines())
        if rows != 1 + FRAMES or temporaries(self.out):
            raise PromiseError(f"resumed: {rows} rows, left over: {temporaries(self.out)[:3]}")

    def said(self) -> str:
        """The end of what the last process wrote to standard error."""
        return (self.folder / "said.txt").read_text(errors="replace")[-250:]


def prepare_commands(folder: Path) -> Commands:
    """Tiny networks and a video."""
    os.environ["RTMPOSE_HOME"] = str(folder / "home")
    os.environ["PYTHONPATH"] = str(Path(rtmpose.__file__).parents[1])
    detector, pose = tiny_models(folder)
    models = ["--detector", detector, "--pose", pose, *ENGINE, "--person-thr", "0"]
    return Commands(folder, models, make_clip(folder / "clip.avi", frames=FRAMES))


def fork_command(arguments: list[str], said: Path) -> int:
    """A command in a forked process, with its standard error in a file."""
    process = os.fork()
    if process:
        return process
    status = 99
    try:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
        status = main(arguments)
    finally:
        os._exit(status)


def _no_traceback(text: str) -> None:
    if "Traceback" in text or "Exception ignored" in text:
        raise PromiseError(f"a traceback: {text[-250:]}")


# ---- a terminal that is closed


def _closed_terminal(commands: Commands, rng: random.Random) -> str:
    """As by the end of an ssh session: SIGHUP, and nothing can be written to the terminal."""
    commands.empty()
    command = rng.choice(("predict", "track"))
    reading, writing = os.pipe()
    process, terminal = pty.fork()
    if not process:
        status = 99
        try:
            os.write(writing, b".")
            status = main(commands.work(command))
        finally:
            os._exit(status)
    # The C library ends a process whose terminal goes away before it is set up.
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    time.sleep(rng.uniform(0, 0.4))
    os.close(terminal)
    status = wait(process)
    # In its first moments the process has no handler yet.
    if status not in (0, STATUS_OF + signal.SIGHUP, -signal.SIGHUP):
        raise PromiseError(f"{command} ended with {status}")
    if temporaries(commands.out):
        raise PromiseError(f"temporary files stay: {temporaries(commands.out)[:3]}")
    commands.finish(command)
    return "ended in time" if status == 0 else "resumed"


# ---- signals at any moment, from the start of the interpreter on


def _starting(commands: Commands, rng: random.Random) -> str:
    commands.empty()
    command = rng.choice(("predict", "track"))
    line = [sys.executable, "-m", "rtmpose", *commands.work(command)]
    moment = rng.uniform(0, 1.5)
    by_timeout = rng.random() < 0.4 and shutil.which("timeout") is not None
    if by_timeout:  # sends the signal to the process and to its group
        line = ["timeout", "-k", "20", f"{moment:.3f}", *line]
    said = commands.folder / "said.txt"
    with said.open("wb") as file:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        if not by_timeout:
            time.sleep(moment)
            process.send_signal(rng.choice((signal.SIGTERM, signal.SIGHUP)))
        status = process.wait()
    _no_traceback(commands.said())
    ended = (0, 124, -signal.SIGTERM, -signal.SIGHUP, *(STATUS_OF + n for n in (1, 15)))
    if status not in ended:
        raise PromiseError(f"{command} ended with {status}: {commands.said()}")
    if temporaries(commands.out):
        raise PromiseError(f"temporary files stay: {temporaries(commands.out)[:3]}")
    commands.finish(command)
    return "ended in time" if status == 0 else "resumed"


# ---- signals while a server is waited for


def prepare_stalling(folder: Path) -> Commands:
    """The same, and a server in a process of its own."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        os.environ.pop(name, None)
    os.environ["no_proxy"] = "127.0.0.1"
    os.environ.pop("RTMPOSE_OFFLINE", None)
    commands = prepare_commands(folder)
    contents = [Path(photo(folder / "photo.png")), Path(commands.clip), folder / "spot.onnx"]
    listener = socket.create_server(("127.0.0.1", 0))
    if not os.fork():
        _stall({path.suffix: path.read_bytes() for path in contents}, listener)
    commands.server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    return commands


def _stall(contents: dict[str, bytes], listener: socket.socket) -> None:
    """Answer each request with as many bytes as its path says, and no more; as long as the process
    that made this one is there.
    """
    parent = os.getppid()
    listener.settimeout(1)
    kept = []
    while os.getppid() == parent:
        try:
            connection = listener.accept()[0]
            connection.settimeout(2)
            asked = re.search(rb"/(\d+)/\w+(\.\w+)", connection.recv(1 << 16))
        except OSError:
            continue
        kept.append(connection)
        if asked:
            body = contents[asked[2].decode()]
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall((head + body)[: int(asked[1])])
    os._exit(0)


def _waiting(commands: Commands, rng: random.Random) -> str:
    commands.empty()
    suffix = rng.choice((".png", ".avi", ".onnx"))
    # Often no byte at all, and often within the body.
    url = f"{commands.server}/{rng.choice((0, 60, 300, 2000))}/{rng.randrange(10**9)}x{suffix}"
    arguments = commands.work(rng.choice(("predict", "track")))
    arguments[1] = url
    if suffix == ".onnx":
        arguments[1:3] = [commands.clip, "--detector"]
        arguments[arguments.index("--pose") + 1] = url
    process = fork_command(arguments, commands.folder / "said.txt")
    time.sleep(rng.uniform(0.1, 0.6))
    number = rng.choice((signal.SIGINT, signal.SIGTERM))
    os.kill(process, number)
    begun = time.monotonic()
    status = wait(process)
    took = time.monotonic() - begun
    _no_traceback(commands.said())
    if took > PROMPT_S:
        raise PromiseError(f"{suffix} {number.name}: it took {took:.0f} s to end")
    if status not in (STATUS_OF + number, -number):
        raise PromiseError(f"{suffix} {number.name}: ended with {status}: {commands.said()}")
    if temporaries(commands.out):
        raise PromiseError(f"temporary files stay: {temporaries(commands.out)[:3]}")
    return f"ended {suffix}"


# ---- a network share that goes away


ERRORS = (errno.ESTALE, errno.EIO, errno.EROFS, errno.ENODEV, errno.ENOTCONN, errno.EDQUOT)
CALLS = ("open", "replace", "rename", "fsync", "mkdir", "unlink", "stat", "scandir")


def _lost_share(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    code = rng.choice(ERRORS)
    calls = int(120 ** rng.random())
    process = jobs.start(
        command, out, resume=False, pause_s=0.002, first=lambda: _lose(out, code, calls)
    )
    status = wait(process)
    if status not in (DONE, FAILED):
        raise PromiseError(
            f"{errno.errorcode[code]}: {command} ended with {status}: {last_words(jobs)}"
        )
    # With the share back, what had a temporary name is found by the next run.
    check_no_half_file(out, jobs.wholes[command])
    jobs.finish(command, out)
    return "ended in time" if status == DONE else "resumed"


def _lose(out: Path, code: int, calls: int) -> None:
    """After some calls that concern a folder all others fail."""
    left = calls
    where = str(out)
    lock = threading.Lock()

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def or_fail(*arguments: Any, **names: Any) -> Any:
            nonlocal left
            concerned = call is os_fsync or str(arguments[:1]).find(where) >= 0
            with lock:
                left -= concerned
            if concerned and left < 0:
                raise OSError(code, os.strerror(code), where)
            return call(*arguments, **names)

        return or_fail

    os_fsync = os.fsync
    for name in CALLS:
        setattr(os, name, failing(getattr(os, name)))
    io.open = failing(io.open)


_SAME = "resumed, the results are those of an undisturbed run"

KINDS = (
    Kind(
        "closed terminal",
        "`predict` and `track` at work; their terminal is closed, as by the end of an ssh session",
        f"files are completed, nothing temporary stays; {_SAME}",
        prepare_commands,
        _closed_terminal,
        tries=40,
        quick=2,
        share=0.5,
    ),
    Kind(
        "signals at the start",
        "SIGTERM and SIGHUP within 1.5 s of the start of the interpreter; `timeout -k`",
        f"no traceback, nothing temporary stays; {_SAME}",
        prepare_commands,
        _starting,
        tries=30,
        quick=1,
        limit_s=HANG_S - 1,
        share=0.8,
    ),
    Kind(
        "signals while a server is waited for",
        "Ctrl-C and SIGTERM while an image, a video or a model is loaded from a server that stalls",
        f"the end within {PROMPT_S:.0f} s, no traceback, nothing temporary stays",
        prepare_stalling,
        _waiting,
        tries=40,
        quick=2,
        limit_s=HANG_S - 5,
        share=0.5,
    ),
    Kind(
        "lost share",
        "`predict` and `track` at work; from a moment on all calls on the folder of the outputs"
        " fail, as on a network share that goes away (ESTALE, EIO, EROFS, ...)",
        f"one line of error, no half file under a final name; {_SAME}",
        prepare_jobs,
        _lost_share,
        tries=80,
        quick=3,
        share=0.5,
    ),
)
