"""One run of the training loop: its steps, its reports and its files."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from rtmpose.errors import InputError, OutputError, RtmposeError
from rtmpose.training import batch_norm
from rtmpose.training.checkpoint import TrainState, save_state
from rtmpose.training.devices import choose_precision, keep_in_float32
from rtmpose.training.ema import MovingAverage
from rtmpose.training.logger import EVALUATIONS, STEPS, MetricLogger
from rtmpose.training.optim import learning_rate, make_optimizer, rate_factor
from rtmpose.training.prepare import prepare_network
from rtmpose.training.recipes import Recipe
from rtmpose.training.run_files import check_state, recipe_json, save_model
from rtmpose.training.signals import StopRequest
from rtmpose.training.small_state import compact, expand
from rtmpose.training.steps import skip_batches, total_loss
from rtmpose.training.task import (
    Batch,
    SupportsAuxiliary,
    SupportsProgress,
    Task,
    TrainResult,
    TrainStatus,
)
from rtmpose.training.throughput import Averages, Throughput

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

LOG_EVERY = 20
"""Steps between reports, and between votes of several processes."""
SAVING_SHARE = 20
"""Saving after epochs takes at most this part of the time: a twentieth."""
MAX_BAD_STEPS = 20
"""Steps in a row whose gradients may be infinite."""
NO_CLIP_NORM = 1e12
"""Without a limit the gradient's norm is still worth knowing."""


def _steps_per_epoch(task: Task, accumulate: int, world: int) -> int:
    batches = task.steps(world)
    if batches < accumulate:
        raise InputError(
            f"an epoch has {batches} batches: not one step of {accumulate} batches; lower --set"
            " accumulate="
        )
    return batches // accumulate


class TrainRun:
    """One call of :func:`rtmpose.training.loop.train`.

    Args:
        task: What is trained, on what.
        recipe: How.
        folder: For the results.
        fabric: Devices, processes and precision.
        on_status: Told of the training's state, on the first process.

    Raises:
        InputError: an epoch is shorter than one step.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        folder: Path,
        fabric: Fabric,
        on_status: Callable[[TrainStatus], None],
    ) -> None:
        self.task = task
        self.recipe = recipe
        self.folder = folder
        self.fabric = fabric
        self.on_status = on_status

        # One seed for weights and dropout; the data has generators by epoch and sample.
        torch.manual_seed(recipe.seed)
        self.network, self.frozen = prepare_network(task, recipe, fabric)

        # The average is a copy: it is taken before forward passes are replaced.
        ema = recipe.ema
        self.ema = MovingAverage(self.network, ema.momentum, ema.gamma) if ema.momentum else None
        keep_in_float32(self.network, recipe.float32_modules)

        # The optimizer takes the parameters before Fabric wraps the modules.
        schedule = recipe.schedule
        self.samples = schedule.batch_size * schedule.accumulate * fabric.world_size
        self.lr = learning_rate(recipe, self.samples)
        self.auxiliary = task.auxiliary if isinstance(task, SupportsAuxiliary) else None
        modules = [self.network]
        if self.auxiliary is not None:
            modules.append(self.auxiliary.to(fabric.device))
        optimizer = make_optimizer(modules, recipe, self.lr)

        # Wrapped for several processes and for mixed precision.
        self.wrapped = fabric.setup_module(self.network)
        if self.auxiliary is not None and isinstance(task, SupportsAuxiliary):
            task.auxiliary = fabric.setup_module(self.auxiliary)
        self.optimizer = cast(torch.optim.Optimizer, fabric.setup_optimizers(optimizer))

        # Fabric's scaler skips infinite gradients itself.
        self.loss_scaled = choose_precision(recipe.precision, fabric.device.type) == "fp16"

        # Length of the training in steps.
        self.per_epoch = _steps_per_epoch(task, schedule.accumulate, fabric.world_size)
        self.total = self.per_epoch * schedule.epochs

        # What changes from step to step.
        self.step = 0
        self.bad_steps = 0
        self.best = -math.inf
        self.metrics: dict[str, float] = {}
        self.lr_now = self.lr
        self.averages = Averages({}, 0.0, 0.0)
        self.throughput = Throughput()
        self.logger: MetricLogger | None = None
        self.saved_at = time.monotonic()
        self.save_s = 0.0

    # --- the loop

    def go(self, stop: StopRequest, stop_after_s: float | None) -> TrainResult:
        """Train to the end, or until something asks to stop."""
        started_at = time.monotonic()
        if self.fabric.global_rank == 0:
            self.logger = MetricLogger(self.folder, self.step)
            log.info(
                "%d steps of %d samples, learning rate %.3g, batch norms %s",
                self.total,
                self.samples,
                self.lr,
                "frozen" if self.frozen else "learning",
            )

        # Epoch by epoch; the first one may begin in its middle, where a state was resumed.
        save_every_s = self.recipe.schedule.save_minutes * 60
        while self.step < self.total:
            epoch, done = divmod(self.step, self.per_epoch)
            batches = self._batches(epoch, done)
            self._train_mode()
            self.throughput.start()
            for _ in range(done, self.per_epoch):
                self._one_step(batches)

                # All processes stop and save in the same step.
                now = time.monotonic()
                late = stop_after_s is not None and now - started_at > stop_after_s
                leave, save = self._agreed(
                    stop.is_set() or late, now - self.saved_at > save_every_s
                )
                if leave:
                    self.save(must=True)
                    return self._result(finished=False)
                if save:
                    self.save()
            self._end_of_epoch(epoch)
        self.save(must=True)
        return self._result(finished=True)

    def _batches(self, epoch: int, done: int) -> Iterator[Batch]:
        """The process's batches of an epoch, behind the steps that are done."""
        fabric = self.fabric
        batches = self.task.batches(epoch, self.recipe.seed, fabric.global_rank, fabric.world_size)
        return skip_batches(batches, done * self.recipe.schedule.accumulate)

    def _one_step(self, batches: Iterator[Batch]) -> None:
        """One step of the optimizer."""
        # The rate of this step, for every group by its factor.
        factor = rate_factor(self.recipe, self.step, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor * group.get("factor", 1.0)

        # Forward and backward passes; the task may weigh its losses by the progress.
        if isinstance(self.task, SupportsProgress):
            self.task.begin_step(self.step / self.total)
        self._backward(batches)

        # Clip, and step unless the gradient is infinite.
        max_norm = self.recipe.optimizer.grad_clip_norm or NO_CLIP_NORM
        norm = self.fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=max_norm, error_if_nonfinite=False
        )
        assert norm is not None
        if self.loss_scaled or bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.bad_steps = 0
        else:
            self._skip_bad_step()
        self.optimizer.zero_grad(set_to_none=True)

        # The average follows the weights, also over a skipped step.
        if self.ema:
            self.ema.update(self.network)
        self.step += 1
        self.throughput.steps += 1
        if self.step % LOG_EVERY == 0:
            self._report(float(norm), self.lr * factor)

    def _backward(self, batches: Iterator[Batch]) -> None:
        """Add up the gradients of the batches of one step."""
        accumulate = self.recipe.schedule.accumulate
        for part in range(accumulate):
            with self.throughput.waiting():
                batch = next(batches)
            batch = self.fabric.to_device(batch)

            # Processes exchange gradients once per step, with the last batch.
            with self.fabric.no_backward_sync(self.wrapped, enabled=part < accumulate - 1):
                losses = self.task.losses(self.wrapped, batch)
                self.fabric.backward(total_loss(losses, self.recipe) / accumulate)
            self.throughput.add(losses, 1 / accumulate)

    def _skip_bad_step(self) -> None:
        """Count a step with an infinite gradient; too many in a row are an error."""
        self.bad_steps += 1
        log.warning("step %d: the gradient is not finite; skipped", self.step)
        if self.bad_steps >= MAX_BAD_STEPS:
            raise RtmposeError(
                f"{self.bad_steps} steps in a row had infinite gradients; lower the rate (--set"
                f" lr={self.lr / 3:.2g}) or use --set precision=fp32, and go on from the last state"
                " with --resume"
            )

    def _end_of_epoch(self, epoch: int) -> None:
        schedule = self.recipe.schedule
        last = epoch + 1 == schedule.epochs
        if (epoch + 1) % schedule.eval_every == 0 or last:
            self._evaluate()

        # Short epochs are not all worth a write.
        due = time.monotonic() - self.saved_at > SAVING_SHARE * self.save_s
        if not last and self.fabric.broadcast(due):
            self.save()

    def _evaluate(self) -> None:
        """Evaluate the averaged weights on the first process; keep them if they are the best."""
        if self.fabric.global_rank == 0:
            # The network may be the trained one itself: its mode is put back.
            network = self.averaged()
            mode = network.training
            self.metrics = self.task.evaluate(network.eval())
            network.train(mode)
            if self.metrics and self.logger:
                self.logger.add(EVALUATIONS, self.step, self.metrics)

            # The first metric chooses the best weights.
            first = next(iter(self.metrics.values()), None)
            if first is not None and first > self.best:
                self.best = first
                self._save_model("best")
            self._send_status()

        # The other processes wait for the evaluation.
        self.fabric.barrier()

    def averaged(self) -> nn.Module:
        """The network that is evaluated and kept."""
        return self.ema.network if self.ema else self.network

    def _train_mode(self) -> None:
        self.network.train()
        if self.frozen:
            batch_norm.freeze(self.network)

    def _agreed(self, *votes: bool) -> list[bool]:
        """Which of the votes any process has cast; asked of all every few steps."""
        if self.fabric.world_size == 1:
            return list(votes)
        if self.step % LOG_EVERY:
            return [False] * len(votes)

        # One vote of one process is enough.
        cast_here = torch.tensor(votes, dtype=torch.float32, device=self.fabric.device)
        total = cast(Tensor, self.fabric.all_reduce(cast_here, reduce_op="sum"))
        return [bool(vote > 0) for vote in total]

    # --- reports

    def _report(self, grad_norm: float, lr: float) -> None:
        """Log the means since the last report."""
        averages = self.throughput.read(self.samples)
        if self.fabric.world_size > 1 and averages.losses:
            # Every process saw a part of the samples.
            here = torch.tensor(list(averages.losses.values()), device=self.fabric.device)
            means = cast(Tensor, self.fabric.all_reduce(here, reduce_op="mean")).tolist()
            averages = replace(averages, losses=dict(zip(averages.losses, means, strict=True)))

        # One row for the files, one status for the caller.
        self.averages = averages
        self.lr_now = lr
        if self.logger:
            values = {
                **averages.losses,
                "loss": sum(averages.losses.values()),
                "lr": lr,
                "grad_norm": grad_norm,
                "samples_per_s": averages.samples_per_s,
                "waiting": averages.waiting,
            }
            self.logger.add(STEPS, self.step, values)
        self._send_status()

    def status(self) -> TrainStatus:
        """The state of the training now."""
        speed = self.averages.samples_per_s
        left = (self.total - self.step) * self.samples
        return TrainStatus(
            step=self.step,
            steps=self.total,
            epoch=min(self.step // self.per_epoch, self.recipe.schedule.epochs - 1),
            losses=self.averages.losses,
            lr=self.lr_now,
            samples_per_s=speed,
            waiting=self.averages.waiting,
            eta_s=left / speed if speed else math.nan,
            metrics=self.metrics,
            best=self.best,
        )

    def _send_status(self) -> None:
        if self.fabric.global_rank == 0:
            self.on_status(self.status())

    def _result(self, *, finished: bool) -> TrainResult:
        return TrainResult(self.status(), finished, self.folder)

    # --- files

    def save(self, *, must: bool = False) -> None:
        """Write state and last weights. A full disk is a warning, unless nothing comes after."""
        self.fabric.barrier()
        started_at = time.monotonic()
        state = self.state()
        saved: Mapping[str, object] = state
        if self.recipe.schedule.small_state:
            # What is saved is gone on from, in every process.
            small = compact(state)
            self.load(expand(small))
            saved = small
        if self.fabric.global_rank == 0:
            try:
                save_state(self.folder, saved)
                self._save_model("last")
            except OutputError as error:
                if must:
                    raise
                log.warning("%s. Training goes on; the state saved before is still there", error)

        # How long it took decides how often epochs are saved; it does not count as training.
        self.saved_at = time.monotonic()
        self.save_s = self.saved_at - started_at
        self.throughput.start()

    def _save_model(self, name: str) -> None:
        save_model(
            self.folder / f"{name}.safetensors",
            self.averaged(),
            self.task.card,
            self.recipe,
            step=f"{self.step} of {self.total}",
            metrics=self.metrics,
            half=self.recipe.schedule.small_state,
        )

    def state(self) -> TrainState:
        """All that is needed to go on."""
        return {
            "step": self.step,
            "total": self.total,
            "per_epoch": self.per_epoch,
            "world": self.fabric.world_size,
            "recipe": recipe_json(self.recipe),
            "network": self.network.state_dict(),
            "auxiliary": self.auxiliary.state_dict() if self.auxiliary is not None else None,
            "ema": self.ema.network.state_dict() if self.ema else None,
            "ema_steps": self.ema.steps if self.ema else 0,
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "metrics": self.metrics,
            "random": torch.get_rng_state(),
        }

    def load(self, state: TrainState) -> None:
        """Go on from a state."""
        # Changed settings are only named; an epoch of another length is an error.
        check_state(state, self.recipe, self.per_epoch)

        # Weights, averages and optimizer.
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.auxiliary is not None and state["auxiliary"] is not None:
            self.auxiliary.load_state_dict(state["auxiliary"])
        if self.ema and state["ema"] is not None:
            self.ema.network.load_state_dict(state["ema"])
            self.ema.steps = state["ema_steps"]

        # Progress, and the generator of what torch draws.
        self.step = state["step"]
        self.best = state["best"]
        self.metrics = dict(state["metrics"])
        torch.set_rng_state(state["random"])

    def close(self) -> None:
        """Write what is waiting."""
        if self.logger:
            self.logger.close()
