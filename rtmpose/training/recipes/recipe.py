"""Recipes: everything a training needs besides network, data and devices."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from rtmpose.errors import InputError, ModelError
from rtmpose.training.data.augment import Augmentation
from rtmpose.zoo import find

Kind = Literal["pose", "heatmap", "detector", "classifier"]


@dataclass(frozen=True)
class Distillation:
    """What is learned from a teacher. All weights are factors on terms of the size of the label
    loss.

    Attributes:
        logits: Weight of the divergence from a live teacher's bins, over all its keypoints.
        features: Weight of the squared difference from the teacher's backbone maps, through 1x1
            convolutions, as a share of their variance.
        stages: How many maps are compared: those of the last stages, 1 to 4.
        precision: What a teacher run by torch computes in; ``auto`` for that of the training.
        points: Weight of teacher points stored with the annotations (``keypoints26``: x, y, score),
            as labels.
        point_score: Stored points of a lower score are not used; the others weigh as much as their
            score, at most 1.
        flip_average: The live teacher sees each crop and its mirror image; its outputs are
            averaged.
        sure: Teacher keypoints count as much as their score, at most 1, rather than all the same.
        fade: Whether the teacher's weights fall linearly to 0 over the training.

    Raises:
        InputError: ``stages`` is not 1 to 4.
    """

    logits: float = 0.0
    features: float = 0.0
    stages: int = 1
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    points: float = 0.0
    point_score: float = 0.3
    flip_average: bool = True
    sure: bool = False
    fade: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.stages <= 4:
            raise InputError(
                f"distill.stages is 1 to 4, as a backbone has four stages, not {self.stages}"
            )


@dataclass(frozen=True)
class Recipe:
    """A training, in numbers. Plain functions return the published ones; ``dataclasses.replace``
    changes them.

    Attributes:
        name: For people and for the files' cards.
        kind: ``pose`` (SimCC), ``heatmap``, ``detector`` or ``classifier``.
        model: Id of the zoo whose network and card the result has.
        init: What training starts from unless told otherwise: ``none``, a model, or a file;
            backbones only where the heads differ.
        reduced_input: Make the RTMPose it starts from one for crops of three quarters of the side,
            at a good half of the cost: :mod:`rtmpose.networks.reduced`.
        epochs: Passes over the data.
        batch: Samples per device and step.
        accumulate: Batches whose gradients are added up before a step.
        lr: Learning rate at ``base_batch`` samples per step.
        base_batch: Samples per step that ``lr`` is meant for; 0 takes ``lr`` as it is.
        lr_scaling: How the rate follows the samples per step: ``linear``, ``sqrt`` or ``none``.
        weight_decay: Not on norms and biases.
        warmup_steps: Steps over which the rate rises from ``warmup_start`` times itself.
        warmup_start: See above.
        flat: Share of the training with a flat rate; a cosine follows.
        final_lr: The cosine's end, as a factor on the rate.
        clip: Largest norm of the gradient; 0 for no limit.
        ema: Share of the newest weights in the running mean, in the long run; 0 for no running
            mean.
        ema_gamma: Steps over which its warm-up fades.
        precision: ``auto`` (bf16 where the hardware has it), ``bf16``, ``fp16`` (CUDA only) or
            ``fp32``; weights are float32 in any case.
        float32: Modules that mixed precision leaves alone.
        norms: Batch norms ``train``, keep their statistics (``frozen``), the same while
            convolutions see their inputs less the inputs' means (``centered``,
            :func:`rtmpose.training.batch_norm.center`), or ``auto``: centered where the network
            comes from an export with folded norms, whose statistics are lost.
        sync_norms: Statistics over all GPUs.
        head_lr: Factor on the rate of what is not the backbone.
        lr_by_size: The rate of each weight follows its root mean square at the start, and is ``lr``
            at 0.1: wide layers with small weights take small steps. For weights that are to be kept
            rather than found.
        augment: In the first stage.
        stage2: Augmentation of the last ``stage2_epochs`` epochs; None keeps the first.
        stage2_epochs: Length of the second stage.
        beta: Of the SimCC loss.
        half_points: First and last (exclusive) of the keypoints whose labels weigh half.
        label_weight: Factor on the loss of labels.
        loss_batch: Losses are those of a batch of this size, whatever the real one: the published
            clipping is meant for sums over a device's batch.
        machine_labels: Whether annotations made by a model (``label_source`` ``teacher``) count as
            labels.
        distill: What is learned from a teacher; None for nothing.
        heldout: Share of the photos kept out of training, by a hash of their id, to evaluate on.
        eval_every: Epochs between evaluations.
        save_minutes: Minutes between saves within an epoch.
        workers: Threads that load data.
        seed: Of everything drawn by chance.
        detector: Settings of the detector's training.
    """

    name: str
    kind: Kind = "pose"
    model: str = ""
    init: str = "none"
    reduced_input: bool = False
    epochs: int = 420
    batch: int = 256
    accumulate: int = 1
    lr: float = 4e-3
    base_batch: int = 1024
    lr_scaling: Literal["linear", "sqrt", "none"] = "linear"
    weight_decay: float = 0.05
    warmup_steps: int = 1000
    warmup_start: float = 1e-5
    flat: float = 0.5
    final_lr: float = 0.05
    clip: float = 35.0
    ema: float = 2e-4
    ema_gamma: float = 2000.0
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    float32: tuple[str, ...] = ()
    norms: Literal["auto", "train", "frozen", "centered"] = "auto"
    sync_norms: bool = True
    head_lr: float = 1.0
    lr_by_size: bool = False
    augment: Augmentation = field(default_factory=Augmentation)
    stage2: Augmentation | None = None
    stage2_epochs: int = 30
    beta: float = 10.0
    half_points: tuple[int, int] = (0, 0)
    label_weight: float = 1.0
    loss_batch: int = 256
    machine_labels: bool = True
    distill: Distillation | None = None
    heldout: float = 0.06
    eval_every: int = 1
    save_minutes: float = 5.0
    workers: int = 2
    seed: int = 21
    detector: Any = None


STAGE2 = Augmentation(shift=0, scale=(0.75, 1.25), rotate=60, dropout=0.5)
"""The milder augmentation of the last epochs."""


UNROUNDED = ("backbone.stage2.1.blocks", "head.gau", "head.cls_x", "head.cls_y")
"""Where bfloat16 damages the published networks: large terms cancel in the 1x1 convolutions there."""


def finetune() -> Recipe:
    """Fine-tuning of a finished model on a few thousand crops, with a teacher: see
    docs/training.md.

    The rate is small: the published models ended at 2e-4 with up to 8192 samples a step, which is
    1e-5 with 32. The layers that bfloat16 harms are computed in float32; the network would learn to
    make up for the rounding otherwise.
    """
    mild = Augmentation(scale=(0.7, 1.35), rotate=60, dropout=0.5, shift=0.1)
    return Recipe(
        name="finetune",
        model="rtmpose-s",
        init="rtmpose-s",
        epochs=3,
        batch=32,
        lr=2e-5,
        base_batch=0,
        weight_decay=0.02,
        warmup_steps=50,
        warmup_start=0.01,
        flat=0.3,
        final_lr=0.01,
        ema=2e-3,
        ema_gamma=100.0,
        float32=UNROUNDED,
        augment=mild,
        stage2=replace(mild, scale=(0.8, 1.25), rotate=40, dropout=0.25),
        stage2_epochs=1,
        label_weight=0.3,
        machine_labels=False,
        distill=Distillation(logits=1.0),
    )


def distill() -> Recipe:
    """A network whose channels were pruned learns from the one it was (``--teacher``): see
    docs/own-models.md.

    It starts from weights that are worth keeping, hence the rates by size and the centered norms,
    but has further to go than in :func:`finetune`. For a new network take :func:`plain` with
    ``distill.logits=1``.
    """
    return replace(
        finetune(),
        name="distill",
        init="none",
        epochs=20,
        lr=2.5e-4,
        lr_by_size=True,
        warmup_steps=100,
        flat=0.2,
        label_weight=1.0,
        norms="centered",
        ema=1e-3,
        ema_gamma=300.0,
        stage2_epochs=4,
    )


def plain() -> Recipe:
    """RTMPose-t from scratch on a few thousand crops: the published recipe in small, without a
    teacher.
    """
    return Recipe(
        name="plain",
        model="rtmpose-t_aic-coco_256x192",
        epochs=60,
        batch=64,
        lr=1e-3,
        base_batch=0,
        warmup_steps=300,
        ema=5e-4,
        augment=Augmentation(),
        stage2=STAGE2,
        stage2_epochs=8,
        norms="train",
        eval_every=2,
    )


OWN: dict[str, Callable[[], Recipe]] = {"finetune": finetune, "distill": distill, "plain": plain}


def all_recipes() -> dict[str, Callable[[], Recipe]]:
    """Recipes by the name the command line knows them by: ours, then those of the published models
    by their ids.
    """
    from rtmpose.training.recipes.detector import DETECTORS
    from rtmpose.training.recipes.published_pose import PUBLISHED

    return {**OWN, **DETECTORS, **PUBLISHED}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none.
    """
    if name in OWN:
        return OWN[name]()
    recipes = all_recipes()
    if name in recipes:
        return recipes[name]()
    try:
        # Short names of the published models will do.
        card = find(name)
    except ModelError:
        card = None
    if card is not None and card.id in recipes:
        return recipes[card.id]()
    near = difflib.get_close_matches(name, recipes, n=4, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"no recipe is called {name!r}; {hint}`rtmpose train list` shows all")


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """The recipe with fields changed, from texts: ``{"lr": "1e-4", "augment.rotate": "40"}``.

    Raises:
        InputError: there is no such field, or the text does not fit it.
    """
    for key, text in settings.items():
        recipe = _with_field(recipe, key.split("."), text, key)
    return recipe


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain data for JSON."""
    return asdict(recipe)


def _with_field(table: Any, names: list[str], text: str, key: str) -> Any:
    known = [f.name for f in fields(table)]
    if names[0] not in known:
        raise InputError(f"a recipe has no field {key!r}; fields here: {', '.join(known)}")
    kind = typing.get_type_hints(type(table))[names[0]]
    value = getattr(table, names[0])
    if len(names) > 1:
        if value is None:
            inner: Any = next((t for t in typing.get_args(kind) if is_dataclass(t)), None)
            if inner is None:
                raise InputError(f"{key}: this recipe has no {names[0]}")
            value = inner()
        return replace(table, **{names[0]: _with_field(value, names[1:], text, key)})
    return replace(table, **{names[0]: _parse(text, kind, key)})


def _parse(text: str, kind: Any, key: str) -> Any:
    options = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if text not in options:
            raise InputError(f"{key} is one of {', '.join(options)}, not {text!r}")
        return text
    if options and type(None) in options and text.lower() == "none":
        return None
    try:
        if typing.get_origin(kind) is tuple:
            parts = text.split(",")
            if len(parts) != len(options):
                raise ValueError(f"{len(options)} numbers with commas between them")
            return tuple(t(p) for t, p in zip(options, parts, strict=True))
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if kind in (int, float, str):
            return kind(text)
    except (ValueError, KeyError) as error:
        raise InputError(f"{key}={text} does not fit: {error}") from error
    raise InputError(f"{key} cannot be set as text; set its fields ({key}.NAME=VALUE)")
