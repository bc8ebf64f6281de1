"""The training loop: the same for poses, heat maps, detectors and classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.files import make_folder
from rtmpose.files.locks import OutputLock
from rtmpose.files.temporaries import remove_leftovers
from rtmpose.training.checkpoint import STATE, TrainState, load_state
from rtmpose.training.devices import make_fabric, resolve_precision
from rtmpose.training.recipes import Recipe
from rtmpose.training.run import TrainRun
from rtmpose.training.run_files import write_recipe
from rtmpose.training.signals import explain_error, one_cv2_thread, stop_signal
from rtmpose.training.small_state import whole
from rtmpose.training.task import Task, TrainResult, TrainStatus

LOCK = ".rtmpose.lock"


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
    ``tensorboard/``, ``recipe.json``. Ctrl-C or SIGTERM saves and returns; a later one stops at
    once.

    Args:
        task: What is trained, on what.
        recipe: How.
        out: Folder; made if need be.
        resume: Go on from the state in ``out``: with the same losses as without the break.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: Per machine; each is a process.
        nodes: Machines (started by torchrun).
        stop_after_s: Save and return after this number of seconds.
        on_status: Called every few steps and after evaluations, on the first process.
        until: Save and return as soon as it is true of a status, such as ``lambda s: s.best >
            0.7``.

    Raises:
        InputError: nothing to resume from, or ``out`` holds a training already.
        OutputError: the results cannot be written, or another training writes into ``out``.
        RtmposeError: memory runs out, or losses stay infinite; the message says what may help.
    """
    # Small inputs are trained in float32; then the devices, and a process for each.
    folder = Path(out)
    recipe = resolve_precision(recipe, task.card.input_wh)
    fabric = make_fabric(recipe, accelerator, devices, nodes)
    with one_cv2_thread(), stop_signal() as stop:

        def report(status: TrainStatus) -> None:
            if on_status:
                on_status(status)
            if until and until(status):
                stop.set()

        # Mistakes in the folder are found before the work begins.
        is_first = fabric.global_rank == 0
        with _locked(folder) if is_first else nullcontext():
            state = _open_folder(folder, resume=resume, is_first=is_first)
            run = TrainRun(task, recipe, folder, fabric, report)
            if state is not None:
                run.load(state)
            if is_first:
                write_recipe(folder, recipe, task.card)

            # Errors of torch that a user can act on say how.
            try:
                return run.go(stop, stop_after_s)
            except RuntimeError as error:
                explained = explain_error(error, recipe, folder, fabric.world_size)
                if explained is None:
                    raise
                raise explained from error
            finally:
                run.close()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other trainings from the folder, and remove what killed ones left in it.

    Raises:
        OutputError: another training is at work there.
    """
    is_new = not folder.exists()
    make_folder(folder)
    lock = OutputLock(folder / LOCK, folder)
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release()
        # Where there was nothing to resume, no empty folder stays.
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def _open_folder(folder: Path, *, resume: bool, is_first: bool) -> TrainState | None:
    """The state to go on from; None for a new training, whose folder must not hold another one.

    Args:
        folder: Of the training.
        resume: Whether to go on.
        is_first: Whether this is the first process, the only one that writes into the folder.
    """
    if resume:
        return whole(load_state(folder))
    if is_first and (folder / STATE).exists():
        raise InputError(
            f"{folder} holds a training already; go on with it (--resume) or choose another folder"
        )
    return None
