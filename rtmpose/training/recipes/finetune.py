"""The recipes for a few thousand crops: fine-tuning, distillation of a pruned network, and a small
training from scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rtmpose.training.data.augment import Augmentation
from rtmpose.training.recipes.overrides import override
from rtmpose.training.recipes.recipe import (
    BatchNormSettings,
    Data,
    Distillation,
    Ema,
    Loss,
    Optimizer,
    Recipe,
    Schedule,
)

LATE = Augmentation(shift=0, scale=(0.75, 1.25), rotate=60, dropout=0.5)
"""The milder augmentation of the last epochs."""

FLOAT32_MODULES = ("backbone.stage2.1.blocks", "head.gau", "head.cls_x", "head.cls_y")
"""Where bfloat16 damages the published networks: large terms cancel in 1x1 convolutions."""

OWN_STEPS = 500
"""Steps of a fine-tuning on keypoints of one's own, where the data is small."""
MIN_OWN_EPOCHS = 10
MAX_OWN_EPOCHS = 200

MIN_BATCHES = 8
"""Batches that the people of an epoch should fill."""

MIN_SAMPLES = 4
"""Samples that a batch should have, where there are so many people."""

VAL_FRACTIONS = ((500, 0.2), (5000, 0.1))
"""Number of people below which that share of the images is evaluated on."""


def finetune() -> Recipe:
    """Fine-tuning of a finished model on a few thousand crops, with a teacher: see
    docs/training.md.

    The rate is small: the published models ended at 2e-4 with up to 8192 samples a step, which is
    1e-5 with 32. The layers that bfloat16 harms are computed in float32; the network would learn to
    compensate for the rounding otherwise.
    """
    # Between the published first and second stage.
    mild = Augmentation(scale=(0.7, 1.35), rotate=60, dropout=0.5, shift=0.1)
    return Recipe(
        name="finetune",
        model="rtmpose-s",
        model_from_init=True,
        init="rtmpose-s",
        float32_modules=FLOAT32_MODULES,
        schedule=Schedule(
            epochs=3,
            batch_size=32,
            warmup_steps=50,
            warmup_start_factor=0.01,
            flat_fraction=0.3,
            final_lr_factor=0.01,
            late_epochs=1,
        ),
        optimizer=Optimizer(lr=2e-5, base_batch_size=0, weight_decay=0.02),
        ema=Ema(momentum=2e-3, gamma=100.0),
        augment=mild,
        late_augment=replace(mild, scale=(0.8, 1.25), rotate=40, dropout=0.25),
        loss=Loss(label_weight=0.3, pseudo_labels=False),
        distill=Distillation(logits=1.0),
    )


def for_own_keypoints(recipe: Recipe, people: int) -> Recipe:
    """A fine-tuning for keypoints that the model does not have: no teacher, labels only, a higher
    rate for the head, and a length that suits the number of people.

    Args:
        recipe: :func:`finetune`, or one with the same fields.
        people: Annotated ones, those held out included.
    """
    val_fraction = _val_fraction(people)
    batch_size = _batch_size(people * (1 - val_fraction), recipe.schedule.batch_size)

    # About as many steps for every size of the data; more where there is much of it.
    per_epoch = max(int(people * (1 - val_fraction)) // batch_size, 1)
    epochs = min(max(round(OWN_STEPS / per_epoch), MIN_OWN_EPOCHS), MAX_OWN_EPOCHS)
    own = override(
        recipe,
        epochs=epochs,
        batch_size=batch_size,
        warmup_steps=max(per_epoch * epochs // 20, 1),
        late_epochs=epochs // 5,
        eval_every=max(epochs // 20, 1),
        lr=1e-4,
        head_lr_factor=10.0,
        ema=Ema(momentum=0.02, gamma=50.0),
        label_weight=1.0,
        pseudo_labels=True,
        distill=None,
        val_fraction=val_fraction,
    )
    # The halves of a body are no matter here, and objects may be turned any way.
    late = recipe.late_augment
    return replace(
        own,
        augment=replace(recipe.augment, half_body=0.0, dropout=0.25),
        late_augment=None if late is None else replace(late, half_body=0.0, dropout=0.0),
    )


def for_few_people(recipe: Recipe, people: int) -> Recipe:
    """A recipe whose batches are filled by so few people; unchanged where there are enough.

    Args:
        recipe: Of a small training.
        people: Annotated ones, those held out included.
    """
    # A set that fills some batches needs nothing.
    if people * (1 - recipe.data.val_fraction) >= MIN_BATCHES * recipe.schedule.batch_size:
        return recipe
    val_fraction = max(_val_fraction(people), recipe.data.val_fraction)
    left = people * (1 - val_fraction)
    batch_size = _batch_size(left, recipe.schedule.batch_size)
    steps = max(int(left) // batch_size, 1) * recipe.schedule.epochs
    return override(
        recipe,
        batch_size=batch_size,
        val_fraction=val_fraction,
        warmup_steps=min(recipe.schedule.warmup_steps, max(steps // 10, 1)),
    )


def _val_fraction(people: int) -> float:
    """Share to evaluate on: larger where a small one would be a handful of people."""
    for limit, fraction in VAL_FRACTIONS:
        if people < limit:
            return fraction
    return Data().val_fraction


def _batch_size(people: float, largest: int) -> int:
    """The largest power of two that fills a few batches per epoch; norms want four samples."""
    limit = min(largest, people, max(people / MIN_BATCHES, MIN_SAMPLES))
    size = 1
    while size * 2 <= limit:
        size *= 2
    return size


def distill() -> Recipe:
    """A network whose channels were pruned learns from the one it was (``--teacher``): see
    docs/own-models.md.

    It starts from weights that are worth keeping, hence the layer-wise rates and the centered
    norms, but has further to go than in :func:`finetune`. For a new network take :func:`plain` with
    ``distill.logits=1``.
    """
    return override(
        finetune(),
        name="distill",
        init="none",
        epochs=20,
        warmup_steps=100,
        flat_fraction=0.2,
        late_epochs=4,
        lr=2.5e-4,
        layerwise_lr_by_rms=True,
        ema=Ema(momentum=1e-3, gamma=300.0),
        bn_mode="centered",
        label_weight=1.0,
    )


def plain() -> Recipe:
    """RTMPose-t from scratch on a few thousand crops: the published recipe in small, without a
    teacher.
    """
    return Recipe(
        name="plain",
        model="rtmpose-t_aic-coco_256x192",
        model_from_init=True,
        schedule=Schedule(epochs=60, batch_size=64, warmup_steps=300, late_epochs=8, eval_every=2),
        optimizer=Optimizer(lr=1e-3, base_batch_size=0),
        ema=Ema(momentum=5e-4),
        batch_norm=BatchNormSettings(bn_mode="train"),
        late_augment=LATE,
    )


FINETUNE: dict[str, Callable[[], Recipe]] = {
    "finetune": finetune,
    "distill": distill,
    "plain": plain,
}
"""Recipes by the name the command line knows them by."""
