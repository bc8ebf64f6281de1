"""Training of pose networks: SimCC (RTMPose, RTMW) and heat maps (CSPNeXt-UDP)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.ops import crop, heatmap, simcc
from rtmpose.training.data.augment import NO_AUGMENTATION
from rtmpose.training.data.pose_samples import (
    Ahead,
    Batch,
    BatchMaker,
    CropSettings,
    Sample,
    held_out,
    read_samples,
)
from rtmpose.training.pose import losses as loss
from rtmpose.training.pose.distill import (
    MapLoss,
    StageMaps,
    Teacher,
    TorchTeacher,
    flip_averaged,
    normalize,
    resize_crops,
)
from rtmpose.training.pose.metrics import score_poses
from rtmpose.training.recipes import Distillation, Recipe
from rtmpose.types import FloatArray, Skeleton

EVALUATION_BATCH = 64
FITTED = 8
"""Batches that the convolutions of feature distillation are fitted to before the training."""


class PoseTask:
    """A pose network and its data, for :func:`rtmpose.training.loop.train`.

    Args:
        network: TrainResult in place.
        card: Describes it.
        skeleton: Its keypoints.
        datasets: People with keypoints. Part of the photos of each human-labeled set is held out;
            the metrics of the first set come first.
        recipe: Augmentation, weights of the losses, seed.
        teacher: For ``recipe.distill.logits`` and ``features``.
        teacher_wh: Size of the crops it takes, where that is not the network's: it gets them
            enlarged.
        shares: How often each set's samples occur in an epoch; 1 each by default.
        evaluate_on: Sets to evaluate on; the training sets give up no photos then.

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
        self.network, self.card, self.skeleton, self.recipe, self.teacher = (
            network,
            card,
            skeleton,
            recipe,
            teacher,
        )
        self.teacher_wh = teacher_wh or card.input_wh
        self.settings = CropSettings(card, skeleton)
        self.training: list[Sample] = []
        self.heldout: list[Sample] = []
        self.names = [_name(d) for d in evaluate_on or datasets]
        for number, dataset in enumerate(evaluate_on):
            self.heldout += read_samples(dataset, skeleton, number)[0]
        for number, dataset in enumerate(datasets):
            samples, keys = read_samples(dataset, skeleton, number)
            out = held_out(keys, 0 if evaluate_on else recipe.heldout)
            # What a model labeled cannot judge a model: nothing of it is held out.
            self.heldout += [s for s, h in zip(samples, out, strict=True) if h and not s.machine]
            self.training += [s for s, h in zip(samples, out, strict=True) if s.machine or not h]
        self.shares = list(shares) if shares else [1.0] * len(datasets)
        self.world = 1
        if len(self._order(0)) < recipe.batch:
            raise InputError(
                f"{len(self.training)} samples do not fill one batch of {recipe.batch}; lower"
                " --batch"
            )
        self.distill = recipe.distill or Distillation()
        if (self.distill.logits or self.distill.features) and teacher is None:
            raise InputError(f"the recipe {recipe.name} distills: it needs a teacher (--teacher)")
        self._fading = 1.0
        self.auxiliary = self._map_loss() if self.distill.features else None

    def steps(self) -> int:
        """Batches per epoch and rank."""
        return len(self._order(0)) // (self.recipe.batch * self.world)

    def begin_step(self, share: float) -> None:
        """Told by the loop which share of the training is done."""
        self._fading = 1 - share if self.distill.fade else 1.0

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One epoch's batches for a rank; the ranks' batches of a step together are the batch of
        one process.
        """
        self.world = world
        recipe = self.recipe
        milder = recipe.stage2 is not None and epoch >= recipe.epochs - recipe.stage2_epochs
        augmentation = recipe.stage2 if milder and recipe.stage2 else recipe.augment
        order = self._order(epoch)
        salts = (
            np.arange(len(order))
            if len(order) > len(self.training)
            else np.zeros(len(order), np.int64)
        )
        mix = np.random.default_rng((generator_seed, epoch)).permutation(len(order))
        maker = BatchMaker(self.training, self.settings, augmentation, (generator_seed, epoch))

        def make(number: int) -> Batch:
            start = (number * world + rank) * recipe.batch
            chosen = mix[start : start + recipe.batch]
            return maker(order[chosen], salts[chosen])

        return Ahead(make, self.steps(), recipe.workers)

    def forward(self, network: nn.Module, batch: Batch) -> Any:
        """The network's output for a batch's crops."""
        return network(normalize(batch["images"], self.card))

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Weighted losses: ``labels``, ``points``, ``logits``, ``features``, as far as the recipe
        has them.
        """
        images, points, distill = batch["images"], batch["points"], self.distill
        output = self.forward(network, batch)
        weights = points[..., 2]
        if not self.recipe.machine_labels:
            weights = weights * ~batch["machine"][:, None]
        first, last = self.recipe.half_points
        if last > first:
            weights = torch.cat(
                [weights[:, :first], weights[:, first:last] / 2, weights[:, last:]], dim=1
            )
        out: dict[str, Tensor] = {}
        if self.recipe.label_weight:
            out["labels"] = self.recipe.label_weight * self._to_points(output, points, weights)
        if distill.points:
            scores = batch["teacher"][..., 2].clamp(max=1)
            sure = scores * (scores >= distill.point_score)
            out["points"] = (
                self._fading * distill.points * self._to_points(output, batch["teacher"], sure)
            )
        if self.teacher is not None and (distill.logits or distill.features):
            out |= self._from_teacher(output, images)
        return out

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Accuracy on the held-out people in their annotated boxes:
        :func:`rtmpose.training.pose.metrics.score_poses`.
        """
        if not self.heldout:
            return {}
        maker = BatchMaker(self.heldout, self.settings, NO_AUGMENTATION, (0,))
        total = len(self.heldout)

        def make(number: int) -> Batch:
            rows = np.arange(number * EVALUATION_BATCH, min((number + 1) * EVALUATION_BATCH, total))
            return maker(rows, np.zeros_like(rows))

        device = next(network.parameters()).device
        found: list[tuple[FloatArray, FloatArray]] = []
        for batch in Ahead(make, -(-total // EVALUATION_BATCH), self.recipe.workers):
            with torch.inference_mode():
                output = network(normalize(batch["images"].to(device), self.card))
            keypoints, scores = self._decode(output)
            found.append((crop.uncrop(keypoints, batch["matrices"].numpy()), scores))
        keypoints, scores = (np.concatenate(column) for column in zip(*found, strict=True))
        return score_poses(self.heldout, keypoints, scores, self.skeleton, self.names)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The samples of an epoch, unshuffled; the fractions of a share are drawn anew each epoch."""
        if all(share == 1 for share in self.shares):
            return np.arange(len(self.training))
        rng = np.random.default_rng((self.recipe.seed, epoch, 1))
        source = np.array([s.source for s in self.training])
        parts = []
        for number, share in enumerate(self.shares):
            rows = np.flatnonzero(source == number)
            parts += [rows] * int(share)
            parts.append(rng.permutation(rows)[: round(len(rows) * (share - int(share)))])
        return np.concatenate(parts)

    def _to_points(self, output: Any, points: Tensor, weights: Tensor) -> Tensor:
        codec, wh = self.card.codec, self.card.input_wh
        if codec.kind == "heatmap":
            target, kept = loss.heatmap_targets(points[..., :2], weights, codec, wh)
            return loss.keypoint_mse(output, target, kept)
        targets, kept = loss.simcc_targets(points[..., :2], weights, codec, wh)
        return self._scale(points) * loss.kl_discrete(output, targets, kept, beta=self.recipe.beta)

    def _from_teacher(self, output: tuple[Tensor, Tensor], images: Tensor) -> dict[str, Tensor]:
        assert self.teacher is not None
        out, distill = {}, self.distill
        images = resize_crops(images, self.teacher_wh)
        bins: tuple[Tensor, Tensor] | None = None
        if self.auxiliary is not None:
            ours = list(self._ours.maps)  # of the call just made
            bins = self.teacher(images)
            out["features"] = (
                self._fading * distill.features * self.auxiliary(ours, self._theirs.maps)
            )
        if distill.logits:
            with torch.no_grad():
                if distill.flip_average:
                    bins = flip_averaged(self.teacher, images, self.skeleton.flip_indices, bins)
                x, y = self.teacher(images) if bins is None else bins
                scores = torch.minimum(x.amax(2), y.amax(2)).clamp(0, 1)
                weights = scores if distill.sure else torch.ones_like(scores)
            kl = loss.distribution_kl(output, (x, y), weights, beta=self.recipe.beta)
            out["logits"] = self._fading * distill.logits * self._scale(images) * kl
        return out

    def _map_loss(self) -> MapLoss:
        teacher = self.teacher
        if not isinstance(teacher, TorchTeacher):
            raise InputError(
                "feature distillation needs a teacher that torch runs (--teacher-engine torch)"
            )
        count = self.distill.stages
        self._ours, self._theirs = StageMaps(self.network, count), StageMaps(teacher.network, count)
        device, place = next(self.network.parameters()).device, next(teacher.parameters()).device
        batches = [
            b["images"] for b in itertools.islice(self.batches(0, self.recipe.seed, 0, 1), FITTED)
        ]
        teacher.prepare(
            [resize_crops(images, self.teacher_wh).to(place) for images in batches],
            self.recipe.float32,
        )

        def pair(images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
            with torch.inference_mode():
                self.forward(self.network.eval(), {"images": images.to(device)})
                teacher(resize_crops(images, self.teacher_wh).to(place))
            return self._ours.maps, self._theirs.maps

        pairs = map(pair, batches)
        first = next(pairs)
        ours, theirs = ([len(m[0]) for m in maps] for maps in first)
        found = MapLoss(ours, theirs)
        found.fit(itertools.chain([first], pairs))
        return found

    def _scale(self, per_sample: Tensor) -> float:
        return self.recipe.loss_batch / len(per_sample)

    def _decode(self, output: Any) -> tuple[FloatArray, FloatArray]:
        codec = self.card.codec
        if codec.kind == "heatmap":
            blur = 17 if codec.sigma and codec.sigma[0] >= 3 else 11
            return heatmap.decode(output.float().cpu().numpy(), self.card.input_wh, blur)
        x, y = (o.float().cpu().numpy() for o in output)
        return simcc.decode(x, y, codec.split_ratio)


def _name(dataset: KeypointDataset) -> str:
    return dataset.path.parent.name.removeprefix("train_crops_") or dataset.path.stem
