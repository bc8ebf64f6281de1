"""What helps behind a usage error: the option that does what another tool's name asks for, the
values that something missing may have, the command that a file name wanted.
"""

from __future__ import annotations

import os
import re
import shlex

from rtmpose.cli.commands import find_command

_OUTPUT = "-o FOLDER draws; --json, --jsonl and --csv PATH write results"
_SOURCES = "images, videos, folders, cameras and URLs are named without an option"
_MODELS = "--pose MODEL names the pose model, --detector MODEL the detector"
_BOX_SCORE = "--box-thr is the lowest score of a box, --kpt-thr that of a keypoint drawn"

OTHER_NAMES = {
    "batch-size": "all people of a frame go through the network together",
    "bbox-thr": _BOX_SCORE,
    "classes": "--det-label NAME takes one class of a detector that has several",
    "conf": _BOX_SCORE,
    "confidence": _BOX_SCORE,
    "cpu": "--device cpu",
    "det-model": _MODELS,
    "format": _OUTPUT,
    "fp16": "--precision fp16",
    "gpu": "--device cuda; `rtmpose doctor` says which devices are here",
    "half": "--precision fp16",
    "image": _SOURCES,
    "imgsz": "the model decides the size; `rtmpose models list` shows all",
    "input": _SOURCES,
    "model": _MODELS,
    "out": _OUTPUT,
    "out-dir": _OUTPUT,
    "output-dir": _OUTPUT,
    "pose-model": _MODELS,
    "save": _OUTPUT,
    "save-csv": _OUTPUT,
    "save-dir": _OUTPUT,
    "save-json": _OUTPUT,
    "save-txt": _OUTPUT,
    "save-video": _OUTPUT,
    "score-thr": _BOX_SCORE,
    "source": _SOURCES,
    "thr": _BOX_SCORE,
    "threshold": _BOX_SCORE,
    "video": _SOURCES,
    "vid-stride": "`rtmpose track --fps-limit N` takes fewer frames",
    "weights": _MODELS,
}
"""Options of other tools -> what does the same in `predict`, `track` and `batch`."""

RUN_COMMANDS = ("predict", "track", "batch")

MISSING = {
    "bench": "for example: rtmpose bench clip.mp4",
    "convert": "for example: rtmpose convert clip.jsonl --to trc; the formats are in"
    " rtmpose convert --help",
    "export": "for example: rtmpose export rtmpose-s --to openvino -o exports",
    "predict": "for example: rtmpose predict photo.jpg -o out",
    "prune": "for example: rtmpose prune rtmpose-s --data crops --macs 0.35G -o pruned",
    "track": "for example: rtmpose track clip.mp4 -o out",
    "train": "`rtmpose train list` shows the recipes; for your own data: rtmpose train finetune"
    " --data mine.json -o run",
}
"""Command -> what is said where something is missing of it."""


def usage_hints(arguments: list[str], message: str) -> list[str]:
    """Lines to print behind a usage error.

    Args:
        arguments: The command line.
        message: What the error said.
    """
    first = arguments[0] if arguments else ""
    lines = []
    # `rtmpose photo.jpg`: what most people want is one word away.
    if find_command(first) is None and (os.path.lexists(first) or "://" in first):
        lines.append(f"To find people in it: rtmpose predict {shlex.join(arguments)}")
    for name in _files_like_options(arguments):
        lines.append(f"{name} is a file here: write ./{name}")
    if message.startswith("Missing") and first in MISSING:
        lines.append(MISSING[first])
    if message.startswith("No such option") and first in RUN_COMMANDS:
        lines += _names_here(arguments, message)
    return lines


def _names_here(arguments: list[str], message: str) -> list[str]:
    """For options that other tools have: what does the same here."""
    lines = []
    for argument in arguments:
        option = argument.split("=")[0]
        name = option.lstrip("-").lower().replace("_", "-")
        told = option.startswith("--") and name in OTHER_NAMES
        # Only the option that the error is about; some versions of click put it into quotes.
        if told and option in re.split(r"[\s'()]+", message):
            lines.append(f"{option}: {OTHER_NAMES[name]}")
    return lines


def _files_like_options(arguments: list[str]) -> list[str]:
    """Names of files among the arguments that look like options."""
    return [a for a in arguments if a.startswith("-") and len(a) > 1 and os.path.lexists(a)]
