"""A window on the screen."""

from __future__ import annotations

import cv2

from rtmpose.errors import MissingDependencyError
from rtmpose.types import Image
from rtmpose.writers.base import FrameRecord

QUIT_KEYS = (ord("q"), 27)  # 27 is Escape


class Window:
    """Shows frames as they come.

    Frames may be handed over by any thread; the window itself is used only by the thread that calls
    :meth:`refresh`, as some systems allow windows in the main thread only.

    Raises:
        MissingDependencyError: this OpenCV was built without windows.
    """

    def __init__(self, title: str = "rtmpose") -> None:
        self._title = title
        self._latest: Image | None = None
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise MissingDependencyError(
                "--show needs an OpenCV with windows: pip uninstall -y opencv-python-headless && "
                "pip install opencv-python"
            ) from error

    def write(self, record: FrameRecord) -> None:
        """Hand over the frame to show next."""
        self._latest = record.drawn

    def refresh(self) -> bool:
        """Show the latest image; False when the user pressed q or Escape."""
        # Taken once: a frame that was shown is not shown again.
        latest = self._latest
        self._latest = None
        if latest is not None:
            cv2.imshow(self._title, latest)
        # waitKey also lets the window react to the user.
        return (cv2.waitKey(1) & 0xFF) not in QUIT_KEYS

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)

    def abandon(self) -> None:
        """Close the window."""
        self.close()
