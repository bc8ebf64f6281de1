"""OpenCV's own lines on standard error, which our errors say better."""

from __future__ import annotations

import cv2


def quiet_opencv() -> None:
    """Keep OpenCV from writing its log to standard error, whatever its version."""
    # Since 4.14 only the module has the switch, before 4.5.3 only the function.
    switches = getattr(getattr(cv2, "utils", None), "logging", None)
    if switches is not None and hasattr(switches, "setLogLevel"):
        switches.setLogLevel(getattr(switches, "LOG_LEVEL_SILENT", 0))
    elif hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)
