"""The models of a worker, opened once, and what they find in sources.

Decoding runs ahead in a thread, for photos across the sources of a unit.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.batch.settings import BatchSettings, EngineOptions
from rtmpose.model_card import ModelCard
from rtmpose.sources import SourceItem, open_frames
from rtmpose.sources.containers import limit_decoder_threads
from rtmpose.types import Frame, Poses, Skeleton
from rtmpose.worker_threads import Prefetch
from rtmpose.writers.output_checks import refuse_non_numbers

if TYPE_CHECKING:
    from rtmpose.detector import Detector
    from rtmpose.pipeline import Pipeline
    from rtmpose.tracking.video import VideoTracker

DECODED_AHEAD = 2
"""Frames that are decoded before they are needed; photos may be large."""

Open = Callable[[], AbstractContextManager[SourceItem]]
"""Makes a source ready to be read, such as by fetching it."""


@dataclass(frozen=True, eq=False)
class Found:
    """One frame with its people, or the end of a source.

    Attributes:
        place: Place of the source among those of the unit.
        item: The source, None where it could not be opened.
        frame: The frame; None at the end of the source.
        poses: Its people; None at the end.
        filled: ``(N,)`` which people were interpolated; None where none were.
        error: Why the source ended early; None where it did not.
    """

    place: int
    item: SourceItem | None = None
    frame: Frame | None = None
    poses: Poses | None = None
    filled: NDArray[np.bool_] | None = None
    error: Exception | None = None


class Models:
    """Opened models.

    Args:
        settings: Which, and how they are used.
        engine: What they run on.

    Raises:
        ModelError: a model is not available.
        BackendError: engine or device are not available.
    """

    def __init__(self, settings: BatchSettings, engine: EngineOptions) -> None:
        if engine.shares_cores:
            keep_to_threads(engine.threads)
        self._settings = settings
        self._pipeline: Pipeline | None = None
        self.tracker: VideoTracker | None = None
        if settings.task == "predict":
            self._pipeline = _open_pipeline(settings, engine)
            self.model = self._pipeline.model
        else:
            self.tracker = _open_tracker(settings, engine)
            self.model = self.tracker.tracker.model

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of all poses."""
        return self.model.skeleton

    @property
    def calibrated(self) -> bool:
        """Whether the poses have probabilities."""
        return self.model.pose.card.calibration is not None

    @property
    def names(self) -> dict[str, str]:
        """What each network is for, to its id."""
        names = {"pose": self.model.pose.card.id}
        if self.model.detector is not None:
            names["detector"] = self.model.detector.card.id
        return names

    def versions(self) -> dict[str, str]:
        """Of the package, Python and the engines."""
        import rtmpose

        backends = (network.backend for network in self.model.networks)
        ran = {f"{backend.engine} {backend.precision}" for backend in backends}
        return {
            "rtmpose": rtmpose.__version__,
            "python": platform.python_version(),
            "backend": ", ".join(sorted(ran)),
        }

    def find(self, sources: Sequence[Open]) -> Iterator[Found]:
        """The people in all frames of some sources, one source after the other.

        The end of each source is told, with the error where there was one.
        """
        if self._pipeline is not None:
            return self._predict(sources, self._pipeline)
        return self._track(sources)

    def _predict(self, sources: Sequence[Open], pipeline: Pipeline) -> Iterator[Found]:
        decoded = Prefetch(_decoded(sources), DECODED_AHEAD)
        given_up = -1
        with decoded:
            for found in decoded:
                # What is decoded of a source that failed is thrown away.
                if found.place == given_up:
                    continue
                if found.frame is None:
                    yield found
                    continue
                try:
                    poses = pipeline(found.frame.image)
                    refuse_non_numbers(found.frame, poses)
                except Exception as error:  # noqa: BLE001 (costs its source only)
                    given_up = found.place
                    yield Found(found.place, found.item, error=error)
                    if len(sources) == 1:
                        return
                    continue
                yield replace(found, poses=poses)

    def _track(self, sources: Sequence[Open]) -> Iterator[Found]:
        for place, open_source in enumerate(sources):
            item = None
            error: Exception | None = None
            try:
                with open_source() as item:
                    for frame, poses, filled in self._tracked(item):
                        refuse_non_numbers(frame, poses)
                        yield Found(place, item, frame, poses, filled)
            except Exception as raised:  # noqa: BLE001 (costs its source only)
                error = raised
            yield Found(place, item, error=error)

    def _tracked(
        self, item: SourceItem
    ) -> Generator[tuple[Frame, Poses, NDArray[np.bool_] | None], None, None]:
        assert self.tracker is not None
        tracked = self.tracker.run([item])
        if not self._settings.smooth_offline:
            for one in tracked:
                yield one.frame, one.poses, None
            return

        # The whole clip is looked at; its pixels are not needed any more.
        from rtmpose.tracking.video import smooth_clip

        frames: list[Frame] = []
        people: list[tuple[float, Poses]] = []
        for one in tracked:
            size = one.frame.image.shape
            frames.append(replace(one.frame, image=np.broadcast_to(np.uint8(0), size)))
            people.append((one.frame.time_s, one.poses))
        for frame, (poses, filled) in zip(frames, smooth_clip(people, self.skeleton), strict=True):
            yield frame, poses, filled


def keep_to_threads(count: int) -> None:
    """Hold what works beside the networks in this process to a number of threads: decoders, and
    OpenCV, which would take a thread for each core of the machine.
    """
    cv2.setNumThreads(count)
    limit_decoder_threads(count)


def _decoded(sources: Sequence[Open]) -> Generator[Found, None, None]:
    """Frames of sources, one after the other, with the end of each."""
    for place, open_source in enumerate(sources):
        item = None
        error: Exception | None = None
        try:
            with open_source() as item, closing(open_frames(item)) as frames:
                for frame in frames:
                    yield Found(place, item, frame)
        except Exception as raised:  # noqa: BLE001 (costs its source only)
            error = raised
        yield Found(place, item, error=error)


def _open_pipeline(settings: BatchSettings, engine: EngineOptions) -> Pipeline:
    from rtmpose.pipeline import Pipeline

    whole_image = settings.detector.lower() == "none"
    return Pipeline(
        None if whole_image else _detector(settings, engine),
        settings.pose,
        backend=engine.backend,
        device=engine.device,
        threads=engine.threads,
        precision=engine.precision,
        allow_spinning=engine.allow_spinning,
        box_thr=settings.box_thr,
        max_people=settings.max_people,
        person_thr=settings.person_thr,
        whole_image=whole_image,
        skeleton=_skeleton(settings.skeleton),
        card=_card(settings.card),
        antialias=settings.antialias,
    )


def _open_tracker(settings: BatchSettings, engine: EngineOptions) -> VideoTracker:
    from rtmpose.tracking import PoseTracker, TrackerParams
    from rtmpose.tracking.video import VideoTracker

    whole_image = settings.detector.lower() == "none"
    detector = None if whole_image else _detector(settings, engine)
    params = TrackerParams(**settings.tracker)  # type: ignore[arg-type]
    # The class that is followed is the one that an opened detector gives.
    if detector is not None and not isinstance(detector, str):
        params = replace(params, det_label=-1 if detector.label is None else detector.label)
    tracker = PoseTracker(
        detector,
        settings.pose,
        params,
        backend=engine.backend,
        device=engine.device,
        threads=engine.threads,
        precision=engine.precision,
        allow_spinning=engine.allow_spinning,
        whole_image=whole_image,
        skeleton=_skeleton(settings.skeleton),
        card=_card(settings.card),
    )
    return VideoTracker(
        tracker,
        interval=settings.det_interval,
        fps_limit=settings.fps_limit,
        detect_ahead=not (engine.shares_cores and engine.threads == 1),
    )


def _detector(settings: BatchSettings, engine: EngineOptions) -> str | Detector:
    if settings.det_label is None:
        return settings.detector
    from rtmpose.backends import BackendOptions
    from rtmpose.detector import Detector

    label: int | str | None = settings.det_label
    if label == "all":
        label = None
    elif settings.det_label.isdigit():
        label = int(settings.det_label)
    options = BackendOptions(
        engine.backend,
        engine.device,
        engine.threads,
        engine.allow_spinning,
        engine.precision,  # type: ignore[arg-type]
    )
    return Detector(settings.detector, options=options, label=label)


def _skeleton(name: str | None) -> Skeleton | None:
    if name is None:
        return None
    from rtmpose.skeletons import get_skeleton, load_skeleton

    return load_skeleton(name) if name.endswith(".toml") else get_skeleton(name)


def _card(name: str | None) -> ModelCard | None:
    if name is None:
        return None
    from pathlib import Path

    from rtmpose.cards.io import read_card_file
    from rtmpose.zoo import find

    return read_card_file(Path(name)) if name.lower().endswith(".json") else find(name)
