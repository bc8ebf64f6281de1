"""One frame of a tracked video: what :func:`rtmpose.track` yields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtmpose.sources import SourceItem
from rtmpose.types import Frame, Image, Poses


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame with the people in it: what :func:`rtmpose.track` yields.

    Iterating gives ``frame, poses``, so ``for frame, poses in track(...)`` works too.

    Attributes:
        item: The source.
        frame: The frame.
        poses: With ids.
    """

    item: SourceItem
    frame: Frame
    poses: Poses

    def __iter__(self) -> Iterator[Any]:
        return iter((self.frame, self.poses))

    def __repr__(self) -> str:
        return f"TrackedFrame({self.frame!r}, {self.poses!r})"

    def draw(self, *, ids: bool = True, **options: Any) -> Image:
        """A copy of the image with skeletons and ids drawn on it.

        Args:
            ids: Write the ids.
            **options: As in :func:`rtmpose.draw_poses`.
        """
        from rtmpose.draw import draw_ids, draw_poses

        canvas = draw_poses(self.frame.image, self.poses, **options)
        if ids:
            draw_ids(canvas, self.poses)
        return canvas

    def save(self, path: str | Path, *, ids: bool = True, **options: Any) -> Path:
        """Write the drawn image; its suffix says the format, options are those of :meth:`draw`.

        Raises:
            OutputError: it cannot be written.
        """
        from rtmpose import drawn

        return drawn.save(path, self.draw(ids=ids, **options))

    def show(self, *, ids: bool = True, **options: Any) -> None:
        """Open the drawn image in this machine's viewer; options as in :meth:`draw`.

        Raises:
            MissingDependencyError: Pillow is not installed.
        """
        from rtmpose import drawn

        drawn.show(self.draw(ids=ids, **options))

    def _repr_png_(self) -> bytes:
        """The drawn image, which notebooks show."""
        from rtmpose import drawn

        return drawn.png(self.draw())
