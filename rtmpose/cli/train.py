"""``rtmpose train``: train, fine-tune and distill models."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from rtmpose.cli.data_options import CategoryName
from rtmpose.cli.groups import expand_groups
from rtmpose.cli.options import DATA, HARDWARE, MODELS, OUTPUT
from rtmpose.cli.training_options import ResultId, TeacherBackend, TorchThreads, output_folder
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.ranges import ANY_SIZE, DEVICES

if TYPE_CHECKING:
    from rtmpose.training.own_keypoints import FittedTraining
    from rtmpose.training.recipes import Recipe
    from rtmpose.training.task import Task, TrainResult

# ---- options


RecipeName: TypeAlias = Annotated[
    str,
    typer.Argument(help="Recipe: a name ('list' shows all), or recipe.json of a training."),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a field of the recipe: lr=1e-4, augment.rotate=40; may be repeated."
    ),
]


@dataclass(frozen=True)
class DataChoice:
    """What is trained and evaluated on."""

    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Annotations or their folder, MIXTURE:FOLDER, or a mixture's TOML; may be"
            " repeated.",
            rich_help_panel=DATA,
        ),
    ] = None
    val: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluate on this data instead of part of --data; may be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the file names of --data start from; looked for around the"
            " annotations.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None
    category: CategoryName = ""
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Keypoint set: a name, a TOML file, or data (the data's own, also where the model"
            " has its points).",
            rich_help_panel=DATA,
        ),
    ] = None


@dataclass(frozen=True)
class RunOptions:
    """Where the training is kept, and when it stops."""

    output: Annotated[Path, output_folder("Folder for checkpoints and metrics.")] = Path("training")
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from the last state in --output.", rich_help_panel=OUTPUT
        ),
    ] = False
    minutes: Annotated[
        float | None,
        ANY_SIZE,
        typer.Option(
            help="Save and stop after this time; go on with --resume.", rich_help_panel=OUTPUT
        ),
    ] = None


@dataclass(frozen=True)
class StartOptions:
    """The models that a training starts from and learns from."""

    init: Annotated[
        str | None,
        typer.Option(
            help="Start from: a model of the zoo, a file, imagenet, or none (random).",
            rich_help_panel=MODELS,
        ),
    ] = None
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Model to learn from; the one of --init by default.", rich_help_panel=MODELS
        ),
    ] = None
    teacher_backend: TeacherBackend = "auto"
    name: ResultId = None


@dataclass(frozen=True)
class HardwareOptions:
    """What computes."""

    devices: Annotated[
        int, DEVICES, typer.Option(help="GPUs, or CPU processes.", rich_help_panel=HARDWARE)
    ] = 1
    nodes: Annotated[
        int,
        DEVICES,
        typer.Option(help="Machines, each started by torchrun.", rich_help_panel=HARDWARE),
    ] = 1
    accelerator: Annotated[
        str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=HARDWARE)
    ] = "auto"
    threads: TorchThreads = 0


# ---- the command


@expand_groups
def train(
    recipe: RecipeName,
    data: DataChoice,
    run: RunOptions,
    start: StartOptions,
    hardware: HardwareOptions,
    settings: Settings = None,
) -> int:
    """Train a model by a recipe; see docs/training.md.

    Example: rtmpose train finetune --data crops --init rtmpose-s -o run --set epochs=10
    """
    # Threads have to be set before anything of torch runs.
    device = _prepare_torch(hardware.accelerator, hardware.threads)
    from rtmpose.cli.training import show_recipes, show_result
    from rtmpose.training.open_data import OpenedSet
    from rtmpose.training.own_keypoints import share_of_image

    if recipe == "list":
        show_recipes()
        return 0

    # What is loaded, what is new and how long it takes is said in any case.
    logging.getLogger("rtmpose.training").setLevel(logging.INFO)
    fitted = _fitted(recipe, data, start, settings or [])
    task = _task(fitted, data, start, device)
    result = _run(task, fitted.recipe, run, hardware)

    # How large the boxes are decides which detector the next steps name.
    sets = [s for s in fitted.data if isinstance(s, OpenedSet)]
    show_result(result, task.card, share_of_image(sets))
    return 0


# ---- stages


def _fitted(
    recipe: str, data: DataChoice, start: StartOptions, settings: list[str]
) -> FittedTraining:
    """The recipe and the data, fitted to each other."""
    from rtmpose.cli.training import parse_settings
    from rtmpose.training import find_recipe
    from rtmpose.training.open_data import ReadOptions
    from rtmpose.training.own_keypoints import fit_to_data
    from rtmpose.training.sources import parse_teacher_backend

    parse_teacher_backend(start.teacher_backend)  # a slip in it is found before data is read
    return fit_to_data(
        find_recipe(recipe),
        data.data or [],
        init=start.init,
        skeleton=data.skeleton,
        teacher=start.teacher,
        settings=parse_settings(settings),
        options=ReadOptions(data.images, data.category),
    )


def _task(fitted: FittedTraining, data: DataChoice, start: StartOptions, device: str) -> Task:
    """Network, data and teacher."""
    from rtmpose.training.setup import make_task

    return make_task(
        fitted.recipe,
        fitted.data,
        init=start.init,
        teacher=start.teacher,
        teacher_backend=start.teacher_backend,
        skeleton=fitted.skeleton,
        name=start.name,
        device=device,
        evaluate_on=data.val or (),
        category=data.category,
    )


def _run(task: Task, recipe: Recipe, run: RunOptions, hardware: HardwareOptions) -> TrainResult:
    """The training; stopping early keeps the state for ``--resume``."""
    from rtmpose.cli.training import ProgressBar
    from rtmpose.training import train as run_training

    with ProgressBar(recipe) as bar:
        return run_training(
            task,
            recipe,
            run.output,
            resume=run.resume,
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            nodes=hardware.nodes,
            stop_after_s=None if run.minutes is None else run.minutes * 60,
            on_status=bar,
        )


def _prepare_torch(accelerator: str, threads: int) -> str:
    """Load torch with its threads set; returns the device of a teacher, ``cpu`` or ``cuda``."""
    if accelerator not in ("auto", "cpu", "cuda"):
        raise InputError(f"--accelerator is auto, cpu or cuda, not {accelerator!r}")
    # A waiting thread that spins slows down every other process; torch reads this when it is
    # loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "training needs torch: pip install 'rtmpose[train]'"
        ) from error
    if threads:
        torch.set_num_threads(threads)

    # A GPU is used where there is one, unless the CPU was asked for.
    has_cuda = torch.cuda.is_available()
    if accelerator == "cuda" and not has_cuda:
        raise InputError(
            "--accelerator cuda: torch finds no CUDA device; `rtmpose doctor` shows what is there"
        )
    return "cuda" if has_cuda and accelerator != "cpu" else "cpu"
