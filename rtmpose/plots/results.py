"""Results at a glance: trajectories over a frame, time line of people, speeds and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.kinematics.angles import numbered, presence
from rtmpose.kinematics.body import mean_of_known
from rtmpose.kinematics.smoothing import runs
from rtmpose.plots.figures import (
    new_figure,
    one_picture,
    person_hex,
    save_figure,
    say_nothing,
    styled,
)
from rtmpose.types import Image, Skeleton
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames
from rtmpose.writers.lab_options import title_of

KINDS = ("all", "trajectories", "people", "speeds", "scores")
FOLLOWED = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
"""Points whose speed is drawn by default, of the sets that have them."""
MOST_PEOPLE = 12
"""With lines of their own: of more, those that are seen longest."""
MOST_NAMED_ROWS = 40
FRAME_CONTRAST = 0.6
"""What is left of the frame's contrast below trajectories."""


@dataclass(frozen=True, eq=False)
class Track:
    """One person over the frames from their first to their last.

    Attributes:
        id: Number of the person.
        times: ``(F,)`` seconds.
        points: ``(F, K, 2)`` pixels; NaN where not seen, or scored too low.
        scores: ``(F, K)``; NaN where the person is not seen.
        boxes: ``(F, 4)`` xyxy.
    """

    id: int
    times: NDArray[np.float64]
    points: NDArray[np.float64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]

    @property
    def centers(self) -> NDArray[np.float64]:
        """``(F, 2)`` middles of the boxes."""
        return np.asarray((self.boxes[:, :2] + self.boxes[:, 2:]) / 2, np.float64)


@dataclass(frozen=True, eq=False)
class Overview:
    """What is drawn of one clip.

    Attributes:
        clip: The results.
        tracks: Everybody, by their number.
        points: Names of the keypoints that are followed.
        image: A frame, BGR; None where there is none.
    """

    clip: Clip
    tracks: list[Track]
    points: tuple[str, ...]
    image: Image | None = None

    @property
    def longest(self) -> list[Track]:
        """Those that are seen longest, by their number."""
        most = sorted(self.tracks, key=lambda track: -len(track.times))[:MOST_PEOPLE]
        return sorted(most, key=lambda track: track.id)


def overview(
    clip: Clip, *, kpt_thr: float, points: Sequence[str] = (), image: Image | None = None
) -> Overview:
    """What is drawn of a clip.

    Raises:
        InputError: a point is not in the keypoint set, or nothing says who is who.
    """
    names = tuple(points) or followed(clip.skeleton)
    for name in names:
        if name not in clip.skeleton.keypoints:
            known = ", ".join(clip.skeleton.keypoints[:26])
            raise InputError(f"{clip.skeleton.name} has no keypoint {name!r}; there are {known}")
    tracks: list[Track] = []
    whole = numbered(clip)
    for number in whole.person_ids:
        person = presence(whole.people([number]))
        scores = person.tracks().scores[:, 0]
        seen = person.without_points_below(kpt_thr).tracks()
        places = seen.keypoints[:, 0].astype(np.float64)
        tracks.append(Track(number, person.times, places, scores, seen.boxes[:, 0]))
    return Overview(clip, tracks, names, image)


def followed(skeleton: Skeleton) -> tuple[str, ...]:
    """Hands and feet, or the first points of sets without them."""
    body = tuple(name for name in FOLLOWED if name in skeleton.keypoints)
    return body or skeleton.keypoints[:4]


def plot_results(views: Iterable[Overview], path: Path, kind: str = "all") -> Iterator[Path]:
    """Draw clips, a picture for each; gives each path when it is written.

    Args:
        views: What to draw.
        path: A picture, or a folder for several clips.
        kind: One of :data:`KINDS`.

    Raises:
        InputError: the name of one file for several clips.
        OutputError: it cannot be written.
    """
    if path.suffix and not path.is_dir():
        # A second clip is noticed before the only picture is written.
        first = list(islice(views, 2))
        if len(first) != 1:
            raise one_picture(path)
        save_figure(results_figure(first[0], kind), path)
        yield path
        return
    names = ClipNames()
    for view in views:
        target = path / f"{names.name(view.clip)}.png"
        save_figure(results_figure(view, kind), target)
        yield target


def results_figure(view: Overview, kind: str = "all") -> Any:
    """The figure of one clip."""
    panels: dict[str, Callable[[Any, Overview], None]] = {
        "trajectories": draw_trajectories,
        "people": draw_people,
        "speeds": draw_speeds,
        "scores": draw_scores,
    }
    whole = kind == "all"
    figure = new_figure(14, 9) if whole else new_figure(10, 6)
    with styled():
        figure.suptitle(_title(view), x=0.01, ha="left", fontweight="bold")
        if not whole:
            panels[kind](figure.subplots(), view)
            return figure
        for axes, draw in zip(figure.subplots(2, 2).ravel(), panels.values(), strict=True):
            draw(axes, view)
    return figure


def draw_trajectories(axes: Any, view: Overview) -> None:
    """Where everybody went: the middle of each box over time, over the frame."""
    axes.set_title("trajectories, with a dot at the end")
    width, height = view.clip.size_wh or (0, 0)
    if view.image is not None:
        height, width = view.image.shape[:2]
        # Paler, so that lines stand out.
        shown = 255 - (255 - view.image[..., ::-1].astype(np.float32)) * FRAME_CONTRAST
        axes.imshow(shown.astype(np.uint8), aspect="equal")
    elif width:
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.set_aspect("equal")
    else:
        axes.invert_yaxis()
        axes.set_aspect("equal", adjustable="datalim")
    axes.grid(False)
    axes.set_xlabel("pixels")
    for track in view.longest:
        color = person_hex(track.id)
        centers = track.centers
        known = np.flatnonzero(np.isfinite(centers[:, 0]))
        if not len(known):
            continue
        # A white line below makes it readable on any frame.
        axes.plot(centers[:, 0], centers[:, 1], color="white", linewidth=4, alpha=0.7)
        axes.plot(centers[:, 0], centers[:, 1], color=color, linewidth=2)
        x, y = centers[known[-1]]
        axes.plot([x], [y], "o", color=color, markeredgecolor="white", markersize=8)
        axes.annotate(
            str(track.id), (x, y), xytext=(6, 6), textcoords="offset points", color="black",
            fontweight="bold", bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
        )  # fmt: skip
    if not view.tracks:
        say_nothing(axes, "nobody was seen")


def draw_people(axes: Any, view: Overview) -> None:
    """When everybody was seen."""
    axes.set_title(f"time line of {len(view.tracks)} people")
    axes.set_xlabel("seconds")
    step = 1 / view.clip.sampling_rate
    for row, track in enumerate(view.tracks):
        spans: list[tuple[float, float]] = []
        for run in runs(np.isfinite(track.boxes[:, 0])):
            first, last = track.times[run.start], track.times[run.stop - 1]
            spans.append((float(first), float(last - first) + step))
        axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=person_hex(track.id))
    axes.set_ylabel("person")
    axes.set_ylim(max(len(view.tracks), 1) - 0.5, -0.5)
    every = max(len(view.tracks) // MOST_NAMED_ROWS + 1, 1)
    named = range(0, len(view.tracks), every)
    axes.set_yticks(list(named), [str(view.tracks[row].id) for row in named])
    axes.grid(axis="y", visible=False)
    _set_time(axes, view)
    if not view.tracks:
        say_nothing(axes, "nobody was seen")


def draw_speeds(axes: Any, view: Overview) -> None:
    """How fast the followed points move, the fastest of them for each person."""
    names = ", ".join(name.replace("_", " ") for name in view.points)
    axes.set_title(f"speed, the fastest of {names}", fontsize=9)
    axes.set_ylabel("pixels per second")
    axes.set_xlabel("seconds")
    indices = [view.clip.skeleton.keypoints.index(name) for name in view.points]
    top: list[float] = []
    for track in view.longest:
        values = speeds(track, indices)
        if not np.isfinite(values).any():
            continue
        fastest = np.max(np.where(np.isfinite(values), values, -1.0), axis=1)
        fastest[fastest < 0] = np.nan
        color = person_hex(track.id)
        axes.plot(track.times, fastest, color=color, label=str(track.id), linewidth=1.3)
        top.append(float(np.nanquantile(fastest, 0.99)))
    if not top:
        say_nothing(axes, "nobody moves: it takes two frames")
        return
    # Single jumps of a point should not flatten the rest.
    axes.set_ylim(0, max(max(top) * 1.15, 1e-3))
    _set_time(axes, view)
    _legend(axes, view)


def draw_scores(axes: Any, view: Overview) -> None:
    """The mean score of the keypoints of each person."""
    axes.set_title("mean score of the keypoints")
    axes.set_xlabel("seconds")
    shown = False
    for track in view.longest:
        mean = mean_of_known(track.scores.T.astype(np.float64))
        if np.isfinite(mean).any():
            marker = "o" if len(mean) < 3 else ""
            axes.plot(track.times, mean, color=person_hex(track.id), label=f"{track.id}",
                      linewidth=1.3, marker=marker)  # fmt: skip
            shown = True
    axes.set_ylim(bottom=0)
    _set_time(axes, view)
    if shown:
        _legend(axes, view)
    else:
        say_nothing(axes, "nobody was seen")


def speeds(track: Track, indices: list[int]) -> NDArray[np.float64]:
    """``(F, N)`` pixels per second of some points; NaN where a neighbor is missing."""
    times = track.times
    if len(times) < 2 or (np.diff(times) <= 0).any():
        return np.full((len(times), len(indices)), np.nan)
    velocity = np.gradient(track.points[:, indices], times, axis=0)
    return np.asarray(np.hypot(velocity[..., 0], velocity[..., 1]), np.float64)


def _set_time(axes: Any, view: Overview) -> None:
    times = view.clip.times
    if len(times) > 1 and times[-1] > times[0]:
        axes.set_xlim(float(times[0]), float(times[-1]))


def _legend(axes: Any, view: Overview) -> None:
    columns = 1 if len(view.longest) < 7 else 2
    # Beside the lines, so that it covers none of them.
    axes.legend(title="person", loc="upper left", bbox_to_anchor=(1, 1), ncols=columns, fontsize=8)


def _title(view: Overview) -> str:
    clip = view.clip
    text = f"{title_of(clip)}: {len(view.tracks)} people, {len(clip)} frames"
    if not clip.still and len(clip) > 1:
        text += f", {clip.times[-1] - clip.times[0]:.1f} s"
    if len(view.tracks) > MOST_PEOPLE:
        text += f" (lines: the {MOST_PEOPLE} seen longest)"
    return text
