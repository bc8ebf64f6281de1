"""Names that recipes, checkpoints and ``--set`` used before, and what they are called now."""

from __future__ import annotations

OLD_RECIPE_NAMES = {"distil": "distill"}
"""Recipes by a name they had before."""

OLD_NAMES = {
    # The flat recipe.
    "epochs": "schedule.epochs",
    "batch": "schedule.batch_size",
    "accumulate": "schedule.accumulate",
    "warmup_steps": "schedule.warmup_steps",
    "warmup_start": "schedule.warmup_start_factor",
    "flat": "schedule.flat_fraction",
    "final_lr": "schedule.final_lr_factor",
    "stage2_epochs": "schedule.late_epochs",
    "eval_every": "schedule.eval_every",
    "save_minutes": "schedule.save_minutes",
    "lr": "optimizer.lr",
    "base_batch": "optimizer.base_batch_size",
    "lr_scaling": "optimizer.lr_scaling",
    "weight_decay": "optimizer.weight_decay",
    "clip": "optimizer.grad_clip_norm",
    "head_lr": "optimizer.head_lr_factor",
    "lr_by_size": "optimizer.layerwise_lr_by_rms",
    "ema": "ema.momentum",
    "ema_gamma": "ema.gamma",
    "float32": "float32_modules",
    "norms": "batch_norm.bn_mode",
    "sync_norms": "batch_norm.sync_bn",
    "stage2": "late_augment",
    "beta": "loss.beta",
    "half_points": "loss.half_weight_keypoints",
    "label_weight": "loss.label_weight",
    "loss_batch": "loss.reference_batch_size",
    "machine_labels": "loss.pseudo_labels",
    "heldout": "data.val_fraction",
    "workers": "data.workers",
    # Distillation.
    "distil": "distill",
    "distill.sure": "distill.weight_by_score",
    "distill.fade": "distill.decay_to_zero",
    "distill.point_score": "distill.min_point_score",
    # Detectors.
    "detector.pictures": "detector.augment",
    "detector.stage2": "detector.late_augment",
    "detector.fit": "detector.input_fit",
    "detector.sides": "detector.long_side_range",
    "detector.reshape": "detector.video_shape_prob",
    "detector.soft_scores": "detector.distill_scores",
    "detector.soft_boxes": "detector.distill_boxes",
    "detector.labels": "detector.label_weight",
    "detector.pseudo": "detector.pseudo_label_model",
    "detector.sure": "detector.pseudo_score_thr",
    "detector.doubt": "detector.ignore_score_thr",
    "detector.crops": "detector.partial_fraction",
    "detector.augment.least_visible": "detector.augment.min_visible",
    "detector.late_augment.least_visible": "detector.late_augment.min_visible",
}
"""Old path to new path. A group's old name (``stage2``) stands for everything in it."""


def modern_name(path: str) -> str:
    """The path that an old one stands for; the same path where it is not an old one."""
    for old, new in OLD_NAMES.items():
        if path == old:
            path = new
        elif path.startswith(f"{old}.") and not new.startswith(f"{old}."):
            path = new + path[len(old) :]
    return path
