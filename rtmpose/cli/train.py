"""``rtmpose train``: train, fine-tune and distill models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Recipe: a name ('list' shows all), or recipe.json of an earlier training."
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Annotations or their folder, MIXTURE:FOLDER, or a mixture's TOML; may be repeated."
            )
        ),
    ] = None,
    val: Annotated[
        list[str] | None,
        typer.Option(help="Evaluate on this data instead of part of --data; may be repeated."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", "--out", help="Folder for checkpoints and metrics.")
    ] = Path("training"),
    init: Annotated[
        str | None,
        typer.Option(help="Start from: a model of the zoo, a file, imagenet, or none (random)."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Model to learn from; the one of --init by default.")
    ] = None,
    teacher_backend: Annotated[
        str,
        typer.Option(
            "--teacher-backend",
            "--teacher-engine",
            help="What runs the teacher: auto, inference (ONNX Runtime, OpenVINO) or torch.",
        ),
    ] = "auto",
    skeleton: Annotated[
        str | None, typer.Option(help="Keypoint set: a name, or a TOML file of your own.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Id of the result in its card.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or CPU processes.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines, each started by torchrun.")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last state in --output.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Save and stop after this time; go on with --resume."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a field of the recipe: lr=1e-4, augment.rotate=40; may be repeated.",
        ),
    ] = None,
) -> int:
    """Train a model by a recipe; see docs/training.md.

    Example: rtmpose train finetune --data crops --init rtmpose-s -o run --set epochs=10
    """
    from rtmpose.errors import InputError, MissingDependencyError

    # A waiting thread that spins slows down every other process; torch reads this when it is
    # loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "training needs torch: pip install 'rtmpose[train]'"
        ) from error
    from rtmpose.cli.training import ProgressBar, parse_settings, show_recipes, show_result
    from rtmpose.training import find_recipe, with_settings
    from rtmpose.training import train as run
    from rtmpose.training.setup import make_task

    if recipe == "list":
        show_recipes()
        return 0
    if accelerator not in ("auto", "cpu", "cuda"):
        raise InputError(f"--accelerator is auto, cpu or cuda, not {accelerator!r}")
    if threads:
        torch.set_num_threads(threads)

    chosen = with_settings(find_recipe(recipe), parse_settings(settings or []))
    cuda = accelerator == "cuda" or (accelerator == "auto" and torch.cuda.is_available())
    task = make_task(
        chosen,
        data or [],
        init=init,
        teacher=teacher,
        teacher_backend=teacher_backend,
        skeleton=skeleton,
        name=name,
        device="cuda" if cuda else "cpu",
        evaluate_on=val or (),
    )
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
    show_result(result)
    return 0
