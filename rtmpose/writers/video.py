"""Annotated videos: H.264 in MP4, with the source's sound."""

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
from rtmpose.media_threads import codec_threads
from rtmpose.types import Image
from rtmpose.writers.base import FrameRecord, WriterContext

log = logging.getLogger(__name__)

CLOCK_HZ = 90_000
"""Ticks per second of the time stamps, as is usual in MP4."""
COARSE_CLOCK_HZ = 60_000
"""The same for MPEG-4 Part 2, which knows no more than 65,535."""

# What players need to know of the colors: OpenCV converts with the matrix of BT.601, to the limited
# range. Primaries and transfer are those of sRGB's and HD video's.
BT601_MATRIX = 6
BT709 = 1
LIMITED_RANGE = 1

# As good as "superfast" at 21 (PSNR of a street) for half its work, as the networks need the cores;
# with the entropy coding that "ultrafast" leaves out, files are little larger.
H264 = {"preset": "ultrafast", "crf": "22", "x264-params": "cabac=1:8x8dct=1:deblock=0,0"}
MPEG4 = {"flags": "+qscale", "global_quality": str(3 * 118)}
"""Of constant quality, 3 of 1 (best) to 31."""


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
        codec: ``h264``, ``mpeg4``, or ``auto`` for the better one that this build of PyAV has.

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
        # PyAV's container and streams, which have no types.
        self._container: Any = None
        self._stream: Any = None
        self._sound: Any = None

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
                # The frames that the encoder still holds.
                for packet in self._stream.encode():
                    self._container.mux(packet)
                self._copy_sound()
                self._release()
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
        sound = self._sound
        self._container = self._sound = None
        try:
            if container is not None:
                container.close()
        finally:
            if sound is not None:
                sound[0].close()

    def _open(self, image: Image) -> tuple[int, int]:
        """Start the encoder for frames like this one; its size, width first."""
        import av

        # Color at half the resolution needs even sides.
        height, width = image.shape[:2]
        size_wh = (max(2, width - width % 2), max(2, height - height % 2))

        # With the prefix, a colon in the name means nothing. At the end the index goes to the
        # front, so that browsers play the file while they fetch it.
        options = {"movflags": "+faststart"}
        self._container = av.open(
            f"file:{self._file.temporary}", "w", format="mp4", options=options
        )
        is_h264 = self.codec == "h264"
        self._stream = self._container.add_stream(
            "libx264" if is_h264 else "mpeg4", rate=Fraction(self._fps).limit_denominator(1001)
        )
        self._stream.width, self._stream.height = size_wh
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = H264 if is_h264 else MPEG4
        context = self._stream.codec_context
        context.thread_count = codec_threads(width * height)
        # MPEG-4 knows no finer clock than this.
        context.time_base = Fraction(1, CLOCK_HZ if is_h264 else COARSE_CLOCK_HZ)
        context.colorspace = BT601_MATRIX
        context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
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

        from rtmpose.media_open import open_media

        # Sound is a bonus: without it the video is still written.
        try:
            source = open_media(f"file:{self._sound_of}")
        except (av.error.FFmpegError, OSError, ValueError):  # no file, or one that cannot be read
            return
        if not source.streams.audio:
            source.close()
            return

        # A codec that MP4 has no place for would spoil the whole file.
        sound = source.streams.audio[0]
        codec = "unknown" if sound.codec_context is None else sound.codec_context.name
        if codec not in self._container.supported_codecs:
            log.warning(
                "the sound of %s (%s) does not go into MP4: left out", self._sound_of, codec
            )
            source.close()
            return
        self._sound = (source, self._container.add_stream_from_template(sound))

    def _copy_sound(self) -> None:
        """Add the sound of the frames' time, shifted so that it starts with the first frame."""
        if self._sound is None:
            return
        try:
            self._mux_sound(*self._sound)
        except ValueError as error:
            log.warning("the sound of %s is damaged and was left out: %s", self._sound_of, error)

    def _mux_sound(self, source: Any, stream: Any) -> None:
        # Times of frames begin with the first one, whatever the container's clock says there.
        begin = self._sound_from_s
        video = source.streams.video[0] if source.streams.video else None
        if video is not None and video.start_time is not None:
            begin += float(video.start_time * video.time_base)
        end = self._last_stamp / CLOCK_HZ
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is None or packet.pts is None:
                continue
            # Only the sound of the frames' time, counted from the first frame.
            moment = float(packet.pts * packet.time_base) - begin
            if moment < 0 or moment > end:
                continue
            shift = round(begin / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = stream
            self._container.mux(packet)


def has_h264() -> bool:
    """Whether this build of PyAV can encode H.264."""
    import av

    try:
        av.codec.Codec("libx264", "w")
    except ValueError:
        return False
    return True
