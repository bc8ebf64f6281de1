"""``rtmpose prune``: a smaller network with fewer channels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rtmpose.cli.options import DATA, MODELS
from rtmpose.cli.training_options import ResultId, TeacherBackend, TorchThreads, output_folder
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.ranges import (
    CHUNK,
    COUNT,
    GAU_UNITS,
    HEAD_KERNEL,
    LEARNING_RATE,
    SHARE_BELOW_1,
)
from rtmpose.text_files import to_json

if TYPE_CHECKING:
    from rtmpose.pruning.options import (
        PruneOptions,
        PruneResult,
        PruneRound,
    )
    from rtmpose.training.recipes import Recipe
    from rtmpose.training.task import Task

T = TypeVar("T", bound=str)

SMALLEST_SHARE = 1000
"""A budget below this part of what the network costs is a slip."""

BUDGET = "Budget"
REMOVAL = "Removal of channels"

_Model = Annotated[
    str, typer.Argument(help="A name from `rtmpose models list`, or a .safetensors or .onnx file.")
]
_Macs = Annotated[
    str,
    typer.Option(
        help="Budget of multiply-adds per image: 0.35G, 350M, or a share: 50%.",
        rich_help_panel=BUDGET,
    ),
]
_Params = Annotated[
    str | None,
    typer.Option(help="Budget of parameters: 3.4M, or a share: 60%.", rich_help_panel=BUDGET),
]
_Data = Annotated[
    list[Path] | None,
    typer.Option(
        help="Annotations or their folder; may be given several times.", rich_help_panel=DATA
    ),
]
_Output = Annotated[Path, output_folder("Folder for pruned.safetensors and pruned.json.")]
_RecipeName = Annotated[
    str,
    typer.Option(help="Recipe whose data, losses and batch size are used.", rich_help_panel=DATA),
]
_Teacher = Annotated[
    str | None,
    typer.Option(help="Model to distill from meanwhile; MODEL by default.", rich_help_panel=MODELS),
]
_Rounds = Annotated[
    int, COUNT, typer.Option(help="Removals until the budget is met.", rich_help_panel=REMOVAL)
]
_Steps = Annotated[
    int, COUNT, typer.Option(help="Training steps before each removal.", rich_help_panel=REMOVAL)
]
_Chunk = Annotated[
    int,
    CHUNK,
    typer.Option(help="Channels of a group that are removed together.", rich_help_panel=REMOVAL),
]
_Criterion = Annotated[
    str, typer.Option(help="Importance criterion: fisher or magnitude.", rich_help_panel=REMOVAL)
]
_NormalizeBy = Annotated[
    str,
    typer.Option(
        "--normalize-by",
        "--per",
        help="What is saved that importance is divided by: memory, multiply-adds or nothing.",
        rich_help_panel=REMOVAL,
    ),
]
_MinFraction = Annotated[
    float,
    SHARE_BELOW_1,
    typer.Option(
        "--min-fraction",
        "--floor",
        help="Share of its channels that every layer keeps.",
        rich_help_panel=REMOVAL,
    ),
]
_Uniform = Annotated[
    bool,
    typer.Option(
        "--uniform", help="Remove the same share of every layer.", rich_help_panel=REMOVAL
    ),
]
_Compensate = Annotated[
    bool,
    typer.Option(
        help="Let the remaining weights compensate for removed channels.", rich_help_panel=REMOVAL
    ),
]
_LearningRate = Annotated[
    float, LEARNING_RATE, typer.Option(help="Learning rate meanwhile.", rich_help_panel=REMOVAL)
]
_HeadKernel = Annotated[
    int | None,
    HEAD_KERNEL,
    typer.Option(
        "--head-kernel",
        "--kernel",
        help="First prune the 7x7 kernel of an RTMPose head to this side: 5, 3 or 1.",
        rich_help_panel=REMOVAL,
    ),
]
_GauUnits = Annotated[
    int | None,
    GAU_UNITS,
    typer.Option(
        "--gau-units",
        "--gated",
        help="First prune the gated attention of an RTMPose head to this number of its 512 units.",
        rich_help_panel=REMOVAL,
    ),
]
_Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a field of the recipe: augment.rotate=40.", rich_help_panel=DATA
    ),
]


# ---- the command


def prune(
    model: _Model,
    macs: _Macs,
    params: _Params = None,
    data: _Data = None,
    output: _Output = Path("pruned"),
    recipe: _RecipeName = "finetune",
    teacher: _Teacher = None,
    teacher_backend: TeacherBackend = "auto",
    rounds: _Rounds = 150,
    steps: _Steps = 4,
    chunk: _Chunk = 8,
    criterion: _Criterion = "fisher",
    normalize_by: _NormalizeBy = "memory",
    min_fraction: _MinFraction = 0.25,
    uniform: _Uniform = False,
    compensate: _Compensate = True,
    lr: _LearningRate = 1e-4,
    head_kernel: _HeadKernel = None,
    gau_units: _GauUnits = None,
    name: ResultId = None,
    threads: TorchThreads = 0,
    settings: _Settings = None,
) -> int:
    """Remove the least important channels of a model until it meets a budget; see docs/pruning.md.

    Example: rtmpose prune rtmpose-s --data crops --macs 0.35G --output pruned

    Fine-tune the result afterwards:

      rtmpose train finetune --init pruned/pruned.safetensors --teacher rtmpose-s --data crops
    """
    _require_torch(threads)
    from rtmpose.pruning.options import COST_MEASURES, CRITERIA, PruneOptions
    from rtmpose.training.setup import make_task

    # The data and losses come from a recipe, the network from MODEL.
    chosen_criterion = _one_of("--criterion", criterion, CRITERIA)
    measure = _one_of("--normalize-by", normalize_by, COST_MEASURES)
    chosen = _recipe_of(recipe, settings or [], model)
    task = make_task(
        chosen, data or [], init=model, teacher=teacher, teacher_backend=teacher_backend, name=name
    )

    # Budgets are shares or numbers of what the network costs now.
    max_multiply_adds, max_parameters = _budgets(task, model, macs, params)
    grad_clip_norm, bf16 = _recipe_options(chosen, task)
    options = PruneOptions(
        max_multiply_adds,
        max_parameters,
        rounds=rounds,
        steps_per_round=steps,
        chunk=chunk,
        min_fraction=min_fraction,
        criterion=chosen_criterion,
        normalize_by=measure,
        uniform=uniform,
        learning_rate=lr,
        grad_clip_norm=grad_clip_norm,
        compensate=compensate,
        bf16=bf16,
    )
    return _run(task, model, chosen, options, output, head_kernel, gau_units)


def _run(
    task: Task,
    model: str,
    recipe: Recipe,
    options: PruneOptions,
    output: Path,
    head_kernel: int | None,
    gau_units: int | None,
) -> int:
    from rtmpose.pruning.head_pruning import prune_head
    from rtmpose.pruning.prune import prune_task

    before = _cost(task)
    prune_head(task, head_kernel, gau_units)
    with _progress(options.rounds) as on_round:
        result = prune_task(task, options, seed=recipe.seed, on_round=on_round)
    metrics = task.evaluate(task.network.eval())
    _write(output, task, model, recipe, options, result, metrics)

    # The score before fine-tuning tells whether the budget was too tight.
    for key, value in metrics.items():
        typer.echo(f"{key} {100 * value:.2f} (held out, before fine-tuning)")
    last = result.rounds[-1]
    typer.echo(
        f"{before[0] / 1e9:.3f} G multiply-adds, {before[1] / 1e6:.2f} M parameters before; "
        f"{last.multiply_adds / 1e9:.3f} G, {last.parameters / 1e6:.2f} M now"
    )
    typer.echo(f"wrote {output / 'pruned.safetensors'}")
    return 0


# ---- reading options


def parse_budget(
    text: str, full: int, option: str = "--macs", example: str = "0.35G or 350M"
) -> int:
    """``0.35G``, ``350M``, a plain number, or a share of ``full`` such as ``50%``.

    Raises:
        InputError: it is something else, or not positive.
    """
    # A number with or without a unit, or a percentage.
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([GM%]?)", text.strip(), re.IGNORECASE)
    factor = {"G": 1e9, "M": 1e6, "%": full / 100, "": 1.0}
    budget = int(float(match[1]) * factor[match[2].upper()]) if match else 0
    if budget <= 0:
        raise InputError(
            f"{option} takes a number such as {example}, or a share such as 50%, not {text!r}"
        )
    return budget


# ---- what is pruned


def _require_torch(threads: int) -> None:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("pruning needs torch: pip install 'rtmpose[train]'") from error
    if threads:
        torch.set_num_threads(threads)


def _recipe_of(name: str, settings: list[str], model: str) -> Recipe:
    from rtmpose.cli.training import parse_settings
    from rtmpose.training import find_recipe, with_settings
    from rtmpose.zoo import find, model_kind, resolve

    recipe = with_settings(find_recipe(name), parse_settings(settings))

    # A detector cannot be trained with the losses of a pose model, or the other way round.
    card = find(model) if model_kind(model) == "name" else resolve(model)[1]
    if card is not None and card.is_detector != (recipe.kind == "detector"):
        kind = "a detector" if card.is_detector else "not a detector"
        raise InputError(
            f"{card.id} is {kind}, but recipe {recipe.name} is for a {recipe.kind} network:"
            " `rtmpose train list` shows all for --recipe"
        )
    # The network is the one that is pruned, not the one that the recipe would build.
    return replace(recipe, model="")


def _recipe_options(recipe: Recipe, task: Task) -> tuple[float, bool]:
    """Largest norm of the gradient, and whether bfloat16 is used, by the recipe."""
    from rtmpose.training.devices import choose_precision, resolve_precision

    precision = resolve_precision(recipe, task.card.input_wh).precision
    return recipe.optimizer.grad_clip_norm, choose_precision(precision, "cpu") == "bf16"


# ---- costs


def _cost(task: Task) -> tuple[int, int]:
    """Multiply-adds and parameters of a task's network."""
    from rtmpose.networks import count_multiply_adds, count_parameters

    return count_multiply_adds(task.network, task.card.input_wh), count_parameters(task.network)


def _budgets(task: Task, model: str, macs: str, params: str | None) -> tuple[int, int | None]:
    """Both budgets as numbers; raises where the network meets them already."""
    # A budget that is met already is a mistake, unless the other one is not.
    full_macs, full_params = _cost(task)
    max_macs = parse_budget(macs, full_macs)
    max_params = None if params is None else parse_budget(params, full_params, "--params", "3.4M")
    for option, text, budget, full in (
        ("--macs", macs, max_macs, full_macs),
        ("--params", params, max_params, full_params),
    ):
        # A forgotten unit would be noticed after hours of work only.
        if budget is not None and budget < full / SMALLEST_SHARE:
            raise InputError(
                f"{option} {text} is less than a thousandth of the {full / 1e6:.2f} M that {model}"
                f" has: {text}% or {text}M is a share or millions"
            )
    if max_macs >= full_macs and (max_params is None or max_params >= full_params):
        raise InputError(
            f"{model} costs {full_macs / 1e9:.3f} G multiply-adds already: --macs {macs} leaves it"
            " unchanged"
        )
    return max_macs, max_params


def _one_of(option: str, text: str, allowed: tuple[T, ...]) -> T:
    for value in allowed:
        if value == text:
            return value
    raise InputError(f"{option} is one of {', '.join(allowed)}, not {text!r}")


# ---- showing and writing


@contextmanager
def _progress(rounds: int) -> Iterator[Callable[[PruneRound], None]]:
    """A bar on a terminal, a line every ten rounds elsewhere."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from rtmpose.cli.terminal import stderr_console

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as progress:
        bar = progress.add_task("pruning", total=rounds)

        # The bar shows what is left of the network; a log file gets some lines.
        def show(done: PruneRound) -> None:
            left = (
                f"{done.multiply_adds / 1e9:.3f} G, {done.parameters / 1e6:.2f} M, loss"
                f" {done.loss:.4g}"
            )
            progress.update(bar, completed=done.number, description=left)
            if not progress.console.is_terminal and done.number % 10 == 0:
                line = f"round {done.number}/{rounds}: {left}"
                progress.console.print(line, highlight=False, soft_wrap=True)

        yield show


def _write(
    output: Path,
    task: Task,
    model: str,
    recipe: Recipe,
    options: PruneOptions,
    result: PruneResult,
    metrics: dict[str, float],
) -> None:
    """Write the network, and a report of how it was pruned."""
    from rtmpose.files import write_bytes
    from rtmpose.networks.checkpoint import save_safetensors

    save_safetensors(
        output / "pruned.safetensors",
        task.network,
        task.card,
        prune=to_json(asdict(options)),
        recipe=recipe.name,
    )

    # The report says how the network was made, and how good it was then.
    report = {
        "model": model,
        "options": asdict(options),
        "validation": metrics,
        "widths": result.widths,
        "rounds": [asdict(r) for r in result.rounds],
    }
    write_bytes(output / "pruned.json", to_json(report, indent=1).encode())
