"""Recipes: everything a training needs besides network, data and devices, as nested dataclasses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from rtmpose.errors import InputError
from rtmpose.ops.letterbox import CELL
from rtmpose.ranges import (
    ANY_SIZE,
    COUNT,
    COUNT_OR_ZERO,
    FRACTION,
    SEED,
    SHARE_BELOW_1,
    Range,
    check_fields,
    check_flags,
    check_order,
)
from rtmpose.training.data.augment import Augmentation
from rtmpose.training.data.mosaic import MosaicConfig

# Which task a recipe trains, and what it computes in.
Kind = Literal["pose", "heatmap", "detector", "classifier"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]

WORKERS = Range(0, 1024, whole=True)
LONG_SIDE = Range(CELL, 8192, whole=True)
"""Of a detector's input, in pixels: no memory holds a batch of larger ones."""


@dataclass(frozen=True)
class Schedule:
    """How long a training is, and how its learning rate goes: warm-up, flat, cosine.

    Attributes:
        epochs: Passes over the data.
        batch_size: Samples per device and forward pass.
        accumulate: Batches whose gradients are added up before a step.
        warmup_steps: Steps over which the rate rises from ``warmup_start_factor`` times itself.
        warmup_start_factor: See above.
        flat_fraction: Share of the training with a constant rate; a cosine follows.
        final_lr_factor: The cosine's end, as a factor on the rate.
        late_epochs: Last epochs, which use the recipe's ``late_augment``.
        eval_every: Epochs between evaluations.
        save_minutes: Minutes between saves within an epoch.
        small_state: Whether the state is saved in a sixth of the bytes and weights in 16 bits. The
            training goes on from what it saved, rounded; so a resumed one takes the same steps.
    """

    epochs: int = 420
    batch_size: int = 256
    accumulate: int = 1
    warmup_steps: int = 1000
    warmup_start_factor: float = 1e-5
    flat_fraction: float = 0.5
    final_lr_factor: float = 0.05
    late_epochs: int = 30
    eval_every: int = 1
    save_minutes: float = 5.0
    small_state: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            "schedule",
            epochs=COUNT,
            batch_size=COUNT,
            accumulate=COUNT,
            warmup_steps=COUNT_OR_ZERO,
            warmup_start_factor=FRACTION,
            flat_fraction=FRACTION,
            final_lr_factor=FRACTION,
            late_epochs=COUNT_OR_ZERO,
            eval_every=COUNT,
            save_minutes=ANY_SIZE,
        )
        check_flags(self, "small_state", part="schedule")


@dataclass(frozen=True)
class Optimizer:
    """AdamW and its learning rate.

    Attributes:
        lr: Learning rate at ``base_batch_size`` samples per step.
        base_batch_size: Samples per step that ``lr`` is meant for; 0 takes ``lr`` as it is.
        lr_scaling: How the rate follows the samples per step: ``linear``, ``sqrt`` or ``none``.
        weight_decay: Not on norms and biases.
        grad_clip_norm: Largest norm of the gradient; 0 for no limit.
        head_lr_factor: Factor on the rate of everything but the backbone.
        layerwise_lr_by_rms: The rate of each weight follows its root mean square at the start, and
            is ``lr`` at 0.1: wide layers with small weights take small steps. For weights that are
            to be kept rather than found.
    """

    lr: float = 4e-3
    base_batch_size: int = 1024
    lr_scaling: Literal["linear", "sqrt", "none"] = "linear"
    weight_decay: float = 0.05
    grad_clip_norm: float = 35.0
    head_lr_factor: float = 1.0
    layerwise_lr_by_rms: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            "optimizer",
            lr=ANY_SIZE,
            base_batch_size=COUNT_OR_ZERO,
            weight_decay=ANY_SIZE,
            grad_clip_norm=ANY_SIZE,
            head_lr_factor=ANY_SIZE,
        )
        check_flags(self, "layerwise_lr_by_rms", part="optimizer")


@dataclass(frozen=True)
class Ema:
    """The exponential moving average of the weights, which is what is evaluated and kept.

    Attributes:
        momentum: Share of the newest weights in the long run; 0 for no average.
        gamma: Steps over which its warm-up fades.
    """

    momentum: float = 2e-4
    gamma: float = 2000.0

    def __post_init__(self) -> None:
        check_fields(self, "ema", momentum=FRACTION, gamma=Range(1e-9, 1e12))


@dataclass(frozen=True)
class BatchNormSettings:
    """What batch norms do while training.

    Attributes:
        bn_mode: ``train``: follow the batches; ``frozen``: keep the stored statistics;
            ``centered``: the same, while convolutions see their inputs less the inputs' means
            (:func:`rtmpose.training.batch_norm.center`); ``auto``: centered where the network
            comes from an export with folded norms, whose statistics are lost, else ``train``.
        sync_bn: Statistics over all GPUs.
    """

    bn_mode: Literal["auto", "train", "frozen", "centered"] = "auto"
    sync_bn: bool = True

    def __post_init__(self) -> None:
        check_flags(self, "sync_bn", part="batch_norm")


@dataclass(frozen=True)
class Loss:
    """The losses of pose networks.

    Attributes:
        beta: Factor on the SimCC logits before their softmax.
        half_weight_keypoints: First and last (exclusive) of the keypoints whose labels weigh half.
        label_weight: Factor on the loss of labels.
        reference_batch_size: Losses are those of a batch of this size, whatever the real one: the
            published gradient clipping is meant for sums over a device's batch.
        pseudo_labels: Whether annotations made by a model (``label_source`` ``teacher``) count as
            labels.
    """

    beta: float = 10.0
    half_weight_keypoints: tuple[int, int] = (0, 0)
    label_weight: float = 1.0
    reference_batch_size: int = 256
    pseudo_labels: bool = True

    def __post_init__(self) -> None:
        check_fields(
            self,
            "loss",
            beta=Range(1e-9, 1e9),
            half_weight_keypoints=COUNT_OR_ZERO,
            label_weight=ANY_SIZE,
            reference_batch_size=COUNT,
        )
        check_order(self, "half_weight_keypoints", "loss")
        check_flags(self, "pseudo_labels", part="loss")


@dataclass(frozen=True)
class Data:
    """How the data is split and loaded.

    Attributes:
        val_fraction: Share of the images kept out of training, by a hash of their id, to evaluate
            on.
        workers: Threads that load data; 0 loads in the training's own thread.
    """

    val_fraction: float = 0.06
    workers: int = 2

    def __post_init__(self) -> None:
        check_fields(self, "data", val_fraction=SHARE_BELOW_1, workers=WORKERS)


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
        min_point_score: Stored points of a lower score are not used; the others weigh as much as
            their score, at most 1.
        flip_average: The live teacher sees each crop and its mirror image; its outputs are
            averaged.
        weight_by_score: Teacher keypoints count as much as their score, at most 1, rather than all
            the same.
        decay_to_zero: Whether the teacher's weights fall linearly to 0 over the training.
        ahead: Whether the live teacher works in a loader thread, ahead of the student. The losses
            are the same. Two threads that do not wait for each other within a layer are faster than
            two that do: for a few cores, with ``--threads 1``.

    Raises:
        InputError: ``stages`` is not 1 to 4.
    """

    logits: float = 0.0
    features: float = 0.0
    stages: int = 1
    precision: Precision = "auto"
    points: float = 0.0
    min_point_score: float = 0.3
    flip_average: bool = True
    weight_by_score: bool = False
    decay_to_zero: bool = False
    ahead: bool = False

    def __post_init__(self) -> None:
        weights = dict.fromkeys(("logits", "features", "points"), ANY_SIZE)
        check_fields(self, "distill", stages=COUNT, **weights, min_point_score=FRACTION)
        flags = ("flip_average", "weight_by_score", "decay_to_zero", "ahead")
        check_flags(self, *flags, part="distill")
        if self.stages > 4:
            raise InputError(
                f"distill.stages is 1 to 4, as a backbone has four stages, not {self.stages}"
            )


@dataclass(frozen=True)
class DetectorSettings:
    """What a detector's training has beyond the rest of the recipe.

    Attributes:
        augment: How training images are composed.
        late_augment: In the last ``late_epochs`` of the schedule; None keeps ``augment``.
        category: Whose boxes, where a set has several categories: a name, several with commas (a
            class each), or ``all``.
        topk: Largest number of cells that a box is given.
        input_fit: ``letterbox`` for inputs of the network's own size, ``rectangular`` for inputs of
            the images' aspect ratios, the same within a batch.
        long_side_range: Smallest and largest long side of rectangular inputs, in pixels; multiples
            of 32.
        video_shape_prob: Share of rectangular batches with the shape of a common video format
            rather than of their images.
        distill_scores: Weight of a teacher's scores (dense distillation).
        distill_boxes: Weight of its boxes.
        distill_maps: Weight of the squared difference from its maps in backbone and neck, as a
            share of their variance; for a teacher of the same shape, which torch runs.
        flip_average: Whether the teacher's outputs are averaged with those for the mirror image.
        label_weight: Weight of the labels' losses.
        pseudo_label_model: A stronger detector (or a file with its boxes) that finds people without
            labels; None for none.
        pseudo_score_thr: Its boxes from this score on are people in sets where people are missing
            from the labels.
        ignore_score_thr: Its other boxes from this score on are regions that do not count as
            background.
        partial_fraction: How often each image of a partly labeled set (crops of people) occurs in
            an epoch, 0..1.
    """

    augment: MosaicConfig = field(default_factory=MosaicConfig)
    late_augment: MosaicConfig | None = field(default_factory=lambda: MosaicConfig(mosaic=0))
    category: str = "person"
    topk: int = 13
    input_fit: Literal["letterbox", "rectangular"] = "letterbox"
    long_side_range: tuple[int, int] = (320, 320)
    video_shape_prob: float = 0.0
    distill_scores: float = 0.0
    distill_boxes: float = 0.0
    distill_maps: float = 0.0
    flip_average: bool = True
    label_weight: float = 1.0
    pseudo_label_model: str | None = None
    pseudo_score_thr: float = 0.5
    ignore_score_thr: float = 0.2
    partial_fraction: float = 1.0

    def __post_init__(self) -> None:
        weights = dict.fromkeys(
            ("distill_scores", "distill_boxes", "distill_maps", "label_weight"), ANY_SIZE
        )
        shares = ("video_shape_prob", "pseudo_score_thr", "ignore_score_thr", "partial_fraction")
        check_fields(
            self,
            "detector",
            topk=COUNT,
            long_side_range=LONG_SIDE,
            **weights,
            **dict.fromkeys(shares, FRACTION),
        )
        check_order(self, "long_side_range", "detector")
        check_flags(self, "flip_average", part="detector")

    @property
    def distills(self) -> bool:
        """Whether anything is learned from a teacher."""
        return bool(self.distill_scores or self.distill_boxes or self.distill_maps)


@dataclass(frozen=True)
class Recipe:
    """A training, in numbers. Plain functions return the published ones;
    :func:`rtmpose.training.recipes.override` changes fields by name.

    Attributes:
        name: For people and for the files' cards.
        kind: ``pose`` (SimCC), ``heatmap``, ``detector`` or ``classifier``.
        model: Id of the zoo whose network and card the result has.
        model_from_init: Whether the network is that of the model started from instead, where one is
            named; setting ``model`` switches it off.
        init: What training starts from unless told otherwise: ``none``, a model, or a file;
            backbones only where the heads differ.
        reduced_input: Make the RTMPose it starts from one for crops of three quarters of the side,
            at a good half of the cost: :mod:`rtmpose.networks.reduced`.
        hardswish: Give stem and stage 1 of the RTMPose it starts from, or the whole RTMDet, hard
            swish in place of SiLU, which is faster: :mod:`rtmpose.networks.hardswish`.
        seed: Of everything random.
        precision: ``auto`` (bf16 where the hardware has it), ``bf16``, ``fp16`` (CUDA only) or
            ``fp32``; weights are float32 in any case.
        float32_modules: Modules that mixed precision leaves alone.
        schedule: Length and course.
        optimizer: AdamW, rates and clipping.
        ema: The moving average of the weights.
        batch_norm: What batch norms do.
        augment: Augmentation of the crops.
        late_augment: In the last ``late_epochs`` of the schedule; None keeps ``augment``.
        loss: Weights of the label losses.
        distill: What is learned from a teacher; None for nothing.
        data: Split and loading.
        detector: Settings of a detector's training; None for its defaults.
    """

    name: str
    kind: Kind = "pose"
    model: str = ""
    model_from_init: bool = False
    init: str = "none"
    reduced_input: bool = False
    hardswish: bool = False
    seed: int = 21
    precision: Precision = "auto"
    float32_modules: tuple[str, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    optimizer: Optimizer = field(default_factory=Optimizer)
    ema: Ema = field(default_factory=Ema)
    batch_norm: BatchNormSettings = field(default_factory=BatchNormSettings)
    augment: Augmentation = field(default_factory=Augmentation)
    late_augment: Augmentation | None = None
    loss: Loss = field(default_factory=Loss)
    distill: Distillation | None = None
    data: Data = field(default_factory=Data)
    detector: DetectorSettings | None = None

    def __post_init__(self) -> None:
        check_fields(self, "recipe", seed=SEED)
        check_flags(self, "reduced_input", "hardswish", part="recipe")


def to_dict(recipe: Recipe) -> dict[str, object]:
    """Plain data for JSON; :func:`rtmpose.training.recipes.recipe_from_dict` reads it."""
    return asdict(recipe)
