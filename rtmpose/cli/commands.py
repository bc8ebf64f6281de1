"""The commands, one row each.

A new command takes two edits: a file in this folder, and a row of :data:`COMMANDS`. The help of
``rtmpose`` is made from these rows alone, so that it loads no command.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandRow:
    """What the package knows of a command without loading it.

    Attributes:
        name: What is typed behind ``rtmpose``.
        module: The file in this folder. It has a function of the command's name, or, with several
            commands below it, a typer application ``app``.
        summary: The first paragraph of the command's own help, word for word.
    """

    name: str
    module: str
    summary: str


COMMANDS = (
    CommandRow("predict", "predict", "Find people and their keypoints."),
    CommandRow(
        "track",
        "track",
        "Follow people through videos and streams; every person keeps one id.",
    ),
    CommandRow("convert", "convert", "Write results in the format of another program."),
    CommandRow("angles", "angles", "Measure joint and segment angles of people over time."),
    CommandRow("plot", "plot", "Draw trajectories, a time line of people, speeds and scores."),
    CommandRow("view", "view", "Make a page that plays the video with skeletons and graphs."),
    CommandRow(
        "batch",
        "batch",
        "Work through thousands of sources, on one machine, a SLURM array or a Ray cluster.",
    ),
    CommandRow(
        "eval",
        "evaluate",
        "Measure the accuracy of a model on annotated images.",
    ),
    CommandRow(
        "export",
        "export",
        "Write a model for another engine and compare it with the original; a file that differs is"
        " not written.",
    ),
    CommandRow(
        "verify",
        "export",
        "Compare an exported file with its original on real crops; the exit status is 1 if it"
        " differs.",
    ),
    CommandRow(
        "bench",
        "benchmark",
        "Measure detection, cropping, network, decoding and drawing: mean, median, 95th percentile"
        " and frames per second.",
    ),
    CommandRow(
        "serve",
        "serve",
        "Serve keypoints over HTTP, with a page for browsers; docs/serve.md has the API.",
    ),
    CommandRow("train", "train", "Train a model by a recipe; see docs/training.md."),
    CommandRow(
        "prune",
        "prune",
        "Remove the least important channels of a model until it meets a budget; see"
        " docs/pruning.md.",
    ),
    CommandRow(
        "doctor",
        "doctor",
        "Show versions, backends, devices and cache, and say how to fix problems.",
    ),
    CommandRow(
        "data",
        "data",
        "Look at annotated data, find what would ruin a training, and bring it into one form.",
    ),
    CommandRow("models", "models", "List, describe, download and check the published models."),
)
"""In the order of the help."""


def find_command(name: str) -> CommandRow | None:
    """The row of a command; None if there is none of that name."""
    return next((row for row in COMMANDS if row.name == name), None)
