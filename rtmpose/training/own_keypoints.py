"""Fine-tuning on keypoints that no model has: the keypoint set comes from the data, and the recipe
follows the size of the data.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.keypoint_guess import mirror_is_known
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.networks.load import find_card
from rtmpose.skeletons import generic_skeleton, get_skeleton, skeleton_names, skeleton_of
from rtmpose.training.data.pose_samples import match_keypoints
from rtmpose.training.open_data import (
    AS_FOUND,
    DataSource,
    OpenedSet,
    ReadOptions,
    has_teacher_points,
    in_keypoints_of,
    open_sets,
)
from rtmpose.training.recipes import Recipe, with_settings
from rtmpose.training.recipes.detector import for_few_images
from rtmpose.training.recipes.finetune import for_few_people, for_own_keypoints
from rtmpose.training.start import NOT_A_MODEL, follows_init, parse_skeleton
from rtmpose.types import Skeleton
from rtmpose.zoo import find, load_zoo

log = logging.getLogger(__name__)

FROM_DATA = "data"
"""Name of the keypoint set that stands for the data's own."""

UNIFORM_SIGMA = 0.05
"""OKS constant of every keypoint of a set without any; COCO's are 0.025 (eyes) to 0.107 (hips)."""

BODY_TASKS = ("body", "body-feet", "wholebody")
"""Tasks of the zoo that are all about people's bodies."""


@dataclass(frozen=True)
class FittedTraining:
    """A recipe and data that go together.

    Attributes:
        recipe: With the settings that suit the data.
        data: The sets, read.
        skeleton: The keypoints to train; None for those of the model.
    """

    recipe: Recipe
    data: Sequence[DataSource]
    skeleton: Skeleton | str | None


def fit_to_data(
    recipe: Recipe,
    data: Sequence[DataSource],
    *,
    init: str | None = None,
    skeleton: str | None = None,
    teacher: str | None = None,
    settings: Mapping[str, str] | None = None,
    options: ReadOptions = AS_FOUND,
) -> FittedTraining:
    """Take keypoints from the data where the model has other ones, and fit the recipe to it.

    Only trainings of poses are changed; recipes of the published models keep their numbers.

    Args:
        recipe: From :func:`rtmpose.training.find_recipe`.
        data: As in :func:`rtmpose.training.setup.make_task`.
        init: Likewise.
        skeleton: Name or TOML file of a keypoint set; ``data`` for the data's own; None takes the
            model's if the data has them, else the data's own.
        teacher: A model to learn from, which has to have the keypoints.
        settings: Fields by name, as in :func:`rtmpose.training.with_settings`: they come last.
        options: How the sets are read.

    Raises:
        InputError: the data cannot be read, or holds no people with keypoints.
        ModelError: the model to start from is not available.
    """
    settings = settings or {}
    told = with_settings(recipe, settings)
    if told.kind == "detector":
        return _fitted_detector(recipe, open_sets(data, options=options), settings, skeleton)
    if told.kind not in ("pose", "heatmap") or not data:
        return FittedTraining(told, data, skeleton)

    # The network that was asked for says which keypoints there are.
    recipe = replace(recipe, model=told.model, model_from_init=told.model_from_init)
    init = told.init if init is None else init
    given = None if skeleton in (None, FROM_DATA) else parse_skeleton(skeleton)
    sets = open_sets(data, given, options)
    model = _model_card(recipe, init)
    model_points = skeleton_of(model) if model is not None else None

    # Told, the model's where the data has them, or the data's.
    points = given
    if given is None and (skeleton == FROM_DATA or not _has_points_of(sets, model, model_points)):
        points = keypoints_of(sets[0].dataset)
        log.info("keypoints from %s: %s", sets[0].dataset.path, describe(points))
    own = points is not None and (
        model_points is None or points.keypoints != model_points.keypoints
    )
    # A model with keypoints of its owner goes on as it was trained: it has no other to learn from.
    own = own or (points is None and model is not None and model.own_skeleton is not None)
    if points is not None and not points.sigmas:
        log.info(
            "%s has no sigmas: AP is measured with %g for every keypoint",
            points.name,
            UNIFORM_SIGMA,
        )
        points = replace(points, sigmas=(UNIFORM_SIGMA,) * len(points))

    # Numbers that suit the data, then those that were asked for.
    recipe = _fit_recipe(recipe, sets, own=own, teacher=teacher)
    content = sets[0].dataset.content if given is None else None
    if points is not None and len(points) > 1 and not mirror_is_known(points, content):
        log.info("no left and right among the keypoints: crops are not mirrored")
        recipe = _without_flip(recipe)
    return FittedTraining(with_settings(recipe, settings), sets, points)


def _fitted_detector(
    recipe: Recipe, sets: Sequence[OpenedSet], settings: Mapping[str, str], skeleton: str | None
) -> FittedTraining:
    """A training of a detector whose batches the images fill."""
    images = sum(bool(rows) for s in sets for rows in s.dataset.annotations.values())
    told = with_settings(recipe, settings)
    fitted = with_settings(for_few_images(told, images), settings)
    if fitted.schedule.batch_size != told.schedule.batch_size:
        log.info("%d images: batches of %d", images, fitted.schedule.batch_size)
    return FittedTraining(fitted, sets, skeleton)


def _fit_recipe(
    recipe: Recipe, sets: Sequence[OpenedSet], *, own: bool, teacher: str | None
) -> Recipe:
    """A recipe for small sets with the numbers that suit the data; others stay as they are."""
    if not recipe.model_from_init:
        return recipe
    people = sum(len(s.dataset.labeled(i)) for s in sets for i in s.dataset.images)
    if own and recipe.distill is not None and teacher is None:
        log.info("no teacher: labels only, as the keypoints are not those of a published model")
        return for_own_keypoints(recipe, people)
    return for_few_people(recipe, people)


def keypoints_of(dataset: KeypointDataset) -> Skeleton:
    """The keypoint set that a data set describes: names, links, left and right.

    Raises:
        InputError: it holds no keypoints at all.
    """
    found = dataset.skeleton
    if found is not None:
        # A category may have the name of a published set and other points.
        taken = found.name in skeleton_names() and not _is_published(found)
        return replace(found, name=f"{found.name}-own") if taken else found
    rows = (row for image in dataset.images for row in dataset.labeled(image))
    first = next(rows, None)
    if first is None:
        raise InputError(f"{dataset.path} holds no annotation with keypoints to train on")
    return generic_skeleton(len(first["keypoints"]) // 3)


def share_of_image(sets: Sequence[OpenedSet]) -> float:
    """How much of the side of an image a box of the data takes, in the middle; 1 where the sizes of
    images are not known.
    """
    shares: list[float] = []
    for opened in sets:
        dataset = opened.dataset
        for image in dataset.content["images"]:
            area = (image.get("width") or 0) * (image.get("height") or 0)
            for row in dataset.labeled(image["id"]) if area else ():
                shares.append(math.sqrt(row["bbox"][2] * row["bbox"][3] / area))
    return median(shares) if shares else 1.0


def describe(skeleton: Skeleton) -> str:
    """One line: number and names of the points, links, pairs."""
    names = ", ".join(skeleton.keypoints[:8]) + (" ..." if len(skeleton) > 8 else "")
    pairs = sum(other > i for i, other in enumerate(skeleton.flip_indices))
    return f"{len(skeleton)} ({names}), {len(skeleton.links)} links, {pairs} left-right pairs"


def _model_card(recipe: Recipe, init: str) -> ModelCard | None:
    """The card of the model whose keypoints count unless told otherwise."""
    if init not in NOT_A_MODEL and follows_init(recipe):
        return find_card(init)
    return find(recipe.model) if recipe.model else None


def _has_points_of(
    sets: Sequence[OpenedSet], card: ModelCard | None, points: Skeleton | None
) -> bool:
    """Whether the first set is annotated with the keypoints of a model, or some of them."""
    dataset = sets[0].dataset
    if card is None or points is None or has_teacher_points(dataset):
        return points is not None
    theirs = dataset.skeleton
    names = dataset.keypoint_names or (theirs.keypoints if theirs else ())

    # Points without names are the model's where they are people's, and as many.
    if not names:
        return keypoints_of(dataset).keypoints == points.keypoints or (
            card.task in BODY_TASKS and _counts(dataset) == len(points) and _is_of_people(dataset)
        )

    # A published set converts by its table, if it is of the same kind; others by their names.
    if theirs is None or not _is_published(theirs):
        return len(match_keypoints(names, points)) == len(names)
    if not _same_kind(theirs.name, card):
        return False
    try:
        in_keypoints_of(points, dataset)
    except InputError:
        return False
    return True


def _is_published(skeleton: Skeleton) -> bool:
    """Whether a set is one of the package: a category may have the name of one by chance."""
    known = skeleton.name in skeleton_names()
    return known and get_skeleton(skeleton.name).keypoints == skeleton.keypoints


def _counts(dataset: KeypointDataset) -> int:
    return len(keypoints_of(dataset))


def _is_of_people(dataset: KeypointDataset) -> bool:
    categories = dataset.content["categories"]
    return not categories or str(categories[0].get("name", "person")).lower() == "person"


def _same_kind(skeleton: str, card: ModelCard) -> bool:
    """Whether a published keypoint set is of what the model is for: bodies, faces, hands..."""
    tasks = {c.task for c in load_zoo() if c.skeleton == skeleton} or {card.task}
    return card.task in tasks or (card.task in BODY_TASKS and bool(tasks & set(BODY_TASKS)))


def _without_flip(recipe: Recipe) -> Recipe:
    late = recipe.late_augment
    return replace(
        recipe,
        augment=replace(recipe.augment, flip=0.0),
        late_augment=None if late is None else replace(late, flip=0.0),
    )
