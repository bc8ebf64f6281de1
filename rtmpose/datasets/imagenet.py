"""Images sorted into one folder per class, as ImageNet is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.sources.kinds import IMAGE_SUFFIXES


@dataclass(frozen=True)
class ImageFolder:
    """A classification set.

    Attributes:
        path: The folder.
        classes: Names of the class folders, sorted; a label is an index into them.
        items: Path and label of each image, sorted by class and name.
    """

    path: Path
    classes: tuple[str, ...]
    items: tuple[tuple[Path, int], ...]

    def __len__(self) -> int:
        return len(self.items)


def read_image_folder(path: str | Path) -> ImageFolder:
    """Read ``<path>/<class>/**/<image>``; hidden files and other kinds of files are left out.

    Raises:
        InputError: there is no such folder, it has no class folders, or a class has no images.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path} is not a folder")
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not folders:
        raise InputError(
            f"{path} holds no class folders: images should lie in {path / 'CLASS' / 'image.jpg'}"
        )

    # Labels count the class folders in the order of their names.
    items: list[tuple[Path, int]] = []
    for label, folder in enumerate(folders):
        images = sorted(file for file in folder.rglob("*") if _is_image(file))
        if not images:
            raise InputError(
                f"the class folder {folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})"
            )
        items += [(image, label) for image in images]
    return ImageFolder(path, tuple(folder.name for folder in folders), tuple(items))


def _is_image(file: Path) -> bool:
    is_hidden = file.name.startswith(".")
    return file.suffix.lower() in IMAGE_SUFFIXES and not is_hidden and file.is_file()
