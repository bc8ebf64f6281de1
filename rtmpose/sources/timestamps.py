"""The moments of a video's frames: from 0, always growing, whatever the container's stamps do.

Stamps are followed as long as they go forward by sensible steps. One that does not (missing, the
same again, backward, far ahead) is set against the two that come after it:

- the stamps go on from before it: it was an outlier. Its frame is put between its neighbors.
- the stamps go on from it: the clock has changed. A gap of up to a minute is a pause, and kept.
  After a longer one, or one backward, time goes on from here (two recordings in one file).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

PERSISTENT = 3
"""Frames for which a jump must last to be believed."""
USUAL_STEP_S = 1.0
USUAL_STEPS = 10.0
"""A step forward is believed at once up to this time, or this multiple of the step before it."""
LONGEST_PAUSE_S = 60.0
"""A gap up to this length is a pause in the recording; a longer one is another clock."""
LEAST_STEP_S = 1e-6
CREEP = 0.1
"""Part of a step by which time goes on while it waits for stamps that are behind."""


def steady_times(
    frames: Iterable[tuple[float | None, T]],
    step_s: float,
    name: str = "the video",
    *,
    origin: float | None = None,
) -> Iterator[tuple[float, T]]:
    """Give each frame its moment.

    Args:
        frames: The container's stamp in seconds, None where it has none; and anything.
        step_s: Seconds from frame to frame where no stamp says.
        name: Names the video in the log.
        origin: Stamp of the video's first frame, where reading begins later; None at the start.

    Yields:
        Seconds since the first frame, strictly growing; and what came with the stamp. Frames are
        held back, two at most, only where a stamp is out of line.
    """
    source = iter(frames)
    waiting: deque[tuple[float | None, T]] = deque()
    clock: _Clock | None = None
    while True:
        _fill(waiting, source, 1)
        if not waiting:
            return
        stamp = waiting[0][0]
        if clock is None:
            clock = _Clock(stamp, step_s, name, origin)
            yield clock.time, waiting.popleft()[1]
        elif stamp is not None and clock.in_line(stamp):
            yield clock.follow(stamp), waiting.popleft()[1]
        else:
            _fill(waiting, source, PERSISTENT)
            for moment in clock.resolve([s for s, _ in waiting]):
                yield moment, waiting.popleft()[1]


def _fill(
    waiting: deque[tuple[float | None, T]], source: Iterator[tuple[float | None, T]], n: int
) -> None:
    while len(waiting) < n:
        entry = next(source, None)
        if entry is None:
            return
        waiting.append(entry)


class _Clock:
    """The moment of the last frame, and how stamps become moments."""

    def __init__(
        self, stamp: float | None, step_s: float, name: str, origin: float | None = None
    ) -> None:
        self.step = step_s
        self.stamp = stamp
        first = stamp if origin is None else origin
        self.shift = 0.0 if first is None else -first
        self.time = 0.0 if stamp is None else stamp + self.shift
        self.name = name
        self.told = False

    def in_line(self, stamp: float) -> bool:
        """Whether a stamp is a sensible step after the last good one."""
        if self.stamp is None:
            return False
        step = stamp - self.stamp
        return LEAST_STEP_S <= step <= max(USUAL_STEP_S, USUAL_STEPS * self.step)

    def follow(self, stamp: float) -> float:
        """The moment of a good stamp."""
        assert self.stamp is not None
        self.step = stamp - self.stamp
        self.stamp = stamp
        return self._advance(stamp + self.shift)

    def resolve(self, stamps: list[float | None]) -> list[float]:
        """Moments of the first frame, or first two, of those waiting; the first is out of line."""
        # The stamps go on from before: what is between was an outlier.
        for ahead, stamp in enumerate(stamps[1:], 1):
            if stamp is not None and self.in_line(stamp):
                room = stamp + self.shift - self.time
                step = min(self.step, room / (ahead + 1))
                return [self._advance(self.time + step) for _ in range(ahead)]

        # They go on from here: a pause, or another clock.
        first = stamps[0]
        if first is not None and _is_chain(stamps):
            gap = None if self.stamp is None else first - self.stamp
            whole = len(stamps) == PERSISTENT
            if gap is not None and LEAST_STEP_S <= gap <= LONGEST_PAUSE_S:
                self.stamp = first
                return [self._advance(first + self.shift)]
            if whole and gap != 0:
                return [self._restart(first, gap)]
        return [self._advance(self.time + self.step)]

    def _restart(self, stamp: float, gap: float | None) -> float:
        """Go on from a stamp of another clock."""
        if gap is not None and not self.told:
            self.told = True
            log.warning(
                "%s: the time stamps jump by %+.1f s at %.1f s and go on from there; the jump is"
                " left out",
                self.name,
                gap,
                self.time,
            )
        moment = self._advance(self.time + self.step)
        self.stamp = stamp
        self.shift = moment - stamp
        return moment

    def _advance(self, moment: float) -> float:
        # Behind already: creep until the stamps have caught up.
        if moment < self.time + LEAST_STEP_S:
            moment = self.time + max(LEAST_STEP_S, CREEP * self.step)
        self.time = moment
        return moment


def _is_chain(stamps: list[float | None]) -> bool:
    """Whether stamps grow by steps no longer than a pause."""
    for before, after in pairwise(stamps):
        if before is None or after is None or not LEAST_STEP_S <= after - before <= LONGEST_PAUSE_S:
            return False
    return True
