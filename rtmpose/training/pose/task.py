"""Training of pose networks: SimCC (RTMPose, RTMW) and heat maps (CSPNeXt-UDP)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.category_skeletons import sigmas_by_name
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.ops import crop, heatmap, simcc
from rtmpose.training.data.augment import NO_AUGMENTATION, Augmentation
from rtmpose.training.data.device_crops import DeviceCrops, warn_of_small_crops
from rtmpose.training.data.images import ReadFailures, validation_mask
from rtmpose.training.data.packed import PackedImages, is_packed
from rtmpose.training.data.pose_samples import CropBatches, CropSettings, Sample, read_samples
from rtmpose.training.data.prefetch import PrefetchLoader
from rtmpose.training.pose import losses as pose_losses
from rtmpose.training.pose.distill import Teacher, normalize
from rtmpose.training.pose.feature_distill import FeatureDistillation
from rtmpose.training.pose.live_teacher import BINS, LiveTeacher, teacher_maps
from rtmpose.training.pose.metrics import score_poses
from rtmpose.training.recipes import Distillation, Recipe
from rtmpose.training.task import Batch
from rtmpose.types import FloatArray, Skeleton

EVALUATION_BATCH = 64
BATCHES_WAITING = 4
"""Batches that may be ready before they are used, besides one per thread."""

Output: TypeAlias = Tensor | tuple[Tensor, Tensor]
"""Heat maps ``(N, K, h, w)``, or SimCC logits of x and y."""


class PoseTask:
    """A pose network and its data, for :func:`rtmpose.training.loop.train`.

    Args:
        network: Trained in place.
        card: Describes it.
        skeleton: Its keypoints.
        datasets: People with keypoints. Part of the images of each human-labeled set is kept for
            validation; the metrics of the first set come first.
        recipe: Augmentation, weights of the losses, seed.
        teacher: For ``recipe.distill.logits`` and ``features``.
        teacher_wh: Size of the crops it takes, where that is not the network's: it gets them
            enlarged.
        shares: How often each set's samples occur in an epoch; 1 each by default.
        evaluate_on: Sets to evaluate on; the training sets keep all their images then.

    Raises:
        InputError: a set cannot be used, or too little of it is left for a batch.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        skeleton: Skeleton,
        datasets: Sequence[KeypointDataset],
        recipe: Recipe,
        *,
        teacher: Teacher | None = None,
        teacher_wh: tuple[int, int] | None = None,
        shares: Sequence[float] | None = None,
        evaluate_on: Sequence[KeypointDataset] = (),
    ) -> None:
        self.network = network
        self.card = card
        self.skeleton = skeleton
        self.recipe = recipe

        # Files of others may leave out what only a training needs.
        if card.codec.kind == "simcc" and len(card.codec.sigma) < 2:
            raise InputError(
                f"the card of {card.id} does not say how wide its labels are (codec.sigma, one"
                " number for x and one for y), which a training needs"
            )

        # A recipe that distills cannot do without a teacher.
        self.distill = recipe.distill or Distillation()
        if (self.distill.logits or self.distill.features) and teacher is None:
            raise InputError(f"the recipe {recipe.name} distills: it needs a teacher (--teacher)")

        # Samples, split by image.
        self.settings = CropSettings(card, skeleton)
        self.training: list[Sample] = []
        self.validation: list[Sample] = []
        self.names = [_name(d) for d in evaluate_on or datasets]
        self.sigmas = [
            sigmas_by_name(d.content, d.keypoint_names, skeleton) for d in evaluate_on or datasets
        ]
        for number, dataset in enumerate(evaluate_on):
            if is_packed(dataset):
                raise InputError(
                    f"{dataset.path} holds a model's labels, which say little about a model: --val"
                    " takes annotated data"
                )
            self.validation += read_samples(dataset, skeleton, number)[0]
        val_fraction = 0.0 if evaluate_on else recipe.data.val_fraction
        for number, dataset in enumerate(datasets):
            self._add(dataset, number, val_fraction)

        # Packed people are decoded once.
        self.packed: PackedImages | None = None
        if any(map(is_packed, datasets)):
            if not all(map(is_packed, datasets)):
                raise InputError(
                    "packed people (.zip) and other sets cannot be trained on together"
                )
            self.packed = PackedImages(datasets)
            warn_of_small_crops(self.training, card.input_wh)

        # How often each set's samples occur in an epoch.
        self.shares = list(shares) if shares else [1.0] * len(datasets)
        self.failures = ReadFailures(len(self.training), "it is left out of the loss")
        batch_size = recipe.schedule.batch_size
        if len(self._order(0)) < batch_size:
            raise InputError(
                f"{len(self.training)} samples do not fill one batch of {batch_size}; lower it"
                " (--set batch_size=)"
            )

        # Feature distillation last: its fit needs batches, hence everything above.
        self._decay = 1.0
        self.features: FeatureDistillation | None = None
        self.auxiliary: nn.Module | None = None
        self.live_teacher: LiveTeacher | None = None
        if teacher is not None and (self.distill.logits or self.distill.features):
            self._learn_from(teacher, teacher_wh or card.input_wh)

    def _add(self, dataset: KeypointDataset, number: int, val_fraction: float) -> None:
        """Split a set's samples."""
        samples, keys = read_samples(dataset, self.skeleton, number)
        for sample, is_validation in zip(samples, validation_mask(keys, val_fraction), strict=True):
            # Labels made by a model say little about a model: none of them are for validation.
            if is_validation and not sample.pseudo:
                self.validation.append(sample)
            else:
                self.training.append(sample)

    def steps(self, world: int = 1) -> int:
        """Batches per epoch and process."""
        return len(self._order(0)) // (self.recipe.schedule.batch_size * world)

    def begin_step(self, progress: float) -> None:
        """Told by the loop which share of the training is done."""
        self._decay = 1 - progress if self.distill.decay_to_zero else 1.0

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One epoch's batches for a process; the processes' batches of a step together are the
        batch of one process.
        """
        recipe = self.recipe

        # The last epochs have a milder augmentation.
        augmentation = recipe.augment
        if recipe.late_augment and epoch >= recipe.schedule.epochs - recipe.schedule.late_epochs:
            augmentation = recipe.late_augment

        # Samples that occur several times differ by a number.
        order = self._order(epoch)
        repeats = np.zeros(len(order), np.int64)
        if len(order) > len(self.training):
            repeats = np.arange(len(order))
        shuffled = np.random.default_rng((generator_seed, epoch)).permutation(len(order))
        crops = self._crops(augmentation, (generator_seed, epoch))
        size = recipe.schedule.batch_size

        # Interleaved by process: the batches of one step are next to each other in the order.
        def make(number: int) -> Batch:
            start = (number * world + rank) * size
            chosen = shuffled[start : start + size]
            batch = crops(order[chosen], repeats[chosen])
            if teacher is not None:
                batch |= teacher(batch["images"])
            return batch

        # The maps of a teacher that works ahead take memory: few batches wait.
        teacher = self.live_teacher if self.distill.ahead else None
        waiting = BATCHES_WAITING if teacher is None else 1
        return PrefetchLoader(make, self.steps(world), recipe.data.workers, waiting)

    def _crops(
        self, augmentation: Augmentation, seed: tuple[int, ...]
    ) -> CropBatches | DeviceCrops:
        """What makes the crops to train on: of packed people on the network's device."""
        if self.packed is None:
            return CropBatches(self.training, self.settings, augmentation, seed, self.failures)
        device = next(self.network.parameters()).device
        return DeviceCrops(self.training, self.settings, augmentation, seed, self.packed, device)

    def forward(self, network: nn.Module, batch: Batch) -> Output:
        """The network's output for a batch's crops."""
        output: Output = network(normalize(batch["images"], self.card))
        return output

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Weighted losses: ``labels``, ``points``, ``logits``, ``features``, as far as the recipe
        has them.
        """
        loss = self.recipe.loss
        distill = self.distill
        output = self.forward(network, batch)
        losses: dict[str, Tensor] = {}

        # Labels: Gaussians or heat maps around the annotated points.
        if loss.label_weight:
            weights = self._label_weights(batch)
            losses["labels"] = loss.label_weight * self._to_points(output, batch["points"], weights)

        # Points of a teacher stored with the annotations, weighted by their score.
        if distill.points:
            scores = batch["teacher"][..., 2].clamp(max=1)
            weights = scores * (scores >= distill.min_point_score)
            stored = self._to_points(output, batch["teacher"], weights)
            losses["points"] = self._decay * distill.points * stored

        # A teacher that sees the same crops.
        if self.live_teacher is not None:
            if not self.distill.ahead:
                batch = batch | self.live_teacher(batch["images"])
            losses |= self._from_teacher(output, batch)
        return losses

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Accuracy on the validation people in their annotated boxes:
        :func:`rtmpose.training.pose.metrics.score_poses`.
        """
        if not self.validation:
            return {}

        # Crops of the annotated boxes, without augmentation.
        crops = CropBatches(self.validation, self.settings, NO_AUGMENTATION, (0,))
        total = len(self.validation)

        def make(number: int) -> Batch:
            start = number * EVALUATION_BATCH
            rows = np.arange(start, min(start + EVALUATION_BATCH, total))
            return crops(rows, np.zeros_like(rows))

        # Keypoints in crop pixels, and back to the image by the inverse of the crop's map.
        device = next(network.parameters()).device
        keypoints: list[FloatArray] = []
        scores: list[FloatArray] = []
        batches = -(-total // EVALUATION_BATCH)
        for batch in PrefetchLoader(make, batches, self.recipe.data.workers):
            with torch.inference_mode():
                output = network(normalize(batch["images"].to(device), self.card))
            in_crop, batch_scores = self._decode(output)
            # (N, K, 2) in image pixels.
            keypoints.append(crop.uncrop(in_crop, batch["matrices"].numpy()))
            scores.append(batch_scores)
        return score_poses(
            self.validation,
            np.concatenate(keypoints),
            np.concatenate(scores),
            self.sigmas,
            self.names,
        )

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The samples of an epoch, unshuffled; fractions of a share are drawn anew each epoch."""
        # All samples once, in the usual case.
        if all(share == 1 for share in self.shares):
            return np.arange(len(self.training))
        rng = np.random.default_rng((self.recipe.seed, epoch, 1))
        source = np.array([s.source for s in self.training])
        parts: list[NDArray[np.int64]] = []

        # Whole shares repeat a set; of the rest a random part is drawn.
        for number, share in enumerate(self.shares):
            rows = np.flatnonzero(source == number)
            whole = int(share)
            parts += [rows] * whole
            parts.append(rng.permutation(rows)[: round(len(rows) * (share - whole))])
        return np.concatenate(parts)

    def _label_weights(self, batch: Batch) -> Tensor:
        """How much each labeled point counts ``(N, K)``."""
        loss = self.recipe.loss
        weights = batch["points"][..., 2]  # (N, K)

        # Labels made by a model may be left to the distillation.
        if not loss.pseudo_labels:
            weights = weights * ~batch["pseudo"][:, None]
        first, last = loss.half_weight_keypoints

        # The published RTMW recipe halves the weight of the face's points.
        if last > first:
            half = weights[:, first:last] / 2
            weights = torch.cat([weights[:, :first], half, weights[:, last:]], dim=1)
        return weights

    def _to_points(self, output: Output, points: Tensor, weights: Tensor) -> Tensor:
        """The loss against labeled points ``(N, K, 3)``."""
        codec = self.card.codec

        # Heat maps or SimCC bins, by the form of the output.
        wh = self.card.input_wh
        if isinstance(output, Tensor):
            target, kept = pose_losses.heatmap_targets(points[..., :2], weights, codec, wh)
            return pose_losses.keypoint_mse(output, target, kept)
        targets, kept = pose_losses.simcc_targets(points[..., :2], weights, codec, wh)
        kl = pose_losses.kl_discrete(output, targets, kept, beta=self.recipe.loss.beta)
        return self._scale(points) * kl

    def _from_teacher(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """The losses against a live teacher: its maps, its bins."""
        distill = self.distill
        losses: dict[str, Tensor] = {}

        # The student's maps are those of the call just made.
        if self.features is not None:
            student_maps = self.features.student_maps()
            assert self.auxiliary is not None
            missed = self.auxiliary(student_maps, teacher_maps(batch))
            losses["features"] = self._decay * distill.features * missed

        # The distributions over the bins.
        if distill.logits:
            assert not isinstance(output, Tensor)
            x, y = (batch[name] for name in BINS)
            # (N, K) confidence: the lower peak of the two axes.
            scores = torch.minimum(x.amax(2), y.amax(2)).clamp(0, 1)
            weights = scores if distill.weight_by_score else torch.ones_like(scores)
            beta = self.recipe.loss.beta
            kl = pose_losses.distribution_kl(output, (x, y), weights, beta=beta)
            losses["logits"] = self._decay * distill.logits * self._scale(x) * kl
        return losses

    def _learn_from(self, teacher: Teacher, wh: tuple[int, int]) -> None:
        """Ask a teacher about every batch; the convolutions between its maps and the student's are
        trained along.
        """
        if self.distill.features:
            self.features = FeatureDistillation(self.network, self.card, teacher, wh, self.recipe)
            self.auxiliary = self.features.fitted_loss(self.batches(0, self.recipe.seed, 0, 1))
        self.live_teacher = LiveTeacher(teacher, wh, self.skeleton, self.distill, self.features)

    def _scale(self, per_sample: Tensor) -> float:
        """Factor that makes sums over the batch those over the recipe's batch."""
        return self.recipe.loss.reference_batch_size / len(per_sample)

    def _decode(self, output: Output) -> tuple[FloatArray, FloatArray]:
        """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)``."""
        codec = self.card.codec
        if isinstance(output, Tensor):
            # The blur that the published heat-map decoder uses with this sigma.
            blur = 17 if codec.sigma and codec.sigma[0] >= 3 else 11
            return heatmap.decode(output.float().cpu().numpy(), self.card.input_wh, blur)
        x, y = (o.float().cpu().numpy() for o in output)  # (N, K, bins)
        return simcc.decode(x, y, codec.split_ratio)


def _name(dataset: KeypointDataset) -> str:
    """Name of a set in the metrics."""
    return dataset.path.parent.name.removeprefix("train_crops_") or dataset.path.stem
