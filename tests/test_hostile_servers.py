"""Servers that stall, lie and redirect: models and images by their address end in one error."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtmpose import zoo
from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelFile, Source
from rtmpose.onnx_file import onnx_flaw
from rtmpose.sources import image_url
from rtmpose.sources.image_url import fetch_image
from rtmpose.web import WebError, WebLimits, checked_url, limits_from_environment, open_url
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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RTMPOSE_OFFLINE", raising=False)
    monkeypatch.setattr(download, "_dead_hosts", {})
    state = Server()
    yield state
    state.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second instead of thirty until a server counts as too slow."""

    def limits(total_s: float, largest: int) -> WebLimits:
        return WebLimits(total_s, 1000, largest, window_s=0.4)

    monkeypatch.setattr(download, "limits_from_environment", limits)
    monkeypatch.setattr(image_url, "limits_from_environment", limits)


LENGTH = f"Content-Length: {len(PICTURE)}"
HOSTILE: dict[str, tuple[Answer, str]] = {
    "no answer": (lambda connection, _: None, ""),
    "not http": (lambda connection, _: connection.sendall(b"SSH-2.0-x\r\n"), ""),
    "status 500": (plain("500 Out of order"), "500 Out of order"),
    "status with control characters": (plain("404 a\x1b[31mb"), "404"),
    "no content": (plain("204 No Content"), "204"),
    "part that was not asked for": (
        plain("206 Partial Content", "Content-Range: bytes 0-9/99", body=b"x" * 10),
        "206",
    ),
    "long status line": (plain("200 " + "x" * 100_000), ""),
    "long header": (plain("200 OK", "X: " + "x" * 100_000), ""),
    "many headers": (plain("200 OK", *[f"X{i}: 1" for i in range(500)]), "headers"),
    "cut short": (plain("200 OK", LENGTH, body=PICTURE[:20]), "closed early"),
    "broken chunks": (
        plain("200 OK", "Transfer-Encoding: chunked", body=b"zz\r\nabc"),
        "",
    ),
    "chunks without an end": (
        plain("200 OK", "Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n"),
        "",
    ),
    "redirect to a file": (plain("302 Found", "Location: file:///etc/hostname"), "edirect"),
    "redirect to ftp": (plain("302 Found", "Location: ftp://127.0.0.1/x"), "redirects"),
    "redirect to data": (plain("302 Found", "Location: data:text/plain,x"), "edirect"),
    "redirect to a bad port": (plain("302 Found", "Location: http://h:99999/x"), "redirects"),
    "redirect without a place": (plain("302 Found"), "302"),
    "redirect to itself": (lambda c, _: plain("302 Found", "Location: /hostile.png")(c, _), ""),
    "web page": (plain("200 OK", body=b"<!DOCTYPE html><p>Log in"), "web page"),
    "empty": (plain("200 OK", "Content-Length: 0"), "empty"),
    "enormous": (plain("200 OK", f"Content-Length: {10**13}", body=b"x"), "at most"),
    "negative length": (plain("200 OK", "Content-Length: -5", body=b"\x08"), ""),
    "compressed as br": (plain("200 OK", "Content-Encoding: br", body=b"x"), "compressed"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_image_of_a_hostile_server(server: Server, case: str) -> None:
    answer, words = HOSTILE[case]
    server.answers["/hostile.png"] = answer
    with pytest.raises(InputError) as caught:
        fetch_image(f"{server.url}/hostile.png")
    text = str(caught.value)
    assert f"{server.url}/hostile.png" in text
    assert words in text
    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.parametrize("case", HOSTILE)
def test_a_model_of_a_hostile_server(server: Server, tmp_path: Path, case: str) -> None:
    answer, words = HOSTILE[case]
    server.answers["/hostile.png"] = answer
    source = Source("url", url=f"{server.url}/hostile.png", note="hostile")
    with pytest.raises(ModelError) as caught:
        zoo.fetch(ModelFile("onnx", "m.onnx", (source,)))
    assert words in str(caught.value)
    assert not (tmp_path / "home" / "weights" / "m.onnx").exists()


def test_images_that_are_fine(server: Server) -> None:
    packed = gzip.compress(PICTURE)
    server.answers |= {
        "/a.png": plain("200 OK", LENGTH, body=PICTURE),
        "/b.png": plain("200 OK", body=PICTURE),
        "/c.png": plain("200 OK", "Content-Encoding: gzip", body=packed),
        "/d.png": plain("302 Found", "Location: /a.png"),
        "/e%20f.png?x=1": plain("200 OK", body=PICTURE),
        "/g.png": plain("200 OK", "Content-Encoding: gzip", body=packed[:-9]),
    }
    for name in ("a.png", "b.png", "c.png", "d.png", "e f.png?x=1", "e%20f.png?x=1"):
        assert fetch_image(f"{server.url}/{name}").shape == (40, 60, 3)
    with pytest.raises(InputError, match="incomplete"):
        fetch_image(f"{server.url}/g.png")


def test_one_bad_image_does_not_end_the_run(server: Server) -> None:
    from rtmpose.sources import expand_sources, iterate

    server.answers |= {
        "/bad.png": plain("200 OK", LENGTH, body=PICTURE[:20]),
        "/good.png": plain("200 OK", LENGTH, body=PICTURE),
    }
    names = [
        f"{server.url}/bad.png",
        "http://127.0.0.1:99999/x.png",
        "http://[::1/x.png",
        "http:///x.png",
        f"{server.url}/good.png",
    ]
    failed: list[str] = []
    items = expand_sources(names)
    frames = list(iterate(items, on_error=lambda item, error: failed.append(item.name)))
    assert failed == names[:-1]
    assert [frame.source for _, frame in frames] == names[-1:]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/x.onnx",
        "http://127.0.0.1:port/x.onnx",
        "http://127.0.0.1:0/x.onnx",
        "http://[::1/x.onnx",
        "http:///x.onnx",
        "http://a b/x.onnx",
        "http://127.0.0.1\r\nX: y/x.onnx",
        "http://" + "a" * 300 + "/x.onnx",
    ],
)
def test_addresses_that_are_none(server: Server, url: str) -> None:
    with pytest.raises(ModelError) as caught:
        zoo.resolve(url)
    assert "cannot fetch" in str(caught.value) or "cannot be fetched" in str(caught.value)


def test_names_that_no_disk_takes(server: Server) -> None:
    for path in ("/a%00b.onnx", "/" + "x" * 300 + ".onnx", "/a%5Cb.onnx"):
        server.answers[path] = plain("200 OK", body=MODEL)
        stored, _ = zoo.resolve(server.url + path)
        assert stored.read_bytes() == MODEL


def test_spaces_and_other_letters_in_an_address() -> None:
    assert checked_url("http://h/a b/ü.png?q=a b") == "http://h/a%20b/%C3%BC.png?q=a%20b"
    assert checked_url("http://h/a%20b.png#part") == "http://h/a%20b.png"
    with pytest.raises(WebError, match="file is not read"):
        checked_url("file:///etc/hostname")


# ---- slow servers


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(500),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 500,
    ],
)
def test_a_byte_now_and_then_is_given_up(server: Server, impatient: None, data: bytes) -> None:
    server.answers["/slow.png"] = drip(data)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"the server (did not answer|sent only) .*in [01] s"):
        fetch_image(f"{server.url}/slow.png")
    source = Source("url", url=f"{server.url}/slow.png")
    with pytest.raises(ModelError, match=r"the server (did not answer|sent only)"):
        zoo.fetch(ModelFile("onnx", "m.onnx", (source,)))
    assert time.monotonic() - start < 8
    assert len(server.asked) == 2  # not tried again


def test_a_server_that_says_nothing(server: Server, impatient: None) -> None:
    server.answers["/silent.png"] = lambda connection, _: time.sleep(5)
    start = time.monotonic()
    with pytest.raises(InputError, match="did not answer"):
        fetch_image(f"{server.url}/silent.png")
    assert time.monotonic() - start < 3


def read_all(url: str, limits: WebLimits) -> bytes:
    with open_url(url, {}, limits) as response:
        return b"".join(response.blocks())


def test_the_total_time_is_limited(server: Server) -> None:
    def without_end(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(bytes(10_000))
            time.sleep(0.05)

    server.answers["/endless"] = without_end
    limits = WebLimits(total_s=0.5, min_rate=1, largest=1 << 30, window_s=1)
    with pytest.raises(WebError, match=r"not complete after 0\.5 s"):
        read_all(f"{server.url}/endless", limits)


def test_a_stall_at_any_moment_is_noticed_in_time(server: Server) -> None:
    """Not only after the next whole window: it began in the middle of one."""

    def stalling(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(12):
            connection.sendall(bytes(10_000))
            time.sleep(0.1)
        time.sleep(10)

    server.answers["/stalling"] = stalling
    limits = WebLimits(total_s=30, min_rate=1000, largest=1 << 30, window_s=1)
    start = time.monotonic()
    with pytest.raises(WebError, match="sent only"):
        read_all(f"{server.url}/stalling", limits)
    # The stall began after 1.2 s.
    assert time.monotonic() - start < 1.2 + 1 + 0.75


def test_the_size_is_limited(server: Server) -> None:
    server.answers["/large"] = plain("200 OK", body=bytes(5000))
    limits = WebLimits(total_s=5, min_rate=0, largest=1000)
    with pytest.raises(WebError, match="more than 1,000 bytes"):
        read_all(f"{server.url}/large", limits)


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits_from_environment(60, 9) == WebLimits(60, 1000, 9)
    monkeypatch.setenv("RTMPOSE_DOWNLOAD_MIN_RATE", "5")
    monkeypatch.setenv("RTMPOSE_DOWNLOAD_TIMEOUT", "0")
    assert limits_from_environment(60, 9) == WebLimits(0, 5, 9)
    for text in ("fast", "-1", "nan", "inf"):
        monkeypatch.setenv("RTMPOSE_DOWNLOAD_MIN_RATE", text)
        with pytest.raises(WebError, match="RTMPOSE_DOWNLOAD_MIN_RATE"):
            limits_from_environment(60, 9)


# ---- what enters the cache


def test_what_is_no_whole_model_is_never_cached(server: Server, tmp_path: Path) -> None:
    server.answers |= {
        "/whole.onnx": plain("200 OK", body=MODEL),
        "/odd.onnx": plain("200 OK", "Content-Length: twelve", body=MODEL),
    }
    for name in ("whole", "odd"):
        path, _ = zoo.resolve(f"{server.url}/{name}.onnx")
        assert path.read_bytes() == MODEL
    for size in (0, 1, 4, 500, len(MODEL) - 4, len(MODEL) - 1):
        part = MODEL[:size]
        server.answers["/cut.onnx"] = plain("200 OK", body=part)
        with pytest.raises(ModelError, match=r"no model|empty"):
            zoo.resolve(f"{server.url}/cut.onnx")
        server.answers["/cut.onnx"] = plain("200 OK", f"Content-Length: {size}", body=part)
        with pytest.raises(ModelError, match=r"no model|empty"):
            zoo.resolve(f"{server.url}/cut.onnx")
    assert not list((tmp_path / "home" / "weights" / "url").glob("*/cut.onnx"))


def test_a_checkpoint_needs_a_length_or_a_digest(server: Server) -> None:
    server.answers["/net.pth"] = plain("200 OK", body=b"PK weights")
    file = ModelFile("pth", "net.pth", (Source("url", url=f"{server.url}/net.pth"),))
    with pytest.raises(ModelError, match="how long the file is"):
        zoo.fetch(file)
    server.answers["/net.pth"] = plain("200 OK", "Content-Length: 10", body=b"PK weights")
    assert zoo.fetch(file).read_bytes() == b"PK weights"


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-9/1033", "bytes 500-/1033", "bytes 500-600/*", "500", "bytes 500-600/1033"],
)
def test_a_wrong_rest_is_never_joined(server: Server, tmp_path: Path, content_range: str) -> None:
    folder = tmp_path / "home" / "weights"
    folder.mkdir(parents=True)
    url = f"{server.url}/m.onnx"
    (folder / "m.onnx.part").write_bytes(MODEL[:500])
    (folder / "m.onnx.part.json").write_text(f'{{"url": "{url}", "validator": "\\"one\\""}}')

    def answer(connection: socket.socket, request: str) -> None:
        if "Range:" in request:
            plain("206 Partial Content", f"Content-Range: {content_range}", body=b"?" * 9)(
                connection, request
            )
        else:
            plain("200 OK", body=MODEL)(connection, request)

    server.answers["/m.onnx"] = answer
    path = zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=url),)))
    assert path.read_bytes() == MODEL
    assert len(server.asked) == 2


def test_the_outermost_fields_of_a_network() -> None:
    assert onnx_flaw(MODEL) == ""
    assert onnx_flaw(b"") == "it is not an ONNX file"
    assert onnx_flaw(b"PK\x03\x04 something else") != ""
    assert onnx_flaw(MODEL + b"more") != ""
    assert onnx_flaw(b"\x3a\x00\x42\x02\x10\x11") == "it has no network inside"
    for size in range(len(MODEL)):
        assert onnx_flaw(MODEL[:size])


def packed(content: bytes = MODEL, **how: int) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("end2end.onnx", content)
    return bytearray(out.getvalue())


def damaged_zips() -> Iterator[bytes]:
    good = packed(os.urandom(300))
    yield b"<html>"
    yield bytes(good[: len(good) // 2])
    yield bytes(good[:-5])
    for at in range(0, len(good), 3):
        other = good.copy()
        other[at] ^= 0xFF
        yield bytes(other)


def test_damaged_archives_are_one_error(tmp_path: Path) -> None:
    from rtmpose.zoo.archives import extract
    from rtmpose.zoo.download import SourceError

    path = tmp_path / "m.zip"
    for content in damaged_zips():
        path.write_bytes(content)
        with contextlib.suppress(SourceError):  # the only error; some bytes do not count
            extract(path, "**/*.onnx", tmp_path / "m.onnx")


# ---- locks


HOLDER = """
import sys, time
from pathlib import Path
from rtmpose.file_locks import ProcessLock
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
    from rtmpose import file_locks

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
    from rtmpose import file_locks

    monkeypatch.setattr(file_locks, "TELL_SECONDS", 0.2)
    locked.send_signal(signal.SIGSTOP)
    words = rf"m.onnx by another run \(process {locked.pid} on .*, stopped now\).* -CONT"
    with pytest.raises(ModelError, match=words):
        zoo.fetch(ModelFile("onnx", "m.onnx", (Source("url", url=f"{server.url}/m.onnx"),)))


def test_a_lock_is_not_waited_for_without_end(
    server: Server, locked: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtmpose import file_locks

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
