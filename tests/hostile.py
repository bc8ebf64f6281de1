"""A server that breaks the rules, and what it sends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtmpose.zoo import download

MODEL = b"\x08\x06" + b"\x3a\x80\x08" + bytes(1024) + b"\x42\x02\x10\x11"
PICTURE = cv2.imencode(".png", np.full((40, 60, 3), 99, np.uint8))[1].tobytes()


Answer = Callable[[socket.socket, str], None]


def plain(status: str, *headers: str, body: bytes = b"") -> Answer:
    """Sends exactly this and closes."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")
    return lambda connection, _: connection.sendall(head + body)


def drip(data: bytes, pause: float = 0.05) -> Answer:
    """Sends the first bytes at once and the others one by one."""

    def answer(connection: socket.socket, _: str) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return answer


class Server:
    """Answers by raw bytes, so that it can break every rule."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, IndexError):
            connection.settimeout(10)
            request = b""
            while b"\r\n\r\n" not in request:
                block = connection.recv(65536)
                if not block:
                    return  # only looked whether anybody is there
                request += block
            path = request.split()[1].decode()
            self.asked.append(request.decode("latin-1"))
            self.answers.get(path, plain("404 Not Found"))(connection, request.decode("latin-1"))

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def hostile_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server, an empty cache, no proxy between, no memory of dead hosts."""
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RTMPOSE_OFFLINE", raising=False)
    monkeypatch.setattr(download, "_dead_hosts", {})
    state = Server()
    try:
        yield state
    finally:
        state.close()
