"""The JavaScript package: built, type-checked, packed, and its own tests run by Node."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

SDK = Path(__file__).parents[1] / "sdk" / "js"
POSE = Path(__file__).parents[1] / "rtmpose/assets/models/rtmpose-s_finetuned-halpe26_256x192.onnx"

pytestmark = pytest.mark.skipif(not SDK.is_dir(), reason="the source package of Python has no SDK")


def test_the_lock_file_names_no_registry():
    lock = json.loads((SDK / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []


def test_the_settings_lie_where_the_header_says():
    """Offsets of rtmpose_tracker_params in WebAssembly: all fields have four bytes."""
    header = (SDK.parent / "core" / "include" / "rtmpose.h").read_text(encoding="utf-8")
    body = header.split("typedef struct rtmpose_tracker_params {")[1].split("}")[0]
    offsets = {}
    offset = 0
    for line in body.splitlines():
        words = line.split(";")[0].split()
        if not words or words[0] not in ("uint32_t", "int32_t", "float"):
            continue
        name, _, count = words[1].partition("[")
        first, *others = name.split("_")
        offsets[first + "".join(part.title() for part in others)] = offset
        offset += 4 * int(count.rstrip("]") or 1)

    source = (SDK / "src" / "tracker_params.ts").read_text(encoding="utf-8")
    table = source.split("FIELDS:")[1].split("{")[1].split("}")[0]
    fields = [line.strip().partition(": [") for line in table.splitlines() if ": [" in line]
    assert len(fields) >= 20
    for name, _, rest in fields:
        assert offsets[name] == int(rest.split(",")[0]), name
    assert f"PARAMS_SIZE = {offset};" in source


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The package with what it needs installed, and built, unless it is already."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # Several processes of a test run share the folder.
    with file_lock(tmp_path_factory.getbasetemp().parent / "sdk-js.lock"):
        installed = SDK / "node_modules" / ".package-lock.json"
        if modified(installed) < modified(SDK / "package-lock.json"):
            run("npm", "ci", "--no-audit", "--no-fund")
        if modified(SDK / "dist" / "node.js") < newest_source():
            run("npm", "run", "build")
    return SDK


@contextmanager
def file_lock(path: Path):
    fcntl = pytest.importorskip("fcntl", reason="file locks of Unix")
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def modified(path: Path) -> float:
    """When a file was written; 0 where there is none."""
    return path.stat().st_mtime if path.is_file() else 0


def newest_source() -> float:
    """When what the package is built from was written last."""
    folders = [SDK / "src", SDK / "tools", SDK.parent / "core"]
    files = [path for folder in folders for path in folder.rglob("*")]
    files += [SDK / "package.json", SDK / "tsconfig.json", SDK / "package-lock.json"]
    return max(modified(path) for path in files if "generated" not in path.parts)


def run(*command: str, **environment: str) -> str:
    result = subprocess.run(
        command,
        cwd=SDK,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-4000:]
    return result.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_node_runs_the_tests_of_the_package(built, tmp_path):
    reason = "not installed: pip install 'rtmpose[export]'"
    pytest.importorskip("torch", reason=reason)
    pytest.importorskip("onnxscript", reason=reason)
    from rtmpose.exporting.export import export
    from rtmpose.exporting.options import ExportOptions

    path, _ = export(POSE, tmp_path, ExportOptions("pipeline", score_thr=0.1))
    # `make sdk` tests the networks with files of their own.
    print(run("npm", "test", RTMPOSE_MODEL=str(path), RTMPOSE_NETWORKS="no"))


@pytest.mark.slow
def test_types_serve_a_program(built):
    run("npm", "run", "types")


@pytest.mark.slow
def test_the_packed_package_has_what_it_needs(built):
    packed = json.loads(run("npm", "pack", "--dry-run", "--json", "--ignore-scripts"))
    packed = packed[0] if isinstance(packed, list) else next(iter(packed.values()))
    files = {file["path"] for file in packed["files"]}
    for name in ("dist/node.js", "dist/web.js", "dist/node.d.ts", "README.md", "LICENSE"):
        assert name in files
    outside = [name for name in files if not name.startswith("dist/")]
    assert sorted(outside) == ["LICENSE", "README.md", "package.json"]
    assert packed["unpackedSize"] < 1_000_000
