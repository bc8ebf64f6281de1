"""Ids corrected by hand: two people swapped from a frame on, ids merged, ids left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.writers.clip import Clip

SWAP = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*(?:@\s*(\d+)\s*)?")
IDS = re.compile(r"\s*\d+(\s*,\s*\d+)*\s*")


@dataclass(frozen=True)
class Swap:
    """Two people whose ids are exchanged.

    Attributes:
        first: Id of one.
        second: Id of the other.
        frame: Number of the first frame in which they are; None for the whole clip.
    """

    first: int
    second: int
    frame: int | None = None


@dataclass(frozen=True)
class IdCorrections:
    """What is corrected, in this order.

    Attributes:
        swaps: One after the other.
        merges: Ids of one person each; the first of them is kept.
        drops: Ids of people who are left out.
    """

    swaps: tuple[Swap, ...] = ()
    merges: tuple[tuple[int, ...], ...] = ()
    drops: tuple[int, ...] = ()

    @classmethod
    def parsed(
        cls, swaps: Sequence[str], merges: Sequence[str], drops: Sequence[str]
    ) -> IdCorrections:
        """Corrections as they are typed: ``1,2@350``, ``3,7`` and ``9``.

        Raises:
            InputError: a text cannot be read.
        """
        return cls(
            tuple(_swap(text) for text in swaps),
            tuple(_merge(text) for text in merges),
            tuple(number for text in drops for number in _ids("--drop-ids", text, "9 or 8,9")),
        )

    def __bool__(self) -> bool:
        return bool(self.swaps or self.merges or self.drops)

    def of_only(self, clips: Iterable[Clip]) -> Iterator[Clip]:
        """The only clip, corrected.

        Raises:
            InputError: there are several, which have ids of their own, or see :meth:`apply`.
        """
        found = list(islice(clips, 2))
        if len(found) > 1:
            raise InputError(
                f"ids are those of one source, and there are {found[0].source},"
                f" {found[1].source}, ...: choose with --source"
            )
        yield from map(self.apply, found)

    def apply(self, clip: Clip) -> Clip:
        """A clip with corrected ids.

        Raises:
            InputError: an id or a frame does not exist, or two ids are of one person who would then
                be twice in a frame.
        """
        for swap in self.swaps:
            clip = _swapped(clip, swap)
        for ids in self.merges:
            clip = _merged(clip, ids)
        if self.drops:
            # Says which ids there are.
            clip.people(self.drops)
            clip = clip.rows_where(~np.isin(_ids_of(clip), self.drops))
        return clip


def _swapped(clip: Clip, swap: Swap) -> Clip:
    clip.people([swap.first, swap.second])
    ids = _ids_of(clip)
    later = np.ones(len(ids), bool)
    if swap.frame is not None:
        first, last = int(clip.frames[0]), int(clip.frames[-1])
        if not first <= swap.frame <= last:
            raise InputError(
                f"there is no frame {swap.frame} in {clip.source}; its frames go from {first} to"
                f" {last}"
            )
        later = clip.frames[clip.rows] >= swap.frame
    changed = ids.copy()
    changed[later & (ids == swap.first)] = swap.second
    changed[later & (ids == swap.second)] = swap.first
    return replace(clip, ids=changed)


def _merged(clip: Clip, ids: Sequence[int]) -> Clip:
    own = clip.people(ids)
    frames, counts = np.unique(own.rows, return_counts=True)
    twice = frames[counts > 1]
    if len(twice):
        shown = ", ".join(str(number) for number in ids)
        raise InputError(
            f"the ids {shown} of {clip.source} are not one person: two of them are seen in frame"
            f" {clip.frames[twice[0]]} ({len(twice)} frames in all); swap or drop ids first"
        )
    numbers = _ids_of(clip)
    return replace(clip, ids=np.where(np.isin(numbers, ids), np.int64(ids[0]), numbers))


def _ids_of(clip: Clip) -> NDArray[np.int64]:
    """The ids of a clip whose people were asked for, which refuses those without."""
    assert clip.ids is not None
    return clip.ids


def _swap(text: str) -> Swap:
    match = SWAP.fullmatch(text)
    if match is None or match[1] == match[2]:
        raise InputError(
            f"--swap-ids takes two ids and the frame from which on they are swapped, such as"
            f" 1,2@350, or two ids, not {text!r}"
        )
    return Swap(int(match[1]), int(match[2]), None if match[3] is None else int(match[3]))


def _merge(text: str) -> tuple[int, ...]:
    ids = _ids("--merge-ids", text, "3,7")
    if len(set(ids)) < 2:
        raise InputError(f"--merge-ids takes two ids or more, such as 3,7, not {text!r}")
    return ids


def _ids(option: str, text: str, example: str) -> tuple[int, ...]:
    if IDS.fullmatch(text) is None:
        raise InputError(f"{option} takes ids such as {example}, not {text!r}")
    return tuple(dict.fromkeys(int(part) for part in text.split(",")))
