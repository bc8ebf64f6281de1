"""Find the images that a tool names: whatever folders, backslashes or suffix it wrote."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from rtmpose.sources.kinds import IMAGE_SUFFIXES

log = logging.getLogger(__name__)

SHOWN_MISSING = 5
MAX_PARTS = 4
"""Last parts of a path that are compared; more would only cost memory."""


MAX_NAME = 250
"""Characters of one part of a path; longer ones are cut."""


class ImageIndex:
    """The images below a folder, by the ends of their paths.

    Args:
        folder: Looked through with all its folders.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: list[str] = []
        self._by_end: dict[str, list[str]] = {}
        files = sorted(folder.rglob("*")) if folder.is_dir() else []
        for file in files:
            if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith("."):
                self._add(file.relative_to(folder).as_posix())

    def _add(self, name: str) -> None:
        # Whole, and with the suffix left out.
        for end in {*_ends(name), *_ends(str(PurePosixPath(name).with_suffix("")))}:
            self._by_end.setdefault(end, []).append(name)

    def find(self, written: str) -> str:
        """Name of an image below the folder; as it is written where it is not there, which is
        noted.

        Args:
            written: A path of any machine, a URL, or a name.
        """
        # The longest end that belongs to one image alone; a second look without the suffix.
        name = plain_path(written)
        without_suffix = str(PurePosixPath(name).with_suffix("")) if name else ""
        for candidate in (name, without_suffix):
            for end in _ends(candidate):
                found = self._by_end.get(end, [])
                if len(found) == 1 or end in found:
                    return end if end in found else found[0]
        self.missing.append(written)
        return name or written

    def tell(self, data: Path) -> None:
        """Warn of the images that were not there.

        Args:
            data: The annotations, for the warning.
        """
        names = list(dict.fromkeys(self.missing))
        if names:
            shown = ", ".join(names[:SHOWN_MISSING])
            more = f" and {len(names) - SHOWN_MISSING} more" if len(names) > SHOWN_MISSING else ""
            log.warning(
                "%s: %d images are not in %s (%s%s); name their folder with --images",
                data,
                len(names),
                self.folder,
                shown,
                more,
            )


def is_there(path: Path) -> bool:
    """Whether a path that was read from a file exists; one that no system can have does not."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with characters that no path has
        return False


class ImageNames:
    """The files of folders, found under the names that tools and other systems write.

    Names are compared as they are first; then without what is percent-encoded, in one form of
    accents (macOS takes them apart), in lower case, and last without the suffix. Each folder is
    listed once.
    """

    def __init__(self) -> None:
        self._listed: dict[Path, frozenset[str]] = {}
        self._alike: dict[Path, dict[str, str]] = {}

    def find(self, path: Path) -> Path | None:
        """The file that is there for a path; None for none."""
        folder, name = path.parent, path.name
        if name in self.names_in(folder):
            return path
        if folder not in self._alike:
            self._alike[folder] = _by_plain_name(self.names_in(folder))
        alike = self._alike[folder]
        plain = _plain_name(unquote(name.partition("?")[0]))
        found = alike.get(plain) or alike.get(_stem(plain))
        return folder / found if found else None

    def names_in(self, folder: Path) -> frozenset[str]:
        """What lies in a folder; nothing where there is none."""
        if folder not in self._listed:
            try:
                with os.scandir(folder) as entries:
                    self._listed[folder] = frozenset(entry.name for entry in entries)
            except (OSError, ValueError):  # no folder, or a name that no system has
                self._listed[folder] = frozenset()
        return self._listed[folder]


def _by_plain_name(names: Iterable[str]) -> dict[str, str]:
    """Images by their plain names, with and without suffix; of several the first counts."""
    found: dict[str, str] = {}
    images = sorted(name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES)
    for name in images:
        found.setdefault(_plain_name(name), name)
    for name in images:
        found.setdefault(_stem(_plain_name(name)), name)
    return found


def _plain_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def plain_path(written: str) -> str:
    """A path with slashes, without scheme, drive letter and what is percent-encoded.

    Args:
        written: A path or URL; ``/data/local-files/?d=a/b.jpg`` of Label Studio is ``a/b.jpg``.
    """
    name = written.strip().replace("\\", "/").replace("\0", "")
    try:
        if "?d=" in name:
            name = parse_qs(urlsplit(name).query).get("d", [name])[0]
        elif "://" in name:
            parts = urlsplit(name)
            name = f"{parts.netloc}{parts.path}"
    except ValueError:  # looks like a URL and is none
        name = name.replace("://", "/")
    if len(name) > 1 and name[1] == ":":
        name = name[2:]
    parts_left = [part for part in unquote(name).split("/") if part not in ("", ".", "..")]
    # A longer part is no name of a file on any system.
    return "/".join(part[-MAX_NAME:] for part in parts_left)


def _ends(name: str) -> list[str]:
    """The last parts of a path, the longest first."""
    parts = name.split("/")
    longest = [name] if len(parts) > MAX_PARTS else []
    return longest + ["/".join(parts[-n:]) for n in range(min(len(parts), MAX_PARTS), 0, -1)]
