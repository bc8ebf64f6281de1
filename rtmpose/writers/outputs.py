"""What a job writes, and where: checked before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rtmpose.draw import DrawStyle
from rtmpose.errors import InputError
from rtmpose.files import follow_link, is_special, is_stdout, make_folder
from rtmpose.files.folders import check_folder
from rtmpose.files.locks import OutputLock
from rtmpose.files.temporaries import remove_leftovers
from rtmpose.sources import SourceItem
from rtmpose.writers.drawn import is_drawn_file
from rtmpose.writers.journal import FOLDER_DONE, FOLDER_PART, PART
from rtmpose.writers.names import output_names
from rtmpose.writers.openpose import POSE2SIM_SUFFIX
from rtmpose.writers.output_checks import SourceGuard, refuse_file_name_for_folder, same_file_keys
from rtmpose.writers.table import Format, format_named

LOCK = ".lock"
FOLDER_LOCK = ".rtmpose.lock"


@dataclass(frozen=True)
class Outputs:
    """What a job writes.

    Attributes:
        formats: Name of a format (:data:`rtmpose.writers.FORMATS`) to a path. A path that ends in
            the format's suffix (``poses.csv``) is one file for all sources; anything else is a
            folder that gets one file per source. A device or pipe is a file whatever its name,
            and ``-`` is standard output; they get the frames of this run as they come, the others
            appear when they are whole.
        folder: Folder for annotated images and videos; None for none. For one source it may be a
            file (``out.mp4``, ``out.jpg``).
        show: Show the drawn frames in a window.
        style: How frames are drawn.
        openpose_format: Order of the points in OpenPose's JSON and its names of files; one of
            :data:`rtmpose.writers.openpose_layouts.LAYOUTS`.
    """

    formats: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    show: bool = False
    style: DrawStyle = field(default_factory=DrawStyle)
    openpose_format: str = "auto"

    @property
    def uses_stdout(self) -> bool:
        """Whether results go to standard output."""
        return any(is_stdout(path) for path in self.formats.values())

    @property
    def draws(self) -> bool:
        """Whether frames are drawn at all."""
        return self.folder is not None or self.show


class OutputPlan:
    """Where everything will lie, checked before any work is done.

    Args:
        outputs: What is wanted.
        items: All sources.

    Attributes:
        single_files: Formats that go into one file for all sources, written at the end.
        streams: Formats that go into a device or pipe, frame by frame.
        source_files: Formats that make one file per source, with their folders.

    Raises:
        InputError: two outputs are the same file, or an output is one of the sources.
        OutputError: a folder cannot be made, or must not be replaced.
        MissingDependencyError: a format needs a package that is not installed.
    """

    def __init__(self, outputs: Outputs, items: Sequence[SourceItem]) -> None:
        self.outputs = outputs
        self.items = items
        self.single_files: list[tuple[Format, Path]] = []
        self.streams: list[tuple[Format, Path]] = []
        self.source_files: list[tuple[Format, Path]] = []
        self._names: dict[str, str] = {}
        self.drawn_file: Path | None = None
        # Sorted by how they are written: at the end, as they come, or per source.
        for name, path in outputs.formats.items():
            row = format_named(name)
            row.check_installed()
            # Pose2Sim looks for folders of its own name.
            if name == "openpose" and outputs.openpose_format == "pose2sim":
                row = replace(row, suffix=POSE2SIM_SUFFIX)
            if not row.is_single_file(path):
                self.source_files.append((row, path))
            elif is_special(path):
                self.streams.append((row, path))
            else:
                self.single_files.append((row, path))

        # One source may have its drawing in a file of any name.
        if outputs.folder is not None and is_drawn_file(outputs.folder, items):
            self.drawn_file = outputs.folder
            make_folder(outputs.folder.parent, of=outputs.folder)

        # Everything that can be refused is refused before the work begins.
        self._check_single_files()
        for row, path in self.source_files:
            refuse_file_name_for_folder(row.name, path, row.single_file)
        for folder in self._folders():
            make_folder(folder)

    def name_sources(self, taken: Mapping[str, str]) -> None:
        """Give every source the name of its files.

        Args:
            taken: Names given by an earlier run, which stay.

        Raises:
            InputError: an output would overwrite a source.
            OutputError: an output folder exists and is not ours.
        """
        self._names = output_names(self.items, taken)

        # Files are compared by identity: links and other spellings lead to the same one.
        guard = SourceGuard(self.items)
        for _, path in [*self.single_files, *self.streams]:
            guard.refuse_source(path)

        # The files of each source: no two of them are one, nor one of those for all sources.
        owners = {key: path for _, path in self.single_files for key in same_file_keys(path)}
        for item in self.items:
            for row, path in self.paths_of(item):
                if row is not None and row.makes_folder(still=item.still):
                    check_folder(path)
                guard.refuse_source(path)
                key = same_file_keys(path)[0]
                other = owners.setdefault(key, path)
                if other is not path:
                    raise InputError(
                        f"{path} would be written twice, for {item.name} and for another output;"
                        " choose another folder for one of them"
                    )
        if self.outputs.folder is not None and self.drawn_file is None:
            guard.refuse_drawing_folder(self.outputs.folder)

        # Where sources lie, files of the same names may be their annotations.
        records = [path for path in self.journal_paths() if path is not None]
        for item in self.items:
            for _, path in self.paths_of(item):
                # What was named is meant.
                if path == self.drawn_file:
                    continue
                ours = [*records, path.parent / FOLDER_PART, path.parent / FOLDER_DONE]
                guard.refuse_foreign_file(path, ours)

    def name_of(self, item: SourceItem) -> str:
        """The name of a source's files, without suffix."""
        return self._names[item.name]

    def paths_of(self, item: SourceItem) -> list[tuple[Format | None, Path]]:
        """All files and folders of one source; the format is None for what is drawn."""
        return self.paths_named(item, self.name_of(item))

    def paths_named(self, item: SourceItem, name: str) -> list[tuple[Format | None, Path]]:
        """As :meth:`paths_of`, if the files had that name."""
        # Files of the formats that are written per source.
        paths: list[tuple[Format | None, Path]] = [
            (row, row.path_for(folder, name, still=item.still)) for row, folder in self.source_files
        ]

        # What is drawn: images stay images, and PNG stays without loss.
        if self.drawn_file is not None:
            paths.append((None, self.drawn_file))
        elif self.outputs.folder is not None:
            suffix = ".mp4"
            if item.still:
                suffix = ".png" if item.name.lower().endswith(".png") else ".jpg"
            paths.append((None, self.outputs.folder / f"{name}{suffix}"))
        return paths

    def journal_paths(self) -> tuple[Path | None, Path | None]:
        """Where the journal lies, and where the record of finished sources.

        Next to the first regular file for all sources, or within the first folder; None where
        there is neither.
        """
        for _, path in self.single_files:
            return path.with_name(path.name + PART), None
        for folder in self._folders():
            return folder / FOLDER_PART, folder / FOLDER_DONE
        if self.drawn_file is not None:
            return self.drawn_file.with_name(self.drawn_file.name + PART), None
        return None, None

    def lock(self) -> list[OutputLock]:
        """Keep other runs from all files and folders, and remove what killed runs left there.

        Raises:
            OutputError: another run is writing one of them.
        """
        locks: list[OutputLock] = []
        try:
            drawn = [self.drawn_file] if self.drawn_file is not None else []
            for path in [path for _, path in self.single_files] + drawn:
                target = follow_link(path)
                locks.append(OutputLock(target.with_name(f".{target.name}{LOCK}"), path))
                remove_leftovers(target.parent)
            for folder in dict.fromkeys(folder.resolve() for folder in self._folders()):
                locks.append(OutputLock(folder / FOLDER_LOCK, folder))
                remove_leftovers(folder)
        except BaseException:
            for lock in locks:
                lock.release()
            raise
        return locks

    def settings(self) -> dict[str, object]:
        """What of the outputs must be the same in a resumed job, as its finished sources have
        them.
        """
        folders: dict[str, str] = {row.name: str(folder) for row, folder in self.source_files}
        style: dict[str, object] = {}
        if self.outputs.folder is not None:
            folders["output"] = str(self.outputs.folder)
            style = asdict(self.outputs.style)
        return {
            "outputs": folders,
            "one file for all": bool(self.single_files),
            "style": style,
            "openpose format": self.outputs.openpose_format,
        }

    def _folders(self) -> list[Path]:
        folders = [folder for _, folder in self.source_files]
        if self.outputs.folder is not None and self.drawn_file is None:
            folders.append(self.outputs.folder)
        return folders

    def _check_single_files(self) -> None:
        seen: dict[object, str] = {}
        for row, path in [*self.single_files, *self.streams]:
            if not row.many_sources and len({item.name for item in self.items}) > 1:
                raise InputError(
                    f"--{row.name} {path} would hold several sources, which the format cannot tell"
                    " apart; give a folder, which gets one file per source"
                )
            for key in same_file_keys(path):
                first = seen.setdefault(key, row.name)
                if first != row.name:
                    raise InputError(f"--{first} and --{row.name} are both to be written to {path}")
            make_folder(path.parent, of=path)
        folders = [(row.name, row.single_file, path) for row, path in self.source_files]
        if self.outputs.folder is not None and self.drawn_file is None:
            folders.append(("output", "", self.outputs.folder))
        for name, suffix, path in folders:
            first = next((seen[key] for key in same_file_keys(path) if key in seen), "")
            if first:
                own = f" (a file of --{name} ends in {suffix})" if suffix else ""
                raise InputError(
                    f"--{first} and --{name} are both to be written to {path}; give each a name of"
                    f" its own{own}"
                )
