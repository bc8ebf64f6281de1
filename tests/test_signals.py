"""Signals at the worst moments: where Python code takes a lock, and where it drops exceptions."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from types import FrameType

import numpy as np
import pytest
from jobs import posix

from rtmpose.signals import end_as_interrupt, signals_deferred
from rtmpose.sources import SourceItem, open_frames
from rtmpose.types import Frame
from rtmpose.worker_threads import Prefetch

pytestmark = posix


def send_at_the_end_of(name: str, owner: type) -> None:
    """SIGTERM comes when a method is about to return, once."""
    code = getattr(owner, name).__code__

    def trace(frame: FrameType, event: str, _: object) -> object:
        if frame.f_code is code and event == "return":
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return trace

    sys.settrace(trace)


@pytest.fixture(autouse=True)
def without_trace():
    before = sys.gettrace()
    yield
    sys.settrace(before)


def test_a_signal_while_a_lock_is_taken_comes_after_it():
    condition = threading.Condition(threading.Lock())

    def work() -> None:
        send_at_the_end_of("__enter__", threading.Condition)
        with condition:
            pass
        time.sleep(5)

    with end_as_interrupt() as received, pytest.raises(KeyboardInterrupt):
        work()
    assert received == [signal.SIGTERM]
    assert condition.acquire(blocking=False)


def test_a_wait_for_a_lock_is_interrupted():
    started = time.monotonic()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with end_as_interrupt(), pytest.raises(KeyboardInterrupt):
        Future().result(20)
    assert time.monotonic() - started < 10


def test_a_signal_that_a_lock_holds_up_for_long_comes_all_the_same(monkeypatch):
    """A log line, say, that goes to a pipe which nobody reads."""
    monkeypatch.setattr("rtmpose.signals.LOCK_ATTEMPTS", 3)
    monkeypatch.setattr("rtmpose.signals.LATER_S", 0.001)
    stuck = {"__name__": "logging", "sleep": time.sleep}
    exec("def write():\n    for _ in range(500):\n        sleep(0.01)", stuck)
    started = time.monotonic()
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with end_as_interrupt(), pytest.raises(KeyboardInterrupt):
        stuck["write"]()
    assert time.monotonic() - started < 4


def test_a_signal_in_a_destructor_is_not_lost():
    """Python drops exceptions there."""

    class Thing:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)

    def work() -> None:
        thing = Thing()
        del thing
        time.sleep(5)

    with end_as_interrupt() as received, pytest.raises(KeyboardInterrupt):
        work()
    assert received == [signal.SIGTERM]


def test_other_errors_of_destructors_go_where_they_went(monkeypatch):
    seen = []
    monkeypatch.setattr("sys.unraisablehook", lambda dropped: seen.append(dropped.exc_type))

    class Thing:
        def __del__(self) -> None:
            raise ValueError

    with end_as_interrupt():
        thing = Thing()
        del thing
    assert seen == [ValueError]


def test_a_signal_that_came_too_late_to_end_anything_is_told():
    condition = threading.Condition(threading.Lock())
    with end_as_interrupt() as received:
        send_at_the_end_of("__enter__", threading.Condition)
        with condition:
            pass
    assert received == [signal.SIGTERM]
    time.sleep(0.05)  # it does not come later either, when nobody listens


@pytest.mark.parametrize("name", ["SIGHUP", "SIGXCPU", "SIGUSR1"])
def test_other_signals_that_end_a_run(name):
    number = getattr(signal, name)
    with end_as_interrupt() as received, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert received == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_sent_twice_is_one_request():
    """`timeout` does so; others pass a Ctrl-C on that came anyway."""
    finished = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            with signals_deferred():
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGTERM)
            finished.append(1)

    with end_as_interrupt() as received, pytest.raises(KeyboardInterrupt):
        work()
    assert (received, finished) == ([signal.SIGTERM], [1])


def test_a_signal_that_is_sent_twice_waits_twice():
    finished = []

    def work() -> None:
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            finished.append(1)
        finished.append(2)

    with end_as_interrupt(), pytest.raises(KeyboardInterrupt):
        work()
    assert finished == [1]


@pytest.fixture
def impatient(monkeypatch):
    """Signals are never the same request, and Ctrl-C is as Python has it."""
    monkeypatch.setattr("rtmpose.signals.SAME_S", 0.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("impatient")
def test_a_later_signal_does_what_it_did_before():
    def work() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with end_as_interrupt() as received, pytest.raises(KeyboardInterrupt):
        work()
    assert received == [signal.SIGINT]


@pytest.mark.usefixtures("impatient")
def test_a_later_signal_does_not_wait():
    seen = []

    def work() -> None:
        with signals_deferred():
            signal.raise_signal(signal.SIGINT)
            seen.append(1)
            signal.raise_signal(signal.SIGINT)
            seen.append(2)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == [1]


@pytest.mark.parametrize(("name", "elsewhere"), [("http://x/a.mp4", True), ("a.mp4", False)])
def test_servers_are_waited_for_in_another_thread(monkeypatch, name, elsewhere):
    """FFmpeg goes on waiting where a signal comes in the main thread."""
    seen = []

    def frames(item):
        seen.append(threading.current_thread() is not threading.main_thread())
        yield Frame(np.zeros((2, 2, 3), np.uint8), source=item.name)

    monkeypatch.setattr("rtmpose.sources.video._all_frames", frames)
    assert len(list(open_frames(SourceItem(name, "video")))) == 1
    assert seen == [elsewhere]


def test_a_thread_that_waits_for_a_server_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr("rtmpose.worker_threads.CLOSE_S", 0.05)
    going = threading.Event()

    def stalls():
        going.wait(20)
        yield 1

    # Threads that read from each other, as in `track`.
    inner = Prefetch(stalls())
    outer = Prefetch(inner)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    with end_as_interrupt(), pytest.raises(KeyboardInterrupt):
        next(outer)
    inner.close()
    outer.close()
    took = time.monotonic() - started
    going.set()
    inner.join(5)
    outer.join(5)
    assert took < 10


EVERYWHERE = """
import contextlib, os, signal, sys, threading
from queue import __file__ as queue_file
from rtmpose.signals import end_as_interrupt, signals_deferred
from rtmpose.worker_threads import BackgroundWriter, Prefetch

FILES = (threading.__file__, queue_file, "worker_threads.py")
mode, stride = sys.argv[1], int(sys.argv[2])
number = signal.SIGINT if mode == "python" else signal.SIGTERM
guard = contextlib.nullcontext if mode == "python" else end_as_interrupt

def work(at):
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.endswith(FILES):
            return None
        frame.f_trace_opcodes = True
        count += 1
        if count == at:
            sys.settrace(None)
            os.kill(os.getpid(), number)
        return trace

    with guard():
        sys.settrace(trace)
        try:
            with BackgroundWriter(lambda item: None, 1) as writer, Prefetch(range(4), 1) as ahead:
                for item in ahead:
                    writer.put(item)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
    return count

at, ended = 1, 0
while at <= work(at):
    at += stride
    ended += 1
print(ended)
"""
"""Threads that read ahead and write behind, interrupted before any step within them."""


@pytest.mark.parametrize("mode", ["python", "rtmpose"])
def test_threads_end_wherever_the_main_thread_is_interrupted(mode):
    """With Python's own Ctrl-C too, as in a notebook: no lock may stay taken."""
    ended = subprocess.run(
        [sys.executable, "-c", EVERYWHERE, mode, "29"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 10
