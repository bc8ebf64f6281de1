"""The open files of a job: those of each source, and those for all sources together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from rtmpose.draw import DrawStyle, Trails, draw_frame
from rtmpose.errors import InputError, OutputError
from rtmpose.file_locks import OutputLock
from rtmpose.files import check_folder, follow_link, is_special, is_stdout, make_folder
from rtmpose.sources import SourceItem, probe
from rtmpose.temporaries import remove_leftovers
from rtmpose.types import Frame, Poses, Skeleton
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.drawn import annotated_writer, is_drawn_file
from rtmpose.writers.group import WriterGroup
from rtmpose.writers.journal import FOLDER_DONE, FOLDER_PART, PART
from rtmpose.writers.names import output_names
from rtmpose.writers.openpose import POSE2SIM_SUFFIX
from rtmpose.writers.openpose_layouts import openpose_layout
from rtmpose.writers.output_checks import SourceGuard, refuse_file_name_for_folder, same_file_keys
from rtmpose.writers.table import Format, format_named

LOCK = ".lock"
FOLDER_LOCK = ".rtmpose.lock"

FPS = 30.0
"""Of an annotated video whose source does not say its own."""


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
        for folder in self._folders():
            if not seen.keys().isdisjoint(same_file_keys(folder)):
                raise InputError(f"{folder} is to be both a file and a folder; check the suffixes")


class OpenOutputs:
    """The writers that are open while a job runs. Used by one thread at a time.

    Args:
        plan: Where everything lies.
        skeleton: The keypoint set of the poses.
        fps_limit: Frames per second taken at most.
        models: What each network is for to its id, for the files to name.

    Attributes:
        written: Files that are complete, in order.
    """

    def __init__(
        self,
        plan: OutputPlan,
        skeleton: Skeleton,
        *,
        fps_limit: float | None = None,
        models: Mapping[str, str] | None = None,
    ) -> None:
        # A layout that the keypoint set does not have is refused before the work.
        if "openpose" in plan.outputs.formats:
            openpose_layout(plan.outputs.openpose_format, skeleton)
        self.plan = plan
        self.written: list[Path] = []
        self._skeleton = skeleton
        self._fps_limit = fps_limit
        self._models = dict(models or {})
        self._frame_rates: dict[str, float] | None = None
        self._groups: dict[str, WriterGroup] = {}
        self._streams = WriterGroup()
        self._trails: dict[str, Trails] = {}

    def drawn(self, item: SourceItem, frame: Frame, poses: Poses) -> FrameRecord:
        """The record of a frame, drawn where that is wanted."""
        outputs = self.plan.outputs
        image = None
        # Drawing costs time, and nothing asks for it unless an image is shown or kept.
        if outputs.draws:
            trails = self._trails.setdefault(item.name, {})
            image = draw_frame(frame.image, poses, outputs.style, trails)
        return FrameRecord(
            item.name,
            frame.index,
            frame.time_s,
            poses,
            still=item.still,
            drawn=image,
            size_wh=(frame.image.shape[1], frame.image.shape[0]),
        )

    def write(self, item: SourceItem, record: FrameRecord) -> None:
        """Add a frame to the files of its source.

        Raises:
            OutputError: one of them cannot be written; the others have the frame.
        """
        first_error: Exception | None = None
        if item.name not in self._groups:
            group = self._groups[item.name] = WriterGroup()
            first_error = self._open(item, group)
        for sinks in (self._groups[item.name], self._streams):
            try:
                sinks.write(record)
            except Exception as error:  # noqa: BLE001 (raised when the others are served)
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def open_streams(self) -> None:
        """Open the devices and pipes; waits until a pipe has a reader."""
        if not self.plan.streams:
            return
        context = self._shared_context()
        for row, path in self.plan.streams:
            self._streams.open(path, partial(row.writer, path, context))

    def close_streams(self) -> None:
        """End what is written to devices and pipes.

        Raises:
            OutputError: the reader is gone.
        """
        self._streams.close([])

    def close_source(self, item: SourceItem) -> None:
        """Complete the files of one source; every one is closed, whatever happens to the others.

        Raises:
            OutputError: one of them could not be completed.
        """
        # Trails of a finished source are not needed any more.
        self._trails.pop(item.name, None)
        group = self._groups.pop(item.name, None)
        if group is not None:
            group.close(self.written, empty_too=False)

    def close_all(self) -> None:
        """Complete what is open after an error or interruption, as far as possible."""
        open_items = [item for item in self.plan.items if item.name in self._groups]
        for item in open_items:
            with suppress(OutputError):
                self.close_source(item)
        with suppress(OutputError):
            self.close_streams()

    def write_single_files(self, records: Iterable[FrameRecord], *, empty_too: bool = True) -> None:
        """Write the files for all sources together, in one pass over all frames.

        Args:
            records: All frames.
            empty_too: Whether files appear if there is no frame at all.

        Raises:
            OutputError: one of them cannot be written; it does not change, and the others are
                complete.
        """
        if not self.plan.single_files:
            return
        context = self._shared_context()
        group = WriterGroup()
        first_error: Exception | None = None
        try:
            for row, path in self.plan.single_files:
                try:
                    group.open(path, partial(row.writer, path, context))
                except OutputError as error:
                    first_error = first_error or error
            for record in records:
                try:
                    group.write(record)
                except OutputError as error:
                    first_error = first_error or error
            group.close(self.written, empty_too=empty_too)
        except BaseException:
            group.abandon()
            raise
        if first_error is not None:
            raise first_error

    def _open(self, item: SourceItem, group: WriterGroup) -> Exception | None:
        """Open the files of a source; gives the first error when all others are open."""
        context = self._context(item)
        first_error: Exception | None = None
        for row, path in self.plan.paths_of(item):
            make = annotated_writer if row is None else row.writer
            try:
                group.open(path, partial(make, path, context))
            except Exception as error:  # noqa: BLE001 (raised when the others are served)
                first_error = first_error or error
        return first_error

    def _context(self, item: SourceItem) -> WriterContext:
        # A camera tells no rate before its frames come.
        known = _frame_rate(item)
        fps = known or FPS
        # Sound of a mirrored video stays as it is, and starts where the frames start.
        return WriterContext(
            self._skeleton,
            fps=min(fps, self._fps_limit) if self._fps_limit else fps,
            still=item.still,
            sound_of=item.path if item.kind == "video" else None,
            sound_from_s=item.start_s,
            models=self._models,
            frame_rates={item.name: known} if known else {},
            openpose_format=self.plan.outputs.openpose_format,
        )

    def _shared_context(self) -> WriterContext:
        """For files that hold all sources."""
        if self._frame_rates is None:
            rates = {item.name: _frame_rate(item) for item in self.plan.items}
            self._frame_rates = {name: fps for name, fps in rates.items() if fps}
        return WriterContext(
            self._skeleton,
            models=self._models,
            frame_rates=self._frame_rates,
            openpose_format=self.plan.outputs.openpose_format,
        )


def _frame_rate(item: SourceItem) -> float | None:
    """Frames per second of a video or sequence; None where unknown."""
    # A damaged video has no rate, and is reported elsewhere.
    with suppress(InputError):
        return probe(item).fps if item.kind in ("video", "sequence") else None
    return None
