"""Downloads of models from a server of the test: sources in turn, digests, addresses."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import (
    DIGEST,
    MODEL,
    OTHER,
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
from rtmpose.model_card import ModelFile, Source
from rtmpose.zoo import cache, download
from rtmpose.zoo.download import SourceError


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as state:
        yield state


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_cache(tmp_path, monkeypatch)


# ---- one source
# -------------------------------------------------------------------------------------------


def test_download_and_second_use(server: Server, home: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    file = model_file(server.serve("m.onnx", MODEL))
    path = zoo.fetch(file, progress=lambda done, total: seen.append((done, total)))
    assert path == home / "weights" / "m.onnx"
    assert path.read_bytes() == MODEL
    assert seen[0] == (0, len(MODEL))
    assert seen[-1] == (len(MODEL), len(MODEL))
    assert seen == sorted(seen)
    assert zoo.fetch(file) == path
    assert len(server.asked) == 1
    assert leftovers(home) == set()


@pytest.mark.parametrize(
    "body", [b"", b"<!DOCTYPE html>", b"version https://git-lfs.github.com/spec/v1\noid"]
)
def test_what_is_no_model_is_refused(server: Server, home: Path, body: bytes) -> None:
    with pytest.raises(ModelError, match=r"empty file|web page"):
        zoo.fetch(model_file(server.serve("m.onnx", body), sha256=""))
    assert not (home / "weights" / "m.onnx").exists()


def test_checkpoint_is_held_against_the_digest_in_its_name(server: Server) -> None:
    right, wrong = f"net-{DIGEST[:8]}_20230605.pth", "net-01234567_20230605.pth"
    for name in (right, wrong):
        file = ModelFile("pth", name, (server.serve(name, MODEL),))
        if name == right:
            assert zoo.fetch(file).read_bytes() == MODEL
        else:
            with pytest.raises(ModelError, match=r"expected 01234567\.\.\."):
                zoo.fetch(file)


def test_names_that_no_longer_tell_the_digest() -> None:
    url = "https://example.org/projects/{}/net-01234567_{}.pth"

    def prefix(folder: str, date: str) -> str:
        source = Source("url", url=url.format(folder, date))
        return cache.digest_prefix(ModelFile("pth", f"net-01234567_{date}.pth", (source,)))

    assert prefix("rtmposev1", "20230126") == ""
    assert prefix("rtmposev1", "20230504") == "01234567"
    assert prefix("rtmpose", "20230130") == "01234567"
    assert cache.digest_prefix(model_file(Source("url", url="https://x/net-01234567.onnx"))) == ""


# ---- several sources
# --------------------------------------------------------------------------------------


def test_failing_sources_are_passed_over(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    wrong = server.serve("wrong.onnx", b"\x08\x06 something else")
    file = model_file(
        dead_source(),
        Source("url", url=f"{server.url}/none.onnx", note="mirror"),
        wrong,
        server.serve("m.onnx", MODEL),
    )
    with caplog.at_level(logging.WARNING):
        assert zoo.fetch(file).read_bytes() == MODEL
    (message,) = [r.getMessage() for r in caplog.records]
    assert message.startswith("m.onnx comes from test (127.0.0.1), as others failed: ")
    gone, mirror, changed = message.split(": ", 1)[1].split("; ")
    assert "gone (127.0.0.1): no answer" in gone
    assert mirror == "mirror (127.0.0.1): the server answered 404 Not Found"
    assert "sha256" in changed


def test_when_all_fail_the_error_lists_each_with_its_reason(
    server: Server, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = (
        dead_source(),
        Source("url", url=f"{server.url}/none.onnx", note="mirror"),
        server.serve("wrong.onnx", b"\x08\x06 something else"),
        Source("zip", url=server.serve("bad.zip", b"not a zip").url, member="**/*.onnx"),
    )
    with pytest.raises(ModelError) as caught:
        zoo.fetch(model_file(*sources))
    text = str(caught.value)
    assert "\n" not in text
    assert caplog.records == []  # each failure is told once
    for source, reason in zip(
        sources, ("refused", "404", "sha256", "not a valid zip"), strict=True
    ):
        (line,) = [line for line in text.splitlines() if source.url in line]
        assert reason in line
    for remedy in (
        "HTTPS_PROXY",
        "RTMPOSE_OFFLINE",
        str(home / "weights" / "m.onnx"),
        "path of a file",
    ):
        assert remedy in text
    assert not (home / "weights" / "m.onnx").exists()


def test_a_reason_that_several_sources_share_is_told_once(home: Path) -> None:
    sources = [dead_source(), Source("url", url=dead_source().url.replace("m.onnx", "n.onnx"))]
    with pytest.raises(ModelError) as caught:
        zoo.fetch(model_file(*sources))
    told = str(caught.value).split("Tried: ")[1]
    assert all(source.url in told for source in sources)
    assert told.count("no answer from the host") == 1
    assert "not asked again" not in told


def test_dead_host_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, float]] = []

    def no_answer(address: Any, timeout: float) -> Any:
        asked.append((address, timeout))
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", no_answer)
    for _ in range(2):
        with pytest.raises(ModelError, match="no answer from the host: timed out"):
            zoo.fetch(model_file(Source("url", url="https://example.invalid/m.onnx")))
    assert asked == [(("example.invalid", 443), 5.0)]


def test_host_is_left_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = dead_source().url.removesuffix("/m.onnx")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(SourceError, match="refused"):
        download.download("http://example.invalid/m.onnx", Path("unused"), lambda done, total: None)
    assert download._dead_hosts == {}


# ---- URLs given by the user
# -------------------------------------------------------------------------------


def test_url_of_an_onnx(server: Server) -> None:
    server.serve("models/mine.onnx?token=1", MODEL)
    path, card = zoo.resolve(f"{server.url}/models/mine.onnx?token=1")
    assert (path.name, path.read_bytes(), card) == ("mine.onnx", MODEL, None)
    server.serve("other/mine.onnx", OTHER)
    other, _ = zoo.resolve(f"{server.url}/other/mine.onnx")
    assert other != path
    assert other.read_bytes() == OTHER


def test_url_of_a_zip_and_of_a_known_name(server: Server) -> None:
    stem = "rtmpose-m_simcc-hand5_pt-aic-coco_210e-256x256-74fb594_20230320"
    server.serve(f"{stem}.zip", zipped(**{"a/end2end.onnx": MODEL}))
    path, card = zoo.resolve(f"{server.url}/{stem}.zip")
    assert path.read_bytes() == MODEL
    assert card is zoo.find("rtmpose-m-hand")


# ---- the bar
# ----------------------------------------------------------------------------------------------


def test_bar_is_drawn_on_a_terminal_only(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.fetch(model_file(server.serve("m.onnx", MODEL)))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    zoo.fetch(model_file(server.serve("n.onnx", MODEL), name="n.onnx"))
    assert "n.onnx" in capsys.readouterr().err
    from rich.progress import Progress

    with Progress(disable=False):
        zoo.fetch(model_file(server.serve("o.onnx", MODEL), name="o.onnx"))


def test_import_stays_light() -> None:
    code = (
        "import sys, rtmpose.zoo; print({'rich', 'typer', 'torch', 'onnxruntime', 'cv2'} &"
        " {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
