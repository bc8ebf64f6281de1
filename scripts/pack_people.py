r"""Pack the people of photos and videos into one file for distillation, which needs no labels.

    python scripts/pack_people.py people.zip PHOTOS VIDEO.mp4 --exclude coco_val_subset
    rtmpose train distill --data people.zip --val coco --init rtmpose-s.onnx -o run

People are found by a detector, and a pose model marks their keypoints: half-body crops need them.
Nobody of an excluded set gets in, by COCO image id and by perceptual hash, of the photo and of the
person, also mirrored. Near duplicates are left out in the same way. What is broken off goes on when
it is started again with the same options. Photos may be turned, in folders of folders, and damaged.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose import Pipeline, Poses
from rtmpose.datasets import KeypointDataset, read
from rtmpose.datasets.image_hash import HASH_BITS, difference_hash
from rtmpose.errors import InputError, RtmposeError
from rtmpose.ops.crop import PADDING, box_to_center_scale, crop_matrices, warp
from rtmpose.sources import SkippedFiles, SourceItem, expand_sources, open_frames, read_image
from rtmpose.training.data.images import image_key
from rtmpose.training.data.packed import SURE, PackedPerson, packed_people, write_packed
from rtmpose.types import Frame, Image

log = logging.getLogger("pack_people")

PEOPLE_PER_PART = 200
"""People, or images without anybody, after which the work so far is safe."""

SMALLEST_NUMBER = 4
"""Digits of a number in a file name that may be a COCO image id."""


@dataclass(frozen=True)
class Limits:
    """What gets in, and how large.

    Attributes:
        box_thr: Lowest score of a box.
        min_side: Lowest longer side of a box, in image pixels.
        max_people: Most people of one image, those of the highest scores.
        every_s: Seconds between two frames of a video.
        width: Of the crops, in pixels.
        height: Likewise.
        margin: Side of a crop, of what a network sees of the person: room for augmentation.
        quality: Of the JPEG files.
        near: Differing bits, of 256, up to which two people are the same picture.
        near_excluded: Likewise for excluded images and people. Shrunk copies differ by at most 33
            bits, copies cut by 3 % on each side by 57 in nine of ten cases, different photos seldom
            by less than 60.
        max_mb: Megabytes of the file at which it is full.
    """

    box_thr: float = 0.5
    min_side: float = 60.0
    max_people: int = 8
    every_s: float = 0.5
    width: int = 216
    height: int = 288
    margin: float = 1.4
    quality: int = 80
    near: int = 50
    near_excluded: int = 60
    max_mb: float = 60.0


# ---- who must not get in


class KnownHashes:
    """Hashes of pictures and of their mirror images."""

    def __init__(self) -> None:
        self._rows = np.zeros((1024, HASH_BITS // 64), np.uint64)
        self._count = 0

    def add(self, image: Image) -> None:
        """Remember a picture; a flat one has no hash."""
        for side in (image, np.ascontiguousarray(image[:, ::-1])):
            found = difference_hash(side)
            if found is not None:
                self.add_hash(found)

    def add_hash(self, known: NDArray[np.uint64]) -> None:
        """Remember a hash."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._count] = known
        self._count += 1

    def has(self, other: NDArray[np.uint64] | None, bits: int) -> bool:
        """Whether a picture within that many differing bits is known."""
        if other is None or not self._count:
            return False
        differing = (self._rows[: self._count] ^ other).view(np.uint8)
        return int(np.unpackbits(differing, axis=1).sum(axis=1).min()) <= bits


class Excluded:
    """The images and people of evaluation sets."""

    def __init__(self, sets: Sequence[str], bits: int) -> None:
        self.bits = bits
        self.ids: set[int] = set()
        self.images = KnownHashes()
        self.people = KnownHashes()
        for name in sets:
            self._add(read(name))

    def _add(self, dataset: KeypointDataset) -> None:
        for row in dataset.content["images"]:
            kind, _, number = image_key(row).partition(":")
            if kind == "coco_image_id":
                self.ids.add(int(number))
        for image_id, path in dataset.images.items():
            image = read_image(path)
            self.images.add(image)
            for annotation in dataset.annotations[image_id]:
                x, y, w, h = annotation["bbox"]
                if not annotation.get("iscrowd"):
                    self.people.add(tight(image, (x, y, x + w, y + h)))

    def named(self, name: str) -> bool:
        """Whether a file name holds the id of an excluded COCO image."""
        numbers = re.findall(r"\d+", Path(name).stem)
        return any(len(n) >= SMALLEST_NUMBER and int(n) in self.ids for n in numbers)


def tight(image: Image, box: Sequence[float] | NDArray[np.float32]) -> Image:
    """The pixels in a box xyxy, at least two each way."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    x0, y0 = max(min(x0, width - 2), 0), max(min(y0, height - 2), 0)
    return np.ascontiguousarray(image[y0 : max(y1, y0 + 2), x0 : max(x1, x0 + 2)])


# ---- the work, in parts that are kept


class Parts:
    """The people found so far: small packed files in a folder next to the result.

    Args:
        out: The result.
        settings: What the work depends on; a part made with others is refused.

    Raises:
        InputError: the work was begun with other settings.
    """

    def __init__(self, out: Path, settings: dict[str, object]) -> None:
        self.folder = out.with_name(f"{out.name}.parts")
        self.settings = settings
        self.files = sorted(self.folder.glob("*.zip"))
        self.done: dict[str, int] = {}
        self.size = 0
        self.waiting: list[PackedPerson] = []
        self.fresh: dict[str, int] = {}
        self.unwritten = 0
        for path in self.files:
            _, notes = packed_people(path)
            if notes.get("settings") != settings:
                raise InputError(
                    f"{self.folder} was begun with other options: go on with those, or remove it"
                )
            self.done |= notes["done"]
            self.size += path.stat().st_size

    def people(self) -> Iterator[PackedPerson]:
        """Everybody in the parts, one by one."""
        for path in self.files:
            yield from packed_people(path)[0]

    def finish(self, name: str, frame: int, pipeline: Pipeline, limits: Limits) -> None:
        """All people of a frame are in; -1 for the end of a source."""
        self.fresh[name] = frame
        self.unwritten += 1
        if len(self.waiting) >= PEOPLE_PER_PART or self.unwritten >= PEOPLE_PER_PART:
            self.flush(pipeline, limits)

    def flush(self, pipeline: Pipeline, limits: Limits) -> None:
        """Write what is waiting as one part."""
        if not self.fresh:
            return
        path = self.folder / f"{len(self.files):06d}.zip"
        notes = {"settings": self.settings, "done": self.fresh}
        wh = (limits.width, limits.height)
        write_packed(path, self.waiting, pipeline.skeleton, wh, notes)
        self.files.append(path)
        self.done |= self.fresh
        self.size += path.stat().st_size
        self.fresh, self.waiting, self.unwritten = {}, [], 0

    def remove(self) -> None:
        """The parts are in the result."""
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- finding people


class Packer:
    """Finds people and adds them to the parts.

    Args:
        pipeline: Detector and pose model.
        excluded: Who must not get in.
        limits: What gets in.
        parts: Where they go.
    """

    def __init__(
        self, pipeline: Pipeline, excluded: Excluded, limits: Limits, parts: Parts
    ) -> None:
        self.pipeline = pipeline
        self.excluded = excluded
        self.limits = limits
        self.parts = parts
        self.counts: Counter[str] = Counter()
        self.known = KnownHashes()
        for person in parts.people():
            self.known.add_hash(np.frombuffer(bytes.fromhex(person.hash), np.uint64))

    def add_source(self, item: SourceItem) -> bool:
        """The people of a photo or video; whether there is room for more."""
        last = self.parts.done.get(item.name)
        if last == -1:
            return True
        if self.excluded.named(item.name):
            self.counts["excluded by id"] += 1
        else:
            try:
                for frame in self._frames(item, last):
                    self._add_frame(item, frame)
                    if self.parts.size + self._waiting_bytes() > self.limits.max_mb * 1e6:
                        return False
            except InputError as error:
                log.warning("%s", error)
                self.counts["unreadable"] += 1
        self.parts.finish(item.name, -1, self.pipeline, self.limits)
        return True

    def _waiting_bytes(self) -> int:
        return sum(len(person.jpeg) for person in self.parts.waiting)

    def _frames(self, item: SourceItem, last: int | None) -> Iterator[Frame]:
        """Frames some time apart, behind those that are done."""
        next_s = 0.0
        frames = open_frames(item)
        try:
            for frame in frames:
                if frame.time_s + 1e-6 < next_s:
                    continue
                next_s = frame.time_s + self.limits.every_s
                if last is None or frame.index > last:
                    yield frame
        finally:
            frames.close()

    def _add_frame(self, item: SourceItem, frame: Frame) -> None:
        self.counts["images"] += 1
        name = item.name if item.still else f"{item.name}#{frame.index}"
        found = difference_hash(frame.image)
        if self.excluded.images.has(found, self.limits.near_excluded):
            self.counts["excluded images"] += 1
        else:
            poses = self.pipeline(frame.image)
            for number in range(len(poses)):
                self._add_person(frame.image, poses[number : number + 1], name)
        if not item.still:
            self.parts.finish(item.name, frame.index, self.pipeline, self.limits)

    def _add_person(self, image: Image, pose: Poses, name: str) -> None:
        box = pose.boxes[0]
        person = difference_hash(tight(image, box))
        enough = (pose.scores[0] >= SURE).mean() >= 0.25
        if (box[2:] - box[:2]).max() < self.limits.min_side:
            self.counts["too small"] += 1
        elif person is None or not enough:
            self.counts["not sure"] += 1
        elif self.excluded.people.has(person, self.limits.near_excluded):
            self.counts["excluded people"] += 1
        elif self.known.has(person, self.limits.near):
            self.counts["near duplicates"] += 1
        else:
            self.counts["people"] += 1
            self.known.add_hash(person)
            self.parts.waiting.append(self._packed(image, pose, name, person))

    def _packed(
        self, image: Image, pose: Poses, name: str, person: NDArray[np.uint64]
    ) -> PackedPerson:
        limits = self.limits
        wh = (limits.width, limits.height)
        center, scale = box_to_center_scale(pose.boxes, wh, PADDING * limits.margin)
        matrices = crop_matrices(center, scale, wh)
        crop = np.empty((1, limits.height, limits.width, 3), np.uint8)
        warp(image, matrices, crop, antialias=True)
        jpeg = cv2.imencode(".jpg", crop[0], [cv2.IMWRITE_JPEG_QUALITY, limits.quality])[1]

        # Box and points by the same map; it is upright.
        turn, move = matrices[0, :, :2], matrices[0, :, 2]
        corners = pose.boxes[0].reshape(2, 2) @ turn.T + move
        points = np.column_stack([pose.keypoints[0] @ turn.T + move, pose.scores[0]])
        return PackedPerson(
            jpeg.tobytes(),
            corners.ravel().astype(np.float32),
            points.astype(np.float32),
            name,
            person.tobytes().hex(),
        )


# ---- the command


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the packed file, .zip")
    parser.add_argument("sources", nargs="+", help="folders, photos, videos")
    parser.add_argument(
        "--exclude", action="append", default=[], help="annotated set that is evaluated on"
    )
    parser.add_argument("--detector", default="yolox-tiny")
    parser.add_argument("--pose", default="rtmpose-s")
    parser.add_argument("--threads", type=int, default=0)
    for name, value in asdict(Limits()).items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=type(value), default=value, help=f"default {value}")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        pack(arguments)
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on")
    except RtmposeError as error:
        sys.exit(f"error: {error}")


def pack(arguments: argparse.Namespace) -> None:
    """Find everybody, then write the result from the parts."""
    if arguments.out.suffix.lower() != ".zip":
        raise InputError(f"{arguments.out} must end with .zip")
    if arguments.out.exists():
        raise InputError(f"{arguments.out} exists already; choose another name or remove it")
    limits = Limits(**{name: getattr(arguments, name) for name in asdict(Limits())})
    skipped = SkippedFiles()
    items = expand_sources(arguments.sources, recursive=True, skipped=skipped)
    for line in skipped.lines():
        log.info(line)
    models = {"detector": arguments.detector, "pose": arguments.pose}
    parts = Parts(arguments.out, {**asdict(limits), **models, "exclude": arguments.exclude})
    excluded = Excluded(arguments.exclude, limits.near_excluded)
    pipeline = Pipeline(
        **models, threads=arguments.threads, box_thr=limits.box_thr, max_people=limits.max_people
    )
    packer = Packer(pipeline, excluded, limits, parts)
    for number, item in enumerate(items, 1):
        if not packer.add_source(item):
            log.info(
                "%s is full (--max-mb); %d sources are left", arguments.out, len(items) - number
            )
            break
        if number % 200 == 0:
            log.info("%d of %d sources: %s", number, len(items), dict(packer.counts))
    parts.flush(pipeline, limits)

    # Whole or not at all, then the parts go.
    if not any(True for _ in parts.people()):
        raise InputError(f"nobody was found that can be packed: {dict(packer.counts)}")
    wh = (limits.width, limits.height)
    count = write_packed(arguments.out, parts.people(), pipeline.skeleton, wh)
    parts.remove()
    size = arguments.out.stat().st_size / 1e6
    log.info("%s: %d people, %.1f MB; %s", arguments.out, count, size, dict(packer.counts))


if __name__ == "__main__":
    main()
