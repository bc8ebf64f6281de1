"""Where a long video is cut: at key frames, so that no frame is decoded twice.

A part is a range of time whose ends lie between two frames, so that every frame is in one part,
with the index and time that it has in the whole video.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

from rtmpose.batch.settings import BatchSettings
from rtmpose.batch.storage import is_remote
from rtmpose.batch.units import Unit, is_photo, parts_of
from rtmpose.errors import InputError
from rtmpose.sources.kinds import is_url

log = logging.getLogger(__name__)

SHORTEST_LAST = 0.5
"""The last part is at least this fraction of the others; what would be shorter joins the one
before."""


def cut(unit: Unit, settings: BatchSettings) -> list[Unit]:
    """The parts of a unit; the unit itself where it is short, or must stay whole.

    What cannot be read stays whole: whoever works on it says why.
    """
    if not settings.cuts or len(unit.sources) > 1:
        return [unit]
    source = unit.sources[0]
    # A file elsewhere would be copied once for each part.
    if is_remote(source) or is_url(source) or is_photo(source):
        return [unit]
    try:
        moments = cut_moments(Path(source), settings.segment_s)
    except (InputError, OSError, ValueError) as error:
        log.debug("%s is not cut: %s", source, error)
        return [unit]
    first = settings.start_s
    last = settings.end_s
    inside = [t for t in moments if t > first and (last is None or t < last)]
    return parts_of(unit, settings, inside)


def cut_moments(path: Path, length_s: float) -> list[float]:
    """Seconds at which a video may be cut into parts of about a length; empty for a short one.

    The file is read once, without being decoded.

    Args:
        path: A file.
        length_s: Parts begin at the first key frame after this time.

    Raises:
        InputError: it is not a video.
    """
    # FFmpeg takes a moment to load.
    from rtmpose.sources.containers import opened_file
    from rtmpose.sources.decoding import Reading, decoded_frames, packets
    from rtmpose.sources.seeking import COUNTABLE

    with opened_file(path, str(path)) as video:
        long_enough = (video.duration_s or 0) >= (1 + SHORTEST_LAST) * length_s
        if not long_enough or video.stream.codec_context.name not in COUNTABLE:
            return []
        # Lines of one field depend on the frames around them.
        first = next(decoded_frames(video, Reading()), None)
        if first is None or first.interlaced_frame:
            return []

    with opened_file(path, str(path)) as video:
        reading = Reading()
        tick_s = float(video.stream.time_base)
        stamps: list[int] = []
        keys: set[int] = set()
        for packet in packets(video, reading):
            if packet.stream.index != video.stream.index or not packet.size:
                continue
            if packet.pts is None or packet.is_corrupt or packet.is_discard:
                return []
            if not stamps and not packet.is_keyframe:
                return []
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.add(packet.pts)
    if reading.bad_packets or not stamps:
        return []
    return _moments(stamps, keys, tick_s, length_s)


def _moments(stamps: list[int], keys: set[int], tick_s: float, length_s: float) -> list[float]:
    """The middle between a key frame and the frame before it, about every ``length_s``."""
    from rtmpose.sources.timestamps import USUAL_STEP_S

    origin = stamps[0]
    order = sorted(stamps)
    # Times that are mended, as they are uneven or repeat, are known only in the whole.
    steps = [(after - before) * tick_s for before, after in pairwise(order)]
    if order[0] != origin or any(not 0 < step <= USUAL_STEP_S for step in steps):
        return []

    end_s = (order[-1] - origin) * tick_s
    moments: list[float] = []
    last = 0.0
    for before, stamp in pairwise(order):
        time_s = (stamp - origin) * tick_s
        if stamp in keys and time_s - last >= length_s:
            if end_s - time_s < SHORTEST_LAST * length_s:
                break
            moments.append(((before - origin) + (stamp - origin)) / 2 * tick_s)
            last = time_s
    return moments
