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
