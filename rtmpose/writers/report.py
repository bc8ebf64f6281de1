"""What a job says of itself: while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rtmpose.types import Poses


@dataclass(frozen=True)
class JobProgress:
    """How far a job is; handed to ``on_progress`` after every frame.

    Attributes:
        source: The source of the latest frame.
        frames: Frames done in this group of sources.
        total: Frames of the group, where that is known.
        fps: Frames per second so far in this group.
        stage: ``estimate``, or ``write`` while smoothed results are written.
    """

    source: str
    frames: int
    total: int | None
    fps: float
    stage: str = "estimate"


@dataclass
class JobReport:
    """What a job did.

    Attributes:
        frames: Frames that got poses.
        people: Different people where they are tracked, else people summed over the frames.
        seconds: Wall-clock time.
        skipped: Sources finished by an earlier run.
        written: Files and folders that are complete, in order.
        failures: What was wrong with each source that failed.
        left_out: Lines on files of the given folders that were not taken, such as text files.
        dropped: Frames of live sources thrown away to stay up to date.
        stopped: The user closed the window.
        last: The poses of the last frame.
    """

    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    skipped: int = 0
    written: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    dropped: int = 0
    stopped: bool = False
    last: Poses | None = None
