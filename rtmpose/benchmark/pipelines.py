"""Whole pipelines, with several backends and several numbers of people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtmpose.backends import BackendOptions
from rtmpose.benchmark.networks import RunConfig
from rtmpose.benchmark.stages import Measurement, measure
from rtmpose.detector import Detector
from rtmpose.model_card import ModelCard
from rtmpose.pipeline import Pipeline
from rtmpose.types import Image


@dataclass(frozen=True)
class PipelineTiming:
    """One pipeline with one backend and one number of people.

    Attributes:
        backend: What ran the pose network.
        device: Where.
        precision: What it computes in.
        people: People in every frame; None for those that the detector finds.
        measurement: Milliseconds per stage.
    """

    backend: str
    device: str
    precision: str
    people: int | None
    measurement: Measurement

    def to_dict(self) -> dict[str, str | float]:
        """One flat row: median milliseconds of the networks and of the whole frame."""
        # The detector's people are counted; a given number is a fact.
        medians = {s.name: s.median_ms for s in self.measurement.stages}
        total = medians["total"]
        people = self.measurement.people_per_frame if self.people is None else self.people
        return {
            "backend": self.backend,
            "precision": self.precision,
            "people": people,
            "detect_ms": round(medians["detect"], 2),
            "network_ms": round(medians["network"], 2),
            "total_median_ms": total,
            "fps": 1000 / total if total else 0.0,
        }


def measure_pipelines(
    detector: str | Path | None,
    pose: str | Path,
    images: Sequence[Image],
    configs: Sequence[RunConfig],
    *,
    people: Sequence[int | None] = (None,),
    frames: int = 100,
    warm_up: int = 5,
    threads: int = 0,
    allow_spinning: bool = False,
    card: ModelCard | None = None,
    detector_card: ModelCard | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> list[PipelineTiming]:
    """Time the stages of a frame for every configuration and every number of people.

    Args:
        detector: Name or file; None takes each whole image as one person.
        pose: Name or file.
        images: Taken in turn.
        configs: Backends, devices and precisions.
        people: Boxes per frame; None for those that the detector finds.
        frames: Frames measured.
        warm_up: Frames run before.
        threads: As in :class:`rtmpose.BackendOptions`.
        allow_spinning: Likewise.
        card: Describes the pose model's file, where it does not say what it is.
        detector_card: The same for the detector's.
        on_progress: Called with a line of text before each measurement.
    """
    timings = []
    # Opened once per configuration, and measured for each number of people.
    for config in configs:
        engine = BackendOptions(
            config.backend,
            config.device,
            threads,
            allow_spinning,
            config.precision,
        )
        boxes: str | Path | Detector | None = detector
        if detector is not None and detector_card is not None:
            boxes = Detector(detector, options=engine, card=detector_card)
        pipeline = Pipeline(
            boxes,
            pose,
            backend=config.backend,
            device=config.device,
            precision=config.precision,
            threads=threads,
            allow_spinning=allow_spinning,
            whole_image=detector is None,
            card=card,
        )
        for count in people:
            if on_progress:
                crowd = "" if count is None else f", {count} people"
                on_progress(f"{config.backend} {config.precision}{crowd} ...")
            result = measure(pipeline, images, frames, people=count, warm_up=warm_up)

            # What really ran, not what was asked for.
            network = pipeline.pose.backend
            timings.append(
                PipelineTiming(network.engine, network.device, network.precision, count, result)
            )
    return timings
