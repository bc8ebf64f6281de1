"""Files that were found where sources are, but are not taken."""

from __future__ import annotations

from pathlib import Path

from rtmpose.shown_names import shown_name
from rtmpose.sources.foreign_files import RAW, RAW_SUFFIXES

SHOWN = 5
"""Names of one kind that are listed; of more the number is given."""

HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
NEEDS_HEIF = "HEIC images need pillow-heif: pip install 'rtmpose[heif]'"
_BY_SUFFIX = {
    **dict.fromkeys(RAW_SUFFIXES, RAW),
    ".svg": "an SVG drawing; save it as PNG",
    ".pdf": "a PDF; save its pages as PNG",
    ".psd": "a Photoshop file; export it as PNG or TIFF",
    ".jxl": "a JPEG XL image; convert it to JPEG or PNG",
    ".exr": "an OpenEXR image; convert it to PNG or TIFF",
    ".npy": "a NumPy array; save it as PNG",
    ".zip": "an archive; unpack it",
}
HIDDEN = "hidden"
OTHER = "neither image nor video"


def reason_of(path: Path) -> str:
    """Why a file of a folder is not taken, by its name."""
    if path.name.startswith("."):
        return HIDDEN
    return _BY_SUFFIX.get(path.suffix.lower(), OTHER)


class SkippedFiles:
    """Files that were skipped, with the reasons.

    Attributes:
        by_reason: Reason to the files, in the order in which they were met.
    """

    def __init__(self) -> None:
        self.by_reason: dict[str, list[Path]] = {}

    def add(self, path: Path, reason: str) -> None:
        """Note a file."""
        self.by_reason.setdefault(reason, []).append(path)

    def lines(self) -> list[str]:
        """One line per reason, with the first names."""
        lines: list[str] = []
        for reason, paths in self.by_reason.items():
            names = [shown_name(path) for path in paths[:SHOWN]]
            if len(paths) > SHOWN:
                names.append(f"and {len(paths) - SHOWN} more")
            count = "1 file" if len(paths) == 1 else f"{len(paths)} files"
            lines.append(f"skipped {count} ({reason}): {', '.join(names)}")
        return lines
