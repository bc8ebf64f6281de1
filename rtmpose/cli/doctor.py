"""``rtmpose doctor``: what is installed, what ``auto`` would choose, and how to fix problems."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Annotated

import typer

from rtmpose.cli.tables import print_lines
from rtmpose.text_files import to_json

Report = dict[str, str | int | None]


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Show versions, backends, devices and cache, and say how to fix problems.

    The exit status is 1 when something must be fixed before the package can work.
    """
    report, remedies, broken = examine()
    if as_json:
        typer.echo(to_json({**report, "remedies": remedies}, indent=2))
    else:
        width = max(map(len, report))
        for name, value in report.items():
            print_lines(f"{name:<{width}}  {value}", indent=width + 2)
        for line in remedies or ["nothing to fix"]:
            print_lines(f"- {line}")
    return 1 if broken else 0


def examine() -> tuple[Report, list[str], bool]:
    """The facts, one-line remedies, and whether the package cannot work as it is."""
    import av
    import cv2

    import rtmpose
    from rtmpose.backends import BackendOptions, choose, usable_cpus
    from rtmpose.backends.cpu import this_cpu
    from rtmpose.errors import RtmposeError

    # What every bug report should contain.
    report: Report = {
        "rtmpose": rtmpose.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "cpu": f"{this_cpu().name} ({this_cpu().kind})",
        "cores": usable_cpus(),
        "numpy": importlib.metadata.version("numpy"),
        "opencv": cv2.__version__,
        "pyav": f"{av.__version__}, {_encoder()} for annotated videos",
    }
    remedies = _examine_backends(report)

    # Without any engine nothing can run; everything else is advice.
    broken = False
    try:
        choice = choose(BackendOptions())
        report["auto chooses"] = f"{choice.backend} on {choice.device}: {choice.reason}"
        if choice.device == "cpu":
            _examine_trials(report)
    except RtmposeError as error:
        report["auto chooses"] = "nothing"
        remedies.append(str(error))
        broken = True

    remedies += _examine_cache(report)
    return report, remedies, broken


def _encoder() -> str:
    from rtmpose.writers.video import has_h264

    return "H.264" if has_h264() else "MPEG-4, as this build has no H.264,"


def _examine_backends(report: Report) -> list[str]:
    """Versions and devices of every backend go into the report; returns remedies."""
    from rtmpose import backend_table as table
    from rtmpose.backends.loading import NotLoadingError, local_devices, local_facts, set_aside
    from rtmpose.backends.selection import faster_install

    # The preferred engine is worth installing where another one is used.
    remedies = []
    faster = faster_install()
    if faster is not None:
        remedies.append(f"{faster} makes CPUs faster")

    for row in table.BACKENDS:
        versions = row.versions()
        # Two builds of an engine shadow each other's files.
        if len(versions) > 1:
            both = " and ".join(versions)
            remedies.append(
                f"{both} are both installed, which disables the GPU: pip uninstall -y"
                f" {' '.join(versions)} && {row.gpu_install_command}"
            )
        if not row.is_installed():
            report[row.name] = f"not installed ({row.install_command})"
            continue

        # An engine may be installed and still not load, for want of a library.
        report[row.name] = ", ".join(versions.values()) or "installed"
        try:
            here = local_devices(row)
            facts = local_facts(row)
        except NotLoadingError as error:
            report[f"{row.name} devices"] = "none"
            remedies.append(str(error))
            set_aside(error, tell=False)  # as it will be for every other command
            continue
        report[f"{row.name} devices"] = ", ".join(
            f"{device} ({', '.join(precisions)})" for device, precisions in here.items()
        )
        report.update({f"{row.name} {name}": value for name, value in facts.items()})
    return remedies


def _examine_trials(report: Report) -> None:
    """What was measured here for the default models goes into the report."""
    from rtmpose.backends import BackendOptions
    from rtmpose.backends.automatic import resolve_auto, tried_way
    from rtmpose.detector import DEFAULT_DETECTOR
    from rtmpose.pose_estimator import DEFAULT_POSE_MODEL
    from rtmpose.zoo import resolve

    for name in (DEFAULT_DETECTOR, DEFAULT_POSE_MODEL):
        path, _ = resolve(name)
        chosen, reason = resolve_auto(path, BackendOptions())
        text = f"{chosen.backend}: {reason}"
        if chosen.precision != "auto":
            text = f"{chosen.backend} in {chosen.precision}: {reason}"
        if tried_way(path, BackendOptions()) is None:
            text += "; not measured here with all cores (`rtmpose models prepare` does)"
        report[f"auto for {name}"] = text

        # Opening counts for a single photo.
        single, reason = resolve_auto(path, BackendOptions(num_images=1))
        if (single.backend, single.precision) != (chosen.backend, chosen.precision):
            report[f"auto for {name}, one photo"] = f"{single.backend}: {reason}"


def _examine_cache(report: Report) -> list[str]:
    """Folder and size of the cache go into the report; returns remedies."""
    from rtmpose import zoo
    from rtmpose.backends.compiled_files import compiled_size
    from rtmpose.backends.prepared_files import cache_is_writable

    folder = zoo.cache_folder()
    offline = "; offline" if zoo.is_offline() else ""
    count, size = compiled_size()
    compiled = f", {count} compiled networks, {size / 1e6:.0f} MB" if count else ""
    report["cache"] = f"{folder} ({_cached(zoo.weights_folder())}{compiled}{offline})"

    if cache_is_writable():
        return []
    return [f"the cache folder {folder} cannot be written: set RTMPOSE_HOME to one that can"]


def _cached(folder: Path) -> str:
    from rtmpose.backend_table import model_suffixes

    suffixes = model_suffixes()
    files = [f for f in folder.rglob("*") if f.suffix in suffixes] if folder.is_dir() else []
    return f"{len(files)} models, {sum(f.stat().st_size for f in files) / 1e6:.0f} MB"
