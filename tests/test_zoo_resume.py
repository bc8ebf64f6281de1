"""Downloads that break off go on, and never join two versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import MODEL, Server, empty_cache, leftovers, model_file, served

from rtmpose import zoo
from rtmpose.errors import ModelError


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as state:
        yield state


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_cache(tmp_path, monkeypatch)


def test_broken_line_is_resumed_within_a_call(server: Server) -> None:
    file = model_file(server.serve("m.onnx", MODEL, cut_after=[300_000, 200_000]))
    assert zoo.fetch(file).read_bytes() == MODEL
    assert [a[1] for a in server.asked] == [None, "bytes=300000-", "bytes=500000-"]
    assert server.asked[-1][2] == '"one"'


def test_interrupted_download_is_resumed_by_the_next_call(server: Server, home: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    file = model_file(server.serve("m.onnx", MODEL))
    with pytest.raises(KeyboardInterrupt):
        zoo.fetch(file, progress=interrupt)
    assert not (home / "weights" / "m.onnx").exists()
    assert zoo.fetch(file).read_bytes() == MODEL
    start = int((server.asked[1][1] or "").removeprefix("bytes=").removesuffix("-"))
    assert 500_000 < start < len(MODEL)
    assert leftovers(home) == set()


@pytest.mark.parametrize("how", [{"etag": '"two"'}, {"ranges": False}, {"etag": 'W/"one"'}])
def test_resuming_never_joins_two_versions(server: Server, home: Path, how: dict[str, Any]) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    file = model_file(server.serve("m.onnx", b"\x08\x06" + b"old" * 400_000))
    with pytest.raises(KeyboardInterrupt):
        zoo.fetch(file, progress=interrupt)
    server.serve("m.onnx", MODEL, **how)
    assert zoo.fetch(file).read_bytes() == MODEL
    assert len(server.asked) == 2


@pytest.mark.parametrize("etag", ["", 'W/"one"'])
def test_without_validator_it_starts_anew(server: Server, etag: str) -> None:
    file = model_file(server.serve("m.onnx", MODEL, etag=etag, cut_after=[300_000]))
    assert zoo.fetch(file).read_bytes() == MODEL
    assert [a[1] for a in server.asked] == [None, None]


def test_date_will_do_for_a_validator(server: Server) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    file = model_file(server.serve("m.onnx", MODEL, etag='W/"one"', date=date, cut_after=[300_000]))
    assert zoo.fetch(file).read_bytes() == MODEL
    assert server.asked[1][1:] == ("bytes=300000-", date)


def test_line_that_keeps_breaking_is_an_error(server: Server, home: Path) -> None:
    file = model_file(server.serve("m.onnx", MODEL, cut_after=[1000, 0, 0, 0]))
    with pytest.raises(ModelError, match=r"connection (closed early|broke)"):
        zoo.fetch(file)
    assert len(server.asked) == 2
    assert not (home / "weights" / "m.onnx").exists()


def test_part_longer_than_the_file_starts_anew(server: Server, home: Path) -> None:
    source = server.serve("m.onnx", MODEL)
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "m.onnx.part").write_bytes(MODEL + b"more")
    (home / "weights" / "m.onnx.part.json").write_text(
        f'{{"url": "{source.url}", "validator": "\\"one\\""}}'
    )
    assert zoo.fetch(model_file(source)).read_bytes() == MODEL
