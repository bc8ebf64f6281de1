"""The cache of models: what is used again, offline, on full and read-only disks, by two at once."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import (
    DIGEST,
    MODEL,
    Server,
    dead_source,
    empty_cache,
    leftovers,
    model_file,
    served,
    zipped,
)

from rtmpose import zoo
from rtmpose.errors import ModelError
from rtmpose.model_card import Source
from rtmpose.zoo import cache


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as state:
        yield state


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_cache(tmp_path, monkeypatch)


def test_unchanged_file_is_not_hashed_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = model_file(server.serve("m.onnx", MODEL))
    path = zoo.fetch(file)
    hashed: list[Path] = []
    real = cache.sha256_of
    monkeypatch.setattr(cache, "sha256_of", lambda p: (hashed.append(p), real(p))[1])
    zoo.fetch(file)
    assert hashed == []
    os.utime(path, ns=(1, 1))
    zoo.fetch(file)
    assert hashed == [path]
    zoo.fetch(file)
    assert hashed == [path]


def test_damaged_cached_file_is_fetched_again(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    file = model_file(server.serve("m.onnx", MODEL))
    path = zoo.fetch(file)
    path.write_bytes(MODEL[:-1] + b"?")
    with caplog.at_level(logging.WARNING):
        zoo.fetch(file)
    assert path.read_bytes() == MODEL
    assert "damaged" in caplog.text
    assert len(server.asked) == 2


def test_file_put_there_by_hand_is_used(home: Path) -> None:
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "m.onnx").write_bytes(MODEL)
    assert zoo.fetch(model_file(dead_source())).read_bytes() == MODEL


def test_digest_of_first_download_is_remembered(server: Server) -> None:
    file = model_file(server.serve("m.onnx", MODEL), sha256="")
    path = zoo.fetch(file)
    stamp = cache.read_record(path)
    assert stamp is not None
    assert stamp.sha256 == DIGEST
    assert "test" in stamp.source
    path.write_bytes(b"\x08\x06 damaged")
    assert zoo.cached_state(file) == "bad"
    assert zoo.fetch(file).read_bytes() == MODEL


def test_offline_never_touches_the_network(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = model_file(server.serve("m.onnx", MODEL), Source("wheel", package="x==1", member="y"))

    def forbidden(*args: Any, **options: Any) -> Any:
        raise AssertionError("offline, yet it tried")

    with monkeypatch.context() as patch:
        patch.setenv("RTMPOSE_OFFLINE", "1")
        patch.setattr(socket, "socket", forbidden)
        patch.setattr(subprocess, "run", forbidden)
        with pytest.raises(
            ModelError, match=r"m\.onnx is not in the cache and RTMPOSE_OFFLINE"
        ) as caught:
            zoo.fetch(file)
        assert str(home / "weights" / "m.onnx") in str(caught.value)
    path = zoo.fetch(file)
    monkeypatch.setenv("RTMPOSE_OFFLINE", "1")
    assert zoo.fetch(file) == path
    path.write_bytes(b"\x08\x06?")
    with pytest.raises(ModelError, match="damaged in the cache"):
        zoo.fetch(file)


@pytest.mark.parametrize(
    ("value", "offline"), [("", False), ("0", False), ("false", False), ("1", True), ("yes", True)]
)
def test_offline_switch(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("RTMPOSE_OFFLINE", value)
    assert zoo.is_offline() is offline


def test_cache_that_cannot_be_made(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "taken"))
    with pytest.raises(ModelError, match=r"cannot write .*taken.*RTMPOSE_HOME"):
        zoo.fetch(model_file(server.serve("m.onnx", MODEL)))
    assert server.asked == []


def test_cached_file_is_used_where_nothing_can_be_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "m.onnx").write_bytes(MODEL)

    def read_only(*args: Any, **options: Any) -> Any:
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(Path, "write_text", read_only)
    monkeypatch.setattr(sys.modules["rtmpose.zoo.fetch"], "ProcessLock", read_only)
    assert zoo.fetch(model_file(dead_source())).read_bytes() == MODEL


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(server: Server, home: Path) -> None:
    file = model_file(server.serve("m.onnx", MODEL))
    (home / "weights").mkdir(parents=True)
    (home / "weights").chmod(0o555)
    try:
        with pytest.raises(ModelError, match=r"cannot write .*RTMPOSE_HOME"):
            zoo.fetch(file)
        (home / "weights").chmod(0o755)
        path = zoo.fetch(file)
        (home / "weights").chmod(0o555)
        assert zoo.fetch(file) == path
    finally:
        (home / "weights").chmod(0o755)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("kind", ["url", "zip"])
def test_full_disk(server: Server, home: Path, kind: str) -> None:
    """One error at once, no other source tried, nothing half-written."""
    (home / "weights").mkdir(parents=True)
    target = "m.onnx.part" if kind == "url" else "m.onnx.new"
    (home / "weights" / target).symlink_to("/dev/full")
    member = {"end2end.onnx": MODEL}
    sources = {
        "url": server.serve("m.onnx", MODEL),
        "zip": Source(
            "zip", url=server.serve("m.zip", zipped(**member)).url, member="**/end2end.onnx"
        ),
    }
    with pytest.raises(ModelError, match=r"disk is full.*RTMPOSE_HOME"):
        zoo.fetch(model_file(sources[kind], dead_source()))
    assert not (home / "weights" / "m.onnx").exists()
    assert leftovers(home) <= {"m.onnx.part.json"}


def test_two_at_once_download_once(server: Server) -> None:
    file = model_file(server.serve("m.onnx", MODEL, delay=0.2))
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(zoo.fetch(file))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 2
    assert len(server.asked) == 1
