"""All subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

import rtmpose
from rtmpose.cli import data, evaluate, models
from rtmpose.cli.benchmark import bench
from rtmpose.cli.doctor import doctor
from rtmpose.cli.export import export, verify
from rtmpose.cli.help_text import set_help
from rtmpose.cli.predict import predict
from rtmpose.cli.prune import prune
from rtmpose.cli.track import track
from rtmpose.cli.train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""Find people and their keypoints in images, videos and streams, with the RTMPose models.

    Start with: rtmpose predict photo.jpg -o out

    --verbose (-v) logs what is chosen and why; --debug adds tracebacks to errors.
    Both work with every command.
    """,
)
# Running models.
app.command()(predict)
app.command()(track)
# Measuring and converting them.
app.add_typer(evaluate.app, name="eval")
app.command()(export)
app.command()(verify)
app.command()(bench)
# Making them.
app.command()(train)
app.command()(prune)
# Looking at the installation, the data and the zoo.
app.command()(doctor)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
set_help(app)


def _version(show: bool) -> None:
    # Typer calls this for every command line, with whether the option was given.
    if show:
        typer.echo(f"rtmpose {rtmpose.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
