"""Threads that read ahead and write behind: order, errors, and none left over."""

import contextlib
import linecache
import os
import subprocess
import sys
import threading
import time

import pytest
from clips import threads

from rtmpose import InputError, OutputError
from rtmpose.worker_threads import LESS_URGENT, BackgroundWriter, Prefetch


def test_prefetch_keeps_order_and_passes_errors_on():
    def failing():
        yield from range(5)
        raise InputError("broken")

    ahead = Prefetch(failing())
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="broken"):
        next(ahead)
    assert list(Prefetch(range(100), 3)) == list(range(100))


def test_prefetch_stops_when_left_early_and_does_not_run_away():
    made = []

    def endless():
        for k in range(10**9):
            made.append(k)
            yield k

    for _ in range(50):
        with Prefetch(endless(), 2) as ahead:
            assert next(ahead) == 0
        made_now = len(made)
    time.sleep(0.05)
    assert len(made) == made_now
    assert threads() == 0


def test_live_sources_stay_up_to_date():
    def quick():
        for k in range(200):
            time.sleep(0.001)
            yield k

    with Prefetch(quick(), 2, drop_oldest=True) as ahead:
        seen = []
        for value in ahead:
            seen.append(value)
            time.sleep(0.01)
    assert seen == sorted(seen)
    assert ahead.dropped > 50
    assert seen[-1] >= 195


def test_behind_keeps_order_and_raises():
    out = []
    with BackgroundWriter(out.append, 2) as behind:
        for k in range(50):
            behind.put(k)
    assert out == list(range(50))

    def full(_):
        raise OutputError("the disk is full")

    def fill():
        with BackgroundWriter(full) as behind:
            for k in range(1000):
                behind.put(k)

    with pytest.raises(OutputError, match="full"):
        fill()
    assert threads() == 0


def test_a_second_ctrl_c_ends_the_wait_for_the_writer():
    """The first one waits for what is being written; the next does not."""
    going = threading.Event()
    writer = BackgroundWriter(lambda _: going.wait(30))

    def interrupted(_):
        raise KeyboardInterrupt

    def work():
        with writer:
            writer.put(1)
            writer._thread.join = interrupted
            raise RuntimeError("the first error")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert writer.is_alive
    going.set()


def test_a_signal_while_a_thread_starts_leaves_none(monkeypatch):
    start = threading.Thread.start

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    def endless():
        while True:
            yield 1

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    for make in (lambda: Prefetch(endless()), lambda: BackgroundWriter(print)):
        with pytest.raises(KeyboardInterrupt):
            make()
    monkeypatch.undo()
    deadline = time.monotonic() + 10
    while threads() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threads() == 0


def test_items_for_a_writer_that_has_failed_are_not_waited_for():
    """Its error was raised; the items that come all the same find no thread that takes them."""

    def full(_):
        raise OutputError("the disk is full")

    def fill():
        for k in range(1000):
            behind.put(k)

    behind = BackgroundWriter(full, 2)
    with pytest.raises(OutputError, match="full"):
        fill()
    with pytest.raises(RuntimeError, match="has ended"):
        fill()


def test_ctrl_c_during_the_last_wait_lets_the_writer_finish():
    """All items were handed over; those that wait are written all the same."""
    going, out = threading.Event(), []

    def slow(item):
        going.wait(10)
        out.append(item)

    def interrupted(_):
        del writer._thread.join
        going.set()
        raise KeyboardInterrupt

    def work():
        with writer:
            writer.put(1)
            writer.put(2)
            writer._thread.join = interrupted

    writer = BackgroundWriter(slow)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert out == [1, 2]
    assert not writer.is_alive


LEFT_OPEN = """
import atexit, sys, threading, time

@atexit.register
def look():
    # Registered first, so it is called last: just before the interpreter ends.
    left = [t.name for t in threading.enumerate() if t.name.startswith("rtmpose-")]
    print("left", left, flush=True)

from rtmpose.worker_threads import BackgroundWriter, Prefetch

def endless():
    while True:
        time.sleep(0.001)
        yield 1

inner = Prefetch(endless(), 2)
outer = Prefetch(map(str, inner), 2)
writer = BackgroundWriter(lambda item: time.sleep(0.01), 3)
for item in range(5):
    writer.put(item)
print(next(outer), flush=True)
sys.exit(7)
"""


def test_no_thread_runs_when_the_interpreter_ends():
    """A thread that is within a library of C++ then would end the process with a crash."""
    ended = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "1\nleft []\n", "")


def test_a_thread_that_hangs_holds_up_the_end_for_a_moment_only():
    hanging = LEFT_OPEN.replace("time.sleep(0.001)", "time.sleep(1000)").replace(
        "print(next(outer), flush=True)", "print(1, flush=True)"
    )
    short = "import rtmpose.worker_threads as w; w.EXIT_S = 0.2\n"
    ended = subprocess.run(
        [sys.executable, "-c", hanging.replace("inner =", f"{short}inner =")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 7
    assert ended.stdout.startswith("1\nleft ['rtmpose-ahead'")


def test_an_interruption_does_not_hide_that_the_thread_is_at_work():
    """Up to Python 3.12 one within ``Thread.is_alive`` makes it take the thread for ended."""
    written = []

    def write(item):
        time.sleep(0.3)
        written.append(item)

    def interrupt(frame, event, _):
        within = frame.f_code.co_name == "_wait_for_tstate_lock" and event == "line"
        if within and "acquire" in linecache.getline(frame.f_code.co_filename, frame.f_lineno):
            sys.settrace(None)
            raise KeyboardInterrupt
        return interrupt

    writer = BackgroundWriter(write)
    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt), writer:
            writer.put(1)
            writer.put(2)
    finally:
        sys.settrace(before)
    assert written == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
@pytest.mark.parametrize(("in_gaps", "steps"), [(False, 0), (True, LESS_URGENT)])
def test_a_thread_that_works_in_gaps_lets_others_first(in_gaps, steps):
    """Its own threads too; the one that puts items stays as it is."""
    found = []

    def note(_=None):
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def write(_):
        note()
        own = threading.Thread(target=note)
        own.start()
        own.join()

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with BackgroundWriter(write, 1, in_gaps=in_gaps) as behind:
        behind.put(1)
    assert found == [min(19, before + steps)] * 2
    note()
    assert found[-1] == before
