"""What the results of a job depend on, for a resumed job to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rtmpose.sources import SourceItem

if TYPE_CHECKING:
    from rtmpose.families import PoseModel
    from rtmpose.pipeline import Pipeline
    from rtmpose.tracking.video import VideoTracker


def settings_of_pipeline(pipeline: Pipeline) -> dict[str, object]:
    """What the results of a pipeline depend on."""
    return {
        "command": "predict",
        "pose": pipeline.pose.card.id,
        "detector": pipeline.detector.card.id if pipeline.detector else "none",
        "box_thr": pipeline.box_thr,
        "max_people": pipeline.max_people,
        "person_thr": pipeline.person_thr,
    }


def settings_of_tracker(tracker: VideoTracker) -> dict[str, object]:
    """What the results of a tracker depend on."""
    networks = tracker.tracker
    return {
        "command": "track",
        "pose": networks.pose.card.id,
        "detector": networks.detector.card.id if networks.detector else "none",
        "interval": tracker.interval,
        "fps_limit": tracker.fps_limit,
        **asdict(networks.params),
    }


def networks_of(model: PoseModel) -> dict[str, str]:
    """What runs each network of a model: engine, precision and device. It is no setting: results in
    other precisions agree, and a run may be resumed on another machine.
    """
    named = {}
    for role, network in (("pose", model.pose), ("detector", model.detector)):
        backend = getattr(network, "backend", None)  # a model may be of any kind
        if backend is not None:
            named[role] = f"{backend.engine} {backend.precision} on {backend.device}"
    return named


def range_of_sources(items: Sequence[SourceItem]) -> dict[str, object]:
    """The range of time and the limit that the sources are read with."""
    if not items:
        return {}
    first = items[0]
    clip = {"fps": first.fps} if first.fps is not None else {}
    return {
        "start": first.start_s,
        "end": first.end_s,
        "limit": first.limit,
        "flip": first.flip,
        **clip,
    }
