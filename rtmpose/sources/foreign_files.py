"""Files that people take for images, and what to say of them."""

from __future__ import annotations

from pathlib import PurePath

RAW_SUFFIXES = frozenset(
    {".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf", ".rw2"}
    | {".pef", ".srw", ".x3f", ".3fr", ".erf", ".kdc", ".mrw", ".raw"}
)
RAW = "a raw file of a camera; export it as JPEG, PNG or TIFF"
SOUND = "a sound file, which holds no images"

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\0\5\x16\7", "a file with macOS attributes, not the picture it is named after"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"IIU\0", RAW),
    (b"FOVb", RAW),
    (b"ID3", SOUND),
    (b"fLaC", SOUND),
    (b"\xff\xfb", SOUND),
    (b"%PDF", "a PDF; save its pages as PNG"),
    (b"8BPS", "a Photoshop file; export it as PNG or TIFF"),
    (b"\x93NUMPY", "a NumPy array; save it as PNG, or pass the array to rtmpose.predict"),
    (b"\xff\x0a", "a JPEG XL image; convert it to JPEG or PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image; convert it to JPEG or PNG"),
    (b"v/1\x01", "an OpenEXR image; convert it to PNG or TIFF"),
    (b"PK\3\4", "a ZIP archive; unpack it"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer; run git lfs pull"),
    (b"\xd0\xcf\x11\xe0", "a Windows file such as Thumbs.db, not an image"),
)
HEAD = 1024
MATROSKA = b"\x1a\x45\xdf\xa3"
_TEXT = frozenset([*b"\t\n\r", *range(32, 127)])


def describe_foreign(data: bytes, name: str) -> str:
    """What a file is that is no image we read, and what to do about it; empty where unknown.

    Args:
        data: The file's content, or its beginning.
        name: Its name, as the suffix tells raw files apart.
    """
    for start, words in _STARTS:
        if data.startswith(start):
            return words
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return SOUND
    if data[4:12] == b"ftypcrx " or PurePath(name).suffix.lower() in RAW_SUFFIXES:
        return RAW
    if data[128:132] == b"DICM":
        return "a DICOM file; export it as PNG, or pass its pixels as an array"
    if data[4:8] == b"ftyp" or data.startswith(MATROSKA) or data[8:12] == b"AVI ":
        return "a video, not an image; rtmpose.predict and rtmpose.track read its frames"
    # Text formats have no fixed beginning.
    head = data[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, perhaps an error message of the server it came from"
    if b"<svg" in head:
        return "an SVG drawing; save it as PNG"
    if data and all(byte in _TEXT for byte in data[:HEAD]):
        return "not an image but a text file"
    return ""
