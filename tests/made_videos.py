"""Videos made frame by frame with PyAV, for tests of how they are read."""

from fractions import Fraction

import av
import numpy as np

FPS = 25


def blank(size=(96, 64), value=90):
    """A gray picture, BGR."""
    return np.full((size[1], size[0], 3), value, np.uint8)


def numbered(index, size=(96, 64)):
    """A picture whose gray level tells its index."""
    return blank(size, 20 + 4 * (index % 50))


def index_of(image):
    """Which of the first 50 numbered pictures an image is."""
    # Coding takes about 3 levels.
    return round((float(image.mean()) - 17) / 4)


def write_video(
    path,
    images,
    *,
    codec="libx264",
    stamps=None,
    tick=Fraction(1, 1000),
    aspect=None,
    encoder=None,
    container=None,
    fmt=None,
    pix_fmt="yuv420p",
    prepare=None,
):
    """Encode BGR images, or frames of PyAV.

    Args:
        stamps: In ticks; without them frames follow at 25 a second.
        aspect: Of the pixels.
        encoder: Options of the codec.
        container: Options of the container.
        fmt: Container, where the suffix does not say.
        prepare: Called with the codec's context before it opens.
    """
    images = list(images)
    with av.open(str(path), "w", format=fmt, options=container or {}) as out:
        stream = out.add_stream(codec, rate=FPS)
        first = images[0]
        is_array = isinstance(first, np.ndarray)
        stream.height, stream.width = first.shape[:2] if is_array else (first.height, first.width)
        stream.pix_fmt = pix_fmt
        # Good enough to tell neighboring gray levels apart.
        stream.options = encoder or ({"crf": "5"} if codec == "libx264" else {})
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if stamps is not None:
            stream.codec_context.time_base = tick
        if prepare is not None:
            prepare(stream.codec_context)
        for index, image in enumerate(images):
            frame = image
            if is_array:
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = index if stamps is None else stamps[index]
            frame.time_base = Fraction(1, FPS) if stamps is None else tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def set_display_matrix(path, a, b, c, d):
    """Write a display matrix of whole numbers into the track header of an MP4 file."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4
    # Version 0: flags 4, times and ids 20, reserved 8, layer and volume 8.
    at += 40
    one = 1 << 16
    values = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    for place, value in enumerate(values):
        data[at + 4 * place : at + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
