"""A page that plays a video with its skeletons and graphs: one file, without a server."""

from __future__ import annotations

import base64
import html
import logging
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.files import write_text
from rtmpose.kinematics.angles import AngleOptions, PersonAngles, numbered, person_angles
from rtmpose.kinematics.body import used_keypoints
from rtmpose.kinematics.definitions import ANGLES
from rtmpose.plots.figures import person_hex
from rtmpose.plots.media import Media
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import title_of

log = logging.getLogger(__name__)

MISSING = -32768
FINEST = 16
"""Steps per pixel of positions in the page, where they fit into 16 bits."""
FARTHEST_STEP = 32000
SCORE_STEPS = 200
ANGLE_STEPS = 10


def write_page(clip: Clip, media: Media | None, path: Path, *, kpt_thr: float = 0.3) -> None:
    """Write the page of a clip.

    Args:
        clip: Results of one source.
        media: What is behind the skeletons; None for skeletons alone.
        path: The page.
        kpt_thr: Score below which points are hidden at first.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(path, page_text(clip, media, kpt_thr=kpt_thr))


def page_text(clip: Clip, media: Media | None, *, kpt_thr: float = 0.3) -> str:
    """The page as HTML."""
    data = to_json(page_data(clip, media, kpt_thr), separators=(",", ":"))
    # Nothing in the data may end the element that holds it.
    data = data.replace("<", "\\u003c")
    template = files("rtmpose.plots").joinpath("view.html").read_text(encoding="utf-8")
    head, tail = template.split("DATA", 1)
    return head.replace("TITLE", html.escape(title_of(clip)), 1) + data + tail


def page_data(clip: Clip, media: Media | None, kpt_thr: float) -> dict[str, Any]:
    """What the page shows; arrays as base64 of little-endian numbers."""
    size_wh = _size(clip, media)
    whole, ids = _people(clip)
    column = np.zeros(len(clip.rows), np.int32)
    if whole is not None and whole.ids is not None:
        column = np.searchsorted(np.array(ids), whole.ids).astype(np.int32)
    scale = _scale(clip, size_wh)
    known = np.isfinite(clip.keypoints)
    places = np.where(known, np.round(np.nan_to_num(clip.keypoints) * scale), MISSING)
    measured = {} if whole is None else _angles(whole, kpt_thr)
    return {
        "title": title_of(clip),
        "about": _about(clip, ids, media),
        "size": size_wh,
        "rate": clip.sampling_rate,
        "scale": scale,
        "kpt_thr": min(kpt_thr, 1.0),
        "media": None if media is None else vars(media),
        "keypoints": clip.skeleton.keypoints,
        "links": _links(clip.skeleton),
        "frames": clip.frames.tolist(),
        "times": _packed(clip.times, "<f8"),
        "rows": _packed(clip.rows, "<i4"),
        "row_people": _packed(column, "<i4"),
        "points": _packed(np.clip(places, MISSING, -MISSING - 1), "<i2"),
        "scores": _packed(np.clip(np.round(clip.scores * SCORE_STEPS), 0, 255), "u1"),
        "boxes": _packed(np.clip(np.round(clip.boxes * scale), MISSING, -MISSING - 1), "<i2"),
        "angles": list(ANGLES) if measured else [],
        "people": [
            _person(clip, index, number, measured.get(number)) for index, number in enumerate(ids)
        ]
        or [{"index": 0, "name": "", "color": person_hex(1), "first": -1, "angles": ""}],
    }


def _people(clip: Clip) -> tuple[Clip | None, tuple[int, ...]]:
    """The clip with ids, and the ids; None where nothing says who is who."""
    try:
        whole = numbered(clip)
    except InputError:
        log.warning("the people of %s have no ids: the page has no graphs of angles", clip.source)
        return None, ()
    return whole, whole.person_ids


def _angles(whole: Clip, kpt_thr: float) -> dict[int, PersonAngles]:
    if len(used_keypoints(whole.skeleton)) < 3:
        return {}
    return {person.id: person for person in person_angles(whole, AngleOptions(kpt_thr=kpt_thr))}


def _person(clip: Clip, index: int, number: int, angles: PersonAngles | None) -> dict[str, Any]:
    entry = {"index": index, "name": str(number), "color": person_hex(number), "first": -1}
    if angles is None:
        return {**entry, "angles": ""}
    degrees = np.round(angles.values * ANGLE_STEPS)
    steps = np.where(np.isfinite(degrees), np.clip(degrees, MISSING + 1, -MISSING - 1), MISSING)
    first = int(np.searchsorted(clip.frames, angles.frames[0]))
    return {**entry, "first": first, "angles": _packed(steps, "<i2")}


def _size(clip: Clip, media: Media | None) -> tuple[int, int]:
    """Size of the frames that the positions are in."""
    if clip.size_wh is not None:
        return clip.size_wh
    if media is not None:
        return media.size_wh
    known = clip.keypoints[np.isfinite(clip.keypoints).all(axis=-1)]
    if not len(known):
        return (640, 480)
    width, height = np.ceil(known.max(axis=0)).astype(int).tolist()
    return max(width, 16), max(height, 16)


def _scale(clip: Clip, size_wh: tuple[int, int]) -> float:
    """Steps per pixel: as fine as 16 bits allow."""
    far = float(np.abs(np.nan_to_num(clip.keypoints)).max(initial=0))
    # Points far outside of the image need no place in the page.
    far = min(max(far, *size_wh), 4.0 * max(size_wh))
    return min(FINEST, FARTHEST_STEP / far)


def _links(skeleton: Skeleton) -> list[list[int | str]]:
    rows: list[list[int | str]] = []
    for (first, second), color in zip(skeleton.links, skeleton.link_colors, strict=True):
        blue, green, red = color
        rows.append([first, second, f"#{red:02x}{green:02x}{blue:02x}"])
    return rows


def _about(clip: Clip, ids: tuple[int, ...], media: Media | None) -> str:
    parts = [f"{len(ids)} people" if ids else "people without ids", f"{len(clip)} frames"]
    if clip.fps:
        parts.append(f"{clip.fps:g} frames per second")
    parts.append(clip.skeleton.name)
    if media is None:
        parts.append("without the video")
    return ", ".join(parts)


def _packed(values: NDArray[Any], kind: str) -> str:
    array = np.ascontiguousarray(values, dtype=np.dtype(kind))
    return base64.b64encode(array.tobytes()).decode("ascii")
