"""Recipes of detectors: the figures of the published RTMDet configs, and that of our own person
detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rtmpose.training.data.mosaic import MosaicConfig
from rtmpose.training.recipes import Recipe


@dataclass(frozen=True)
class DetectorSettings:
    """What a detector's training has beyond :class:`rtmpose.training.recipes.Recipe`.

    Attributes:
        pictures: How training pictures are made in the first stage.
        stage2: In the last ``stage2_epochs`` of the recipe; None keeps the first.
        category: Whose boxes, where a set has several categories.
        topk: Most cells that a box is given.
        fit: ``letterbox`` for pictures of the network's own size, ``rectangular`` for pictures of
            the photos' shapes, the same within a batch.
        sides: Smallest and largest long side of rectangular pictures, in multiples of 32.
        reshape: Share of rectangular batches with the shape of a common video format rather than of
            their photos.
        soft_scores: Weight of a teacher's scores (dense distillation).
        soft_boxes: Weight of its boxes.
        flip_average: Whether the teacher's outputs are averaged with those for the mirror image.
        labels: Weight of the labels' losses.
        pseudo: A stronger detector (or a file with its boxes) that finds people without labels;
            empty for none.
        sure: Its boxes from this score on are people in sets where people are missing from the
            labels.
        doubt: Its other boxes from this score on are regions in which nothing is known.
        crops: How often each picture of a partly labeled set (crops of people) occurs in an epoch,
            0..1.
    """

    pictures: MosaicConfig = field(default_factory=MosaicConfig)
    stage2: MosaicConfig | None = field(default_factory=lambda: MosaicConfig(mosaic=0))
    category: str = "person"
    topk: int = 13
    fit: str = "letterbox"
    sides: tuple[int, int] = (320, 320)
    reshape: float = 0.0
    soft_scores: float = 0.0
    soft_boxes: float = 0.0
    flip_average: bool = True
    labels: float = 1.0
    pseudo: str = ""
    sure: float = 0.5
    doubt: float = 0.2
    crops: float = 1.0


def _published(name: str, model: str, settings: DetectorSettings, init: str = "none") -> Recipe:
    """8 x 32 images a step, 300 epochs, the last 20 without mosaic (Lyu et al., 2022, table 6)."""
    return Recipe(
        name=name,
        kind="detector",
        model=model,
        init=init,
        epochs=300,
        batch=32,
        lr=0.004,
        base_batch=256,
        weight_decay=0.05,
        warmup_steps=1000,
        warmup_start=1e-5,
        flat=0.5,
        final_lr=0.05,
        clip=0.0,
        ema=2e-4,
        stage2_epochs=20,
        heldout=0.0,
        eval_every=10,
        detector=settings,
    )


def _large(
    scale: tuple[float, float], cache: int = 40, mixup: float = 1.0, mixup_cache: int = 20
) -> DetectorSettings:
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
    """RTMDet-tiny, 640x640: smaller caches, every other picture mixed; from an ImageNet backbone."""
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
    """Our person detector: the genuine RTMDet-nano fine-tuned on rectangular pictures; see
    docs/training.md.
    """
    first = MosaicConfig(
        mosaic=0.35, mosaic_cache=40, scale=(0.9, 1.6), cover=True, least_visible=0.15
    )
    second = replace(first, mosaic=0.0, scale=(0.95, 1.2))
    return Recipe(
        name="person-detector",
        kind="detector",
        model="rtmdet-nano_person_320x320",
        init="rtmdet-nano",
        epochs=8,
        batch=16,
        lr=1e-4,
        base_batch=0,
        weight_decay=0.02,
        warmup_steps=50,
        warmup_start=0.01,
        flat=0.3,
        final_lr=0.01,
        clip=35.0,
        ema=5e-3,
        ema_gamma=50.0,
        norms="frozen",
        stage2_epochs=3,
        heldout=0.15,
        eval_every=2,
        detector=DetectorSettings(
            first,
            second,
            fit="rectangular",
            sides=(256, 384),
            reshape=0.2,
            soft_scores=1.0,
            soft_boxes=1.0,
            pseudo="yolox-tiny",
        ),
    )


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
