"""Figures in one style, written whole or not at all."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from rtmpose.draw import id_color
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.files.library import file_of_library

log = logging.getLogger(__name__)

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
LETTERS = "DejaVu Sans"
"""Comes with matplotlib; it has Latin, Greek and Cyrillic letters."""
MORE_LETTERS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "SimHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
)
"""Fonts of systems for names in Chinese, Japanese and Korean."""
NO_GLYPH = "missing from font"
"""In what matplotlib says of each letter that it draws as a box."""


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
    from matplotlib.figure import Figure

    with styled():
        return Figure(figsize=(width, height), layout="constrained")


def styled() -> Any:
    """A context in which axes are made in the style."""
    import matplotlib

    return matplotlib.rc_context({**STYLE, "font.family": _font_families()})


@cache
def _font_families() -> list[str]:
    """The font, and those installed that have the letters it lacks."""
    from matplotlib.font_manager import fontManager

    logging.getLogger("matplotlib.font_manager").addFilter(_is_no_weight)
    installed = {font.name for font in fontManager.ttflist}
    return [LETTERS, *(name for name in MORE_LETTERS if name in installed)]


def _is_no_weight(record: logging.LogRecord) -> bool:
    """Leaves out that a font for more letters has no bold ones: the usual ones do."""
    return "font weight" not in record.getMessage()


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure; SVG without the date, so that it is the same each time.

    Raises:
        OutputError: it cannot be written.
    """
    suffix = path.suffix.lower().removeprefix(".")
    metadata = {"Date": None} if suffix == "svg" else {}
    if suffix == "pdf":
        metadata = {"CreationDate": None}
    with (
        file_of_library(path) as made,
        styled(),
        warnings.catch_warnings(record=True) as told,
    ):
        figure.savefig(made, format=suffix, dpi=DPI, metadata=metadata)

    # One line instead of one for each letter.
    if any(NO_GLYPH in str(warning.message) for warning in told):
        log.warning(
            "%s: no font here has some of its letters, which are boxes now: install one, such as"
            " Noto Sans CJK",
            path,
        )
    for warning in told:
        if NO_GLYPH not in str(warning.message):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def person_hex(number: int) -> str:
    """The color of a person, as it is drawn into videos but darker: for light backgrounds."""
    blue, green, red = (int(value * DARKER) for value in id_color(number))
    return f"#{red:02x}{green:02x}{blue:02x}"


def say_nothing(axes: Any, text: str) -> None:
    """A text in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GRAY, transform=axes.transAxes)
