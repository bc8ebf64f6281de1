"""What ``auto`` means for one model on this machine: engine and precision together.

On a CPU a network may run in several ways: with each engine that is installed, in each precision
that is trusted not to cost accuracy. The table of backends knows which of them is the default on
which kind of processor. ``rtmpose models prepare`` times all of them (:func:`prepare`); from then
on the fastest one is used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.backend_table import Precision
from rtmpose.backends.base import Backend, BackendOptions
from rtmpose.backends.cpu import this_cpu
from rtmpose.backends.loading import (
    NotLoadingError,
    is_set_aside,
    open_with,
    set_aside,
    trusted_precisions,
)
from rtmpose.backends.selection import (
    check_precision,
    choose,
    for_file,
    has_substitute,
    in_order,
    installed,
    is_short,
    with_short_work,
)
from rtmpose.backends.trial import Clock, Timing, Verdict, judge_few, judge_trial, run_trial
from rtmpose.backends.trial_record import TrialRecord, find_trial, keep_trial, trial_key
from rtmpose.errors import BackendError, RtmposeError
from rtmpose.model_card import ModelCard

log = logging.getLogger(__name__)

PEOPLE_PER_CALL = 4
"""Crops in one call of a trial, as of a frame with a few people."""


@dataclass(frozen=True)
class Way:
    """One way to run a network on the CPU: an engine and a precision."""

    backend: str
    precision: Precision

    @property
    def name(self) -> str:
        """Such as ``openvino bf16``."""
        return f"{self.backend} {self.precision}"

    @classmethod
    def from_name(cls, name: str) -> Way:
        """The way of that name."""
        backend, _, precision = name.partition(" ")
        return cls(backend, cast(Precision, precision))


@dataclass(frozen=True)
class Preparation:
    """What was prepared for a model.

    Attributes:
        verdict: The way that ``auto`` takes from now on, and why.
        timings: By name of the way: milliseconds for one image.
        failed: By name of the way: why the network does not run in it.
        kept: Whether the result could be kept.
    """

    verdict: Verdict
    timings: dict[str, Timing]
    failed: dict[str, str]
    kept: bool


# ---- choosing


def resolve_auto(path: Path, options: BackendOptions) -> tuple[BackendOptions, str]:
    """The options with backend and device chosen for a model file, and why.

    The precision stays ``auto`` where the backend is to choose it.

    Raises:
        BackendError: backend, device or precision are not available here.
        MissingDependencyError: the backend is not installed.
    """
    # The file's format comes first: most formats are run by one backend only.
    options = for_file(path, options)
    short = with_short_work(path, options)
    choice = choose(short)
    check_precision(table.row(choice.backend), choice.device, options.precision)
    chosen = replace(options, backend=choice.backend, device=choice.device)
    if choice.device != "cpu":
        return chosen, choice.reason

    # On CPUs a trial of this model on this machine goes before what holds for any.
    tried = tried_way(path, options)
    if tried is not None:
        way, reason = tried
        return replace(chosen, backend=way.backend, precision=way.precision), reason

    # So does what is known of networks in 8 bits, unless they are opened for a few images.
    if is_short(short):
        return chosen, choice.reason
    quantized = _int8_way(path, options)
    if quantized is not None:
        reason = "prepared for 8 bits, which is the fastest on CPUs of this kind"
        return replace(chosen, backend=quantized.backend, precision="int8"), reason

    return chosen, choice.reason


def _int8_way(path: Path, options: BackendOptions) -> Way | None:
    """The engine that runs the network in 8 bits, where that is the fastest; else None."""
    if "auto" not in (options.backend.lower(), options.precision):
        return None
    for row in _automatic_rows(path, options):
        way = Way(row.name, "int8")
        if _leads(way) and _allowed(way, options) and _is_trusted(path):
            return way
    return None


def _is_trusted(path: Path) -> bool:
    from rtmpose.backends.int8_preparation import is_trusted_int8  # seldom needed

    return is_trusted_int8(path)


def _leads(way: Way) -> bool:
    """Whether a way goes before all others on the processor of this machine."""
    return way.precision == "int8" and this_cpu().kind in table.row(way.backend).int8_on


def _automatic_rows(path: Path, options: BackendOptions) -> list[table.BackendRow]:
    """The installed engines for a file that ``auto`` or the options' backend may mean."""
    rows = [row for row in in_order(table.rows_for_file(path)) if row.name in installed()]
    if options.backend.lower() == "auto":
        return [row for row in rows if row.automatic and not is_set_aside(row)]
    return [row for row in rows if row.name == options.backend.lower()]


# ---- using a trial


def tried_way(path: Path, options: BackendOptions) -> tuple[Way, str] | None:
    """The way that a trial on this machine found the fastest, and why; None without a trial.

    Args:
        path: The model file.
        options: What they name is obeyed: only ways with that backend and that precision count.
    """
    if "auto" not in (options.backend.lower(), options.precision):
        return None  # nothing is left to choose
    record = find_trial(path, options.threads)
    if record is None:
        return None

    # The first one is the default where the default itself was not asked for.
    timings = {
        name: timing
        for name, timing in record.timings.items()
        if _allowed(Way.from_name(name), options)
    }
    if not timings:
        return None
    default = record.default if record.default in timings else next(iter(timings))
    verdict = judge_trial(timings, default)
    if options.num_images and (options.backend.lower(), options.precision) == ("auto", "auto"):
        verdict = judge_few(verdict, timings, record.opening, options.num_images, record.crops)
    return Way.from_name(verdict.chosen), verdict.reason


def _allowed(way: Way, options: BackendOptions) -> bool:
    backend = options.backend.lower()
    return backend in ("auto", way.backend) and options.precision in ("auto", way.precision)


# ---- making one


def prepare(
    path: Path,
    card: ModelCard,
    options: BackendOptions | None = None,
    *,
    clock: Clock | None = None,
    on_progress: Callable[[str], None] = log.info,
) -> Preparation:
    """Time the ways to run a network on this machine, and keep the result.

    What the precisions need is made first: a network is calibrated for bf16 where the processor has
    it.

    Args:
        path: The model file.
        card: Its description.
        options: Backend and precision limit what is timed; ``auto`` means all.
        clock: For tests.
        on_progress: Told of each step.

    Raises:
        BackendError: nothing here runs the network.
    """
    options = for_file(path, options or BackendOptions())
    device = choose(options).device
    if device != "cpu":
        raise BackendError(f"there is nothing to choose on {device}: trials are for CPUs")

    # Everything is opened before the first call is timed.
    backends: dict[str, Backend] = {}
    failed: dict[str, str] = {}
    for way in ways(path, card, options):
        on_progress(f"opening {path.name} with {way.name} ...")
        try:
            backends[way.name] = _open(way, path, card, options)
        except RtmposeError as error:
            failed[way.name] = str(error)
    if not backends:
        raise BackendError(f"nothing here runs {path.name}: {'; '.join(failed.values())}")

    on_progress(f"timing {path.name} ...")
    timings = _timed(backends, card, clock)
    default = next(iter(backends))
    if not timings:
        verdict = Verdict(default, "its calls are too slow for a trial", busy=True)
        return Preparation(verdict, {}, failed, kept=False)

    # What a busy machine measured is worth nothing later.
    verdict = judge_trial(timings, default)
    kept = False
    if not verdict.busy:
        key = trial_key(path, options.threads)
        on_progress(f"timing the opening of {path.name} ...")
        opening = _opening_times(list(timings), path, card, options, clock or time.perf_counter)
        count = len(_noise(next(iter(backends.values())), card))
        kept = keep_trial(TrialRecord(key, path.name, timings, default, opening, count))
    return Preparation(verdict, timings, failed, kept)


def ways(path: Path, card: ModelCard, options: BackendOptions) -> list[Way]:
    """The ways to run a network on the CPU of this machine, the default first.

    Args:
        path: The model file.
        card: Its description; says what reduced precision is judged by.
        options: What they name is obeyed.
    """
    found: list[Way] = []
    for row in _automatic_rows(path, options):
        try:
            trusted = trusted_precisions(row, path, card, options.threads)
        except NotLoadingError as error:
            if not has_substitute(row, path, options):
                raise
            set_aside(error)
            continue
        for precision in trusted:
            way = Way(row.name, precision)
            if _allowed(way, options):
                found.append(way)
    return sorted(found, key=_leads, reverse=True)  # stable: else as the engines tell


def _open(way: Way, path: Path, card: ModelCard, options: BackendOptions) -> Backend:
    wanted = replace(options, backend=way.backend, device="cpu", precision=way.precision)
    return open_with(table.row(way.backend), path, card, wanted)


def _timed(backends: dict[str, Backend], card: ModelCard, clock: Clock | None) -> dict[str, Timing]:
    """The times of opened networks, on noise: they do not depend on what is seen."""
    images = _noise(next(iter(backends.values())), card)
    count = len(images)

    def call_of(backend: Backend) -> Callable[[], object]:
        return lambda: backend(images)

    calls = {name: call_of(backend) for name, backend in backends.items()}
    if clock is None:
        return run_trial(calls, count)
    return run_trial(calls, count, clock=clock)


def _opening_times(
    names: list[str], path: Path, card: ModelCard, options: BackendOptions, clock: Clock
) -> dict[str, float]:
    """Milliseconds to open the network in each way and to run it once, when what it needs is made
    and the engine is loaded.
    """
    times: dict[str, float] = {}
    for name in names:
        start = clock()
        backend = _open(Way.from_name(name), path, card, options)
        images = _noise(backend, card)
        backend(images[:1] if backend.input.shape[0] is None else images)
        times[name] = (clock() - start) * 1000
    return times


def _noise(backend: Backend, card: ModelCard) -> NDArray[np.uint8]:
    """Images uint8 ``(N, H, W, 3)`` for a call of a network."""
    count = backend.input.shape[0] or (PEOPLE_PER_CALL if card.is_pose else 1)
    width, height = card.input_wh
    size_hw = (backend.input.shape[2] or height, backend.input.shape[3] or width)
    return np.random.default_rng(0).integers(0, 256, (count, *size_hw, 3), np.uint8)
