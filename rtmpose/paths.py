"""Folders: the user's cache, and what is part of the package; names that lead to no file."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Where downloads and calibrated models are kept: ``$RTMPOSE_HOME`` or the user's cache.

    The folder may not exist yet.
    """
    # An empty variable counts as none.
    home = os.environ.get("RTMPOSE_HOME", "").strip()
    return Path(home).expanduser() if home else user_cache_path("rtmpose", appauthor=False)


def bundled_folder() -> Path:
    """The folder of the models that are part of the package."""
    return _assets() / "models"


def photos_folder() -> Path:
    """The folder of the photographs that are part of the package."""
    return _assets() / "photos"


def _assets() -> Path:
    # A path, not a resource: engines open files by name.
    return Path(str(resources.files("rtmpose"))) / "assets"


def is_existing_file(path: Path) -> bool:
    """Whether there is such a file; a path that no system can have leads to none.

    For names that were read from a file: ``Path.is_file`` raises an error for those that are too
    long.
    """
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
