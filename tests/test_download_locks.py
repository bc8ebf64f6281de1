"""Locks of downloads: who has one is said, and nobody waits without end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import MODEL, Server, hostile_server, plain

from rtmpose import zoo
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelFile, Source


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with hostile_server(monkeypatch, tmp_path) as state:
        yield state


HOLDER = """
import sys, time
from pathlib import Path
from rtmpose.files.locks import ProcessLock
lock = ProcessLock(Path(sys.argv[1]))
assert lock.acquire()
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def locked(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a model."""
    folder = tmp_path / "home" / "weights"
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(folder / "m.onnx.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_lock_says_who_has_it_and_ends_with_its_process(
    server: Server,
    locked: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from rtmpose.files import locks as file_locks

    monkeypatch.setattr(file_locks, "TELL_SECONDS", 0.2)
    server.answers["/m.onnx"] = plain("200 OK", body=MODEL)
    threading.Timer(1.0, locked.kill).start()
    path = zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=f"{server.url}/m.onnx"),)))
    assert path.read_bytes() == MODEL
    (message,) = [r.getMessage() for r in caplog.records]
    assert "waiting for the download of m.onnx by another run" in message
    assert f"process {locked.pid} on {socket.gethostname()}, since 2" in message
    assert not path.with_name("m.onnx.lock").exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
def test_a_lock_of_a_stopped_process_is_not_waited_for(
    server: Server, locked: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtmpose.files import locks as file_locks

    monkeypatch.setattr(file_locks, "TELL_SECONDS", 0.2)
    locked.send_signal(signal.SIGSTOP)
    words = rf"m.onnx by another run \(process {locked.pid} on .*, stopped now\).* -CONT"
    with pytest.raises(ModelError, match=words):
        zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=f"{server.url}/m.onnx"),)))


def test_a_lock_is_not_waited_for_without_end(
    server: Server, locked: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtmpose.files import locks as file_locks

    monkeypatch.setattr(file_locks, "LONGEST_WAIT_S", 0.3)
    with pytest.raises(ModelError, match=rf"process {locked.pid} on .* was not done after"):
        zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=f"{server.url}/m.onnx"),)))


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not sent there")
def test_waiting_for_a_lock_can_be_interrupted(
    server: Server, locked: subprocess.Popen[str]
) -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=f"{server.url}/m.onnx"),)))
    assert server.asked == []


def test_what_a_dead_process_left_is_taken_over(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "weights"
    folder.mkdir(parents=True)
    (folder / "m.onnx.lock").write_text('{"pid": 1, "host": "gone", "started": "long ago"}')
    server.answers["/m.onnx"] = plain("200 OK", body=MODEL)
    path = zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=f"{server.url}/m.onnx"),)))
    assert path.read_bytes() == MODEL
