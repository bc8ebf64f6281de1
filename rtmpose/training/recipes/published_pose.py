"""The published recipes, one plain function per config; the figures are those of the publisher's
configs.

Every row of the model tables has its recipe under the id of its model (:data:`PUBLISHED`). Rows
that differ only in their data share a function. The publisher trained on 8 GPUs with the batch that
is given per device here; rates are meant for ``base_batch`` samples per step, and follow the real
number (as with its ``--auto-scale-lr``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rtmpose.training.data.augment import Augmentation
from rtmpose.training.recipes.overrides import override
from rtmpose.training.recipes.recipe import (
    BatchNormSettings,
    Data,
    Ema,
    Loss,
    Optimizer,
    Recipe,
    Schedule,
)

# Augmentations of the two stages; ``WIDE`` scales and rotates further.
FIRST = Augmentation()
MILDER = Augmentation(shift=0.0, scale=(0.75, 1.25), rotate=60.0, dropout=0.5)
WIDE = Augmentation(scale=(0.5, 1.5), rotate=90.0)
WIDE_LATE = replace(WIDE, shift=0.0, dropout=0.5)


def _simcc(model: str, init: str, **figures: object) -> Recipe:
    """What all RTMPose configs have in common (RTMPose, arXiv 2303.07399, section 4.1)."""
    # 8 GPUs x 256 samples; AdamW, a flat half and a cosine, the last 30 epochs milder.
    common = Recipe(
        name=model,
        kind="pose",
        model=model,
        init=init,
        seed=21,
        schedule=Schedule(
            epochs=420,
            batch_size=256,
            warmup_steps=1000,
            warmup_start_factor=1e-5,
            flat_fraction=0.5,
            final_lr_factor=0.05,
            late_epochs=30,
            eval_every=10,
        ),
        optimizer=Optimizer(lr=4e-3, base_batch_size=1024, weight_decay=0.05, grad_clip_norm=35.0),
        ema=Ema(momentum=2e-4),
        batch_norm=BatchNormSettings(bn_mode="train"),
        augment=FIRST,
        late_augment=MILDER,
        loss=Loss(beta=10.0, reference_batch_size=256),
        data=Data(val_fraction=0.02),
    )
    return override(common, **figures)


# --- bodies, 17 keypoints


def rtmpose_t_coco(model: str, init: str) -> Recipe:
    """RTMPose-t, 17 keypoints, 256x192; no weight decay at all."""
    return _simcc(model, init, weight_decay=0.0)


def rtmpose_s_coco(model: str, init: str) -> Recipe:
    """RTMPose-s, 17 keypoints, 256x192; no weight decay at all."""
    return _simcc(model, init, weight_decay=0.0)


def rtmpose_m_coco(model: str, init: str) -> Recipe:
    """RTMPose-m, 17 keypoints, 256x192 and 384x288 (whose sigmas are those of its card)."""
    return _simcc(model, init)


def rtmpose_l_coco(model: str, init: str) -> Recipe:
    """RTMPose-l, 17 keypoints, 256x192 and 384x288."""
    return _simcc(model, init)


def rtmpose_x_coco(model: str, init: str) -> Recipe:
    """RTMPose-x, 17 keypoints, 384x288."""
    first = replace(WIDE, color="photometric")
    return _simcc(model, init, epochs=700, late_epochs=20, augment=first, late_augment=WIDE_LATE)


# --- bodies with feet, 26 keypoints


def rtmpose_small_halpe26(model: str, init: str) -> Recipe:
    """RTMPose-t and -s, 26 keypoints, 256x192."""
    first = replace(FIRST, color="photometric")
    second = replace(FIRST, color="none", shift=0.0, dropout=0.5)
    return _simcc(
        model,
        init,
        epochs=700,
        batch_size=1024,
        reference_batch_size=1024,
        weight_decay=0.0,
        augment=first,
        late_augment=second,
    )


def rtmpose_large_halpe26(model: str, init: str) -> Recipe:
    """RTMPose-m and -l, 26 keypoints, 256x192 and 384x288."""
    first = replace(WIDE, color="photometric")
    second = replace(WIDE_LATE, color="none")
    return _simcc(
        model,
        init,
        epochs=700,
        batch_size=512,
        reference_batch_size=512,
        augment=first,
        late_augment=second,
    )


def rtmpose_x_halpe26(model: str, init: str) -> Recipe:
    """RTMPose-x, 26 keypoints, 384x288."""
    first = replace(WIDE, color="photometric")
    second = replace(WIDE_LATE, color="none")
    return _simcc(model, init, epochs=700, late_epochs=20, augment=first, late_augment=second)


# --- whole bodies, 133 keypoints


def rtmpose_wholebody(model: str, init: str) -> Recipe:
    """RTMPose-m and -l, 133 keypoints, 256x192."""
    return _simcc(
        model, init, epochs=270, batch_size=64, reference_batch_size=64, base_batch_size=512
    )


def rtmpose_l_wholebody_384(model: str, init: str) -> Recipe:
    """RTMPose-l, 133 keypoints, 384x288."""
    return _simcc(
        model, init, epochs=270, batch_size=32, reference_batch_size=32, base_batch_size=512
    )


def rtmpose_x_wholebody(model: str, init: str) -> Recipe:
    """RTMPose-x, 133 keypoints, 384x288; rotated and scaled further than the smaller ones."""
    return _simcc(
        model,
        init,
        epochs=270,
        batch_size=32,
        reference_batch_size=32,
        base_batch_size=512,
        augment=WIDE,
        late_augment=WIDE_LATE,
    )


# --- animals, faces, hands


def rtmpose_m_ap10k(model: str, init: str) -> Recipe:
    """RTMPose-m for animals, 17 keypoints, 256x256."""
    return _simcc(
        model, init, epochs=210, batch_size=64, reference_batch_size=64, base_batch_size=512
    )


def rtmpose_face6(model: str, init: str, weight_decay: float = 0.0) -> Recipe:
    """RTMPose-t and -s for faces, 106 keypoints, 256x256."""
    first = replace(FIRST, scale=(0.5, 1.5), blur=0.2)
    return _simcc(
        model,
        init,
        epochs=120,
        base_batch_size=512,
        weight_decay=weight_decay,
        flat_fraction=0.25,
        final_lr_factor=0.005,
        augment=first,
        late_epochs=10,
        eval_every=1,
    )


def rtmpose_m_face6(model: str, init: str) -> Recipe:
    """RTMPose-m for faces: with decay, and late epochs that only shift and drop out less."""
    recipe = rtmpose_face6(model, init, 0.05)
    return replace(recipe, late_augment=replace(recipe.augment, shift=0.0, blur=0.1, dropout=0.5))


def rtmpose_m_hand5(model: str, init: str) -> Recipe:
    """RTMPose-m for hands, 21 keypoints, 256x256: rotated by any angle."""
    first = replace(FIRST, scale=(0.5, 1.5), rotate=180.0, half_body=0.0)
    return _simcc(
        model,
        init,
        epochs=210,
        batch_size=32,
        reference_batch_size=32,
        base_batch_size=256,
        augment=first,
        late_augment=replace(MILDER, rotate=180.0, half_body=0.0),
    )


# --- RTMW


def rtmw(model: str, init: str, batch: int, weight_decay: float) -> Recipe:
    """RTMW, 133 keypoints (Jiang et al., arXiv 2407.08634): beta 1, and the face's points weigh
    half.
    """
    first = replace(WIDE, color="photometric", dropout=0.5)
    return _simcc(
        model,
        init,
        epochs=270,
        batch_size=batch,
        reference_batch_size=batch,
        base_batch_size=8 * batch,
        lr=5e-4,
        weight_decay=weight_decay,
        augment=first,
        late_augment=replace(first, color="none", shift=0.0, dropout=0.0),
        late_epochs=10,
        beta=1.0,
        half_weight_keypoints=(23, 91),
    )


# --- backbones


def cspnext_udp(model: str, init: str) -> Recipe:
    """Heat-map pre-training of the backbones (UDP, sigma 2), 17 keypoints; no clipping."""
    return _simcc(model, init, kind="heatmap", epochs=210, grad_clip_norm=0.0, batch_size=256)


def cspnext_imagenet(model: str, init: str = "none") -> Recipe:
    """A classifier, in the simple form: the published weights were made with the stronger RSB-A1
    recipe and Lamb.
    """
    return Recipe(
        name=model,
        kind="classifier",
        model=model,
        init=init,
        seed=21,
        schedule=Schedule(
            epochs=300,
            batch_size=256,
            warmup_steps=5000,
            warmup_start_factor=1e-3,
            flat_fraction=0.0,
            final_lr_factor=1e-3,
            eval_every=5,
        ),
        optimizer=Optimizer(lr=1e-3, base_batch_size=1024, weight_decay=0.05, grad_clip_norm=5.0),
        ema=Ema(momentum=1e-4),
        batch_norm=BatchNormSettings(bn_mode="train"),
        data=Data(val_fraction=0.02),
    )


# --- the table


Make = Callable[[str, str], Recipe]


def _rows() -> dict[str, tuple[Make, str]]:
    """Model id to recipe and to the model whose backbone the training starts from."""
    # Body models with 17 keypoints, by size; backbones name the sizes in another way.
    body: dict[str, Make] = {
        "t": rtmpose_t_coco,
        "s": rtmpose_s_coco,
        "m": rtmpose_m_coco,
        "l": rtmpose_l_coco,
    }
    full = {"t": "tiny", "s": "s", "m": "m", "l": "l", "x": "x"}
    rows: dict[str, tuple[Make, str]] = {}

    # 256x192: from the heat-map backbone of the same data, which started from ImageNet.
    for data in ("aic-coco", "body8"):
        for s, make in body.items():
            rows[f"rtmpose-{s}_{data}_256x192"] = (make, f"cspnext-{full[s]}-udp_{data}_256x192")
            rows[f"cspnext-{full[s]}-udp_{data}_256x192"] = (
                cspnext_udp,
                f"cspnext-{full[s]}_imagenet_224x224",
            )

    # Medium and large: also 384x288, whole bodies and 26 keypoints.
    for s in "ml":
        rows[f"rtmpose-{s}_aic-coco_384x288"] = (body[s], f"cspnext-{s}-udp_aic-coco_256x192")
        rows[f"rtmpose-{s}_body8_384x288"] = (body[s], f"cspnext-{s}-udp_body8_384x288")
        rows[f"rtmpose-{s}_coco-wholebody_256x192"] = (
            rtmpose_wholebody,
            f"cspnext-{s}-udp_aic-coco_256x192",
        )
        for size in ("256x192", "384x288"):
            rows[f"rtmpose-{s}_body8-halpe26_{size}"] = (
                rtmpose_large_halpe26,
                f"rtmpose-{s}_body8_{size}",
            )

    # Faces, and the backbones.
    for s in "ts":
        rows[f"rtmpose-{s}_face6_256x256"] = (rtmpose_face6, f"cspnext-{full[s]}_imagenet_224x224")
    for s in full.values():
        rows[f"cspnext-{s}_imagenet_224x224"] = (cspnext_imagenet, "none")
    for s in "mlx":
        rows[f"cspnext-{s}-udp_body8_384x288"] = (cspnext_udp, f"cspnext-{s}_imagenet_224x224")

    return rows | _single_rows()


def _single_rows() -> dict[str, tuple[Make, str]]:
    """The rows that follow no pattern."""
    return {
        "rtmpose-x_body8_384x288": (rtmpose_x_coco, "cspnext-x-udp_body8_384x288"),
        "rtmpose-s-pruned_aic-coco_256x192": (rtmpose_s_coco, "rtmpose-s-pruned_aic-coco_256x192"),
        "rtmpose-t_body8-halpe26_256x192": (
            rtmpose_small_halpe26,
            "cspnext-tiny-udp_body8_256x192",
        ),
        "rtmpose-s_body8-halpe26_256x192": (rtmpose_small_halpe26, "rtmpose-s_body8_256x192"),
        "rtmpose-x_body8-halpe26_384x288": (rtmpose_x_halpe26, "cspnext-x-udp_body8_384x288"),
        "rtmpose-l_coco-wholebody_384x288": (
            rtmpose_l_wholebody_384,
            "cspnext-l-udp_aic-coco_256x192",
        ),
        "rtmpose-x_coco-wholebody_384x288": (rtmpose_x_wholebody, "cspnext-x-udp_body8_384x288"),
        "rtmpose-m_ap10k_256x256": (rtmpose_m_ap10k, "cspnext-m-udp_aic-coco_256x192"),
        "rtmpose-m_face6_256x256": (rtmpose_m_face6, "cspnext-m_imagenet_224x224"),
        "rtmpose-m_hand5_256x256": (rtmpose_m_hand5, "cspnext-m-udp_aic-coco_256x192"),
        "rtmw-m_cocktail14_256x192": (_rtmw(1024, 0.05), "rtmpose-m_coco-wholebody_256x192"),
        "rtmw-l_cocktail14_256x192": (_rtmw(1024, 0.1), "rtmpose-l_coco-wholebody_256x192"),
        "rtmw-l_cocktail14_384x288": (_rtmw(320, 0.1), "rtmpose-l_coco-wholebody_256x192"),
        "rtmw-x_cocktail14_256x192": (_rtmw(704, 0.1), "rtmpose-x_coco-wholebody_384x288"),
        "rtmw-x_cocktail14_384x288": (_rtmw(320, 0.1), "rtmpose-x_coco-wholebody_384x288"),
    }


def _rtmw(batch: int, weight_decay: float) -> Make:
    return partial(rtmw, batch=batch, weight_decay=weight_decay)


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    row: partial(make, row, init) for row, (make, init) in _rows().items()
}
"""Recipes by the id of the model they made. The RTMW rows start from backbones of this table: those
of the publisher (trained on UBody too) are not in the zoo."""
