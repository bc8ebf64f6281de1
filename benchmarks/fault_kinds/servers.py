"""Web servers that stall, lie about lengths, reset, redirect in loops, and send garbage: for images
by address, and for downloads of models.
"""

import hashlib
import os
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2

from fault_kinds.engine import Kind, PromiseError
from fault_kinds.media import picture
from rtmpose import zoo
from rtmpose.model_card import ModelFile, Source
from rtmpose.sources import expand_sources, open_frames

LIMIT_S = 60.0
TIMEOUT_S = 0.4
"""What ``RTMPOSE_DOWNLOAD_TIMEOUT`` is set to, so that stalling servers fit into a short time."""


class LyingServer:
    """Answers every request with the bytes that it was given, then stalls, resets or closes.

    Attributes:
        answer: Head and body, as they go over the wire.
        stall_s: Seconds to wait before the end of the connection.
        reset: End with a reset instead of a regular end.
        asked: Number of requests.
    """

    def __init__(self) -> None:
        self.answer = b""
        self.stall_s = 0.0
        self.reset = False
        self.asked = 0
        self._released = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._reply, args=(connection,), daemon=True).start()

    def _reply(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(5)
                if not connection.recv(1 << 16):
                    return
                self.asked += 1
                connection.sendall(self.answer)
                self._released.wait(self.stall_s)
                if self.reset:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            except OSError:
                return


@dataclass
class Web:
    """A server and what an honest one would send."""

    server: LyingServer
    folder: Path
    image: bytes
    model: bytes


def prepare(folder: Path) -> Web:
    """A server, an image and a model."""
    from networks import spot_pose

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        os.environ.pop(name, None)
    os.environ["no_proxy"] = "127.0.0.1"
    os.environ.pop("RTMPOSE_OFFLINE", None)
    os.environ["RTMPOSE_HOME"] = str(folder / "home")
    image = cv2.imencode(".jpg", picture(1))[1].tobytes()
    return Web(LyingServer(), folder, image, spot_pose(folder / "spot.onnx").read_bytes())


STATUS_LINES = (
    "HTTP/1.1 200 OK",
    "HTTP/1.1 206 Partial Content",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 500 Oh",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 999 What",
    "HTTP/9.9 200 OK",
    "garbage",
    "HTTP/1.1 abc",
    "",
)
HEADERS = (
    "Content-Length: -1",
    "Content-Length: abc",
    "Content-Length: 99999999999999999999",
    "Content-Range: bytes 0-5/6",
    "Content-Range: x",
    "Transfer-Encoding: chunked",
    "Content-Encoding: gzip",
    "Content-Type: text/html; charset=\xff",
    "Location: http://[::1",
    "Location: file:///etc/passwd",
    "X: " + "y" * 70_000,
    "no colon",
    "ETag: " + '"' * 300,
    "Last-Modified: never",
)


def _lie(web: Web, body: bytes, rng: random.Random) -> bool:
    """Make the server lie about a body; whether the body is whole and said to be."""
    server = web.server
    server.stall_s, server.reset = 0.0, rng.random() < 0.2
    way = rng.randrange(9)
    if way == 0:  # a loop of redirects
        location = f"Location: {server.url}/again"
        server.answer = f"HTTP/1.1 302 Found\r\n{location}\r\nContent-Length: 0\r\n\r\n".encode()
        return False
    length = len(body)
    status = "HTTP/1.1 200 OK"
    more = []
    whole = True
    if way == 1:
        body, whole = body[: rng.randrange(len(body))], False  # shorter than said
    elif way == 2:
        length, whole = rng.randrange(length), False  # longer than said
    elif way == 3:
        body, whole = rng.randbytes(length), False  # garbage of the right length
    elif way == 4:
        body, whole = b"<html>please log in</html>", False
        length = len(body)
    elif way in (5, 6):
        status, whole = rng.choice(STATUS_LINES), False
    elif way == 7:
        more, whole = [rng.choice(HEADERS)], False
    head = [status, f"Content-Length: {length}", "Connection: close", *more]
    if way == 8:
        head.pop(1)  # no length at all, which is allowed
        whole = not server.reset
    server.answer = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body
    return whole and not server.reset


def _images(web: Web, rng: random.Random) -> str:
    whole = _lie(web, web.image, rng)
    url = f"{web.server.url}/{rng.randrange(10**6)}.jpg"
    frames = list(open_frames(expand_sources([url])[0]))
    if len(frames) != 1:
        raise PromiseError(f"{len(frames)} frames of one image")
    return "read" if whole else "read all the same"


def _models(web: Web, rng: random.Random) -> str:
    whole = _lie(web, web.model, rng)
    name = f"{rng.randrange(10**9)}.onnx"
    digest = hashlib.sha256(web.model).hexdigest() if rng.random() < 0.7 else ""
    source = Source("url", url=f"{web.server.url}/{name}", note="local")
    path = zoo.fetch(ModelFile("onnx", name, (source,), digest))
    content = path.read_bytes()
    path.unlink()
    if content != web.model:
        raise PromiseError(
            f"a file that is not the model is in the cache (hash known: {bool(digest)})"
        )
    return "fetched" if whole else "fetched all the same"


def prepare_impatient(folder: Path) -> Web:
    """The same with a short limit of time, set as users set it."""
    os.environ["RTMPOSE_DOWNLOAD_TIMEOUT"] = str(TIMEOUT_S)
    return prepare(folder)


def _stalls(web: Web, rng: random.Random) -> str:
    """The server says nothing more, at any point of the answer, for longer than the limit."""
    for_model = rng.random() < 0.5
    body = web.model if for_model else web.image
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    web.server.answer = answer[: rng.randrange(len(answer) - 1)]
    web.server.stall_s, web.server.reset = 2 * LIMIT_S, False
    # Often no byte at all, and often within the body.
    web.server.answer = rng.choice((b"", web.server.answer, answer[: -rng.randint(1, len(body))]))
    started = time.monotonic()
    try:
        _read_stalled(web, rng, for_model=for_model)
    finally:
        took = time.monotonic() - started
        if took > TIMEOUT_S + 5:
            raise PromiseError(f"an error after {took:.0f} s")


def _read_stalled(web: Web, rng: random.Random, *, for_model: bool) -> None:
    name = f"{rng.randrange(10**9)}"
    if not for_model:
        list(open_frames(expand_sources([f"{web.server.url}/{name}.jpg"])[0]))
        raise PromiseError("an image that was not sent was read")
    source = Source("url", url=f"{web.server.url}/{name}.onnx", note="local")
    zoo.fetch(ModelFile("onnx", f"{name}.onnx", (source,), ""))
    raise PromiseError("a model that was not sent was fetched")


_LIES = (
    "bodies shorter or longer than said, garbage, a login page, redirects in a loop, broken status"
    " lines and headers, resets"
)

KINDS = (
    Kind(
        "images by address",
        _LIES,
        "the image, or one line that names the address; the run goes on",
        prepare,
        _images,
        tries=200,
        quick=20,
        limit_s=LIMIT_S,
        memory_mb=2048,
    ),
    Kind(
        "downloads of models",
        _LIES,
        "the model, or one line per source; never a wrong file in the cache",
        prepare,
        _models,
        tries=200,
        quick=20,
        limit_s=LIMIT_S,
        memory_mb=2048,
    ),
    Kind(
        "servers that stall",
        f"no more bytes at any point of an answer; `RTMPOSE_DOWNLOAD_TIMEOUT={TIMEOUT_S:g}`",
        "one line of error when the time is over",
        prepare_impatient,
        _stalls,
        tries=80,
        quick=5,
        limit_s=LIMIT_S,
    ),
)
