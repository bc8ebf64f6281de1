"""What a live teacher says of a batch: its bins and its maps, as tensors of the batch."""

from __future__ import annotations

import threading

import torch
from torch import Tensor, nn

from rtmpose.training.pose.distill import Logits, Teacher, flip_averaged, resize_crops
from rtmpose.training.pose.feature_distill import FeatureDistillation
from rtmpose.training.recipes import Distillation
from rtmpose.training.task import Batch
from rtmpose.types import Skeleton

BINS = ("teacher_x", "teacher_y")
"""Names of the teacher's logits in a batch."""

MAP = "teacher_map"
"""Start of the names of its maps in a batch; their numbers follow, from the first stage on."""


class LiveTeacher:
    """Asks a teacher about crops; may be called from several threads.

    Args:
        teacher: See :data:`rtmpose.training.pose.distill.Teacher`.
        wh: Size of the crops it takes; smaller ones are enlarged.
        skeleton: Of its keypoints.
        distill: What is learned from it.
        features: Keeps its maps; None where they are not learned from.
    """

    def __init__(
        self,
        teacher: Teacher,
        wh: tuple[int, int],
        skeleton: Skeleton,
        distill: Distillation,
        features: FeatureDistillation | None,
    ) -> None:
        self.teacher = teacher
        self.wh = wh
        self.skeleton = skeleton
        self.distill = distill
        self.features = features
        # Its maps are those of the last call: no other call may come between.
        self._lock = threading.Lock()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Batch:
        """Its answers for BGR uint8 crops ``(N, h, w, 3)``, under the names above."""
        # Batches of a loader thread are not on the teacher's device yet.
        if isinstance(self.teacher, nn.Module):
            images = images.to(next(self.teacher.parameters()).device)
        images = resize_crops(images, self.wh)
        answers: Batch = {}
        bins: Logits | None = None
        with self._lock:
            # The upright pass fills the maps; its bins are used again below.
            if self.features is not None:
                bins = self.teacher(images)
                maps = self.features.teacher_maps()
                answers |= {f"{MAP}{number}": found for number, found in enumerate(maps)}
            if self.distill.logits:
                answers |= zip(BINS, self._bins(images, bins), strict=True)
        return answers

    def _bins(self, images: Tensor, upright: Logits | None) -> Logits:
        if self.distill.flip_average:
            return flip_averaged(self.teacher, images, self.skeleton.flip_indices, upright)
        return self.teacher(images) if upright is None else upright


def teacher_maps(batch: Batch) -> list[Tensor]:
    """The maps among a teacher's answers, from the first stage to the last."""
    count = sum(name.startswith(MAP) for name in batch)
    return [batch[f"{MAP}{number}"] for number in range(count)]
