"""Timings of the stages a frame goes through."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtmpose.types import Detections, Image

if TYPE_CHECKING:
    from rtmpose.pipeline import Pipeline

STAGES = ("detect", "crop", "network", "decode", "draw")


@dataclass(frozen=True)
class Stage:
    """Milliseconds per frame of one stage."""

    name: str
    mean_ms: float
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Measurement:
    """What :func:`measure` found.

    Attributes:
        stages: The five stages, ``overhead`` (all that is not a network: letterbox, box decoding,
            crop, decode) and ``total`` without drawing.
        people_per_frame: Mean.
        frames: How many were measured.
        settings: Models, engine and machine.
    """

    stages: tuple[Stage, ...]
    people_per_frame: float
    frames: int
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def measure(
    pipeline: Pipeline,
    images: Sequence[Image],
    frames: int = 100,
    *,
    people: int | None = None,
    warm_up: int = 5,
) -> Measurement:
    """Time every stage of a pipeline.

    Args:
        pipeline: Opened models.
        images: Taken in turn.
        frames: Frames measured, after the warm-up.
        people: Replace what the detector finds by so many boxes spread over the frame (the detector
            still runs).
        warm_up: Frames run before.
    """
    from rtmpose.draw import draw_poses

    rows, counts = [], []
    for i in range(-warm_up, frames):
        image = images[i % len(images)]
        clock = [time.perf_counter()]
        if pipeline.detector is None:
            found, detector_network = pipeline.detect(image), 0.0
        else:
            canvas, factors = pipeline.detector.letterbox(image)
            before = time.perf_counter()
            outputs = pipeline.detector.infer(canvas)
            detector_network = time.perf_counter() - before
            found = pipeline.detector.decode(outputs, factors, score_thr=pipeline.score_thr)[
                : pipeline.max_people
            ]
        if people is not None:
            found = spread_boxes(image, people)
        clock.append(time.perf_counter())
        crops, matrices = pipeline.pose.crop([image], [found])
        clock.append(time.perf_counter())
        raw = pipeline.pose.infer(crops)
        clock.append(time.perf_counter())
        poses = pipeline.pose.decode(raw, matrices, [found])[0]
        clock.append(time.perf_counter())
        draw_poses(image, poses)
        clock.append(time.perf_counter())
        if i >= 0:
            steps = np.diff(clock)
            networks = detector_network + steps[2]
            rows.append([*steps, steps[:4].sum() - networks, steps[:4].sum()])
            counts.append(len(found))
    table = np.array(rows) * 1000
    stages = tuple(
        Stage(n, *(round(float(v), 3) for v in (c.mean(), np.median(c), np.percentile(c, 95))))
        for n, c in zip((*STAGES, "overhead", "total"), table.T, strict=True)
    )
    backend = pipeline.pose.backend
    settings = {
        "pose": pipeline.pose.card.id,
        "detector": pipeline.detector.card.id if pipeline.detector else "none",
        "engine": backend.engine,
        "device": backend.device,
        "precision": backend.precision,
        "machine": machine(),
    }
    return Measurement(stages, float(np.mean(counts)), frames, settings)


def spread_boxes(image: Image, people: int) -> Detections:
    """So many boxes of a plausible size side by side, for measurements that must not depend on a
    detector.
    """
    height, width = image.shape[:2]
    step = width / people
    boxes = [[i * step, height * 0.2, (i + 1) * step, height * 0.8] for i in range(people)]
    return Detections.from_boxes(boxes)


def machine() -> str:
    """CPU name and usable cores."""
    from rtmpose.backends import usable_cpus

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if "model name" in line
        ]
        name = names[0] if names else name
    return f"{name}, {usable_cpus()} cores"


def demo_photo() -> Path:
    """A bundled photograph of several people."""
    return Path(
        str(
            resources.files("rtmpose")
            .joinpath("assets")
            .joinpath("photos")
            .joinpath("000000541055.jpg")
        )
    )
