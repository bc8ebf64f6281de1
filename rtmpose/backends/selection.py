"""Which engine and which device: what ``auto`` means, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rtmpose import backend_table as table
from rtmpose.backend_table import PRECISIONS, BackendRow
from rtmpose.backends.base import BackendOptions
from rtmpose.backends.cpu import this_cpu
from rtmpose.backends.loading import NotLoadingError, is_set_aside, local_devices, set_aside
from rtmpose.errors import BackendError, MissingDependencyError

FEW_IMAGES = 8
SHORT_WORK_BYTES = 200_000_000
"""Up to so many images, and up to this size of the model file times the images, an engine that is
opened sooner is done earlier than one that is faster."""


@dataclass(frozen=True)
class BackendChoice:
    """What ``auto`` resolved to.

    Attributes:
        backend: Name of the backend.
        device: Such as ``cpu`` or ``cuda:0``.
        reason: One sentence for the log and for ``rtmpose doctor``.
    """

    backend: str
    device: str
    reason: str


def installed() -> tuple[str, ...]:
    """Names of the backends whose package is installed, the preferred ones first."""
    return tuple(row.name for row in table.BACKENDS if row.is_installed())


def in_order(rows: Iterable[BackendRow]) -> list[BackendRow]:
    """Rows in the order of preference on the CPU of this machine."""
    kind = this_cpu().kind
    return sorted(rows, key=lambda row: kind in row.behind_on)  # stable: else that of the table


def best_row(rows: Iterable[BackendRow]) -> BackendRow:
    """The fastest engine on the CPU of this machine, installed or not: one that is the fastest in 8
    bits goes first.
    """
    kind = this_cpu().kind
    ordered = in_order(rows)
    return next((row for row in ordered if kind in row.int8_on), ordered[0])


def faster_install() -> str | None:
    """The command that installs a faster engine for the CPU than there is; None where there is
    none, or no engine at all, or a GPU.
    """
    best = best_row(row for row in table.BACKENDS if row.automatic)
    if best.is_installed():
        return None
    try:
        choice = choose(BackendOptions())
    except (BackendError, MissingDependencyError):
        return None
    return best.install_command if choice.device == "cpu" else None


def has_substitute(row: BackendRow, path: Path, options: BackendOptions) -> bool:
    """Whether ``auto`` has another engine for a model file, should that one not load."""
    if options.backend.lower() != "auto":
        return False
    return any(
        other.automatic and other.name in installed() and not is_set_aside(other)
        for other in table.rows_for_file(path)
        if other is not row
    )


def choose(options: BackendOptions) -> BackendChoice:
    """Resolve ``auto`` in backend and device; what was asked for by name is taken as it is.

    This is the default for any model; :mod:`rtmpose.backends.automatic` knows of trials.

    Raises:
        BackendError: the backend is unknown, or it cannot drive the device.
        MissingDependencyError: the backend is not installed.
    """
    device = options.device.lower().replace(".", ":")  # some engines write GPU.0
    if options.backend.lower() == "auto":
        return _choose_backend(device, options.precision, few=is_short(options))

    # A backend asked for by name is not replaced by another.
    row = table.row(options.backend)
    if row.name not in installed():
        raise row.missing()
    if device == "auto":
        device = _auto_device(row)
        reason = f"{row.name} was asked for; {device} is the fastest device it has here"
        return BackendChoice(row.name, device, reason)
    _check_device(row, device)
    return BackendChoice(row.name, device, "asked for")


def is_short(options: BackendOptions) -> bool:
    """Whether the work is a few images, and the engine is free to choose."""
    free = options.backend.lower() == "auto" and options.precision == "auto"
    return free and 0 < options.num_images <= FEW_IMAGES


def with_short_work(path: Path, options: BackendOptions) -> BackendOptions:
    """The options without the number of images, where so many take a large network long."""
    if not options.num_images:
        return options
    try:
        size = path.stat().st_size
    except OSError:  # opening it says what is wrong
        return options
    if size * options.num_images <= SHORT_WORK_BYTES:
        return options
    return replace(options, num_images=0)


def for_file(path: Path, options: BackendOptions) -> BackendOptions:
    """The options with the backend that the file's format calls for.

    Raises:
        BackendError: the backend that was asked for does not run files of that format.
    """
    candidates = table.rows_for_file(path)
    if options.backend.lower() == "auto":
        # Several run ONNX files, and `choose` takes one; any other format belongs to one backend.
        several = candidates[0].runs_onnx and path.suffix.lower() not in candidates[0].own_suffixes
        return options if several else replace(options, backend=candidates[0].name)

    row = table.row(options.backend)
    if row in candidates:
        return options
    problem = f"{row.name} runs {' and '.join(row.suffixes)} files, not {path.name}"
    if path.suffix.lower() != ".onnx":
        problem += f"; that one runs with {' or '.join(r.name for r in candidates)} only"
    elif row.export_target:
        problem += f": `rtmpose export MODEL --to {row.export_target}` makes one"
    raise BackendError(problem)


def check_precision(row: BackendRow, device: str, precision: str) -> None:
    """Refuse a precision that the backend does not compute in on that device.

    Raises:
        BackendError: with the backends that do.
    """
    # Misspelled, rather than not available here.
    if precision not in PRECISIONS:
        raise BackendError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
    kind, _ = table.split_device(device)
    allowed = row.devices[kind]
    if precision == "auto" or precision in allowed:
        return

    # Name every combination that would work.
    able = [
        f"{other.name} on {other_kind}"
        for other in table.BACKENDS
        for other_kind, precisions in other.devices.items()
        if precision in precisions
    ]
    hint = "; or run a file exported as fp16" if precision == "fp16" else ""
    raise BackendError(
        f"precision {precision} needs {', '.join(able)}; {row.name} on {kind} computes in"
        f" {' or '.join(allowed)}{hint}"
    )


def _choose_backend(device: str, precision: str, *, few: bool = False) -> BackendChoice:
    """The preferred one of the installed backends that drive the device.

    Args:
        device: That was asked for, or ``auto``.
        precision: Likewise.
        few: The work is a few images.
    """
    # Only engines that may be chosen without being asked for.
    rows = [row for row in table.BACKENDS if row.automatic]
    here = [row for row in rows if row.name in installed() and not is_set_aside(row)]
    if not here:
        raise MissingDependencyError(
            f"no inference engine is installed: {table.row_for_export('onnx').install_command}"
        )

    kind, _ = table.split_device(device)
    if kind not in ("auto", "cpu"):
        return _choose_for_device(kind, device, rows, here)

    # A GPU goes before any engine on the CPU.
    if kind == "auto":
        for row in here:
            try:
                gpu = _auto_device(row)
            except NotLoadingError as error:
                if len(here) == 1:
                    raise
                set_aside(error)
                return _choose_backend(device, precision, few=few)
            if gpu != "cpu":
                return BackendChoice(row.name, gpu, f"{row.title} here has {gpu}, and a GPU for it")

    # All that remains runs on the CPU. A few images are done before a faster engine is open.
    able = [row for row in here if precision in ("auto", *row.devices["cpu"])]
    first = next((row for row in able if row.opens_first), None)
    if few and first is not None and len(able) > 1:
        reason = f"{first.title} opens first, which counts for up to {FEW_IMAGES} images"
        return BackendChoice(first.name, "cpu", reason)

    # Otherwise the kind of processor decides.
    best = best_row(rows)
    chosen = in_order(able or here)[0]
    if chosen is best:
        reason = f"{chosen.title} is installed; it is the fastest on CPUs of this kind"
    elif len(here) == 1 and not best.is_installed():
        reason = f"{chosen.title} is the only engine installed; {best.install_command} is faster"
    else:
        reason = f"{chosen.title} is the fastest engine installed"
    return BackendChoice(chosen.name, "cpu", reason)


def _choose_for_device(
    kind: str, device: str, rows: list[BackendRow], here: list[BackendRow]
) -> BackendChoice:
    """The backend for a device that was asked for by name."""
    able = [row for row in rows if kind in row.devices]
    if not able:
        meant = f" (the GPU of that number is cuda:{device})" if device.isdecimal() else ""
        raise BackendError(
            f"unknown device {device!r}{meant}; use auto, {', '.join(table.device_kinds())},"
            " or with a number, such as cuda:1"
        )

    # The preferred engine that is here; its name shows in the log.
    for row in able:
        if row in here:
            only = f"only {row.title} drives it" if len(able) == 1 else f"{row.title} drives it"
            return BackendChoice(row.name, device, f"{device} was asked for; {only}")
    raise MissingDependencyError(
        f"device {device} needs {able[0].title}: {able[0].gpu_install_command}"
    )


def _auto_device(row: BackendRow) -> str:
    """The first of the row's ``auto_devices`` that is here."""
    if row.auto_devices == ("cpu",):  # without importing the engine
        return "cpu"
    here = local_devices(row)
    return next((device for device in row.auto_devices if device in here), "cpu")


def _check_device(row: BackendRow, device: str) -> None:
    kind, number = table.split_device(device)
    # A device that another backend drives, or none at all.
    if kind not in row.devices:
        able = [other.name for other in table.BACKENDS if kind in other.devices]
        hint = f"; use --backend {' or '.join(able)} for it" if able else ""
        raise BackendError(
            f"{row.title} has no device {device!r}, only {', '.join(row.devices)}{hint}"
        )
    if number and not number.isdigit():
        raise BackendError(f"device number {number!r} is not a number; use {kind}:0")
