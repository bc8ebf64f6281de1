"""An annotated image, as JPEG or PNG."""

from __future__ import annotations

from pathlib import Path

import cv2

from rtmpose.errors import OutputError
from rtmpose.files import AtomicFile, output_errors
from rtmpose.writers.base import FrameRecord, WriterContext

JPEG_QUALITY = 92


class ImageWriter:
    """One drawn image; the format is that of the path's suffix."""

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)

    def write(self, record: FrameRecord) -> None:
        """Encode the image."""
        assert record.drawn is not None
        # In memory first: OpenCV's own writer does not say why it fails.
        is_jpeg = self.path.suffix.lower() in (".jpg", ".jpeg")
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if is_jpeg else []
        height, width = record.drawn.shape[:2]
        refusal = OutputError(
            f"{self.path} cannot be encoded: the format does not hold {width}x{height} pixels"
        )
        # OpenCV 4.8 raises where later versions answer.
        try:
            good, data = cv2.imencode(self.path.suffix, record.drawn, options)
        except cv2.error as error:
            raise refusal from error
        if not good:
            raise refusal
        with output_errors(self.path):
            self._file.open_binary().write(data.tobytes())

    def close(self) -> None:
        """Complete the file."""
        # Thousands of images are written without waiting for the disk each time.
        self._file.commit(sync=False)

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()
