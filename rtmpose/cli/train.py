"""``rtmpose train``: train, fine-tune and distill models."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from rtmpose.cli.options import DATA, HARDWARE, MODELS, OUTPUT
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.ranges import ANY_SIZE, DEVICES, THREADS

# ---- options


RecipeName: TypeAlias = Annotated[
    str,
    typer.Argument(help="Recipe: a name ('list' shows all), or recipe.json of a training."),
]
DataPaths: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="Annotations or their folder, MIXTURE:FOLDER, or a mixture's TOML; may be repeated.",
        rich_help_panel=DATA,
    ),
]
ValidationPaths: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="Evaluate on this data instead of part of --data; may be repeated.",
        rich_help_panel=DATA,
    ),
]
Images: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Folder that the file names of --data start from; looked for around the annotations.",
        show_default=False,
        rich_help_panel=DATA,
    ),
]
Category: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Of a COCO file: take the instances of this category only.",
        show_default=False,
        rich_help_panel=DATA,
    ),
]
Output: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        "--out",
        help="Folder for checkpoints and metrics.",
        rich_help_panel=OUTPUT,
    ),
]
Init: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Start from: a model of the zoo, a file, imagenet, or none (random).",
        rich_help_panel=MODELS,
    ),
]
Teacher: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Model to learn from; the one of --init by default.", rich_help_panel=MODELS),
]
TeacherBackend: TypeAlias = Annotated[
    str,
    typer.Option(
        "--teacher-backend",
        "--teacher-engine",
        help="What runs the teacher: auto, inference (the fastest engine installed) or torch.",
        rich_help_panel=MODELS,
    ),
]
SkeletonName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Keypoint set: a name, a TOML file, or data (the data's own, also where the model has"
        " its points).",
        rich_help_panel=DATA,
    ),
]
Name: TypeAlias = Annotated[
    str | None, typer.Option(help="Id of the result in its card.", rich_help_panel=MODELS)
]
Devices: TypeAlias = Annotated[
    int, DEVICES, typer.Option(help="GPUs, or CPU processes.", rich_help_panel=HARDWARE)
]
Nodes: TypeAlias = Annotated[
    int, DEVICES, typer.Option(help="Machines, each started by torchrun.", rich_help_panel=HARDWARE)
]
Accelerator: TypeAlias = Annotated[
    str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=HARDWARE)
]
Threads: TypeAlias = Annotated[
    int, THREADS, typer.Option(help="CPU threads; 0 takes all cores.", rich_help_panel=HARDWARE)
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option("--resume", help="Go on from the last state in --output.", rich_help_panel=OUTPUT),
]
Minutes: TypeAlias = Annotated[
    float | None,
    ANY_SIZE,
    typer.Option(
        help="Save and stop after this time; go on with --resume.", rich_help_panel=OUTPUT
    ),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a field of the recipe: lr=1e-4, augment.rotate=40; may be repeated."
    ),
]


# ---- the command


def train(
    recipe: RecipeName,
    data: DataPaths = None,
    val: ValidationPaths = None,
    images: Images = None,
    category: Category = "",
    output: Output = Path("training"),
    init: Init = None,
    teacher: Teacher = None,
    teacher_backend: TeacherBackend = "auto",
    skeleton: SkeletonName = None,
    name: Name = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    accelerator: Accelerator = "auto",
    threads: Threads = 0,
    resume: Resume = False,
    minutes: Minutes = None,
    settings: Settings = None,
) -> int:
    """Train a model by a recipe; see docs/training.md.

    Example: rtmpose train finetune --data crops --init rtmpose-s -o run --set epochs=10
    """
    # Threads have to be set before anything of torch runs.
    device = _prepare_torch(accelerator, threads)
    from rtmpose.cli.training import ProgressBar, parse_settings, show_recipes, show_result
    from rtmpose.training import find_recipe
    from rtmpose.training import train as run
    from rtmpose.training.open_data import OpenedSet, ReadOptions
    from rtmpose.training.own_keypoints import fit_to_data, share_of_image
    from rtmpose.training.setup import make_task
    from rtmpose.training.sources import parse_teacher_backend

    if recipe == "list":
        show_recipes()
        return 0

    # What is loaded, what is new and how long it takes is said in any case.
    logging.getLogger("rtmpose.training").setLevel(logging.INFO)

    # The recipe and the data, fitted to each other; then everything that they need.
    parse_teacher_backend(teacher_backend)
    fitted = fit_to_data(
        find_recipe(recipe),
        data or [],
        init=init,
        skeleton=skeleton,
        teacher=teacher,
        settings=parse_settings(settings or []),
        options=ReadOptions(images, category),
    )
    chosen = fitted.recipe
    task = make_task(
        chosen,
        fitted.data,
        init=init,
        teacher=teacher,
        teacher_backend=teacher_backend,
        skeleton=fitted.skeleton,
        name=name,
        device=device,
        evaluate_on=val or (),
        category=category,
    )

    # Stopping early keeps the state for --resume.
    with ProgressBar(chosen) as bar:
        result = run(
            task,
            chosen,
            output,
            resume=resume,
            accelerator=accelerator,
            devices=devices,
            nodes=nodes,
            stop_after_s=None if minutes is None else minutes * 60,
            on_status=bar,
        )
    sets = [s for s in fitted.data if isinstance(s, OpenedSet)]
    show_result(result, task.card, share_of_image(sets))
    return 0


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
