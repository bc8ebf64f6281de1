"""Networks alone, on ready tensors, with every backend: the table of the published profiler."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.backend_table import PRECISIONS, Precision
from rtmpose.backends import Backend, BackendOptions, choose, installed, open_backend
from rtmpose.backends.int8_preparation import is_trusted_int8
from rtmpose.backends.loading import local_devices
from rtmpose.backends.selection import for_file
from rtmpose.errors import InputError, RtmposeError
from rtmpose.model_card import ModelCard
from rtmpose.ranges import BATCH, COUNT_OR_ZERO, check_count
from rtmpose.zoo import resolve

Progress = Callable[[str], None]


# ---- ways to run a model


@dataclass(frozen=True)
class RunConfig:
    """Backend, device and precision: one of the ways to run a model here."""

    backend: str
    device: str
    precision: Precision


@dataclass(frozen=True)
class NetworkTiming:
    """One network with one backend: milliseconds per call, and images per second."""

    model: str
    backend: str
    device: str
    precision: str
    batch: int
    mean_ms: float
    median_ms: float
    min_ms: float
    max_ms: float
    fps: float

    def to_dict(self) -> dict[str, str | float]:
        """Plain data for JSON."""
        return asdict(self)


def run_configs(
    model: Path,
    backends: Sequence[str] = ("all",),
    device: str = "auto",
    precisions: Sequence[str] = ("all",),
) -> list[RunConfig]:
    """The ways to run a model file here.

    Args:
        model: The file; its format says which backends run it.
        backends: Names; ``all`` for the installed ones that ``auto`` chooses from (of formats that
            only one backend runs, that one), ``auto`` for the one that it would choose.
        device: As in :class:`BackendOptions`; backends without it are left out of ``all``.
        precisions: ``all`` for those that backend and device compute in, int8 only where the model
            has been prepared for it; or names.

    Raises:
        InputError: nothing that was asked for can run it.
        BackendError: a name is unknown, or a backend cannot drive the device.
        MissingDependencyError: a backend that was asked for is not installed.
    """
    # Checked before anything is opened, which takes seconds.
    for precision in precisions:
        if precision not in ("all", *PRECISIONS):
            raise InputError(f"unknown precision {precision!r}; use all, {', '.join(PRECISIONS)}")

    configs: list[RunConfig] = []
    for name, where in _backends_for(model, backends, device):
        row = table.row(name)
        here = local_devices(row)
        kind, _ = table.split_device(where)
        # A device with a number may be listed without it, or the other way round.
        able = here.get(where) or here.get(kind) or row.devices[kind]
        chosen = able if "all" in precisions else precisions
        # Nobody asked for what would have to be prepared first.
        if "all" in precisions and not is_trusted_int8(model):
            chosen = [precision for precision in able if precision != "int8"]
        for precision in chosen:
            if precision == "auto" or precision in able:
                configs.append(RunConfig(name, where, precision))  # type: ignore[arg-type]

    # An empty table would look like a result.
    if not configs:
        raise InputError(
            f"nothing here runs {model.name} with backend {', '.join(backends)}, device {device}"
            f" and precision {', '.join(precisions)}; installed: {', '.join(installed())}"
        )
    return list(dict.fromkeys(configs))


def _backends_for(model: Path, names: Sequence[str], device: str) -> list[tuple[str, str]]:
    """Backends and the device of each, ``auto`` and ``all`` resolved."""
    # Formats that several backends run, and formats of one.
    candidates = table.rows_for_file(model)
    pairs = []
    for name in names:
        if name == "all":
            several = [row for row in candidates if row.automatic and len(candidates) > 1]
            kind, _ = table.split_device(device)
            for row in several or candidates:
                if row.name in installed() and (kind == "auto" or kind in row.devices):
                    choice = choose(BackendOptions(row.name, device))
                    pairs.append((choice.backend, choice.device))
        elif name == "auto" or table.row(name) in candidates:
            choice = choose(for_file(model, BackendOptions(name, device)))
            pairs.append((choice.backend, choice.device))
    # Asked for by name, but of the wrong format: an error rather than an empty list.
    if not pairs and "all" not in names:
        for_file(model, BackendOptions(names[0]))  # says which backends run such files
    return pairs


# ---- timing


def open_network(
    model: str | Path | ModelCard, options: BackendOptions
) -> tuple[Backend, ModelCard]:
    """A network's backend and card.

    Raises:
        ModelError: the model is not available, or is none that this package runs.
        BackendError: backend, device or precision are not available.
    """
    # The zoo and files with a card say what they are.
    path, card = resolve(model)
    if card is not None:
        return open_backend(path, card, options), card

    # A file that does not say what it is: whatever accepts its outputs.
    from rtmpose.detector import Detector
    from rtmpose.families import Network, open_model

    opened: Network
    try:
        opened = open_model(None, path, options=options).pose
    except RtmposeError:
        opened = Detector(path, options=options)
    return opened.backend, opened.card


def measure_networks(
    models: Sequence[str | Path],
    *,
    backends: Sequence[str] = ("all",),
    device: str = "auto",
    precisions: Sequence[str] = ("all",),
    batches: Sequence[int] = (1,),
    warm_up: int = 50,
    iterations: int = 200,
    threads: int = 0,
    allow_spinning: bool = False,
    on_progress: Progress | None = None,
) -> list[NetworkTiming]:
    """Time networks, all of them in turn in every round, so that a noisy machine treats them alike.

    Args:
        models: Names or files.
        backends: See :func:`run_configs`.
        device: Likewise.
        precisions: Likewise.
        batches: Images per call; a network with a fixed batch is timed at that.
        warm_up: Rounds before the measurement.
        iterations: Rounds that count.
        threads: As in :class:`BackendOptions`.
        allow_spinning: Likewise.
        on_progress: Called with a line of text now and then.
    """
    check_count("iterations", iterations)
    check_count("warm_up", warm_up, COUNT_OR_ZERO)
    for size in batches:
        check_count("batches", size, BATCH)
    report = on_progress or (lambda text: None)

    # Everything is opened first: a missing model shows up before the measurement.
    runs: list[_Run] = []
    for model in models:
        path, _ = resolve(model)
        for config in run_configs(path, backends, device, precisions):
            report(f"opening {model} with {config.backend} {config.precision} ...")
            options = BackendOptions(
                config.backend, config.device, threads, allow_spinning, precision=config.precision
            )
            network, card = open_network(model, options)
            # A network with a fixed batch takes no other.
            fixed = network.input.shape[0]
            for batch in [fixed] if fixed else batches:
                runs.append(_Run(network, card, _random_images(network, card, batch), []))

    # One call of every network per round: slow moments of the machine hit all of them.
    for k in range(warm_up + iterations):
        if k % 10 == 0:
            report(f"round {k} of {warm_up + iterations}")
        for run in runs:
            milliseconds = run.call()
            if k >= warm_up:
                run.times.append(milliseconds)
    return [run.timing() for run in runs]


@dataclass(frozen=True)
class _Run:
    """A network, its input, and the milliseconds of its calls so far."""

    network: Backend
    card: ModelCard
    images: NDArray[np.uint8]
    times: list[float]

    def call(self) -> float:
        start = time.perf_counter()
        self.network(self.images)
        return (time.perf_counter() - start) * 1000

    def timing(self) -> NetworkTiming:
        # The median, not the mean, gives images per second: one slow call must not count for many.
        median = float(np.median(self.times))
        batch = len(self.images)
        return NetworkTiming(
            model=self.card.id,
            backend=self.network.engine,
            device=self.network.device,
            precision=self.network.precision,
            batch=batch,
            mean_ms=float(np.mean(self.times)),
            median_ms=median,
            min_ms=min(self.times),
            max_ms=max(self.times),
            fps=batch * 1000 / median,
        )


def _random_images(network: Backend, card: ModelCard, batch: int) -> NDArray[np.uint8]:
    """Images ``(batch, h, w, 3)`` of the size that the network declares, else that of its card."""
    # Random values: the time does not depend on what is seen.
    width, height = card.input_wh
    declared_height, declared_width = network.input.shape[2:]
    size = (batch, declared_height or height, declared_width or width, 3)
    return np.random.default_rng(0).integers(0, 256, size, np.uint8)
