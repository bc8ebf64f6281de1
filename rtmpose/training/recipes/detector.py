"""Recipes of detectors: the figures of the published RTMDet configs, and the recipe of the bundled
person detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rtmpose.training.data.mosaic import MosaicConfig
from rtmpose.training.recipes.overrides import override
from rtmpose.training.recipes.recipe import (
    BatchNormSettings,
    Data,
    DetectorSettings,
    Ema,
    Optimizer,
    Recipe,
    Schedule,
)


def _published(name: str, model: str, settings: DetectorSettings, init: str = "none") -> Recipe:
    """8 x 32 images a step, 300 epochs, the last 20 without mosaic (Lyu et al., 2022, table 6)."""
    return Recipe(
        name=name,
        kind="detector",
        model=model,
        init=init,
        schedule=Schedule(
            epochs=300,
            batch_size=32,
            warmup_steps=1000,
            warmup_start_factor=1e-5,
            flat_fraction=0.5,
            final_lr_factor=0.05,
            late_epochs=20,
            eval_every=10,
        ),
        optimizer=Optimizer(lr=0.004, base_batch_size=256, weight_decay=0.05, grad_clip_norm=0.0),
        ema=Ema(momentum=2e-4),
        data=Data(val_fraction=0.0),
        detector=settings,
    )


def _large(
    scale: tuple[float, float], cache: int = 40, mixup: float = 1.0, mixup_cache: int = 20
) -> DetectorSettings:
    # Two stages: mosaic and mixup first, single images in the last epochs.
    first = MosaicConfig(mosaic_cache=cache, mixup=mixup, mixup_cache=mixup_cache, scale=scale)
    return DetectorSettings(first, replace(first, mosaic=0, mixup=0))


def rtmdet_nano() -> Recipe:
    """RTMDet-nano person, 320x320; mosaic without mixup."""
    return _published("rtmdet-nano", "rtmdet-nano_person_320x320", DetectorSettings())


def rtmdet_nano_hand() -> Recipe:
    """RTMDet-nano hand, 320x320."""
    return _published(
        "rtmdet-nano-hand", "rtmdet-nano_hand_320x320", DetectorSettings(category="hand")
    )


def rtmdet_tiny() -> Recipe:
    """RTMDet-tiny, 640x640: smaller caches, mixup in half of the inputs; ImageNet backbone."""
    return _published(
        "rtmdet-tiny", "rtmdet-tiny_person_640x640", _large((0.5, 2.0), 20, 0.5, 10), "imagenet"
    )


def rtmdet_s() -> Recipe:
    """RTMDet-s, 640x640; from an ImageNet backbone."""
    return _published("rtmdet-s", "rtmdet-s_person_640x640", _large((0.5, 2.0)), "imagenet")


def rtmdet_m() -> Recipe:
    """RTMDet-m person, 640x640; from an ImageNet backbone."""
    return _published("rtmdet-m", "rtmdet-m_person_640x640", _large((0.1, 2.0)), "imagenet")


def rtmdet_l() -> Recipe:
    """RTMDet-l, 640x640; without an ImageNet backbone: none of the size is published."""
    return _published("rtmdet-l", "rtmdet-l_person_640x640", _large((0.1, 2.0)))


def rtmdet_x() -> Recipe:
    """RTMDet-x, 640x640; likewise."""
    return _published("rtmdet-x", "rtmdet-x_person_640x640", _large((0.1, 2.0)))


def person_detector() -> Recipe:
    """The bundled person detector: the published RTMDet-nano fine-tuned on rectangular inputs; see
    docs/training.md.
    """
    # Mosaics in a third of the inputs only: the others look like what the runtime sees.
    first = MosaicConfig(
        mosaic=0.35, mosaic_cache=40, scale=(0.9, 1.6), cover=True, min_visible=0.15
    )
    second = replace(first, mosaic=0.0, scale=(0.95, 1.2))
    return Recipe(
        name="person-detector",
        kind="detector",
        model="rtmdet-nano_person_320x320",
        init="rtmdet-nano",
        schedule=Schedule(
            epochs=8,
            batch_size=16,
            warmup_steps=50,
            warmup_start_factor=0.01,
            flat_fraction=0.3,
            final_lr_factor=0.01,
            late_epochs=3,
            eval_every=2,
        ),
        optimizer=Optimizer(lr=1e-4, base_batch_size=0, weight_decay=0.02, grad_clip_norm=35.0),
        ema=Ema(momentum=5e-3, gamma=50.0),
        batch_norm=BatchNormSettings(bn_mode="frozen"),
        data=Data(val_fraction=0.15),
        detector=DetectorSettings(
            first,
            second,
            input_fit="rectangular",
            long_side_range=(256, 384),
            video_shape_prob=0.2,
            distill_scores=1.0,
            distill_boxes=1.0,
            pseudo_label_model="yolox-tiny",
        ),
    )


def for_few_images(recipe: Recipe, images: int) -> Recipe:
    """A recipe whose batches are filled by so few images; unchanged where there are enough, and
    where norms learn, which small batches would spoil.

    Args:
        recipe: Of a detector.
        images: With boxes, those held out included.
    """
    left = int(images * (1 - recipe.data.val_fraction))
    schedule = recipe.schedule
    if left >= schedule.batch_size or recipe.batch_norm.bn_mode != "frozen":
        return recipe
    batch_size = 1
    while batch_size * 2 <= left:
        batch_size *= 2
    return override(recipe, batch_size=batch_size)


DETECTORS: dict[str, Callable[[], Recipe]] = {
    "person-detector": person_detector,
    "rtmdet-nano": rtmdet_nano,
    "rtmdet-nano-hand": rtmdet_nano_hand,
    "rtmdet-tiny": rtmdet_tiny,
    "rtmdet-s": rtmdet_s,
    "rtmdet-m": rtmdet_m,
    "rtmdet-l": rtmdet_l,
    "rtmdet-x": rtmdet_x,
}
"""Recipes by the name the command line knows them by."""
