"""Pictures sorted into one folder per class, as ImageNet is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtmpose.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True)
class ImageFolder:
    """A classification set.

    Attributes:
        path: The folder.
        classes: Names of the class folders, sorted; a label is an index into them.
        items: Picture and label, sorted by class and name.
    """

    path: Path
    classes: tuple[str, ...]
    items: tuple[tuple[Path, int], ...]

    def __len__(self) -> int:
        return len(self.items)


def read_image_folder(path: str | Path) -> ImageFolder:
    """Read ``<path>/<class>/**/<picture>``; hidden files and other kinds of files are left out.

    Raises:
        InputError: there is no such folder, it has no class folders, or a class has no pictures.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path} is not a folder")
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not folders:
        raise InputError(
            f"{path} holds no class folders: pictures should lie in"
            f" {path / 'CLASS' / 'picture.jpg'}"
        )
    items: list[tuple[Path, int]] = []
    for label, folder in enumerate(folders):
        found = sorted(
            p
            for p in folder.rglob("*")
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
        )
        if not found:
            raise InputError(
                f"the class folder {folder} holds no pictures ({', '.join(sorted(SUFFIXES))})"
            )
        items += [(p, label) for p in found]
    return ImageFolder(path, tuple(f.name for f in folders), tuple(items))
