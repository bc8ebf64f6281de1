"""Distillation of backbone maps: the student's become such that the teacher's follow from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.training.least_squares import Moments, regress
from rtmpose.training.pose.distill import Teacher, TorchTeacher, normalize, resize_crops
from rtmpose.training.recipes import Distillation, Recipe
from rtmpose.training.task import Batch

FIT_BATCHES = 8
"""Batches that the convolutions between the maps are fitted to before the training."""


class FeatureDistillation:
    """The maps of a student and its teacher.

    Args:
        student: Its maps are kept with every call.
        card: Of the student.
        teacher: Run by torch.
        teacher_wh: Size of the crops it takes.
        recipe: Number of stages, and the modules that stay in float32.

    Raises:
        InputError: torch does not run the teacher.
    """

    def __init__(
        self,
        student: nn.Module,
        card: ModelCard,
        teacher: Teacher,
        teacher_wh: tuple[int, int],
        recipe: Recipe,
    ) -> None:
        # An inference backend shows its outputs only, not the maps inside.
        if not isinstance(teacher, TorchTeacher):
            raise InputError(
                "feature distillation needs a teacher that torch runs (--teacher-backend torch)"
            )
        self.student = student
        self.card = card
        self.teacher = teacher
        self.teacher_wh = teacher_wh
        self.recipe = recipe

        # Hooks keep the maps of every call from here on.
        stages = (recipe.distill or Distillation()).stages
        self._student_stages = StageMaps(student, stages)
        self._teacher_stages = StageMaps(teacher.network, stages)

    def student_maps(self) -> list[Tensor]:
        """Of the student's last call."""
        return list(self._student_stages.maps)

    def teacher_maps(self) -> list[Tensor]:
        """Of the teacher's last call."""
        return list(self._teacher_stages.maps)

    def fitted_loss(self, batches: Iterable[Batch]) -> FeatureLoss:
        """The loss, fitted to the first batches; the teacher is protected from rounding with the
        same.
        """
        teacher_device = next(self.teacher.parameters()).device

        # The teacher takes larger crops where its input is larger.
        images = [b["images"] for b in itertools.islice(batches, FIT_BATCHES)]
        for_teacher = [resize_crops(x, self.teacher_wh).to(teacher_device) for x in images]
        self.teacher.prepare(for_teacher, self.recipe.float32_modules)

        # The channels of the maps are known after the first call.
        pairs = map(self._maps_of, images, for_teacher)
        first = next(pairs)
        student_channels, teacher_channels = ([len(m[0]) for m in maps] for maps in first)
        loss = FeatureLoss(student_channels, teacher_channels)
        loss.fit(itertools.chain([first], pairs))
        return loss

    def _maps_of(self, images: Tensor, for_teacher: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Maps of both networks for a batch."""
        device = next(self.student.parameters()).device

        # Evaluation mode: the batches' statistics do not move the student's norms.
        with torch.inference_mode():
            self.student.eval()(normalize(images.to(device), self.card))
            self.teacher(for_teacher)
        return self._student_stages.maps, self._teacher_stages.maps


class StageMaps:
    """Keeps the output maps of the stages of a backbone.

    Args:
        network: Has ``backbone.stage1`` to ``backbone.stage4``.
        count: How many stages, the last ones.

    Attributes:
        maps: Of the network's last call, ``(N, C, H, W)`` each, from the first stage to the last.
    """

    def __init__(self, network: nn.Module, count: int) -> None:
        # The last stages are those nearest to the head.
        backbone = network.get_submodule("backbone")
        stages = [m for name, m in backbone.named_children() if name.startswith("stage")]
        stages = stages[-count:]
        self.maps = [torch.empty(0)] * len(stages)
        for number, stage in enumerate(stages):
            stage.register_forward_hook(partial(self._keep, number))

    def _keep(
        self, number: int, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor
    ) -> None:
        self.maps[number] = output  # (N, C, H, W), with gradients in the student's training


class FeatureLoss(nn.Module):
    """How well the teacher's maps follow from the student's, through a 1x1 convolution per map.

    Args:
        student: Channels of the student's maps.
        teacher: Channels of the teacher's.
    """

    def __init__(self, student: Sequence[int], teacher: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(s, t, 1) for s, t in zip(student, teacher, strict=True)
        )

    @torch.no_grad()
    def fit(self, pairs: Iterable[tuple[Sequence[Tensor], Sequence[Tensor]]]) -> None:
        """Start from the convolutions that predict best, by least squares over the positions of
        some maps.

        Without, the student would first be taught by random convolutions.

        Args:
            pairs: Maps of the student and of the teacher, a batch at a time.
        """
        # Moments of both maps together, over all positions.
        found = [Moments.none() for _ in self.convs]
        for student, teacher in pairs:
            for moments, ours, theirs in zip(found, student, teacher, strict=True):
                resized = _resize_map(theirs, ours)
                # (N, C_student + C_teacher, H, W)
                both = [ours.detach().cpu().float(), resized.detach().cpu().float()]
                moments.add(torch.cat(both, dim=1))

        # Least squares: the teacher's channels from the student's, one 1x1 convolution per map.
        for conv, moments in zip(self._convs(), found, strict=True):
            columns = torch.arange(conv.in_channels + conv.out_channels)
            inputs = columns[: conv.in_channels]
            outputs = columns[conv.in_channels :]
            factors, offset = regress(moments, inputs, outputs)
            conv.weight.copy_(factors.T[:, :, None, None])  # (I, T) -> (T, I, 1, 1)
            assert conv.bias is not None
            conv.bias.copy_(offset)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The share of the variance of the teacher's maps that is missed, mean over the maps.

        The mean squared difference of DWPose (arXiv 2307.15880, section 3.1), over the variance of
        the channels.
        """
        shares = []
        for conv, ours, theirs in zip(self._convs(), student, teacher, strict=True):
            # Squared difference over the variance: 0 is perfect, 1 is no better than the mean.
            target = _resize_map(theirs.float(), ours)
            variance = target.var((0, 2, 3), correction=0).mean().clamp(min=1e-12)
            shares.append(functional.mse_loss(conv(ours).float(), target) / variance)
        return torch.stack(shares).mean()

    def _convs(self) -> list[nn.Conv2d]:
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]


def _resize_map(theirs: Tensor, ours: Tensor) -> Tensor:
    """A teacher's map at the size of the student's."""
    if theirs.shape[2:] == ours.shape[2:]:
        return theirs
    return functional.interpolate(theirs, ours.shape[2:], mode="bilinear", align_corners=True)
