"""Annotated videos: H.264 with the source's sound where PyAV is installed, else MPEG-4 through
OpenCV.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from rtmpose.errors import OutputError
from rtmpose.types import Image


class VideoSink:
    """Writes one video; it appears under its name when :meth:`close` is called. A context manager.

    Args:
        path: Ends in ``.mp4``.
        fps: Frames per second; frames may come later than that says, never earlier.
        sound_of: A video whose sound is copied, from ``sound_from_s`` on.
        sound_from_s: Seconds skipped of the sound.

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
        self.path, self.frames = path, 0
        self._fps, self._sound_of, self._sound_from = fps, sound_of, sound_from_s
        self._temporary = path.with_name(f".{path.stem}.tmp.mp4")
        self._size: tuple[int, int] | None = None
        self._container: Any = None
        self._stream: Any = None
        self._writer: Any = None
        self._sound: Any = None
        self._last = 0
        self.codec = ("h264" if has_h264() else "mpeg4") if codec == "auto" else codec
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error

    def write(self, image: Image, time_s: float | None = None) -> None:
        """Add a frame.

        Args:
            image: BGR uint8; later ones are scaled to the size of the first.
            time_s: Its moment, from the first frame on; without it frames follow at ``fps``.

        Raises:
            OutputError: it cannot be written.
        """
        if self._size is None:
            height, width = image.shape[:2]
            self._size = (
                (width - width % 2, height - height % 2)
                if self.codec == "h264"
                else (width, height)
            )
            self._open()
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        if self._container is None:
            self._writer.write(image)
        else:
            self._encode(image, time_s)
        self.frames += 1

    def close(self) -> None:
        """Complete the file.

        Raises:
            OutputError: it could not be completed.
        """
        if self._size is None:
            return
        try:
            if self._container is not None:
                for packet in self._stream.encode():
                    self._container.mux(packet)
                self._copy_sound()
                self._container.close()
            else:
                self._writer.release()
            if not self._temporary.exists() or not self._temporary.stat().st_size:
                raise OutputError(f"{self.path} could not be written completely; is the disk full?")
            self._temporary.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error}") from error
        finally:
            self._close_sound()
            self._container = self._writer = self._size = None

    def abandon(self) -> None:
        """Forget the file."""
        if self._size is not None:
            if self._container is not None:
                self._container.close()
            else:
                self._writer.release()
            self._close_sound()
            self._container = self._writer = self._size = None
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What was drawn until an error is worth keeping.
        self.close()

    def _open(self) -> None:
        assert self._size is not None
        if self.codec != "h264":
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._temporary), code, self._fps, self._size)
            if not self._writer.isOpened():
                self._size = None
                raise OutputError(
                    f"{self.path} cannot be written: is the folder writable and the disk not full?"
                )
            return
        import av

        try:
            self._container = av.open(str(self._temporary), "w")
        except OSError as error:
            self._size = None
            raise OutputError(f"{self.path} cannot be written: {error}") from error
        self._stream = self._container.add_stream(
            "libx264", rate=Fraction(self._fps).limit_denominator(1001)
        )
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        # As good as "superfast" at 21 (PSNR of a street) for half its work, as the networks need
        # the cores; with the entropy coding that "ultrafast" leaves out, files are little larger.
        coding = "cabac=1:8x8dct=1:deblock=0,0"
        self._stream.options = {"preset": "ultrafast", "crf": "22", "x264-params": coding}
        self._stream.codec_context.time_base = Fraction(1, 90000)
        self._open_sound()

    def _encode(self, image: Image, time_s: float | None) -> None:
        import av

        # OpenCV converts faster than the encoder's library does.
        frame = av.VideoFrame.from_ndarray(
            cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p"
        )
        moment = self.frames / self._fps if time_s is None else time_s
        stamp = round(moment * 90000)
        frame.pts = stamp if not self.frames else max(stamp, self._last + 1)
        frame.time_base = Fraction(1, 90000)
        self._last = frame.pts
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _open_sound(self) -> None:
        if self._sound_of is None:
            return
        import av

        try:
            source = av.open(str(self._sound_of))
        except OSError:
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
        if self._sound is None:
            return
        source, stream = self._sound
        end = (self._last / 90000) if self.frames else 0.0
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is None or packet.pts is None:
                continue
            moment = float(packet.pts * packet.time_base) - self._sound_from
            if moment < 0 or moment > end:
                continue
            shift = round(self._sound_from / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = stream
            self._container.mux(packet)

    def _close_sound(self) -> None:
        if self._sound is not None:
            self._sound[0].close()
            self._sound = None


def has_h264() -> bool:
    """Whether PyAV is here and can encode H.264."""
    try:
        import av

        av.codec.Codec("libx264", "w")
    except (ImportError, ValueError):
        return False
    return True
