"""``rtmpose doctor``: what is installed, what ``auto`` would choose, and what to do about problems."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Annotated, Any

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Show versions, engines, devices and cache, and name remedies.

    The exit status is 1 when something must be mended before the package can work.
    """
    report, remedies, broken = examine()
    if as_json:
        import json

        typer.echo(json.dumps({**report, "remedies": remedies}, indent=2))
    else:
        width = max(map(len, report))
        for name, value in report.items():
            typer.echo(f"{name:<{width}}  {value}")
        for line in remedies or ["nothing to mend"]:
            typer.echo(f"- {line}")
    return 1 if broken else 0


def examine() -> tuple[dict[str, Any], list[str], bool]:
    """The facts, one-line remedies, and whether the package cannot work as it is."""
    import cv2

    import rtmpose
    from rtmpose import backends, zoo
    from rtmpose.backends import BackendOptions
    from rtmpose.errors import RtmposeError

    report: dict[str, Any] = {
        "rtmpose": rtmpose.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "cores": backends.usable_cpus(),
        "numpy": _version("numpy"),
        "opencv": cv2.__version__,
    }
    remedies: list[str] = []
    have = backends.installed()
    gpu_build, cpu_build = _version("onnxruntime-gpu"), _version("onnxruntime")
    report["onnxruntime"] = gpu_build or cpu_build or "not installed"
    if gpu_build and cpu_build:
        remedies.append(
            "onnxruntime and onnxruntime-gpu are both installed, which disables CUDA: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'rtmpose[gpu]'"
        )
    if "onnxruntime" in have:
        from rtmpose.backends import onnxruntime

        report["onnxruntime providers"] = ", ".join(onnxruntime.providers())
    if "openvino" in have:
        from rtmpose.backends import openvino

        report["openvino"] = _version("openvino")
        report["openvino devices"] = ", ".join(openvino.devices())
        report["bf16 on this CPU"] = "yes" if openvino.cpu_has_bf16() else "no"
    else:
        report["openvino"] = "not installed"
        remedies.append("pip install 'rtmpose[openvino]' makes CPUs faster")
    try:
        choice = backends.choose(BackendOptions())
        report["auto chooses"] = f"{choice.backend} on {choice.device}: {choice.reason}"
        broken = False
    except RtmposeError as error:
        report["auto chooses"] = "nothing"
        remedies.append(str(error))
        broken = True
    folder = zoo.cache_folder()
    report["cache"] = (
        f"{folder} ({_cached(zoo.weights_folder())}{'; offline' if zoo.is_offline() else ''})"
    )
    writable = folder
    while not writable.exists():
        writable = writable.parent
    if not os.access(writable, os.W_OK):
        remedies.append(
            f"the cache folder {folder} cannot be written: set RTMPOSE_HOME to one that can"
        )
    return report, remedies, broken


def _cached(folder: Any) -> str:
    files = (
        list(folder.glob("**/*.onnx")) + list(folder.glob("**/*.pth")) if folder.is_dir() else []
    )
    return f"{len(files)} models, {sum(f.stat().st_size for f in files) / 1e6:.0f} MB"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
