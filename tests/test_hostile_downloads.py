"""What enters the cache of models: whole networks only, whatever a server says."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import MODEL, Server, hostile_server, plain

from rtmpose import zoo
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelFile, Source
from rtmpose.onnx_file import onnx_flaw


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with hostile_server(monkeypatch, tmp_path) as state:
        yield state


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
