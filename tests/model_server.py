"""A server of model files that can break off, and an empty cache."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rtmpose.model_card import ModelFile, Source
from rtmpose.zoo import download

# A network of 1,024,000 bytes and an operator set, as the outermost fields of an ONNX file.
MODEL = b"\x08\x06" + b"\x3a\x80\xc0\x3e" + bytes(range(256)) * 4000 + b"\x42\x02\x10\x11"


OTHER = MODEL[:-1] + b"\x12"


DIGEST = hashlib.sha256(MODEL).hexdigest()


@dataclass
class Reply:
    """How the server answers for one path."""

    body: bytes
    status: int = 200
    etag: str = '"one"'
    date: str = ""
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)  # one entry per request that is cut short
    delay: float = 0.0


@dataclass
class Server:
    """A web server that keeps a list of what it was asked."""

    url: str
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def serve(self, name: str, body: bytes, **how: Any) -> Source:
        self.replies["/" + name] = Reply(body, **how)
        return Source("url", url=f"{self.url}/{name}", note="test")


class Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, server: Server, *args: Any) -> None:
        self.state = server
        super().__init__(*args)

    def do_GET(self) -> None:
        reply = self.state.replies.get(self.path, Reply(b"", status=404))
        wanted, tag = self.headers["Range"], self.headers["If-Range"]
        self.state.asked.append((self.path, wanted, tag))
        time.sleep(reply.delay)
        start = 0
        if wanted and reply.ranges and tag and tag in (reply.etag, reply.date):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(
            416 if start >= max(len(reply.body), 1) else 206 if start else reply.status
        )
        if reply.etag:
            self.send_header("ETag", reply.etag)
        if reply.date:
            self.send_header("Last-Modified", reply.date)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}"
            )
        self.send_header("Content-Length", str(len(reply.body) - start))
        self.end_headers()
        end = start + reply.cut_after.pop(0) if reply.cut_after else len(reply.body)
        with contextlib.suppress(OSError):
            self.wfile.write(reply.body[start:end])

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """A server on a free port, until the end of the block."""
    state = Server("")
    http_server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, state)
    )
    state.url = f"http://127.0.0.1:{http_server.server_port}"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        http_server.shutdown()
        thread.join()
        http_server.server_close()


def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no proxy between us and the test's server, no memory of dead hosts."""
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RTMPOSE_OFFLINE", raising=False)
    monkeypatch.setattr(download, "_dead_hosts", {})
    return tmp_path / "home"


def model_file(*sources: Source, sha256: str = DIGEST, name: str = "m.onnx") -> ModelFile:
    return ModelFile("onnx", name, sources, sha256)


def dead_source() -> Source:
    """A port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Source("url", url=f"http://127.0.0.1:{free.getsockname()[1]}/m.onnx", note="gone")


def leftovers(home: Path) -> set[str]:
    return {p.name for p in (home / "weights").iterdir()} - {"m.onnx", "m.onnx.json", "m.onnx.lock"}


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name.replace("__", "/"), body)
    return out.getvalue()
