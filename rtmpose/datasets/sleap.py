"""SLEAP's ``.slp`` files, read through sleap-io (an extra)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.coco_types import Json
from rtmpose.datasets.image_index import ImageIndex, plain_path
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.labeled_objects import VISIBLE, LabeledObject, content_from_objects
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.files import write_bytes
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

DEFAULT_CLASS = "animal"


def read_sleap(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read the frames that people labeled; predictions count where a file has nothing else.

    Frames of videos are expected as ``VIDEO_FRAME.png`` below the folder of the images, as
    :func:`save_frames` writes them.

    Args:
        data: The ``.slp`` file.
        images: The folder of the images; None takes that of the file.
        skeleton: The keypoints; None takes the nodes, edges and symmetries of the file.

    Raises:
        InputError: the file cannot be read or holds no labels.
        MissingDependencyError: sleap-io is not installed.
    """
    labels = _load(data)
    folder = images or data.parent
    index = ImageIndex(folder)
    objects: list[LabeledObject] = []
    sizes: dict[str, tuple[int, int]] = {}
    for frame, frame_name in _named_frames(labels):
        name = index.find(frame_name)
        sizes[name] = image_size(folder / name) or _video_size(frame.video)
        instances = frame.user_instances or frame.predicted_instances
        objects += [_object(name, instance) for instance in instances]
    index.tell(data)

    # What the nodes are: of all skeletons in the file, one after the other.
    nodes = [node for s in labels.skeletons for node in s.node_names]
    links = [(a, b) for s in labels.skeletons for a, b in s.edge_names]
    pairs = [(a, b) for s in labels.skeletons for a, b in map(sorted, s.symmetry_names)]
    return content_from_objects(
        data, folder, objects, sizes, skeleton, names=nodes, links=links, pairs=pairs
    )


def save_frames(data: Path, folder: Path) -> int:
    """Write the labeled frames of videos as ``VIDEO_FRAME.png``; frames that are images stay.

    Args:
        data: The ``.slp`` file.
        folder: Where to; files that are there already are kept.

    Returns:
        The number of frames of videos, also of those that were there.

    Raises:
        InputError: the file or a video cannot be read.
        MissingDependencyError: sleap-io is not installed.
        OutputError: a file cannot be written.
    """
    labels = _load(data)
    count = 0
    for frame, name in _named_frames(labels):
        if isinstance(frame.video.filename, list):
            continue
        count += 1
        target = folder / name
        if target.is_file():
            continue
        try:
            pixels = np.asarray(frame.image)
        except Exception as error:
            raise InputError(
                f"frame {frame.frame_idx} of {frame.video.filename} cannot be read: {error}"
            ) from error
        # sleap-io gives RGB or gray.
        order = cv2.COLOR_RGB2BGR if pixels.shape[-1] == 3 else cv2.COLOR_GRAY2BGR
        encoded, content = cv2.imencode(".png", cv2.cvtColor(pixels, order))
        if encoded:
            write_bytes(target, content.tobytes())
    return count


def _load(data: Path) -> Json:
    """The labels of a file."""
    sleap_io = _sleap_io()
    if not data.is_file():
        raise InputError(f"{data} does not exist")
    try:
        return sleap_io.load_slp(str(data), open_videos=True)
    except Exception as error:
        raise InputError(f"{data} cannot be read as a SLEAP file: {error}") from error


def _sleap_io() -> ModuleType:
    try:
        import sleap_io
    except ImportError as error:
        raise MissingDependencyError(
            "reading .slp files needs sleap-io: pip install 'rtmpose[sleap]'"
        ) from error
    return sleap_io


def _named_frames(labels: Json) -> Iterator[tuple[Json, str]]:
    """The labeled frames, each with the name of its image."""
    # Frames with predictions only count where nobody labeled any.
    frames = [frame for frame in labels.labeled_frames if frame.user_instances]
    for frame in frames or labels.labeled_frames:
        yield frame, _frame_name(frame, labels.videos)


def _frame_name(frame: Json, videos: list[Json]) -> str:
    """An image of a list has its path; a frame of a video is named by both."""
    files = frame.video.filename
    if isinstance(files, list):
        return plain_path(files[frame.frame_idx])
    stem = Path(plain_path(str(files))).stem
    # Embedded videos and those of several cameras may have one name.
    same = [v for v in videos if Path(plain_path(str(v.filename))).stem == stem]
    number = f"_{videos.index(frame.video)}" if len(same) > 1 else ""
    return f"{stem}{number}_{frame.frame_idx:06d}.png"


def _video_size(video: Json) -> tuple[int, int]:
    """Width and height of a video; (0, 0) where it is not there."""
    shape = video.shape
    return (int(shape[2]), int(shape[1])) if shape is not None else (0, 0)


def _object(name: str, instance: Json) -> LabeledObject:
    """An instance; nodes without a place have no label."""
    points: Mapping[str, Json] = dict(
        zip(instance.skeleton.node_names, instance.numpy(), strict=True)
    )
    labeled = LabeledObject(name, {}, None, instance.skeleton.name or DEFAULT_CLASS)
    for node, (x, y, *_) in points.items():
        if math.isfinite(x) and math.isfinite(y):
            labeled.points[node] = (float(x), float(y), VISIBLE)
    return labeled
