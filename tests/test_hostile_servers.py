"""Servers that stall, lie and redirect: models and images by their address end in one error."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import MODEL, PICTURE, Answer, Server, drip, hostile_server, plain

from rtmpose import zoo
from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelFile, Source
from rtmpose.sources import image_url
from rtmpose.sources.image_url import fetch_image
from rtmpose.web import WebError, WebLimits, checked_url, limits_from_environment, open_url
from rtmpose.zoo import download


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with hostile_server(monkeypatch, tmp_path) as state:
        yield state


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
