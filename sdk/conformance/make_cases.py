"""Record what the Python package finds, with ONNX Runtime in fp32 on one thread, as the cases that
every language must reproduce: `python sdk/conformance/make_cases.py [--images]`.

README.md describes the file that this writes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from recipes import HERE, Image, Recipe, canvas, compose, crossing, hidden, pan, part, whole

import rtmpose

ROOT = HERE.parents[1]
MODELS = {
    "detector": "rtmpose/assets/models/rtmdet-nano_finetuned_320x320.onnx",
    "pose": "rtmpose/assets/models/rtmpose-s_finetuned-halpe26_256x192.onnx",
}
# Whole photos are large as PNG: two of them are kept at full size, all of them at half of it.
FULL_SIZE = ("000000541055", "000000388056")
BOX_THR = 0.3
# Detector cases must not depend on rounding at the threshold.
CLEAR_OF_THR = 0.003
# Changes of pixels by which ties between peaks show themselves.
TRIALS = 4
CHANGED = 0.05
TIE_PX = 0.3


def write_images() -> None:
    """The photos of the package as PNG files, which all decoders read the same."""
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    best = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    for path in sorted((ROOT / "rtmpose/assets/photos").glob("*.jpg")):
        image = cv2.imread(str(path))
        assert image is not None, path
        name = path.stem.removeprefix("000000")
        if path.stem in FULL_SIZE:
            cv2.imwrite(str(folder / f"{name}.png"), image, best)
        size = (image.shape[1] // 2, image.shape[0] // 2)
        half = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{name}_half.png"), half, best)


def image_recipes() -> dict[str, Recipe]:
    """All still images of the cases."""
    recipes = {path.stem: whole(path.stem) for path in sorted((HERE / "images").glob("*.png"))}
    recipes["one_pixel"] = canvas(1, 1, part("541055", [300, 100, 1, 1]))
    recipes["one_row"] = canvas(300, 1, part("541055", [100, 150, 300, 1]))
    recipes["black"] = canvas(320, 240)
    recipes["nobody"] = canvas(200, 80, part("541055", [0, 0, 200, 40]))
    recipes["4k"] = whole("541055_half", 12)
    recipes["4k_portrait"] = whole("427077_half", 16)
    return recipes


# ---- numbers as they are stored


def rounded(values: Any, digits: int) -> list[Any]:
    """Nested lists of numbers with few digits."""
    numbers: list[Any] = np.round(np.asarray(values, np.float64), digits).tolist()
    return numbers


def of_detections(found: rtmpose.Detections) -> dict[str, Any]:
    """What is compared of a detector's result."""
    return {
        "boxes": rounded(found.boxes, 3),
        "scores": rounded(found.scores, 5),
        "labels": [int(label) for label in found.labels],
    }


def of_poses(poses: rtmpose.Poses) -> dict[str, Any]:
    """What is compared of poses."""
    expected = {
        "boxes": rounded(poses.boxes, 3),
        "box_scores": rounded(poses.box_scores, 5),
        "keypoints": rounded(poses.keypoints, 3),
        "scores": rounded(poses.scores, 5),
    }
    if poses.ids is not None:
        expected["ids"] = [int(number) for number in poses.ids]
    return expected


# ---- cases


class Recorder:
    """Runs the package and collects cases."""

    def __init__(self) -> None:
        options = rtmpose.BackendOptions("onnxruntime", "cpu", 1, False, "fp32")
        self.detector = rtmpose.Detector(ROOT / MODELS["detector"], options=options)
        self.pose = rtmpose.PoseEstimator(ROOT / MODELS["pose"], options=options)
        self.images = image_recipes()
        self.cases: list[dict[str, Any]] = []

    def detect(self, image: str, pixels: str = "bgr", box_thr: float = BOX_THR) -> None:
        """A detector alone."""
        found = self.detector(with_pixels(compose(self.images[image]), pixels), box_thr=box_thr)
        nearest = np.abs(found.scores - box_thr).min(initial=1)
        if nearest < CLEAR_OF_THR:
            print(f"detect {image}: a score lies {nearest:.4f} from the threshold")
        self.cases.append(
            {
                "name": f"detect {image} {pixels} {box_thr:g}",
                "kind": "detect",
                "image": image,
                "pixels": pixels,
                "box_thr": box_thr,
                "expected": of_detections(found),
            }
        )

    def estimate(self, image: str, boxes: Any, label: str, pixels: str = "bgr") -> None:
        """Poses in given boxes; None takes the whole image."""
        bgr = with_pixels(compose(self.images[image]), pixels)
        given = [[0, 0, bgr.shape[1], bgr.shape[0]]] if boxes is None else rounded(boxes, 3)
        array = np.array(given, np.float32).reshape(-1, 4)
        poses = self.pose(bgr, array)
        self.cases.append(
            {
                "name": f"pose {image} {label}",
                "kind": "pose",
                "image": image,
                "pixels": pixels,
                "boxes": None if boxes is None else given,
                "expected": of_poses(poses),
                "ties": self._ties(bgr, array, poses),
            }
        )

    def _ties(self, image: Image, boxes: Any, poses: rtmpose.Poses) -> list[list[int]]:
        """Keypoints that jump between two peaks when single pixels change by one step."""
        generator = np.random.default_rng(0)
        moved = np.zeros(poses.scores.shape, bool)
        for _ in range(TRIALS):
            noise = generator.integers(-1, 2, image.shape)
            noise[generator.random(image.shape) > CHANGED] = 0
            changed = np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8)
            other = self.pose(changed, boxes)
            moved |= np.linalg.norm(other.keypoints - poses.keypoints, axis=2) > TIE_PX
        return [[int(n), int(k)] for n, k in zip(*np.nonzero(moved), strict=True)]

    def track(
        self, name: str, frames: list[dict[str, Any]], detects: bool = True, **params: Any
    ) -> None:
        """A clip; frames hold a recipe and, where wanted, boxes and a time."""
        detector = self.detector if detects else None
        tracker = rtmpose.PoseTracker(detector, self.pose, **params)
        recorded = []
        for frame in frames:
            given = frame.get("boxes")
            poses = tracker(
                compose(frame["image"]),
                time_s=frame.get("time_s"),
                boxes=None if given is None else np.array(given, np.float32).reshape(-1, 4),
            )
            recorded.append({**frame, "expected": of_poses(poses)})
        if "smooth" in params:
            params["smooth"] = int(params["smooth"] == "live")
        if "repair_swaps" in params:
            params["repair_swaps"] = int(params["repair_swaps"])
        case = {"name": f"track {name}", "kind": "track", "detects": detects, "params": params}
        self.cases.append({**case, "frames": recorded})

    # ---- the list of cases

    def stills(self) -> None:
        """Detections, and poses in exactly the detected boxes."""
        for image in self.images:
            self.detect(image)
            boxes = self.detector(compose(self.images[image]), box_thr=BOX_THR).boxes
            if len(boxes):
                self.estimate(image, boxes, "detected boxes")
            else:
                self.estimate(image, None, "whole image")
        self.detect("541055", box_thr=0.6)
        self.detect("541055", box_thr=1.0)
        for pixels in ("rgb", "bgra", "rgba", "gray"):
            self.detect("541055", pixels)
            self.estimate("541055", [[150, 77, 212, 310]], f"{pixels} pixels", pixels)

    def given_boxes(self) -> None:
        """Boxes that no detector would give."""
        width, height = 640, 360
        self.estimate("541055", None, "whole image")
        self.estimate("541055", [], "nobody")
        over = [[-80, 60, 90, 420], [560, -50, 720, 200], [-300, -300, 1000, 700]]
        self.estimate("541055", over, "over the edge")
        outside = [[700, 100, 800, 300], [-400, -400, -100, -50]]
        self.estimate("541055", outside, "outside")
        thin = [[200, 100, 201, 300], [100, 200, 500, 202], [300, 150, 300.5, 150.5]]
        self.estimate("541055", thin, "thin")
        self.estimate("541055", [[0, 0, width, height]] * 3, "the same three times")
        crowd = [[8.5 * i, 3.25 * i, 8.5 * i + 90, 3.25 * i + 180] for i in range(60)]
        self.estimate("541055", crowd, "sixty people")

    def clips(self) -> None:
        """Followed people."""
        pans = [{"image": recipe} for recipe in pan(48)]
        self.track("pan", pans)
        self.track("pan every fifth", pans, det_interval=5)
        self.track("crossing", [{"image": recipe} for recipe in crossing(36)])
        timed = [
            {"image": recipe, "time_s": round(i / 12.5, 3)} for i, recipe in enumerate(crossing(20))
        ]
        self.track(
            "crossing at 12.5 frames per second",
            timed,
            track_iou_thr=0.3,
            smooth_params=[0.02, 0.7, 1.0],
            std_weight_position=0.06,
            std_weight_velocity=0.01,
            pose_max_num_bboxes=3,
        )
        self.track("hidden", [{"image": recipe} for recipe in hidden(75)], track_max_missing=15)
        # Boxes from elsewhere in every third frame, and no detector.
        given = []
        for i, recipe in enumerate(pan(24)):
            x = recipe["parts"][0]["from"][0]
            boxes = [[150 - x, 77, 212 - x, 310], [367 - x, 78, 461 - x, 305]]
            given.append({"image": recipe, **({"boxes": boxes} if i % 3 == 0 else {})})
        self.track(
            "given boxes",
            given,
            detects=False,
            smooth="off",
            repair_swaps=False,
            pose_kpt_thr=0.4,
            pose_bbox_scale=1.2,
            confirm=1,
        )


def with_pixels(bgr: Image, pixels: str) -> Image:
    """What the package sees of an image that is handed over in another order: the same, except
    gray, which is the green channel.
    """
    return np.repeat(bgr[:, :, 1:2], 3, axis=2) if pixels == "gray" else bgr


def written(record: dict[str, Any]) -> str:
    """JSON with a line for each image, case and frame, so that differences can be read."""
    lines = ["{"]
    for name in ("format", "package", "engine", "models"):
        lines.append(f'"{name}": {json.dumps(record[name])},')
    images = [
        f"{json.dumps(name)}: {_compact(recipe)}" for name, recipe in record["images"].items()
    ]
    lines.append('"images": {\n' + ",\n".join(images) + "\n},")
    cases = []
    for case in record["cases"]:
        if case["kind"] != "track":
            cases.append(_compact(case))
            continue
        head = _compact({name: value for name, value in case.items() if name != "frames"})
        frames = ",\n".join(_compact(frame) for frame in case["frames"])
        cases.append(head[:-1] + ',"frames":[\n' + frames + "\n]}")
    lines.append('"cases": [\n' + ",\n".join(cases) + "\n]\n}")
    return "\n".join(lines) + "\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    """Write cases.json, and with --images the photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", action="store_true", help="write the PNG files anew, too")
    parser.add_argument("--output", type=Path, default=HERE / "cases.json")
    arguments = parser.parse_args()
    if arguments.images:
        write_images()

    recorder = Recorder()
    recorder.stills()
    recorder.given_boxes()
    recorder.clips()
    record = {
        "format": 1,
        "package": rtmpose.__version__,
        "engine": f"onnxruntime {onnxruntime.__version__}",
        "models": MODELS,
        "images": recorder.images,
        "cases": recorder.cases,
    }
    arguments.output.write_text(written(record), encoding="utf-8")
    print(f"{len(recorder.cases)} cases in {arguments.output}")


if __name__ == "__main__":
    main()
