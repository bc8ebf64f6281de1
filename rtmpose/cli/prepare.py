"""``rtmpose models prepare``: find the fastest engine and precision for models on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from rtmpose.cli import options


def prepare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="Names, paths or URLs; without any the default detector and pose model.",
            show_default=False,
        ),
    ] = None,
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "auto",
) -> None:
    """Time the engines and precisions that are installed, and let auto use the fastest.

    Reduced precision is judged first, once for each model, and counts only where it costs no
    accuracy. The trial then takes half a second for each model. Its result is kept in the cache
    folder for this processor, number of threads and versions of the engines; --threads must be the
    same later.

    Examples:
      rtmpose models prepare

      rtmpose models prepare mine.onnx --threads 4
    """
    from rtmpose.backends import BackendOptions
    from rtmpose.backends.automatic import prepare as prepare_model
    from rtmpose.benchmark.networks import open_network
    from rtmpose.detector import DEFAULT_DETECTOR
    from rtmpose.pose_estimator import DEFAULT_POSE_MODEL
    from rtmpose.zoo import resolve

    chosen = BackendOptions(backend, "cpu", threads, precision=precision)  # type: ignore[arg-type]
    for name in names or [DEFAULT_DETECTOR, DEFAULT_POSE_MODEL]:
        # A file that does not say what it is must be opened to know.
        path, card = resolve(name)
        if card is None:
            _, card = open_network(name, chosen)
        result = prepare_model(path, card, chosen)

        typer.echo(f"{name}: {result.verdict.chosen}, {result.verdict.reason}")
        for way, reason in result.failed.items():
            typer.echo(f"  {way} does not run it: {reason}", err=True)
        if result.verdict.busy:
            typer.echo("  not kept: run this again when the machine has less to do", err=True)
        elif not result.kept:
            typer.echo("  not kept: the cache folder cannot be written", err=True)
