"""The training loop: the same for poses, heat maps, detectors and classifiers."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rtmpose.errors import InputError, OutputError, RtmposeError
from rtmpose.files import write_bytes
from rtmpose.model_card import ModelCard
from rtmpose.networks.checkpoint import save_safetensors
from rtmpose.training import batch_norm
from rtmpose.training.checkpoint import load_state, save_state
from rtmpose.training.devices import (
    choose_precision,
    keep_in_float32,
    make_fabric,
    settle_precision,
)
from rtmpose.training.ema import MovingAverage
from rtmpose.training.logger import EVALUATIONS, STEPS, MetricLogger
from rtmpose.training.optim import learning_rate, make_optimizer, rate_factor
from rtmpose.training.recipes import Recipe, to_dict
from rtmpose.training.signals import explained, one_cv2_thread, stop_signal
from rtmpose.training.task import Task, TrainResult, TrainStatus
from rtmpose.training.throughput import Averages, Throughput

log = logging.getLogger(__name__)

LOG_EVERY = 20
SAVING_SHARE = 20
SECONDS_PER_MINUTE = 60
MOST_BAD_STEPS = 20
HARMLESS_CHANGES = {"workers", "save_minutes", "eval_every", "name"}


def train(
    task: Task,
    recipe: Recipe,
    out: str | Path,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    stop_after_s: float | None = None,
    on_status: Callable[[TrainStatus], None] | None = None,
    until: Callable[[TrainStatus], bool] | None = None,
) -> TrainResult:
    """Train, evaluate, keep the best.

    Files in ``out``: ``best.safetensors`` and ``last.safetensors`` (averaged weights with the
    card), ``state.pt`` (all that is needed to go on), ``steps.csv``, ``evaluations.csv``,
    ``tensorboard/``, ``recipe.json``. Ctrl-C or SIGTERM saves and returns; a second one breaks off.

    Args:
        task: What is trained, on what.
        recipe: How.
        out: Folder; made if need be.
        resume: Go on from the state in ``out``: with the same losses as without the break.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: Per machine; each is a process of its own.
        nodes: Machines (started by torchrun).
        stop_after_s: Save and return after so many seconds.
        on_status: Called every few steps and after evaluations, on the first process.
        until: Save and return as soon as it is true of a status, such as ``lambda s: s.best >
            0.7``.

    Raises:
        InputError: nothing to resume from, or training runs in ``out`` already.
        OutputError: the results cannot be written.
        RtmposeError: memory runs out, or losses stay infinite; the message says what may help.
    """
    folder = Path(out)
    recipe = settle_precision(recipe, task.card.input_wh)
    fabric = make_fabric(recipe, accelerator, devices, nodes)
    with one_cv2_thread(), stop_signal() as stop:

        def tell(status: TrainStatus) -> None:
            if on_status:
                on_status(status)
            if until and until(status):
                stop.set()

        run = _Run(task, recipe, folder, fabric, tell)
        if resume:
            run.load(load_state(folder))
        elif fabric.global_rank == 0 and (folder / "state.pt").exists():
            raise InputError(
                f"{folder} holds a training already; go on with it (--resume) or choose another"
                " folder"
            )
        if fabric.global_rank == 0:
            _describe(folder, recipe, task.card)
        try:
            return run.go(stop, stop_after_s)
        except RuntimeError as error:
            known = explained(error, recipe, folder, fabric.world_size)
            if known is None:
                raise
            raise known from error
        finally:
            run.close()


class _Run:
    """One call of :func:`train`."""

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        folder: Path,
        fabric: Any,
        on_status: Callable[[TrainStatus], None],
    ) -> None:
        self.task, self.recipe, self.folder, self.fabric, self.on_status = (
            task,
            recipe,
            folder,
            fabric,
            on_status,
        )
        torch.manual_seed(recipe.seed)
        network = task.network.to(fabric.device, memory_format=torch.channels_last)
        folded = batch_norm.is_folded(network)
        self.frozen = recipe.norms in ("frozen", "centered") or (recipe.norms == "auto" and folded)
        if folded or recipe.norms == "centered":
            batch_norm.unfold(network, task, centered=self.frozen)
        if self.frozen:
            batch_norm.fuse(network)
        if (
            recipe.sync_norms
            and fabric.world_size > 1
            and fabric.device.type == "cuda"
            and not self.frozen
        ):
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
            task.network = network
        self.network = network
        self.ema = MovingAverage(network, recipe.ema, recipe.ema_gamma) if recipe.ema else None
        keep_in_float32(network, recipe.float32)
        self.auxiliary: nn.Module | None = getattr(task, "auxiliary", None)
        modules = [
            network,
            *([self.auxiliary.to(fabric.device)] if self.auxiliary is not None else []),
        ]
        samples = recipe.batch * recipe.accumulate * fabric.world_size
        self.lr = learning_rate(recipe, samples)
        self.scaled = choose_precision(recipe.precision, fabric.device.type) == "fp16"
        optimizer = make_optimizer(modules, recipe, self.lr)
        self.wrapped = fabric.setup_module(network)
        if self.auxiliary is not None:
            task.auxiliary = fabric.setup_module(self.auxiliary)  # type: ignore[attr-defined]
        self.optimizer = fabric.setup_optimizers(optimizer)
        self.samples = samples
        if hasattr(task, "world"):
            task.world = fabric.world_size
        self.per_epoch = task.steps() // recipe.accumulate
        if not self.per_epoch:
            raise InputError(
                f"an epoch has {task.steps()} batches: not one step of {recipe.accumulate} batches"
            )
        self.total = self.per_epoch * recipe.epochs
        self.step = self.bad = 0
        self.best, self.metrics = -math.inf, dict[str, float]()
        self.curves: MetricLogger | None = None
        self.meter = Throughput()
        self.saved, self.save_s = time.monotonic(), 0.0

    # --- the loop

    def go(self, stop: threading.Event, stop_after_s: float | None) -> TrainResult:
        began = time.monotonic()
        if self.fabric.global_rank == 0:
            self.curves = MetricLogger(self.folder, self.step)
            log.info(
                "%d steps of %d samples, rate %.3g, norms %s",
                self.total,
                self.samples,
                self.lr,
                "frozen" if self.frozen else "learning",
            )
        while self.step < self.total:
            epoch, done = divmod(self.step, self.per_epoch)
            batches = self.task.batches(
                epoch, self.recipe.seed, self.fabric.global_rank, self.fabric.world_size
            )
            iterator = _from(batches, done * self.recipe.accumulate)
            self._train_mode()
            self.meter.start()
            for _ in range(done, self.per_epoch):
                self._one_step(iterator)
                now = time.monotonic()
                late = stop_after_s is not None and now - began > stop_after_s
                leave, save = self._agreed(
                    stop.is_set() or late,
                    now - self.saved > self.recipe.save_minutes * SECONDS_PER_MINUTE,
                )
                if leave:
                    self.save(must=True)
                    return self._result(finished=False)
                if save:
                    self.save()
            self._end_of_epoch(epoch)
        self.save(must=True)
        return self._result(finished=True)

    def _one_step(self, iterator: Iterator[Any]) -> None:
        recipe, fabric = self.recipe, self.fabric
        factor = rate_factor(recipe, self.step, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor * group.get("factor", 1.0)
        if hasattr(self.task, "begin_step"):
            self.task.begin_step(self.step / self.total)
        for part in range(recipe.accumulate):
            with self.meter.waiting():
                batch = next(iterator)
            batch = fabric.to_device(batch)
            with fabric.no_backward_sync(self.wrapped, enabled=part < recipe.accumulate - 1):
                losses = self.task.losses(self.wrapped, batch)
                fabric.backward(sum(losses.values()) / recipe.accumulate)
            self.meter.add(losses, 1 / recipe.accumulate)
        # Without a limit the norm is still worth knowing.
        norm = fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=recipe.clip or 1e12, error_if_nonfinite=False
        )
        if self.scaled or bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.bad = 0
        else:
            self._bad_step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.network)
        self.step += 1
        self.meter.steps += 1
        if self.step % LOG_EVERY == 0:
            self._report(float(norm), self.lr * factor)

    def _bad_step(self) -> None:
        self.bad += 1
        log.warning("step %d: the gradient is not finite; skipped", self.step)
        if self.bad >= MOST_BAD_STEPS:
            raise RtmposeError(
                f"{self.bad} steps in a row had infinite gradients; lower the rate (--set"
                f" lr={self.lr / 3:.2g}) or use --set precision=fp32, and go on from the last state"
                " with --resume"
            )

    def _end_of_epoch(self, epoch: int) -> None:
        last = epoch + 1 == self.recipe.epochs
        if (epoch + 1) % self.recipe.eval_every == 0 or last:
            self._evaluate()
        # Short epochs are not all worth a write: saving takes at most a twentieth of the time.
        due = time.monotonic() - self.saved > SAVING_SHARE * self.save_s
        if not last and self.fabric.broadcast(due):
            self.save()

    def _evaluate(self) -> None:
        if self.fabric.global_rank == 0:
            network = self.averaged()
            mode = network.training
            self.metrics = self.task.evaluate(network.eval())
            network.train(mode)
            first = next(iter(self.metrics.values()), None)
            if self.metrics and self.curves:
                self.curves.add(EVALUATIONS, self.step, self.metrics)
            if first is not None and first > self.best:
                self.best = first
                self._keep("best")
            self._tell()
        self.fabric.barrier()

    def averaged(self) -> nn.Module:
        """The network that is evaluated and kept."""
        return self.ema.network if self.ema else self.network

    def _train_mode(self) -> None:
        self.network.train()
        if self.frozen:
            batch_norm.freeze(self.network)

    def _agreed(self, *wishes: bool) -> list[bool]:
        """Which of the wishes any process has; asked of all every few steps."""
        if self.fabric.world_size == 1:
            return list(wishes)
        if self.step % LOG_EVERY:
            return [False] * len(wishes)
        votes = torch.tensor(wishes, dtype=torch.float32, device=self.fabric.device)
        return [bool(v > 0) for v in self.fabric.all_reduce(votes, reduce_op="sum")]

    # --- reports

    def _report(self, norm: float, lr: float) -> None:
        means = self.meter.read(self.samples)
        if self.fabric.world_size > 1 and means.losses:
            # Every process saw a part of the samples.
            values = torch.tensor(list(means.losses.values()), device=self.fabric.device)
            whole = self.fabric.all_reduce(values, reduce_op="mean").tolist()
            means = replace(means, losses=dict(zip(means.losses, whole, strict=True)))
        self.lr_now = lr
        if self.curves:
            values = {
                **means.losses,
                "loss": sum(means.losses.values()),
                "lr": lr,
                "gradient": norm,
            }
            speed = {"samples_per_s": means.samples_per_s, "waiting": means.waiting}
            self.curves.add(STEPS, self.step, {**values, **speed})
        self.means = means
        self._tell()

    def status(self) -> TrainStatus:
        m: Averages = getattr(self, "means", Averages({}, 0.0, 0.0))
        left = (
            (self.total - self.step) * self.samples / m.samples_per_s
            if m.samples_per_s
            else math.nan
        )
        epoch = min(self.step // self.per_epoch, self.recipe.epochs - 1)
        lr = getattr(self, "lr_now", self.lr)
        return TrainStatus(
            self.step,
            self.total,
            epoch,
            m.losses,
            lr,
            m.samples_per_s,
            m.waiting,
            left,
            self.metrics,
            self.best,
        )

    def _tell(self) -> None:
        if self.fabric.global_rank == 0:
            self.on_status(self.status())

    def _result(self, *, finished: bool) -> TrainResult:
        return TrainResult(self.status(), finished, self.folder)

    # --- files

    def save(self, *, must: bool = False) -> None:
        """Write state and last weights. A full disk is a warning, unless nothing comes after."""
        self.fabric.barrier()
        began = time.monotonic()
        if self.fabric.global_rank == 0:
            try:
                save_state(self.folder, self.state())
                self._keep("last")
            except OutputError as error:
                if must:
                    raise
                log.warning("%s. Training goes on; the state saved before is still there", error)
        self.saved = time.monotonic()
        self.save_s = self.saved - began
        self.meter.start()

    def _keep(self, name: str) -> None:
        notes = {
            "recipe": json.dumps(to_dict(self.recipe), default=str),
            "step": f"{self.step} of {self.total}",
            "metrics": json.dumps(self.metrics),
        }
        save_safetensors(
            self.folder / f"{name}.safetensors",
            batch_norm.plain(self.averaged()),
            self.task.card,
            **notes,
        )

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "total": self.total,
            "per_epoch": self.per_epoch,
            "world": self.fabric.world_size,
            "recipe": json.dumps(to_dict(self.recipe), default=str),
            "network": self.network.state_dict(),
            "auxiliary": self.auxiliary.state_dict() if self.auxiliary is not None else None,
            "ema": self.ema.network.state_dict() if self.ema else None,
            "ema_steps": self.ema.steps if self.ema else 0,
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "metrics": self.metrics,
            "random": torch.get_rng_state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        was = json.loads(state["recipe"])
        now = json.loads(json.dumps(to_dict(self.recipe), default=str))
        changed = [k for k in now if now[k] != was.get(k) and k not in HARMLESS_CHANGES]
        if changed:
            log.warning("the recipe has changed since the training began: %s", ", ".join(changed))
        if state["per_epoch"] != self.per_epoch:
            raise InputError(
                f"an epoch had {state['per_epoch']} steps and now has {self.per_epoch}: data, batch"
                " size or number of devices are others; start anew from last.safetensors (--init)"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.auxiliary is not None and state["auxiliary"] is not None:
            self.auxiliary.load_state_dict(state["auxiliary"])
        if self.ema and state["ema"] is not None:
            self.ema.network.load_state_dict(state["ema"])
            self.ema.steps = state["ema_steps"]
        self.step, self.best, self.metrics = state["step"], state["best"], dict(state["metrics"])
        torch.set_rng_state(state["random"])

    def close(self) -> None:
        if self.curves:
            self.curves.close()


def _from(batches: Iterable[Any], number: int) -> Iterator[Any]:
    """The batches behind the first ``number``."""
    if number and hasattr(batches, "skip"):
        batches.skip(number)
        return iter(batches)
    iterator = iter(batches)
    for _ in range(number):
        next(iterator)
    return iterator


def _describe(folder: Path, recipe: Recipe, card: ModelCard) -> None:
    content = {"recipe": to_dict(recipe), "model": card.id, "torch": torch.__version__}
    write_bytes(folder / "recipe.json", json.dumps(content, indent=2, default=str).encode())
