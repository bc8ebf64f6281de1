"""``rtmpose prune``: a smaller network with fewer channels."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from rtmpose.errors import InputError, MissingDependencyError


def prune(
    model: Annotated[
        str,
        typer.Argument(help="A name from `rtmpose models list`, or a .safetensors or .onnx file."),
    ],
    macs: Annotated[
        str, typer.Option(help="Budget of multiply-adds per image: 0.35G, 350M, or a share: 50%.")
    ],
    params: Annotated[
        str | None, typer.Option(help="Budget of parameters: 3.4M, or a share: 60%.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Annotations or their folder; may be given several times."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for pruned.safetensors and pruned.json.")
    ] = Path("pruned"),
    recipe: Annotated[
        str, typer.Option(help="Recipe whose data, losses and batch are used.")
    ] = "finetune",
    teacher: Annotated[
        str | None, typer.Option(help="Model to learn from meanwhile; MODEL by default.")
    ] = None,
    teacher_engine: Annotated[
        str, typer.Option(help="Run the teacher by: auto, engine, torch.")
    ] = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="Removals until the budget is met.")] = 150,
    steps: Annotated[int, typer.Option(min=1, help="Training steps before each removal.")] = 4,
    chunk: Annotated[int, typer.Option(min=1, help="Channels that go together.")] = 8,
    criterion: Annotated[
        str, typer.Option(help="What counts as important: fisher or magnitude.")
    ] = "fisher",
    per: Annotated[
        str, typer.Option(help="Importance per: memory, multiply-adds or nothing.")
    ] = "memory",
    floor: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of its channels that every layer keeps.")
    ] = 0.25,
    uniform: Annotated[
        bool, typer.Option("--uniform", help="Take the same share of every layer.")
    ] = False,
    make_up: Annotated[
        bool,
        typer.Option(
            "--compensate/--no-compensate",
            help="Let weights that stay make up for channels that go.",
        ),
    ] = True,
    lr: Annotated[float, typer.Option(help="Learning rate meanwhile.")] = 1e-4,
    kernel: Annotated[
        int | None,
        typer.Option(help="First cut the 7x7 kernel of an RTMPose head down to this side."),
    ] = None,
    gated: Annotated[
        int | None,
        typer.Option(help="First keep so many of the 512 gated units of an RTMPose head."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Id of the result in its card.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field of the recipe: batch=16, augment.rotate=40."),
    ] = None,
) -> int:
    """Take the least important channels out of a model until it meets a budget; see
    docs/pruning.md.

    Example: rtmpose prune rtmpose-s --data crops --macs 0.35G --out pruned

    Fine-tune the result afterwards:

      rtmpose train finetune --init pruned/pruned.safetensors --teacher rtmpose-s --data crops
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("pruning needs torch: pip install 'rtmpose[train]'") from error
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from rtmpose.cli.terminal import stderr_console
    from rtmpose.files import write_bytes
    from rtmpose.networks import count_multiply_adds, count_parameters
    from rtmpose.networks.checkpoint import save_safetensors
    from rtmpose.pruning.head_pruning import trim_head
    from rtmpose.pruning.prune import PruneOptions, PruneRound, prune_task
    from rtmpose.training import find_recipe, with_settings
    from rtmpose.training.devices import choose_precision, resolve_precision
    from rtmpose.training.setup import make_task

    if threads:
        torch.set_num_threads(threads)
    pairs = dict(s.partition("=")[::2] for s in settings or [])
    if any(not value for value in pairs.values()):
        raise InputError("--set takes FIELD=VALUE, such as --set batch=16")
    chosen = replace(
        with_settings(find_recipe(recipe), pairs), model=""
    )  # MODEL says which network it is
    task = make_task(
        chosen, data or [], init=model, teacher=teacher, teacher_backend=teacher_engine, name=name
    )
    full = count_multiply_adds(task.network, task.card.input_wh), count_parameters(task.network)
    options = PruneOptions(
        parse_budget(macs, full[0]),
        None if params is None else parse_budget(params, full[1], "--params", "3.4M"),
        rounds,
        steps,
        chunk,
        floor=floor,
        criterion=_one_of("criterion", criterion, ("fisher", "magnitude")),  # type: ignore[arg-type]
        per=_one_of("per", per, ("multiply-adds", "memory", "nothing")),  # type: ignore[arg-type]
        uniform=uniform,
        learning_rate=lr,
        clip=chosen.optimizer.grad_clip_norm,
        compensate=make_up,
        bf16=choose_precision(resolve_precision(chosen, task.card.input_wh).precision, "cpu")
        == "bf16",
    )
    if options.multiply_adds >= full[0] and (options.parameters or full[1]) >= full[1]:
        raise InputError(
            f"{model} costs {full[0] / 1e9:.3f} G multiply-adds already: --macs {macs} leaves it as"
            " it is"
        )
    trim_head(task, kernel, gated)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as progress:
        bar = progress.add_task("pruning", total=rounds)

        def show(done: PruneRound) -> None:
            left = (
                f"{done.multiply_adds / 1e9:.3f} G, {done.parameters / 1e6:.2f} M, loss"
                f" {done.loss:.4g}"
            )
            progress.update(bar, completed=done.number, description=left)
            if not progress.console.is_terminal and done.number % 10 == 0:
                progress.console.print(
                    f"round {done.number}/{rounds}: {left}", highlight=False, soft_wrap=True
                )

        result = prune_task(task, options, seed=chosen.seed, on_round=show)
    metrics = task.evaluate(task.network.eval())
    save_safetensors(
        out / "pruned.safetensors",
        task.network,
        task.card,
        prune=json.dumps(asdict(options)),
        recipe=chosen.name,
    )
    report = {
        "model": model,
        "options": asdict(options),
        "heldout": metrics,
        "widths": result.widths,
        "rounds": [asdict(r) for r in result.rounds],
    }
    write_bytes(out / "pruned.json", json.dumps(report, indent=1).encode())
    for key, value in metrics.items():
        typer.echo(f"{key} {100 * value:.2f} (held out, before fine-tuning)")
    last = result.rounds[-1]
    typer.echo(
        f"{full[0] / 1e9:.3f} G multiply-adds, {full[1] / 1e6:.2f} M parameters before; "
        f"{last.multiply_adds / 1e9:.3f} G, {last.parameters / 1e6:.2f} M now"
    )
    typer.echo(f"wrote {out / 'pruned.safetensors'}")
    return 0


def parse_budget(
    text: str, full: int, option: str = "--macs", example: str = "0.35G or 350M"
) -> int:
    """``0.35G``, ``350M``, a plain number, or a share of ``full`` such as ``50%``.

    Raises:
        InputError: it is something else, or not positive.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([GM%]?)", text.strip(), re.IGNORECASE)
    factor = {"G": 1e9, "M": 1e6, "%": full / 100, "": 1.0}
    budget = int(float(match[1]) * factor[match[2].upper()]) if match else 0
    if budget <= 0:
        raise InputError(
            f"{option} takes a number such as {example}, or a share such as 50%, not {text!r}"
        )
    return budget


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(f"--{option} is one of {', '.join(known)}, not {value!r}")
    return value
