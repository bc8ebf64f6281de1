"""SLEAP's .slp, read back through sleap-io: predictions, and what people corrected."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.results.description import Description, SourceInfo
from rtmpose.results.rows import NO_ID, SourceRows, box_around, make_clips
from rtmpose.results.track_arrays import numbers_of, say_no_rate
from rtmpose.types import FloatArray
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)


def read_slp(path: Path) -> list[Clip]:
    """The clips of a file, one for each video; it tells no times: 30 frames per second are taken.

    Raises:
        InputError: it has several skeletons, or is damaged.
        MissingDependencyError: sleap-io is not installed.
    """
    try:
        import sleap_io
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs sleap-io: pip install 'rtmpose[labs]'"
        ) from error
    try:
        labels = sleap_io.load_slp(str(path), open_videos=False)
    # A damaged file fails in many ways.
    except Exception as error:
        raise InputError(f"{path} cannot be read as .slp: {error}") from error
    skeletons = {tuple(skeleton.node_names): skeleton for skeleton in labels.skeletons}
    if len(skeletons) != 1:
        raise InputError(f"{path} has {len(skeletons)} skeletons, and results have one")
    ((nodes, skeleton),) = skeletons.items()
    say_no_rate(path)

    # Several videos of one name are told apart by their number.
    names = [_name_of(video, path) for video in labels.videos]
    sources = [n if names.count(n) == 1 else f"{n}#{i}" for i, n in enumerate(names)]
    numbers = numbers_of([track.name for track in labels.tracks])
    rows: dict[str, SourceRows] = {source: SourceRows() for source in sources}
    untracked = 0
    for frame in labels.labeled_frames:
        source = sources[labels.videos.index(frame.video)]
        untracked += _add_frame(rows[source], frame, numbers)
    if untracked:
        log.warning("%d instances of %s have no track and are left out", untracked, path)
    links = tuple((int(a), int(b)) for a, b in skeleton.edge_inds)
    description = Description("", tuple(nodes), links)
    for source, video in zip(sources, labels.videos, strict=True):
        _add_video(rows[source], video, description, source)
    return make_clips(rows, description, len(nodes), path)


def _add_frame(rows: SourceRows, frame: Any, numbers: dict[str, int]) -> int:
    """Add everybody in a frame; how many were left out, as others have tracks and they have not."""
    number = int(frame.frame_idx)
    rows.seen[number] = None
    # What somebody corrected stands for the prediction that it was made of.
    corrected = {id(one.from_predicted) for one in frame.instances if one.from_predicted}
    left_out = 0
    taken: set[int] = set()
    for instance in frame.instances:
        if id(instance) in corrected:
            continue
        person = NO_ID
        if numbers:
            person = numbers.get(instance.track.name, NO_ID) if instance.track else NO_ID
            if person == NO_ID or person in taken:
                left_out += 1
                continue
        taken.add(person)
        points = _points(instance)
        score = float(getattr(instance, "score", 1.0) or 1.0)
        rows.add(number, points, box_around(points), number=person, box_score=score)
    return left_out


def _points(instance: Any) -> FloatArray:
    """``(K, 3)``; points that somebody set are sure."""
    points = np.asarray(instance.numpy(), np.float32)
    scores = np.ones(len(points), np.float32)
    # Predictions have a score for each point.
    if "score" in (instance.points.dtype.names or ()):
        scores = np.asarray(instance.points["score"], np.float32)
    scores = np.where(np.isfinite(scores), scores, np.float32(1))
    return np.concatenate([points, scores[:, None]], axis=1)


def _add_video(rows: SourceRows, video: Any, description: Description, source: str) -> None:
    """Frames before the first and behind the last instance count too, where the length is known."""
    shape = (video.backend_metadata or {}).get("shape")
    if not shape:
        return
    count, height, width = (int(size) for size in shape[:3])
    if width and height:
        rows.size_wh = (width, height)
    if count:
        rows.seen.setdefault(0, None)
        rows.seen.setdefault(count - 1, None)
    description.sources[source] = SourceInfo(size_wh=rows.size_wh)


def _name_of(video: Any, path: Path) -> str:
    name = video.filename
    # A sequence of images is a list.
    if isinstance(name, list | tuple):
        name = str(Path(str(name[0])).parent) if name else ""
    return str(name) or path.stem
