"""Damaged pictures: what is wrong is said, the rest is used, and strict refuses."""

import io
import logging
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from rtmpose.errors import InputError
from rtmpose.sources import decode_image


def picture(height=240, width=320):
    """Smooth colors with some structure, as photos have it."""
    small = np.random.default_rng(3).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def saved(kind, **options):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture()[..., ::-1])).save(file, kind, **options)
    return file.getvalue()


def with_zeros(data, part=0.5, count=600):
    at = int(len(data) * part)
    return data[:at] + bytes(count) + data[at + count :]


def with_changed_byte(data, part=0.5, by=0x55):
    at = int(len(data) * part)
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def png_with_bad_pixels():
    """The compressed pixels are broken, the rest is not."""
    return with_zeros(saved("PNG"), count=100)


def half_filled(data):
    """As after a copy that ended early on a disk that had reserved the room."""
    half = len(data) // 2 // 512 * 512
    return data[:half] + bytes(len(data) - half)


DAMAGED = {
    "jpeg, zeros in the middle": lambda: with_zeros(saved("JPEG", quality=95)),
    "progressive jpeg": lambda: with_zeros(saved("JPEG", quality=95, progressive=True), 0.3),
    "gray-ink jpeg": lambda: with_zeros(cmyk_jpeg()),
    "png, zeros in the middle": png_with_bad_pixels,
    "png, one byte": lambda: with_changed_byte(saved("PNG")),
    "webp, half filled": lambda: half_filled(saved("WEBP", quality=100, method=0)),
    "bmp, half filled": lambda: half_filled(saved("BMP")),
    "tiff, lzw": lambda: with_zeros(saved("TIFF", compression="tiff_lzw")),
    "tiff, deflate": lambda: with_zeros(saved("TIFF", compression="tiff_deflate"), count=100),
}


def cmyk_jpeg():
    file = io.BytesIO()
    Image.fromarray(picture()[..., ::-1].copy()).convert("CMYK").save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_said(kind, caplog, capfd):
    data = DAMAGED[kind]()
    with caplog.at_level(logging.WARNING):
        image = decode_image(data, "holiday.jpg")
    assert image.shape == (240, 320, 3)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("holiday.jpg is damaged: ")

    with pytest.raises(InputError, match=r"holiday.jpg is damaged"):
        decode_image(data, "holiday.jpg", strict=True)
    # The libraries' own lines stay away from the terminal.
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved("JPEG"),
        lambda: saved("JPEG", progressive=True),
        lambda: saved("JPEG", subsampling=0) + bytes(3000),
        cmyk_jpeg,
        lambda: saved("PNG"),
        lambda: saved("PNG", icc_profile=bytes(300)),
        lambda: saved("WEBP"),
        lambda: saved("WEBP", lossless=True),
        lambda: saved("BMP"),
        lambda: saved("GIF"),
        lambda: saved("TIFF"),
        lambda: saved("TIFF", compression="tiff_lzw"),
        lambda: saved("TIFF", compression="tiff_deflate"),
        lambda: saved("TIFF", compression="packbits"),
        lambda: saved("TIFF", compression="jpeg"),
    ],
)
def test_good_files_are_no_cause_for_alarm(make, caplog, capfd):
    with caplog.at_level(logging.WARNING):
        image = decode_image(make(), "a", strict=True)
    assert image.shape == (240, 320, 3)
    assert np.abs(image.astype(int) - picture()).mean() < 40
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_rows_before_the_damage_are_right():
    image = decode_image(with_zeros(saved("PNG"), 0.8, count=100))
    np.testing.assert_array_equal(image[:100], picture()[:100])


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_is_mended(interlaced):
    data = saved("PNG")
    if interlaced:
        data = interlaced_gray()
    image = decode_image(with_zeros(data, 0.7, count=30))
    assert image.shape == (240, 320, 3)
    assert image.any()


def interlaced_gray():
    """An Adam7 PNG, written by hand: few libraries write them."""
    gray = picture()[..., 0]
    rows = b""
    for x, y, step_x, step_y in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in gray[y::step_y, x::step_x])

    def chunk(kind, content):
        return (
            len(content).to_bytes(4, "big")
            + kind
            + content
            + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    header = (320).to_bytes(4, "big") + (240).to_bytes(4, "big") + bytes([8, 0, 0, 0, 1])
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_interlaced_png():
    np.testing.assert_array_equal(decode_image(interlaced_gray())[..., 1], picture()[..., 0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (saved("JPEG")[:-2], "no end marker, though its pixels are whole"),
        (saved("PNG")[:-12], "no end chunk, though its pixels are whole"),
    ],
)
def test_only_the_end_is_missing(data, words, caplog):
    with caplog.at_level(logging.WARNING):
        image = decode_image(data, "a.jpg")
    whole = decode_image(saved("JPEG" if data[:1] == b"\xff" else "PNG"))
    np.testing.assert_array_equal(image, whole)
    assert words in caplog.text


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.95])
def test_cut_short(kind, part, capfd):
    data = saved(kind)
    with pytest.raises(InputError, match=r"a.jpg .*(cut short|damaged)"):
        decode_image(data[: int(len(data) * part)], "a.jpg")
    assert capfd.readouterr().err == ""


def test_half_of_a_jpeg():
    with pytest.raises(InputError, match=r"a.jpg .* cut short"):
        decode_image(half_filled(saved("JPEG")), "a.jpg")


@pytest.mark.parametrize(("at", "value"), [(24, 3), (25, 5), (26, 1), (27, 9), (28, 2)])
def test_an_impossible_header(at, value, capfd):
    data = bytearray(saved("PNG"))
    data[at] = value
    with pytest.raises(InputError, match="its header is damaged"):
        decode_image(bytes(data))
    assert capfd.readouterr().err == ""


def test_scans_without_end():
    """Every scan goes over all pixels: thousands of them would take minutes."""
    data = saved("JPEG", progressive=True)
    scans = data[:-2] + b"\xff\xda" * 600 + data[-2:]
    with pytest.raises(InputError, match=r"6\d\d scans"):
        decode_image(scans, "a.jpg")


def test_pixels_are_those_of_opencv():
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}):
        data = saved("JPEG", **options)
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decode_image(data), expected)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_too_large_to_decode(kind):
    """A small file may claim any size: it is refused before any memory is asked for."""
    data = bytearray(saved(kind))
    if kind == "PNG":
        data[16:24] = (60000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    elif kind == "BMP":
        data[18:26] = (60000).to_bytes(4, "little") * 2
    else:
        directory = int.from_bytes(data[4:8], "little")
        for tag in (256, 257):
            at = data.find(tag.to_bytes(2, "little"), directory)
            data[at + 2 : at + 12] = (
                b"\4\0" + (1).to_bytes(4, "little") + (60000).to_bytes(4, "little")
            )
    with pytest.raises(InputError, match=r"too large: 60000x60000 pixels"):
        decode_image(bytes(data), "panorama")
