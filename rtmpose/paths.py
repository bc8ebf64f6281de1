"""Folders: the user's cache, and what is part of the package."""

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
