"""Annotated pictures and videos, and a window on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from rtmpose.errors import MissingDependencyError, OutputError
from rtmpose.sources import SourceInfo, SourceItem
from rtmpose.types import Image


class PictureSink:
    """Saves what was drawn: a picture per image, a video per video, under the source's name in one
    folder.

    Files appear under their name only when they are whole.

    Args:
        folder: Made if it is not there.

    Raises:
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the folder {folder} cannot be made: {error.strerror or error}"
            ) from error
        self.folder = folder
        self.saved: list[Path] = []
        self._taken: dict[str, str] = {}
        self._writer: Any = None
        self._target = self._temporary = folder
        self._size = (0, 0)
        self._frames = 0

    def write(self, item: SourceItem, info: SourceInfo, image: Image) -> None:
        """Save a picture, or add it to the video of its source.

        Raises:
            OutputError: it cannot be written.
        """
        if item.kind in ("image", "array"):
            self._picture(item, image)
            return
        if self._writer is None:
            self._open(item, info, image)
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(image)
        self._frames += 1

    def finish(self) -> None:
        """Complete the video of the source that ended, if there is one.

        Raises:
            OutputError: the file is missing or empty: the disk may be full.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        size = self._temporary.stat().st_size if self._temporary.exists() else 0
        whole = size > 0 and _frame_count(self._temporary) >= self._frames
        if not whole:
            self._temporary.unlink(missing_ok=True)
            raise OutputError(f"{self._target} could not be written completely; is the disk full?")
        self._temporary.replace(self._target)
        self.saved.append(self._target)

    def _picture(self, item: SourceItem, image: Image) -> None:
        ending = ".png" if item.name.lower().endswith(".png") else ".jpg"
        target = self._name(item, ending)
        good, data = cv2.imencode(
            ending, image, [cv2.IMWRITE_JPEG_QUALITY, 92] if ending == ".jpg" else []
        )
        if not good:
            raise OutputError(
                f"{target} cannot be encoded: {image.shape[1]}x{image.shape[0]} pixels are too many"
                " for it"
            )
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            temporary.write_bytes(data.tobytes())
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
        self.saved.append(target)

    def _open(self, item: SourceItem, info: SourceInfo, image: Image) -> None:
        self._target = self._name(item, ".mp4")
        self._temporary = self._target.with_name(f".{self._target.stem}.tmp.mp4")
        self._size, self._frames = (image.shape[1], image.shape[0]), 0
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(self._temporary), code, info.fps or 30.0, self._size)
        if not self._writer.isOpened():
            self._writer = None
            raise OutputError(
                f"{self._target} cannot be written: is the folder writable and the disk not full?"
            )

    def _name(self, item: SourceItem, ending: str) -> Path:
        """Two sources of the same name get the names of their folders in front."""
        source = Path(item.name.split("://")[-1])
        stem = source.stem or "camera"
        if self._taken.setdefault(stem + ending, item.name) != item.name:
            stem = "_".join(p for p in (*source.parent.parts[-2:], stem) if p not in ("/", ".."))
            count = 2
            while self._taken.setdefault(stem + ending, item.name) != item.name:
                stem, count = f"{stem}_{count}", count + 1
        return self.folder / (stem + ending)


class Window:
    """Shows pictures on the screen as they come.

    Raises:
        MissingDependencyError: this OpenCV was built without windows.
    """

    def __init__(self, title: str = "rtmpose") -> None:
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise MissingDependencyError(
                "--show needs an OpenCV with windows: pip uninstall -y opencv-python-headless && "
                "pip install opencv-python"
            ) from error

    def show(self, image: Image) -> bool:
        """Show; False when the user pressed q or Escape."""
        cv2.imshow(self._title, image)
        return (cv2.waitKey(1) & 0xFF) not in (ord("q"), 27)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)


def _frame_count(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return count
