"""Annotated videos: H.264 with the source's sound where PyAV is installed, else MPEG-4 through
OpenCV.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtmpose.errors import OutputError
from rtmpose.files import AtomicFile, output_errors
from rtmpose.types import Image
from rtmpose.writers.base import FrameRecord, WriterContext

log = logging.getLogger(__name__)

CLOCK_HZ = 90_000
"""Ticks per second of the time stamps, as is usual in MP4."""


class VideoWriter:
    """The drawn frames of one source as an MP4 file, each at its own moment."""

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._encoder = VideoEncoder(
            path, context.fps, sound_of=context.sound_of, sound_from_s=context.sound_from_s
        )
        self._first_s: float | None = None

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        assert record.drawn is not None
        # Time starts with the first frame, wherever that lies in the source.
        if self._first_s is None:
            self._first_s = record.time_s
        self._encoder.write(record.drawn, record.time_s - self._first_s)

    def close(self) -> None:
        """Complete the file."""
        self._encoder.close()

    def abandon(self) -> None:
        """Forget the file."""
        self._encoder.abandon()


class VideoEncoder:
    """Encodes one video; it appears under its name when :meth:`close` returns. A context manager.

    Args:
        path: Ends in ``.mp4``.
        fps: Frames per second; frames may come later than that says, never earlier.
        sound_of: A video whose sound is copied, from ``sound_from_s`` on.
        sound_from_s: Seconds skipped of the sound.
        codec: ``h264`` (needs PyAV), ``mpeg4``, or ``auto`` for the better one that is available.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        *,
        sound_of: Path | None = None,
        sound_from_s: float = 0.0,
        codec: str = "auto",
    ) -> None:
        self.path = path
        self.frames = 0
        self.codec = ("h264" if has_h264() else "mpeg4") if codec == "auto" else codec
        self._fps = fps
        self._sound_of = sound_of
        self._sound_from_s = sound_from_s
        self._file = AtomicFile(path, suffix=".mp4")
        self._size_wh: tuple[int, int] | None = None
        self._last_stamp = 0
        # PyAV's container and streams, or OpenCV's writer: neither has types.
        self._container: Any = None
        self._stream: Any = None
        self._sound: Any = None
        self._writer: Any = None

    def write(self, image: Image, time_s: float | None = None) -> None:
        """Add a frame.

        Args:
            image: BGR uint8; later ones are scaled to the size of the first.
            time_s: Its moment, from the first frame on; without it frames follow at ``fps``.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with output_errors(self.path):
                # The first frame decides the size.
                if self._size_wh is None:
                    self._size_wh = self._open(image)
                if (image.shape[1], image.shape[0]) != self._size_wh:
                    image = np.asarray(
                        cv2.resize(image, self._size_wh, interpolation=cv2.INTER_AREA)
                    )
                if self._container is None:
                    self._writer.write(image)
                else:
                    self._encode(image, time_s)
        except ValueError as error:  # PyAV's, for what the encoder does not take
            raise OutputError(f"{self.path} cannot be encoded: {error}") from error
        self.frames += 1

    def close(self) -> None:
        """Complete the file. A video without frames is not written.

        Raises:
            OutputError: it could not be completed: the disk may be full. Nothing of it stays.
        """
        if not self.frames:
            self.abandon()
            return
        try:
            with output_errors(self.path):
                if self._container is not None:
                    # The frames that the encoder still holds.
                    for packet in self._stream.encode():
                        self._container.mux(packet)
                    self._copy_sound()
                self._release()
                # OpenCV says nothing of a full disk.
                if self.codec != "h264" and _frame_count(self._file.temporary) < self.frames:
                    raise OutputError(
                        f"{self.path} could not be written completely; is the disk full?"
                    )
        except BaseException:
            self.abandon()
            raise
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        with suppress(OSError):
            self._release()
        self._file.abandon()

    def __enter__(self) -> VideoEncoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What was drawn until an error is worth keeping.
        self.close()

    def _release(self) -> None:
        """Close the encoder and what it reads from."""
        container = self._container
        writer = self._writer
        sound = self._sound
        self._container = self._writer = self._sound = None
        try:
            if container is not None:
                container.close()
            if writer is not None:
                writer.release()
        finally:
            if sound is not None:
                sound[0].close()

    def _open(self, image: Image) -> tuple[int, int]:
        """Start the encoder for frames like this one; its size, width first."""
        path = str(self._file.temporary)
        height, width = image.shape[:2]
        if self.codec != "h264":
            size_wh = (width, height)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(path, code, self._fps, size_wh)
            if not self._writer.isOpened():
                raise OutputError(
                    f"{self.path} cannot be written: is the folder writable and the disk not full?"
                )
            return size_wh

        # H.264 through PyAV.
        import av

        # Color at half the resolution needs even sides.
        size_wh = (max(2, width - width % 2), max(2, height - height % 2))

        self._container = av.open(path, "w", format="mp4")
        self._stream = self._container.add_stream(
            "libx264", rate=Fraction(self._fps).limit_denominator(1001)
        )
        self._stream.width, self._stream.height = size_wh
        self._stream.pix_fmt = "yuv420p"

        # As good as "superfast" at 21 (PSNR of a street) for half its work, as the networks need
        # the cores; with the entropy coding that "ultrafast" leaves out, files are little larger.
        coding = "cabac=1:8x8dct=1:deblock=0,0"
        self._stream.options = {"preset": "ultrafast", "crf": "22", "x264-params": coding}
        self._stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        self._open_sound()
        return size_wh

    def _encode(self, image: Image, time_s: float | None) -> None:
        import av

        # OpenCV converts faster than the encoder's library does.
        frame = av.VideoFrame.from_ndarray(
            cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p"
        )

        # Stamps must grow, even where a source repeats a time.
        moment = self.frames / self._fps if time_s is None else time_s
        stamp = round(moment * CLOCK_HZ)
        frame.pts = stamp if not self.frames else max(stamp, self._last_stamp + 1)
        frame.time_base = Fraction(1, CLOCK_HZ)
        self._last_stamp = frame.pts
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _open_sound(self) -> None:
        if self._sound_of is None:
            return
        import av

        # Sound is a bonus: without it the video is still written.
        try:
            source = av.open(str(self._sound_of))
        except (OSError, ValueError):  # no file, or one that PyAV cannot read
            return
        if not source.streams.audio:
            source.close()
            return
        try:
            stream = self._container.add_stream_from_template(source.streams.audio[0])
        except (ValueError, AttributeError):  # a codec that does not go into mp4
            source.close()
            return
        self._sound = (source, stream)

    def _copy_sound(self) -> None:
        """Add the sound of the frames' time, shifted so that it starts with the first frame."""
        if self._sound is None:
            return
        try:
            self._mux_sound(*self._sound)
        except ValueError as error:
            log.warning("the sound of %s is damaged and was left out: %s", self._sound_of, error)

    def _mux_sound(self, source: Any, stream: Any) -> None:
        end = self._last_stamp / CLOCK_HZ
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is None or packet.pts is None:
                continue
            # Only the sound of the frames' time, counted from the first frame.
            moment = float(packet.pts * packet.time_base) - self._sound_from_s
            if moment < 0 or moment > end:
                continue
            shift = round(self._sound_from_s / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = stream
            self._container.mux(packet)


def has_h264() -> bool:
    """Whether PyAV is here and can encode H.264."""
    try:
        import av

        av.codec.Codec("libx264", "w")
    except (ImportError, ValueError):
        return False
    return True


def _frame_count(path: Path) -> int:
    """Frames of a video by its index; 0 where it cannot be opened."""
    capture = cv2.VideoCapture(str(path))
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
