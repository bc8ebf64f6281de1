"""What every output format is given, and what it must offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtmpose.types import Image, Poses, Skeleton


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """The results of one frame, as every format gets them.

    Attributes:
        source: Name of the source: a path, URL or camera index.
        index: Position of the frame in its source, from 0.
        time_s: Seconds since the start of the source.
        poses: The people, with ids where they are tracked.
        filled: ``(N,)`` which people were interpolated over a gap; None where none were.
        still: The source is a single image.
        drawn: The frame with the people drawn on it, BGR uint8 ``(H, W, 3)``; only image, video
            and window need it, the others get None.
        size_wh: Width and height of the frame in pixels; None where it is not known any more.
    """

    source: str
    index: int
    time_s: float
    poses: Poses
    filled: NDArray[np.bool_] | None = None
    still: bool = False
    drawn: Image | None = None
    size_wh: tuple[int, int] | None = None

    def person_id(self, i: int) -> int:
        """The track id of person ``i``, or -1 without tracking."""
        return -1 if self.poses.ids is None else int(self.poses.ids[i])

    def is_filled(self, i: int) -> bool:
        """Whether person ``i`` was interpolated."""
        return self.filled is not None and bool(self.filled[i])


@dataclass(frozen=True)
class WriterContext:
    """What a format may need to know before the first frame.

    Attributes:
        skeleton: The keypoint set of all poses.
        fps: Frames per second at which an annotated video is played.
        still: The source is a single image.
        sound_of: Video file whose sound goes into an annotated video.
        sound_from_s: Second of it at which the frames begin.
        models: What each network is for (``pose``, ``detector``) to its id.
        networks: Likewise to the engine, precision and device that run it.
        frame_rates: Source to its frames per second, where that is known.
        openpose_format: One of :data:`rtmpose.writers.openpose_layouts.LAYOUTS`.
    """

    skeleton: Skeleton
    fps: float = 30.0
    still: bool = False
    sound_of: Path | None = None
    sound_from_s: float = 0.0
    models: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    frame_rates: Mapping[str, float] = field(default_factory=dict)
    openpose_format: str = "auto"

    def fps_of(self, source: str) -> float | None:
        """Frames per second of a source; None where unknown."""
        return self.frame_rates.get(source)


class Writer(Protocol):
    """One file or folder of one format, open for writing; made from a path and a
    :class:`WriterContext`.

    It appears under its name when :meth:`close` returns, and not before.
    """

    def write(self, record: FrameRecord) -> None:
        """Add a frame.

        Raises:
            OutputError: the disk is full or gone.
        """

    def close(self) -> None:
        """Complete the file.

        Raises:
            OutputError: it cannot be completed; nothing of it stays.
        """

    def abandon(self) -> None:
        """Forget the file; what had its name before is untouched."""
