"""Angles over time: joints and segments in small panels, left and right in two colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.kinematics.angles import PersonAngles
from rtmpose.kinematics.clips import ClipAngles
from rtmpose.kinematics.tables import filter_note
from rtmpose.plots.figures import (
    CENTER_COLOR,
    GRAY,
    LEFT_COLOR,
    RIGHT_COLOR,
    new_figure,
    one_picture,
    save_figure,
    say_nothing,
    styled,
)
from rtmpose.writers.clip_names import ClipNames
from rtmpose.writers.lab_options import title_of

PANELS = (
    "ankle_dorsiflexion",
    "knee_flexion",
    "hip_flexion",
    "shoulder_flexion",
    "elbow_flexion",
    "foot",
    "shank",
    "thigh",
    "arm",
    "forearm",
    "trunk",
    "head",
)
COLUMNS = 4
MOST_PEOPLE = 6
"""In one picture: of more, those that are seen longest."""
PARTS = (("left_", LEFT_COLOR), ("right_", RIGHT_COLOR), ("", CENTER_COLOR))


class AnglePictures:
    """Draws the angles of clips one after the other, a block of panels for each person.

    Args:
        path: A picture, or a folder for several clips.
        several: Whether there are several.

    Attributes:
        written: Paths so far.
    """

    def __init__(self, path: Path) -> None:
        self.written: list[Path] = []
        self._path = path
        self._names = ClipNames()
        self._is_file = bool(path.suffix) and not path.is_dir()

    def check(self, *, several: bool) -> None:
        """Refuse the name of one file for several clips.

        Raises:
            InputError: it is one.
        """
        if several and self._is_file:
            raise one_picture(self._path)

    def draw(self, clip: ClipAngles) -> None:
        """Draw the next clip.

        Raises:
            OutputError: it cannot be written.
        """
        target = self._path
        if not self._is_file:
            target = self._path / f"{self._names.name(clip.clip)}.png"
        save_figure(angles_figure(clip), target)
        self.written.append(target)


def angles_figure(clip: ClipAngles) -> Any:
    """The figure of one clip."""
    people = sorted(clip.people, key=lambda person: -len(person.frames))[:MOST_PEOPLE]
    people.sort(key=lambda person: person.id)
    rows = len(PANELS) // COLUMNS
    figure = new_figure(13, 0.6 + 5.2 * max(len(people), 1))
    title = f"{title_of(clip.clip)}: angles in degrees"
    if len(people) < len(clip.people):
        title += f" ({len(people)} of {len(clip.people)} people, those seen longest)"
    with styled():
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        blocks = figure.subfigures(max(len(people), 1), 1, squeeze=False)[:, 0]
        for block, person in zip(blocks, people, strict=False):
            axes = block.subplots(rows, COLUMNS, sharex=True)
            block.suptitle(_caption(person, clip), fontsize=8, color=GRAY, x=0.01, ha="left")
            for place, name in zip(axes.ravel(), PANELS, strict=True):
                _panel(place, person, name)
            for place in axes[-1]:
                place.set_xlabel("seconds")
        if not people:
            say_nothing(blocks[0].subplots(), "nobody was seen")
    return figure


def _caption(person: PersonAngles, clip: ClipAngles) -> str:
    right = person.facing.signs > 0
    facing = "right" if right.all() else "left" if not right.any() else "left and right"
    return (
        f"person {person.id}, facing {facing}. Left side blue, right side orange."
        f" {filter_note(person, clip.options)}"
    )


def _panel(axes: Any, person: PersonAngles, name: str) -> None:
    axes.set_title(name.replace("_", " "))
    axes.axhline(0, color=GRAY, linewidth=0.7)
    shown = False
    # A single frame is a point, not a line.
    marker = "o" if len(person.frames) < 3 else ""
    for prefix, color in PARTS:
        if prefix + name not in person.names:
            continue
        values = person.values[:, person.names.index(prefix + name)]
        if np.isfinite(values).any():
            axes.plot(person.times, values, color=color, linewidth=1.4, marker=marker)
            shown = True
    if not shown:
        say_nothing(axes, "not seen")
