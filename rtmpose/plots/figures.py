"""Figures in one style, written whole or not at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from rtmpose.draw import id_color
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.files.library import file_of_library

SUFFIXES = (".png", ".svg", ".pdf")
DPI = 120
LEFT_COLOR = "#1b75d0"
RIGHT_COLOR = "#d9480f"
CENTER_COLOR = "#444444"
GRAY = "#888888"
DARKER = 0.82
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "rtmpose",
}


def check_picture(path: Path) -> None:
    """Refuse early what would fail later.

    Raises:
        InputError: the suffix is none of a picture.
        MissingDependencyError: matplotlib is not installed.
    """
    if path.suffix and not path.is_dir() and path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is none of {', '.join(SUFFIXES)}, or a folder")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError(f"{path} needs matplotlib: pip install 'rtmpose[plot]'")


def one_picture(path: Path) -> InputError:
    """The error where one file is named for several clips."""
    return InputError(f"{path} would hold several sources: name a folder, or choose with --source")


def new_figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def styled() -> Any:
    """A context in which axes are made in the style."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure; SVG without the date, so that it is the same each time.

    Raises:
        OutputError: it cannot be written.
    """
    suffix = path.suffix.lower().removeprefix(".")
    metadata = {"Date": None} if suffix == "svg" else {}
    if suffix == "pdf":
        metadata = {"CreationDate": None}
    with file_of_library(path) as made, styled():
        figure.savefig(made, format=suffix, dpi=DPI, metadata=metadata)


def person_hex(number: int) -> str:
    """The color of a person, as it is drawn into videos but darker: for light backgrounds."""
    blue, green, red = (int(value * DARKER) for value in id_color(number))
    return f"#{red:02x}{green:02x}{blue:02x}"


def say_nothing(axes: Any, text: str) -> None:
    """A text in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GRAY, transform=axes.transAxes)
