"""All annotation formats by name, and :func:`read` for any of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rtmpose.datasets.aic import read_aic
from rtmpose.datasets.annotation_files import find_annotation_file, read_json
from rtmpose.datasets.category_skeletons import category_keypoints
from rtmpose.datasets.coco import STYLES, read_coco, read_posetrack
from rtmpose.datasets.coco_content import WRITTEN_BY_US, Annotations
from rtmpose.datasets.coco_entries import entries, select_category
from rtmpose.datasets.coco_types import Json
from rtmpose.datasets.cvat import read_cvat
from rtmpose.datasets.deeplabcut import read_deeplabcut
from rtmpose.datasets.freihand import read_freihand
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.datasets.keypoint_guess import class_agrees, set_with_names
from rtmpose.datasets.label_studio import read_label_studio
from rtmpose.datasets.labelme import read_labelme
from rtmpose.datasets.landmarks import read_300w, read_lapa, read_wflw
from rtmpose.datasets.mpii import read_mpii
from rtmpose.datasets.other_tools import format_by_suffix, format_of_folder, format_of_json
from rtmpose.datasets.sleap import read_sleap
from rtmpose.datasets.yolo import read_yolo
from rtmpose.datasets.yolo_layout import YAML_SUFFIXES, Splits, yaml_in
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, load_skeleton, skeleton_names
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

FORMATS: Mapping[str, str] = {
    "coco": "COCO keypoint JSON, also as CVAT exports it",
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
    "300w-raw": "300-W as published: .pts next to the images",
    "cofw": "COFW in COCO form",
    "aflw": "AFLW in COCO form",
    "freihand": "FreiHAND in COCO form",
    "freihand-raw": "FreiHAND as published: *_xyz.json, *_K.json",
    "onehand10k": "OneHand10K in COCO form",
    "rhd": "Rendered Handpose in COCO form (fingers from the tip)",
    "yolo": "YOLO-pose text labels: data.yaml, or labels/ next to images/",
    "labelme": "labelme: a folder of JSON files, one per image",
    "label-studio": "Label Studio's own JSON (keypointlabels, rectanglelabels)",
    "cvat": "CVAT for images 1.1: annotations.xml",
    "deeplabcut": "DeepLabCut: CollectedData_*.csv or .h5, or a project",
    "sleap": "SLEAP .slp files (needs rtmpose[sleap])",
}
"""What can be read, with one line for people."""

_FORMAT_BY_NAMES = {
    "aic14": "aic",
    "jhmdb15": "jhmdb",
    "posetrack18": "posetrack18",
    "ap10k17": "ap10k",
    "crowdpose14": "crowdpose",
}
"""Keypoint sets whose names, all of them, only one format has."""

_FORMAT_BY_COUNT = {136: "halpe", 98: "wflw", 68: "300w", 29: "cofw", 19: "aflw", 106: "lapa"}
"""Number of keypoints of the formats whose files do not name them; the class must agree."""

_WHOLEBODY_VALUES = 3 * 133


@dataclass(frozen=True, eq=False)
class DetectedFormat:
    """What a file or folder looks like.

    Attributes:
        format: A key of :data:`FORMATS`.
        content: The parsed JSON, where there is one.
    """

    format: str
    content: Json = None


def read(
    data: str | Path,
    format: str = "auto",
    images: str | Path | None = None,
    skeleton: str | Path | Skeleton | None = None,
    split: Splits = "",
    category: str = "",
) -> KeypointDataset:
    """Read an annotated set in any known format.

    Args:
        data: The annotation file or its folder.
        format: A key of :data:`FORMATS`, or ``auto``.
        images: The folder that file names start from; None looks around.
        skeleton: The keypoints where the file does not say or should not be believed: a set's name,
            a TOML file, or the set itself.
        split: Of YOLO labels: ``train``, ``val`` or ``test``; or several, of which the first that
            is there is taken (:data:`rtmpose.datasets.SCORING_SPLITS` for an evaluation).
        category: Of a COCO file: take the instances of this category only, by name or id.

    Returns:
        The set in COCO form; pixels are counted from 0.

    Raises:
        InputError: the format is unknown, or the data is not of it.
    """
    return read_annotations(data, format, images, skeleton, split, category).dataset()


def read_annotations(
    data: str | Path,
    format: str = "auto",
    images: str | Path | None = None,
    skeleton: str | Path | Skeleton | None = None,
    split: Splits = "",
    category: str = "",
) -> Annotations:
    """As :func:`read`, but with errors of single annotations still in it: for ``rtmpose data
    check``.
    """
    # The format, told or detected; JSON that was read for that is not read again.
    path = Path(data)
    folder = Path(images) if images is not None else None
    points = resolve_skeleton(skeleton)
    detected = detect_format(path) if format == "auto" else DetectedFormat(format)
    kind = detected.format
    content = detected.content

    # One category of several, before anything is made of the keypoints of all.
    if category:
        if kind not in STYLES:
            raise InputError(f"{path} is of format {kind}, which has no categories to choose from")
        if content is None:
            content = read_json(find_annotation_file(path))
        content = select_category(content, category, path)

    # Formats of JSON files, which may have been parsed already.
    if kind == "posetrack18":
        return read_posetrack(path, folder, points)
    if kind in STYLES:
        return read_coco(path, folder, STYLES[kind], points, content)
    if kind == "mpii":
        return read_mpii(path, folder, points, content)
    if kind == "aic-raw":
        return read_aic(path, folder, points, content)

    # Formats of folders and text files.
    if kind == "yolo":
        return read_yolo(path, folder, points, split)
    if kind == "label-studio":
        return read_label_studio(path, folder, points, content)
    readers = {
        "labelme": read_labelme,
        "cvat": read_cvat,
        "deeplabcut": read_deeplabcut,
        "sleap": read_sleap,
        "lapa-raw": read_lapa,
        "wflw-raw": read_wflw,
        "300w-raw": read_300w,
        "freihand-raw": read_freihand,
    }
    if kind not in readers:
        raise InputError(
            f"there is no annotation format {format!r}; the known ones are {', '.join(FORMATS)}"
        )
    return readers[kind](path, folder, points)


def resolve_skeleton(skeleton: str | Path | Skeleton | None) -> Skeleton | None:
    """A keypoint set by name, from a TOML file, or as it is.

    Raises:
        InputError: it is neither a known name nor a readable file.
        ModelError: the file is not a valid keypoint set.
    """
    if skeleton is None or isinstance(skeleton, Skeleton):
        return skeleton
    name = str(skeleton)
    if name in skeleton_names() or not name.endswith(".toml"):
        return get_skeleton(name)
    return load_skeleton(skeleton)


def detect_format(path: Path) -> DetectedFormat:
    """What a file or folder looks like, with the parsed JSON where there is one.

    Raises:
        InputError: it looks like nothing known.
    """
    # Text files by their suffix, folders by what is in them, JSON by its content.
    by_suffix = format_by_suffix(path)
    if by_suffix:
        return DetectedFormat(by_suffix)
    if path.suffix.lower() in YAML_SUFFIXES:
        return DetectedFormat("yolo")
    if path.suffix == ".txt":
        return DetectedFormat("wflw-raw")
    if path.is_dir():
        folder_format = _folder_format(path)
        if folder_format:
            return DetectedFormat(folder_format)
    content = read_json(find_annotation_file(path))
    try:
        format = format_of_json(content) or _json_format(content)
        if format in _FORMAT_BY_COUNT.values() and not category_keypoints(content):
            log.warning(
                "%s does not name its keypoints: taken for %s by their number and class;"
                " --annotation-format or --skeleton says otherwise",
                path,
                format,
            )
        return DetectedFormat(format, content)
    except InputError as error:
        text = str(error)
        raise InputError(text if str(path) in text else f"{path}: {text}") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} looks like none of the known annotation formats; name it with"
            " --annotation-format"
        ) from error


def _folder_format(path: Path) -> str:
    """Format of a folder by the files in it; empty for a folder with one JSON file."""
    if any(path.glob("*_xyz.json")):
        return "freihand-raw"
    if (path / "landmarks").is_dir():
        return "lapa-raw"
    if _is_yolo_folder(path):
        return "yolo"
    if any(path.glob("*.pts")) or any(path.glob("*/*.pts")):
        return "300w-raw"
    files = sorted(path.glob("*.json"))
    if len(files) > 1 and all("_mpii" in f.name or "_bonn" in f.name for f in files):
        return "posetrack18"
    return format_of_folder(path)


def _is_yolo_folder(path: Path) -> bool:
    """Whether a folder has YOLO labels: in it, in a folder per split, or it is one of labels."""
    if (path / "labels").is_dir() or any(folder.is_dir() for folder in path.glob("*/labels")):
        return True
    if "labels" in (path.name, path.parent.name) and any(path.rglob("*.txt")):
        return True
    for folder in (path, path.parent):  # images, whose labels lie in the folder beside them
        if folder.name == "images" and (folder.parent / "labels").is_dir():
            return not any(path.glob("*.json"))
    return not any(path.glob("*.json")) and yaml_in(path) is not None


def _json_format(content: Json) -> str:
    """Format of parsed JSON."""
    # A list is MPII's or AI Challenger's; COCO forms are objects.
    if isinstance(content, list):
        if "human_annotations" in content[0]:
            return "aic-raw"
        return "mpii" if content[0]["joints"] else ""
    if not isinstance(content, dict):
        raise TypeError("neither a list nor an object")

    # Files that this package wrote are plain COCO, whatever their keypoints are called.
    info = content.get("info")
    if isinstance(info, dict) and WRITTEN_BY_US in info:
        return "coco"

    # By names that only one format has.
    names = category_keypoints(content)
    known = set_with_names(names)
    if known is not None and known.name in _FORMAT_BY_NAMES:
        return _FORMAT_BY_NAMES[known.name]

    # By the form of the first annotation with keypoints.
    rows = [a for a in entries(content, "annotations") if isinstance(a, dict)]
    first = next((a for a in rows if isinstance(a.get("keypoints"), list)), {})
    points = first.get("keypoints") or []
    if "foot_kpts" in first or _is_joined_wholebody(content, first, names):
        return "coco-wholebody"
    if "keypoints_21" in first:
        return "humanart"
    description = str(info.get("description", "")).lower() if isinstance(info, dict) else ""
    if points and isinstance(points[0], list):
        # RHD's file names its fingers from the base and has them from the tip; it alone does.
        is_rhd = description.startswith(("rhd", "rendered hand")) or "joint_cam" in first
        return "rhd" if is_rhd else "coco"

    # By the number of keypoints, where the class agrees, or the fields that faces came with.
    if not names:
        format = _FORMAT_BY_COUNT.get(len(points) // 3, "coco")
        has_square_box = "center" in first and "scale" in first
        return format if has_square_box or _class_agrees(content, first, format) else "coco"
    return "freihand" if description == "freihand" else "coco"


def _is_joined_wholebody(content: Json, annotation: Json, names: tuple[str, ...]) -> bool:
    """Whether an annotation has the 133 points of a person in one list: these have the names of
    the 17 of the body, or none.
    """
    if len(annotation.get("keypoints") or ()) != _WHOLEBODY_VALUES:
        return False
    if names:
        return names == get_skeleton("coco17").keypoints
    return _class_agrees(content, annotation, "coco-wholebody")


def _class_agrees(content: Json, annotation: Json, format: str) -> bool:
    """Whether the class of an annotation is what a format is of."""
    if format not in STYLES:
        return False
    category_id = annotation.get("category_id", 1)
    categories = (c for c in entries(content, "categories") if isinstance(c, dict))
    names = [str(c.get("name", "")) for c in categories if c.get("id", 1) == category_id]
    return class_agrees(STYLES[format].skeleton, names)
