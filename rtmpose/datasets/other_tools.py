"""Recognize files of labeling tools: those that are read, and those whose COCO export is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from rtmpose.datasets.annotation_files import read_json
from rtmpose.datasets.coco_types import Json
from rtmpose.datasets.cvat import FILE_NAME as CVAT_FILE
from rtmpose.datasets.deeplabcut import is_deeplabcut_csv, label_files
from rtmpose.datasets.label_studio import is_label_studio
from rtmpose.datasets.labelme import is_labelme
from rtmpose.errors import InputError
from rtmpose.sources.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES

SAMPLED_FILES = 5
MAX_LABELME_BYTES = 64 * 1024 * 1024
"""A labelme file is that of one image, at most with its pixels."""

LINE_SUFFIXES = (".jsonl", ".ndjson")
OF_RESULTS = (
    "`rtmpose convert FILE --to coco` writes annotations from results of predict and track,"
    " `rtmpose eval DATA --against FILE` compares COCO results"
)
TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".xls", ".parquet")
REMEDIES: Mapping[str, str] = {
    "VIA": "in VIA choose Annotation > Export Annotations (COCO format)",
    "Supervisely": "run Supervisely's app 'Export to COCO keypoints'",
    "Datumaro": "run: datum convert -i FOLDER -if datumaro -f coco_person_keypoints -o OUT",
}
"""Tools whose own files are not read, and how they write COCO."""


def format_by_suffix(path: Path) -> str:
    """Format of a file by its name, where that says it; else empty.

    Raises:
        InputError: it is an archive, one of many files of labels, an image, or results.
    """
    suffix = path.suffix.lower()
    if suffix in (".zip", ".tar", ".gz"):
        raise InputError(f"{path} is an archive: unpack it and name the folder")
    if suffix == ".txt" and "labels" in path.absolute().parts[-3:-1]:
        raise InputError(
            f"{path} has the labels of one image: name the data.yaml or the folder of the set"
        )
    if suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES and path.is_file():
        kind = "an image" if suffix in IMAGE_SUFFIXES else "a video"
        raise InputError(f"{path} is {kind}: name its annotations, a file or a folder of them")
    if suffix in LINE_SUFFIXES:
        raise InputError(f"{path} has one object on each line, as results have: {OF_RESULTS}")
    if suffix == ".slp":
        return "sleap"
    if suffix == ".xml":
        return "cvat"
    if suffix == ".h5" or (suffix == ".csv" and is_deeplabcut_csv(path)):
        return "deeplabcut"
    if suffix in TABLE_SUFFIXES and path.is_file():
        raise InputError(
            f"{path} is a table, which has as many forms as authors: of .csv files those of"
            " DeepLabCut (CollectedData_*.csv) are read. Write the points as COCO JSON; `rtmpose"
            " data formats` lists what else is read"
        )
    if path.name == "config.yaml" and (path.parent / "labeled-data").is_dir():
        return "deeplabcut"
    return ""


def format_of_folder(path: Path) -> str:
    """Format of a folder with the files of a tool; empty where it is none of these.

    Raises:
        InputError: it is of a tool whose files are not read.
    """
    if (path / CVAT_FILE).is_file():
        return "cvat"
    if (path / "labeled-data").is_dir() or any(path.glob("CollectedData_*")):
        return "deeplabcut"
    if path.name == "labeled-data" and label_files(path):
        return "deeplabcut"
    if (path / "meta.json").is_file() and any(path.rglob("ann/*.json")):
        raise InputError(f"{path} is a Supervisely project: {REMEDIES['Supervisely']}")

    # One JSON file per image, in the folder or in folders below it; a single file is told by what
    # is in it.
    files = list(islice(path.glob("*.json"), SAMPLED_FILES))
    if len(files) == 1 or (path / "annotations").is_dir():
        return ""
    files = files or list(islice(path.rglob("*.json"), SAMPLED_FILES))
    return "labelme" if files and all(map(_is_labelme_file, files)) else ""


def _is_labelme_file(path: Path) -> bool:
    """Whether a file is labelme's; large ones are sets in one file."""
    return path.stat().st_size < MAX_LABELME_BYTES and is_labelme(read_json(path))


def format_of_json(content: Json) -> str:
    """Format of parsed JSON of a tool; empty where it is none of these.

    Raises:
        InputError: it is of a tool whose files are not read.
    """
    if is_labelme(content):
        return "labelme"
    if is_label_studio(content):
        return "label-studio"
    if _is_results(content):
        raise InputError(f"these are results of a model, not annotations: {OF_RESULTS}")
    tool = _other_tool(content)
    if tool:
        raise InputError(f"this is {tool}'s own JSON, which is not read: {REMEDIES[tool]}")
    return ""


def _is_results(content: Json) -> bool:
    """Whether JSON is COCO results: a list of instances with scores, and no images."""
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    first = content[0]
    return "score" in first and ("image_id" in first or "image" in first)


def _other_tool(content: Json) -> str:
    """Name of the tool that JSON is of; empty where unknown."""
    if not isinstance(content, dict) or "images" in content:
        return ""
    if any(str(key).startswith("_via_") for key in content):
        return "VIA"
    if isinstance(content.get("items"), list) and isinstance(content.get("categories"), dict):
        return "Datumaro"
    if isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict):
        return "Supervisely"
    if isinstance(content.get("classes"), list) and "projectType" in content:
        return "Supervisely"
    # VIA's annotations alone: entries with file name and regions.
    first = next(iter(content.values()), None)
    if isinstance(first, dict) and "regions" in first and "filename" in first:
        return "VIA"
    return ""
