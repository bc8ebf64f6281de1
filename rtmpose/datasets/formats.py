"""All annotation formats by name, and :func:`read` for any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtmpose.datasets.aic import read_aic
from rtmpose.datasets.coco import STYLES, read_coco, read_posetrack
from rtmpose.datasets.coco_content import MARK, Annotations
from rtmpose.datasets.freihand import read_freihand
from rtmpose.datasets.keypoint_dataset import (
    KeypointDataset,
    annotation_file,
    category_names,
    read_json,
)
from rtmpose.datasets.landmarks import read_300w, read_lapa, read_wflw
from rtmpose.datasets.mpii import read_mpii
from rtmpose.datasets.yolo import read_yolo
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, load_skeleton, skeleton_names
from rtmpose.types import Skeleton

FORMATS: Mapping[str, str] = {
    "coco": "COCO keypoint JSON, also as CVAT and Label Studio export it",
    "coco-wholebody": "COCO-WholeBody JSON: body, foot, face and hand keypoints become 133",
    "halpe": "Halpe full body JSON, 136 points",
    "aic": "AI Challenger in COCO form",
    "aic-raw": "AI Challenger as published",
    "crowdpose": "CrowdPose JSON",
    "mpii": "MPII JSON list (image, center, scale, joints)",
    "jhmdb": "sub-JHMDB in COCO form, pixels from 1",
    "posetrack18": "PoseTrack18: one JSON in COCO form, or the folder of the published ones",
    "ochuman": "OCHuman in COCO form",
    "humanart": "Human-Art JSON, its 17 points",
    "humanart21": "Human-Art JSON, its 21 points",
    "ap10k": "AP-10K JSON, animals",
    "lapa": "LaPa in COCO form",
    "lapa-raw": "LaPa as published: images/ and landmarks/*.txt",
    "wflw": "WFLW in COCO form",
    "wflw-raw": "WFLW as published: a list in .txt",
    "300w": "300-W in COCO form",
    "300w-raw": "300-W as published: .pts beside the pictures",
    "cofw": "COFW in COCO form",
    "aflw": "AFLW in COCO form",
    "freihand": "FreiHAND in COCO form",
    "freihand-raw": "FreiHAND as published: *_xyz.json, *_K.json",
    "onehand10k": "OneHand10K in COCO form",
    "rhd": "Rendered Handpose in COCO form (fingers from the tip)",
    "yolo": "YOLO-pose text labels: data.yaml, or labels/ beside images/",
}
"""What can be read, with one line for people."""

_BY_NAMES = {
    "Right Shoulder": "aic",
    "belly": "jhmdb",
    "head_bottom": "posetrack18",
    "root_of_tail": "ap10k",
}
_BY_COUNT = {136: "halpe", 98: "wflw", 68: "300w", 29: "cofw", 19: "aflw", 106: "lapa"}


@dataclass(frozen=True, eq=False)
class _Guess:
    format: str
    content: Any = None


def read(
    data: str | Path,
    format: str = "auto",
    images: str | Path | None = None,
    skeleton: str | Path | Skeleton | None = None,
    split: str = "",
) -> KeypointDataset:
    """Read an annotated set in any known format.

    Args:
        data: The annotation file or its folder.
        format: A key of :data:`FORMATS`, or ``auto``.
        images: The folder that file names start from; None looks around.
        skeleton: The keypoints where the file does not say or should not be believed: a set's name,
            a TOML file, or the set itself.
        split: Of YOLO labels.

    Returns:
        The set in COCO form; pixels are counted from 0.

    Raises:
        InputError: the format is unknown, or the data is not of it.
    """
    return read_annotations(data, format, images, skeleton, split).dataset()


def read_annotations(
    data: str | Path,
    format: str = "auto",
    images: str | Path | None = None,
    skeleton: str | Path | Skeleton | None = None,
    split: str = "",
) -> Annotations:
    """As :func:`read`, but with faults of single annotations still in it: for ``rtmpose data
    check``.
    """
    path, folder = Path(data), Path(images) if images is not None else None
    points = find_skeleton(skeleton)
    guess = detect_format(path) if format == "auto" else _Guess(format)
    kind, content = guess.format, guess.content
    if kind == "posetrack18":
        return read_posetrack(path, folder, points)
    if kind in STYLES:
        return read_coco(path, folder, STYLES[kind], points, content)
    if kind == "mpii":
        return read_mpii(path, folder, points, content)
    if kind == "aic-raw":
        return read_aic(path, folder, points, content)
    if kind == "yolo":
        return read_yolo(path, folder, points, split)
    plain = {
        "lapa-raw": read_lapa,
        "wflw-raw": read_wflw,
        "300w-raw": read_300w,
        "freihand-raw": read_freihand,
    }
    if kind not in plain:
        raise InputError(
            f"there is no annotation format {format!r}; the known ones are {', '.join(FORMATS)}"
        )
    return plain[kind](path, folder, points)


def find_skeleton(skeleton: str | Path | Skeleton | None) -> Skeleton | None:
    """A keypoint set by name, from a TOML file, or as it is.

    Raises:
        InputError: it is neither a known name nor a readable file.
        ModelError: the file is not a valid keypoint set.
    """
    if skeleton is None or isinstance(skeleton, Skeleton):
        return skeleton
    if str(skeleton) in skeleton_names() or not str(skeleton).endswith(".toml"):
        return get_skeleton(str(skeleton))
    return load_skeleton(skeleton)


def detect_format(path: Path) -> _Guess:
    """What a file or folder looks like, with the parsed JSON where there is one.

    Raises:
        InputError: it looks like nothing known.
    """
    if path.suffix in (".yaml", ".yml"):
        return _Guess("yolo")
    if path.suffix == ".txt":
        return _Guess("wflw-raw")
    if path.is_dir():
        folder = _folder_format(path)
        if folder:
            return _Guess(folder)
    content = read_json(annotation_file(path))
    try:
        return _Guess(_json_format(content), content)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} looks like none of the known annotation formats; name it with --from"
        ) from error


def _folder_format(path: Path) -> str:
    if any(path.glob("*_xyz.json")):
        return "freihand-raw"
    if (path / "landmarks").is_dir():
        return "lapa-raw"
    if (path / "labels").is_dir() or (path.name == "labels" and any(path.rglob("*.txt"))):
        return "yolo"
    if any(path.glob("*.pts")) or any(path.glob("*/*.pts")):
        return "300w-raw"
    files = sorted(path.glob("*.json"))
    if len(files) > 1 and all("_mpii" in f.name or "_bonn" in f.name for f in files):
        return "posetrack18"
    return ""


def _json_format(content: Any) -> str:
    if isinstance(content, list):
        if "human_annotations" in content[0]:
            return "aic-raw"
        return "mpii" if content[0]["joints"] else ""
    info = content.get("info")
    if isinstance(info, dict) and MARK in info:
        return "coco"
    names = category_names(content)
    for name, format in _BY_NAMES.items():
        if name in names:
            return format
    first = next(
        (a for a in content["annotations"] if isinstance(a, dict) and "keypoints" in a), {}
    )
    if "foot_kpts" in first or len(first.get("keypoints", ())) == 399:
        return "coco-wholebody"
    if "keypoints_21" in first:
        return "humanart"
    points = first.get("keypoints") or []
    if points and isinstance(points[0], list):
        return "rhd"
    if len(names) == 14 and names[0] == "left_shoulder" and "neck" in names:
        return "crowdpose"
    if not names:
        return _BY_COUNT.get(len(points) // 3, "coco")
    about = str(info.get("description", "")).lower() if isinstance(info, dict) else ""
    return "freihand" if about == "freihand" else "coco"
