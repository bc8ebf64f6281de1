"""Damaged images and videos."""

import logging
import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fault_kinds.damage import damage_bytes
from fault_kinds.engine import Kind, PromiseError
from rtmpose.sources import expand_sources, open_frames

IMAGE_FORMATS = (".jpg", ".png", ".webp", ".bmp", ".tif", ".gif")
CODECS = (("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "mp4v"), ("avi", "mp4v"))
MAX_FRAMES = 200


class Warned(logging.Handler):
    """Counts the warnings of the package."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0
        logging.getLogger("rtmpose").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()  # a text that cannot be made is a fault, too
        self.count += 1


@dataclass
class Files:
    """Undamaged files in memory."""

    folder: Path
    contents: dict[str, bytes]
    whole: dict[str, list[np.ndarray]]
    warned: Warned


def picture(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A smooth picture, so that wrong pixels are seen."""
    small = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def make_images(folder: Path) -> Files:
    """One image of every format that can be written here."""
    cv2.setNumThreads(1)
    contents = {}
    for k, suffix in enumerate(IMAGE_FORMATS):
        try:
            good, data = cv2.imencode(suffix, picture(k))
        except cv2.error:
            continue
        if good:
            contents[f"image{suffix}"] = data.tobytes()
    gray = picture(9)[:, :, :1].astype(np.uint16) * 257
    contents["deep.png"] = cv2.imencode(".png", gray)[1].tobytes()
    lzw = cv2.imencode(".tif", picture(3), [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1]
    contents["lzw.tif"] = lzw.tobytes()
    return _with_frames(folder, contents)


def make_videos(folder: Path) -> Files:
    """Short videos in several containers and codecs."""
    cv2.setNumThreads(1)
    contents = {}
    for k, (container, codec) in enumerate(CODECS):
        path = folder / f"video{k}.{container}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (96, 64))
        for number in range(12):
            writer.write(picture(number))
        writer.release()
        contents[path.name] = path.read_bytes()
        path.unlink()
    return _with_frames(folder, contents)


def _with_frames(folder: Path, contents: dict[str, bytes]) -> Files:
    whole = {}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
        whole[name] = [f.image.copy() for f in open_frames(expand_sources([folder / name])[0])]
        if not whole[name]:
            raise RuntimeError(f"{name} has no frame")
    return Files(folder, contents, whole, Warned())


def read_damaged(files: Files, rng: random.Random) -> str:
    """One damaged file, read as the commands do."""
    name = rng.choice(sorted(files.contents))
    path = files.folder / name
    path.write_bytes(damage_bytes(files.contents[name], rng, keep_start=64))
    warned = files.warned.count
    count = 0
    same = True
    for frame in open_frames(expand_sources([path])[0]):
        image = frame.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise PromiseError(f"{name}: a frame is {image.dtype} {image.shape}")
        whole = files.whole[name][count] if count < len(files.whole[name]) else None
        same &= whole is not None and np.array_equal(image, whole)
        count += 1
        if count > MAX_FRAMES:
            break
    if files.warned.count > warned:
        return "read with a warning"
    if not count:
        raise PromiseError(f"{name}: no frame, no warning, no error")
    if count < len(files.whole[name]) // 2:
        raise PromiseError(f"{name}: {count} of {len(files.whole[name])} frames and no word")
    return "read whole" if same and count == len(files.whole[name]) else "read with other pixels"


KINDS = (
    Kind(
        "damaged images",
        "JPEG, PNG, WebP, BMP, TIFF, GIF with bytes changed, zeroed, cut, inserted",
        "an image, a warning, or one line that names the file; no line of a library",
        make_images,
        read_damaged,
        tries=600,
        quick=60,
        per_process=100,
        memory_mb=2048,
        quiet=True,
    ),
    Kind(
        "damaged videos",
        "MP4, AVI, MKV with bytes changed, zeroed, cut, inserted, garbage behind",
        "frames, a warning, or one line that names the file; no line of a library",
        make_videos,
        read_damaged,
        tries=300,
        quick=30,
        per_process=50,
        memory_mb=2048,
        quiet=True,
    ),
)
