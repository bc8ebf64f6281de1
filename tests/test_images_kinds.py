"""Deep, gray, palette and CMYK pixels; orientation; files that are no images."""

import io
import logging
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from rtmpose.errors import InputError
from rtmpose.sources import decode_image, images, read_image

GRAY = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))  # (48, 64)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(images, "_said", set())


def saved(picture, kind, **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options) if isinstance(
        picture, np.ndarray
    ) else picture.save(file, kind, **options)
    return file.getvalue()


# ---- depth


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_significant_bits(kind, bits, caplog):
    """12-bit data in 16 bits is not black."""
    deep = GRAY.astype(np.uint16) << (bits - 8)
    deep[0, 0] = 2**bits - 1
    with caplog.at_level(logging.WARNING):
        image = decode_image(saved(deep, kind), "deep")
    np.testing.assert_array_equal(image[1:, :, 1], GRAY[1:])
    assert (f"use {bits} bits" in caplog.text) is (bits < 16)


def test_deep_colors():
    deep = np.dstack([GRAY, GRAY // 2, GRAY // 3]).astype(np.uint16) << 4
    deep[0, 0] = 4095
    for suffix in (".png", ".tiff"):
        image = decode_image(cv2.imencode(suffix, deep)[1].tobytes())
        np.testing.assert_array_equal(image[1:], (deep >> 4)[1:])


@pytest.mark.parametrize("scale", [1.0, 255.0, 1000.0])
def test_float_tiff(scale, caplog):
    values = GRAY.astype(np.float32) / GRAY.max() * scale
    values[-1, -1] = np.nan
    with caplog.at_level(logging.WARNING):
        image = decode_image(saved(values, "TIFF"), "depth.tif")
    expected = np.rint(GRAY[:-1] / GRAY.max() * 255)
    np.testing.assert_allclose(image[:-1, :, 0], expected, atol=1)
    assert image[-1, -1, 0] == 0
    assert f"depth.tif: its values were scaled from 0 to {scale:g}" in caplog.text


def test_a_note_is_made_once(caplog):
    data = saved(GRAY.astype(np.uint16) << 4, "PNG")
    with caplog.at_level(logging.WARNING):
        for name in ("a", "b", "c"):
            decode_image(data, name)
    assert len(caplog.records) == 1


# ---- modes


def gray_in(mode):
    return saved(Image.fromarray(GRAY).convert(mode), "PNG")


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_gray_in_other_forms(mode):
    image = decode_image(gray_in(mode))
    np.testing.assert_array_equal(image, np.repeat(GRAY[..., None], 3, axis=2))


def test_one_bit():
    image = decode_image(saved(Image.fromarray(GRAY > 100), "PNG"))
    np.testing.assert_array_equal(image[..., 0], np.where(GRAY > 100, 255, 0))


def test_palette_with_transparency():
    palette = Image.fromarray(GRAY).convert("P")
    image = decode_image(saved(palette, "PNG", transparency=3))
    np.testing.assert_array_equal(image[..., 0], GRAY)


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 160, 40), (250, 250, 250), (5, 5, 5)])
def test_cmyk_jpeg(color):
    picture = Image.new("RGB", (64, 48), color).convert("CMYK")
    image = decode_image(saved(picture, "JPEG", quality=95))
    np.testing.assert_allclose(image[20, 20, ::-1], color, atol=6)


def test_gray_jpeg():
    image = decode_image(saved(GRAY, "JPEG", quality=95))
    assert image.shape == (48, 64, 3)
    np.testing.assert_allclose(image[..., 2], GRAY, atol=6)


# ---- orientation

TURNED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.fliplr(np.rot90(a, 3)),
    6: lambda a: np.rot90(a, 3),
    7: lambda a: np.flipud(np.rot90(a, 3)),
    8: np.rot90,
}
KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", KINDS)
def test_orientation(kind, orientation):
    """AVIF has boxes for it (irot, imir), the others EXIF."""
    corners = np.zeros((48, 64, 3), np.uint8)
    corners[:24, :32], corners[:24, 32:], corners[24:, :32] = 80, 160, 240
    exif = Image.Exif()
    exif[0x112] = orientation
    image = decode_image(saved(corners, kind, exif=exif))
    expected = TURNED[orientation](corners)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 3


def test_heic(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif")
    color = np.dstack([GRAY, GRAY, GRAY])
    heif = pillow_heif.from_pillow(Image.fromarray(color))
    heif.save(tmp_path / "IMG_1.HEIC", quality=90)
    image = read_image(tmp_path / "IMG_1.HEIC")
    np.testing.assert_allclose(image, color, atol=12)


def test_heic_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(InputError, match=r"IMG.HEIC .* pip install 'rtmpose\[heif\]'"):
        decode_image(data, "IMG.HEIC")


# ---- other files


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "raw file of a camera"),
        ("a.NEF", b"MM\0*\0\0\0\x08" + bytes(99), "raw file|cut short"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201", "raw file of a camera"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw file of a camera"),
        ("a.svg", b"<?xml version='1.0'?><svg/>", "SVG"),
        ("a.pdf", b"%PDF-1.7", "PDF"),
        ("a.npy", b"\x93NUMPY\1\0", "NumPy array"),
        ("a.jpg", b"<!DOCTYPE html><html>404", "HTML page"),
        ("a.jpg", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        ("._a.jpg", b"\0\5\x16\7" + bytes(99), "macOS"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(99), "Windows"),
        ("a.psd", b"8BPS" + bytes(99), "Photoshop"),
        ("a.jxl", b"\xff\x0a" + bytes(99), "JPEG XL"),
        ("list.txt", b"a.jpg\nb.jpg\n", "a text file"),
        ("a.jpg", b"\0\1\2\3" * 9, "not an image"),
        ("a.jpg", b"", "empty"),
    ],
)
def test_no_image(name, data, words, capfd):
    with pytest.raises(InputError, match=words) as raised:
        decode_image(data, name)
    assert name in str(raised.value)
    assert capfd.readouterr().err == ""


def test_names_are_shown_on_one_line(tmp_path):
    with pytest.raises(InputError) as raised:
        read_image(tmp_path / "a\nb\udcff.jpg")
    assert r"a\nb\xff.jpg does not exist" in str(raised.value)
    with pytest.raises(InputError) as raised:
        decode_image(b"", "x" * 5000)
    assert len(str(raised.value)) < 400


def test_links_and_devices(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match="link to a file that does not exist"):
        read_image(tmp_path / "a.jpg")
    if sys.platform == "linux":
        with pytest.raises(InputError, match="is a device"):
            read_image("/dev/zero")


def test_reading_a_jpeg_does_not_load_pillow(tmp_path):
    """Start-up time: Pillow is for the rarer formats."""
    cv2.imwrite(str(tmp_path / "a.jpg"), GRAY)
    code = (
        "import sys; from rtmpose import read_image; read_image(sys.argv[1]);"
        " assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.jpg")], check=True)


def test_opencv_is_quiet_whatever_its_version(monkeypatch):
    from types import SimpleNamespace

    from rtmpose.sources import opencv_log

    said = []
    old = SimpleNamespace(setLogLevel=said.append)
    new = SimpleNamespace(
        utils=SimpleNamespace(logging=SimpleNamespace(setLogLevel=said.append, LOG_LEVEL_SILENT=0))
    )
    for cv in (old, new, SimpleNamespace()):
        monkeypatch.setattr(opencv_log, "cv2", cv)
        opencv_log.quiet_opencv()
    assert said == [0, 0]
