"""Run the cases through the C library and compare: `python run_cases.py LIBRARY IMAGES`. Needs
numpy; IMAGES is what unpack.py wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from library import Library, Poses
from numpy.typing import NDArray

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Images:
    """Images of recipes; see README.md."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.photos: dict[str, NDArray[np.uint8]] = {}

    def photo(self, name: str) -> NDArray[np.uint8]:
        """RGB pixels of a PPM file."""
        if name not in self.photos:
            data = (self.folder / f"{name}.ppm").read_bytes()
            kind, size, largest, pixels = data.split(b"\n", 3)
            assert (kind, largest) == (b"P6", b"255"), name
            width, height = map(int, size.split())
            rgb = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
            self.photos[name] = rgb
        return self.photos[name]

    def compose(self, recipe: dict[str, Any], pixels: str) -> NDArray[np.uint8]:
        """The image of a recipe, its pixels in the wanted order."""
        rgb = np.zeros((recipe["height"], recipe["width"], 3), np.uint8)
        for part in recipe["parts"]:
            x, y, width, height = part["from"]
            piece = self.photo(part["photo"])[y : y + height, x : x + width]
            piece = piece.repeat(part["repeat"], axis=0).repeat(part["repeat"], axis=1)
            left, top = part["to"]
            right = min(left + piece.shape[1], rgb.shape[1])
            bottom = min(top + piece.shape[0], rgb.shape[0])
            x0, y0 = max(left, 0), max(top, 0)
            if x0 < right and y0 < bottom:
                rgb[y0:bottom, x0:right] = piece[y0 - top : bottom - top, x0 - left : right - left]

        if pixels == "gray":
            return np.ascontiguousarray(rgb[:, :, 1])
        image = rgb if pixels.startswith("rgb") else rgb[:, :, ::-1]
        if pixels.endswith("a"):
            image = np.dstack([image, np.full(image.shape[:2], 128, np.uint8)])
        return np.ascontiguousarray(image)


class Comparison:
    """Differences of all cases of a kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.cases = 0
        self.wrong: list[str] = []
        self.differences: dict[str, list[float]] = {
            "boxes": [],
            "box scores": [],
            "keypoints": [],
            "scores": [],
        }
        self.jumps = 0
        self.ties = 0

    def add(self, what: str, values: Any) -> None:
        """More differences."""
        self.differences[what].extend(np.abs(np.asarray(values, np.float64)).ravel().tolist())

    def detections(self, found: Any, expected: dict[str, Any], name: str, scale: int) -> None:
        """One image; nearest boxes first."""
        self.cases += 1
        wanted = np.array(expected["boxes"]).reshape(-1, 4)
        if len(found.boxes) != len(wanted):
            self.wrong.append(f"{name}: {len(found.boxes)} boxes, not {len(wanted)}")
            return
        free = list(range(len(wanted)))
        for i, box in enumerate(wanted):
            nearest = min(free, key=lambda j: np.abs(found.boxes[j] - box).max())
            free.remove(nearest)
            self.add("boxes", np.abs(found.boxes[nearest] - box).max() / scale)
            self.add("box scores", found.scores[nearest] - expected["scores"][i])
            if found.labels[nearest] != expected["labels"][i]:
                self.wrong.append(f"{name}: label {found.labels[nearest]}")

    def poses(
        self,
        found: Poses,
        expected: dict[str, Any],
        name: str,
        scale: int,
        ties: list[list[int]],
    ) -> None:
        """One image."""
        self.cases += 1
        wanted = np.array(expected["boxes"]).reshape(-1, 4)
        if len(found.boxes) != len(wanted):
            self.wrong.append(f"{name}: {len(found.boxes)} people, not {len(wanted)}")
            return
        if found.ids.tolist() != expected.get("ids", []):
            self.wrong.append(f"{name}: ids {found.ids.tolist()}, not {expected['ids']}")
            return
        if not len(wanted):
            return
        self.add("boxes", np.abs(found.boxes - wanted).max(axis=1) / scale)
        self.add("box scores", found.box_scores - expected["box_scores"])
        distances = np.linalg.norm(found.keypoints - expected["keypoints"], axis=2) / scale
        self.add("keypoints", distances)
        self.add("scores", found.scores - expected["scores"])
        far = {(int(n), int(k)) for n, k in zip(*np.nonzero(distances > 0.5), strict=True)}
        self.jumps += len(far)
        self.ties += len(far & {(n, k) for n, k in ties})

    def report(self) -> bool:
        """Print a line; true where every bar is met."""
        bars = (
            ("boxes", 50, 0.01),
            ("boxes", 100, 1),
            ("box scores", 100, 0.001),
            ("keypoints", 50, 0.01),
            ("keypoints", 95, 0.5),
            ("scores", 99, 0.001),
        )
        shown = []
        for what, percent, most in bars:
            values = self.differences[what]
            value = float(np.percentile(values, percent)) if values else 0.0
            shown.append(f"{what} {percent} % {value:.4f}")
            if value > most:
                self.wrong.append(f"{what}: {percent} % are within {value}, not {most}")
        people = len(self.differences["boxes"])
        print(f"{self.kind}: {self.cases} images, {people} people; {', '.join(shown)}")
        print(f"  {self.jumps} keypoints jumped, {self.ties} of them are listed as ties")
        for line in self.wrong:
            print(f"  WRONG {line}")
        return not self.wrong


def scale_of(recipe: dict[str, Any]) -> int:
    """Largest factor by which pixels are repeated."""
    return max([part["repeat"] for part in recipe["parts"]], default=1)


def boxes_of(values: list[list[float]] | None) -> NDArray[np.float32] | None:
    """Boxes of a case."""
    return None if values is None else np.array(values, np.float32).reshape(-1, 4)


def run(library: Library, images: Images) -> bool:
    """All cases; true where every bar is met."""
    record = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    if record["format"] != 1:
        raise SystemExit("the cases are of a format that is not known here")
    models = {name: library.open(ROOT / path) for name, path in record["models"].items()}
    detector = library.detector(models["detector"])
    pose = library.pose_detector(models["pose"])

    comparisons = {kind: Comparison(kind) for kind in ("detect", "pose", "track")}
    for case in record["cases"]:
        compared = comparisons[case["kind"]]
        if case["kind"] == "track":
            found = models["detector"] if case["detects"] else None
            tracker, stream = library.tracker(found, models["pose"], case["params"])
            for i, frame in enumerate(case["frames"]):
                people = library.track(
                    tracker,
                    stream,
                    images.compose(frame["image"], "bgr"),
                    frame.get("time_s"),
                    boxes_of(frame.get("boxes")),
                )
                compared.poses(people, frame["expected"], f"{case['name']}, frame {i}", 1, [])
            continue

        recipe = record["images"][case["image"]]
        pixels = case["pixels"]
        image = images.compose(recipe, pixels)
        scale = scale_of(recipe)
        if case["kind"] == "detect":
            boxes = library.detect(detector, image, case["box_thr"], pixels)
            compared.detections(boxes, case["expected"], case["name"], scale)
        else:
            poses = library.estimate(pose, image, boxes_of(case["boxes"]), pixels)
            compared.poses(poses, case["expected"], case["name"], scale, case["ties"])
    reports = [comparison.report() for comparison in comparisons.values()]
    return all(reports)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python run_cases.py LIBRARY IMAGES")
    sys.exit(0 if run(Library(Path(sys.argv[1])), Images(Path(sys.argv[2]))) else 1)
