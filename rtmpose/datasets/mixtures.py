"""Mixtures of data sets: the published body8, face6 and hand5, and others from TOML files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rtmpose.datasets.category_skeletons import category_of
from rtmpose.datasets.coco_types import CocoAnnotation, JsonObject
from rtmpose.datasets.convert import convert
from rtmpose.datasets.formats import read, resolve_skeleton
from rtmpose.datasets.hold_out import marked
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.text_files import read_toml
from rtmpose.types import Skeleton


@dataclass(frozen=True)
class MixturePart:
    """One data set of a mixture.

    Attributes:
        name: What it is called in the mixture.
        format: How to read it, a key of :data:`rtmpose.datasets.FORMATS`.
        path: The annotation file below the data folder; for the published mixtures where mmpose's
            tools put it.
        images: The folder of the images below the data folder; empty looks around the file.
        weight: How often it is sampled, relative to its size.
        test_only: It is evaluated on, never trained on.
        group_by: What a training holds out together: ``folder`` or a regular expression, see
            :func:`rtmpose.datasets.hold_out.groups_of`; empty for single images.
        skeleton: The keypoints, where the file does not say: a name or a TOML file.
        split: Of YOLO labels; empty for ``train``.
    """

    name: str
    format: str
    path: str
    images: str = ""
    weight: float = 1.0
    test_only: bool = False
    group_by: str = ""
    skeleton: str = ""
    split: str = ""


@dataclass(frozen=True)
class Mixture:
    """Data sets that are converted to one keypoint set.

    Attributes:
        name: Such as ``body8``.
        target: The keypoint set, a name or a TOML file.
        parts: The sets.
    """

    name: str
    target: str
    parts: tuple[MixturePart, ...]


# The published mixtures; paths are those that mmpose's tools write.
_BODY = (
    MixturePart("aic", "aic", "aic/annotations/aic_train.json", "aic/images"),
    MixturePart(
        "crowdpose",
        "crowdpose",
        "crowdpose/annotations/mmpose_crowdpose_trainval.json",
        "crowdpose/images",
    ),
    MixturePart("mpii", "mpii", "mpii/annotations/mpii_train.json", "mpii/images"),
    MixturePart("jhmdb", "jhmdb", "jhmdb/annotations/Sub1_train.json", "jhmdb"),
    MixturePart(
        "halpe",
        "halpe",
        "halpe/annotations/halpe_train_v1.json",
        "halpe/hico_20160224_det/images/train2015",
    ),
    MixturePart(
        "posetrack18",
        "posetrack18",
        "posetrack18/annotations/posetrack18_train.json",
        "posetrack18",
    ),
)
# Evaluated on, never trained on.
_OCHUMAN = MixturePart(
    "ochuman",
    "ochuman",
    "ochuman/annotations/ochuman_coco_format_val_range_0.00_1.00.json",
    "ochuman/images",
    test_only=True,
)
_COCO = MixturePart(
    "coco", "coco", "coco/annotations/person_keypoints_train2017.json", "coco/train2017"
)
_WHOLEBODY = MixturePart(
    "coco-wholebody",
    "coco-wholebody",
    "coco/annotations/coco_wholebody_train_v1.0.json",
    "coco/train2017",
)
_HALPE_WHOLEBODY = MixturePart(
    "halpe",
    "halpe",
    "halpe/annotations/halpe_train_133kpt.json",
    "halpe/hico_20160224_det/images/train2015",
)

# Six sets of faces, five of hands.
_FACE6 = (
    MixturePart("lapa", "lapa", "LaPa/annotations/lapa_trainval.json", "LaPa"),
    _WHOLEBODY,
    MixturePart("wflw", "wflw", "wflw/annotations/face_landmarks_wflw_train.json", "wflw/images"),
    MixturePart("300w", "300w", "300w/annotations/face_landmarks_300w_train.json", "300w/images"),
    MixturePart("cofw", "cofw", "cofw/annotations/cofw_train.json", "cofw/images"),
    _HALPE_WHOLEBODY,
)
_HAND5 = (
    _WHOLEBODY,
    MixturePart(
        "onehand10k", "onehand10k", "onehand10k/annotations/onehand10k_train.json", "onehand10k"
    ),
    MixturePart("freihand", "freihand", "freihand/annotations/freihand_train.json", "freihand"),
    MixturePart("rhd", "rhd", "rhd/annotations/rhd_train.json", "rhd"),
    replace(_HALPE_WHOLEBODY, path="halpe/annotations/halpe_train_v1.json"),
)

_PUBLISHED = (
    Mixture("body8", "coco17", (_COCO, *_BODY, _OCHUMAN)),
    # With feet, COCO comes with its foot keypoints.
    Mixture("body8-halpe26", "halpe26", (_WHOLEBODY, *_BODY, _OCHUMAN)),
    Mixture("face6", "lapa106", _FACE6),
    Mixture("hand5", "hand21", _HAND5),
)
MIXTURES: Mapping[str, Mixture] = {mixture.name: mixture for mixture in _PUBLISHED}
"""The published mixtures. Every set has the weight 1, as there: they are concatenated."""

PART_FIELDS = {f.name for f in fields(MixturePart)}
"""Keys of a ``[[data]]`` table."""


def load_mixture(path: str | Path) -> tuple[Mixture, Path]:
    """A mixture from a TOML file, and the folder its paths start from.

    The file has ``target`` (a keypoint set's name or TOML file) and one ``[[data]]`` table per set,
    with ``path`` and perhaps ``format``, ``images``, ``name``, ``weight``. ``docs/datasets.md`` has
    an example.

    Raises:
        InputError: it cannot be read or is not such a file.
    """
    path = Path(path)
    try:
        table = read_toml(path)
        parts = tuple(_part(entry) for entry in table["data"])
        target = str(table["target"])
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{path} is not a mixture of data sets: {reason}; see docs/datasets.md"
        ) from error
    # A TOML file of keypoints is named relative to that of the mixture.
    if target.endswith(".toml"):
        target = str(path.parent / target)
    return Mixture(str(table.get("name", path.stem)), target, parts), path.parent


def open_mixture(
    mixture: str | Mixture,
    folder: str | Path,
    *,
    training: bool = True,
    paths: Mapping[str, str | Path] | None = None,
    skip_missing: bool = False,
) -> list[tuple[KeypointDataset, float]]:
    """Read the sets of a mixture and convert them to its keypoints.

    Args:
        mixture: A name out of :data:`MIXTURES`, or a mixture.
        folder: What its paths are below.
        training: Leave out sets that are only evaluated on.
        paths: Other places of annotation files, by name of the set.
        skip_missing: Leave out sets whose annotation file is not there, instead of failing.

    Returns:
        The sets with their weights, in the order of the mixture.

    Raises:
        InputError: the mixture is unknown, no set is there, or one is missing or damaged.
    """
    # The mixture by its name, and the keypoint set it is converted to.
    if isinstance(mixture, str):
        if mixture not in MIXTURES:
            raise InputError(
                f"there is no mixture {mixture!r}; the known ones are {', '.join(MIXTURES)}"
            )
        mixture = MIXTURES[mixture]
    root = Path(folder)
    paths = paths or {}
    target: str | Skeleton = mixture.target
    if mixture.target.endswith(".toml"):
        target = resolve_skeleton(mixture.target) or target

    # Read and convert one set after the other.
    datasets = []
    for part in mixture.parts:
        if training and part.test_only:
            continue
        path = Path(paths.get(part.name, root / part.path))
        if skip_missing and not path.exists():
            continue
        # Where the published folder is not there, images are looked for around the file.
        images = root / part.images if part.images and (root / part.images).is_dir() else None
        skeleton = _skeleton_of(part, root)
        dataset = read(path, part.format, images, skeleton, part.split)
        if part.group_by:
            dataset = marked(dataset, part.group_by)
        datasets.append((convert(dataset, target), part.weight))
    if not datasets:
        raise InputError(f"none of the sets of {mixture.name} is in {root}")
    return datasets


def merge(datasets: Sequence[KeypointDataset]) -> KeypointDataset:
    """Several sets with the same keypoints as one; ids are given anew, file names become paths.

    Raises:
        InputError: there is none, or their keypoints differ.
    """
    if not datasets:
        raise InputError("there is nothing to merge")

    # Only sets with the same keypoints can share one category.
    first = datasets[0]
    if any(d.keypoint_names != first.keypoint_names for d in datasets):
        raise InputError(
            "sets with different keypoints cannot be merged; convert them first: "
            + ", ".join(f"{d.path.name}: {_describe(d)}" for d in datasets)
        )

    # Ids of images and annotations count on from set to set.
    images: dict[int, Path] = {}
    entries: list[JsonObject] = []
    annotations: dict[int, list[CocoAnnotation]] = {}
    merged: list[CocoAnnotation] = []
    for dataset in datasets:
        old_entries = {int(i["id"]): i for i in dataset.content["images"]}
        for old_id, path in dataset.images.items():
            image_id = len(images) + 1
            images[image_id] = path

            # File names become absolute paths: the sets lie in different folders.
            new_fields = {"id": image_id, "file_name": str(path.absolute())}
            entries.append({**old_entries.get(old_id, {}), **new_fields})
            annotations[image_id] = []
            for old in dataset.annotations[old_id]:
                number = len(merged) + 1
                row: CocoAnnotation = {**old, "id": number, "image_id": image_id, "category_id": 1}
                annotations[image_id].append(row)
                merged.append(row)

    # One category for all.
    skeleton = first.skeleton
    categories = [category_of(skeleton)] if skeleton else first.content["categories"][:1]
    content = {"images": entries, "annotations": merged, "categories": categories}
    return KeypointDataset(first.path, content, images, annotations, first.keypoint_names, skeleton)


def _skeleton_of(part: MixturePart, root: Path) -> str | Path | None:
    """The keypoints of a part; a TOML file is named relative to the mixture."""
    if part.skeleton.endswith(".toml"):
        return root / part.skeleton
    return part.skeleton or None


def _part(entry: JsonObject) -> MixturePart:
    """A set from its ``[[data]]`` table."""
    # A wrong key is most likely a misspelled one.
    unknown = set(entry) - PART_FIELDS
    if unknown:
        raise ValueError(f"a [[data]] table has no {', '.join(sorted(unknown))}")
    path = str(entry["path"])
    weight = float(entry.get("weight", 1.0))
    if not weight > 0:
        raise ValueError(f"the weight of {path} must be above 0, not {weight}")
    return MixturePart(
        name=str(entry.get("name", Path(path).stem)),
        format=str(entry.get("format", "auto")),
        path=path,
        images=str(entry.get("images", "")),
        weight=weight,
        test_only=bool(entry.get("test_only", False)),
        group_by=str(entry.get("group_by", "")),
        skeleton=str(entry.get("skeleton", "")),
        split=str(entry.get("split", "")),
    )


def _describe(dataset: KeypointDataset) -> str:
    return dataset.skeleton.name if dataset.skeleton else f"{len(dataset.keypoint_names)} points"
