"""Networks alone, on ready tensors, in every engine that is installed: the published profiler's
table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import ENGINES, Backend, BackendOptions, installed
from rtmpose.errors import InputError, RtmposeError
from rtmpose.model_card import ModelCard


@dataclass(frozen=True)
class Row:
    """One network in one engine: milliseconds per call, and images per second."""

    model: str
    engine: str
    precision: str
    batch: int
    mean_ms: float
    median_ms: float
    min_ms: float
    max_ms: float
    fps: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def engines(wanted: str = "all") -> list[tuple[str, str]]:
    """Engine and precision of each way an ONNX file can be run here.

    Raises:
        InputError: an engine that is not there.
    """
    ways = [("onnxruntime", "fp32")] if "onnxruntime" in installed() else []
    if "openvino" in installed():
        from rtmpose.backends.openvino import cpu_has_bf16

        ways.append(("openvino", "fp32"))
        if cpu_has_bf16():
            ways.append(("openvino", "bf16"))
    if wanted not in ("all", "auto"):
        ways = [way for way in ways if way[0] == wanted]
        if not ways:
            raise InputError(
                f"backend {wanted!r} is not here; installed:"
                f" {', '.join(e for e in installed() if e in ENGINES)}"
            )
    return ways


def open_network(model: str | Path, options: BackendOptions) -> tuple[Backend, ModelCard]:
    """A detector's or pose estimator's backend and card."""
    from rtmpose.detector import Detector
    from rtmpose.families import Network, open_model
    from rtmpose.zoo import resolve

    _, card = resolve(model)
    opened: Network
    if card is not None and card.is_detector:
        opened = Detector(model, options=options)
    else:
        try:
            opened = open_model(None, model, options=options).pose
        except RtmposeError:
            if card is not None:
                raise
            opened = Detector(model, options=options)
    return opened.backend, opened.card


def profile_networks(
    models: Sequence[str | Path],
    *,
    backend: str = "all",
    batches: Sequence[int] = (1,),
    warm_up: int = 50,
    iterations: int = 200,
    threads: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Time networks, all of them in turn in every round, so that a noisy machine treats them alike.

    Args:
        models: Names or files.
        backend: One engine, or ``all``.
        batches: Images per call; a network with a fixed batch is timed at that.
        warm_up: Rounds before.
        iterations: Rounds that count.
        threads: As in :class:`BackendOptions`.
        on_progress: Told what is going on.
    """
    runs: list[tuple[str, str, str, int, Callable[[], Any]]] = []
    generator = np.random.default_rng(0)
    for model in models:
        for engine, precision in engines(backend):
            if on_progress:
                on_progress(f"opening {model} with {engine} {precision} ...")
            options = BackendOptions(engine, "cpu", threads, precision=precision)  # type: ignore[arg-type]
            network, card = open_network(model, options)
            width, height = card.input_wh
            for batch in [network.input.shape[0]] if network.input.shape[0] else batches:
                pixels: NDArray[np.uint8] = generator.integers(
                    0, 256, (batch, height, width, 3), dtype=np.uint8
                )
                runs.append((card.id, engine, network.precision, batch, _call(network, pixels)))
    times: list[list[float]] = [[] for _ in runs]
    for k in range(warm_up + iterations):
        if on_progress and k % 10 == 0:
            on_progress(f"round {k} of {warm_up + iterations}")
        for slot, run in zip(times, runs, strict=True):
            start = time.perf_counter()
            run[4]()
            if k >= warm_up:
                slot.append((time.perf_counter() - start) * 1000)
    rows = []
    for (name, engine, precision, batch, _), slot in zip(runs, times, strict=True):
        middle = float(np.median(slot))
        rows.append(
            Row(
                name,
                engine,
                precision,
                batch,
                float(np.mean(slot)),
                middle,
                min(slot),
                max(slot),
                batch * 1000 / middle,
            )
        )
    return rows


def _call(network: Backend, pixels: NDArray[np.uint8]) -> Callable[[], Any]:
    return lambda: network(pixels)
