"""Collect what the page of `rtmpose serve` needs to run the model in the browser, in one folder.

    python scripts/web_assets.py build/web
    rtmpose serve --web-assets build/web

The JavaScript package is built from sdk/js (needs node, npm and emscripten), ONNX Runtime comes
from npm in the version of sdk/js/package-lock.json, which has the hash of its content, and the
model is exported as one graph, which needs the extra export.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SDK = ROOT / "sdk" / "js"
ENGINE = SDK / "node_modules" / "onnxruntime-web"
# The build for GPUs is slow without one.
ENGINE_FILES = (
    "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
# Lower than the usual one: the tracker uses doubtful boxes where it expects somebody.
BOX_THR = "0.1"


def main() -> None:
    """Fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="folder to fill")
    parser.add_argument("--pose", default="rtmpose-s-finetuned", help="name or file of the model")
    parser.add_argument("--detector", default="rtmdet-nano-finetuned", help="of the detector")
    given = parser.parse_args()

    output = given.output.resolve()
    if output.exists():
        shutil.rmtree(output)
    output.mkdir(parents=True)
    build_package()
    copy_package(output)
    command = [sys.executable, "-m", "rtmpose", "export", given.pose, "--to", "pipeline"]
    options = ["--detector", given.detector, "--box-thr", BOX_THR, "--output", str(output)]
    subprocess.run([*command, *options], cwd=ROOT, check=True)


def build_package() -> None:
    """Make sdk/js/dist, with what it needs from npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing: apt install npm")
    if not ENGINE.is_dir():
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=SDK, check=True)
    subprocess.run([npm, "run", "build"], cwd=SDK, check=True)


def copy_package(output: Path) -> None:
    """Copy the scripts of the package and of the engine."""
    dist = SDK / "dist"
    for source in sorted(dist.rglob("*.js")):
        target = output / "sdk" / source.relative_to(dist)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (output / "ort").mkdir()
    for name in ENGINE_FILES:
        shutil.copyfile(ENGINE / "dist" / name, output / "ort" / name)
    shutil.copyfile(SDK / "LICENSE", output / "sdk" / "LICENSE")


if __name__ == "__main__":
    main()
