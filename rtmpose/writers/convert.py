"""Clips to files of one format: what is written where."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.files import make_folder
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import LAB_FORMATS, Holds, LabFormat

FILE_SUFFIXES = frozenset(
    [f".{row.suffix.rpartition('.')[2]}" for row in LAB_FORMATS if row.suffix]
    + [".json", ".jsonl", ".csv", ".tsv", ".parquet", ".npz", ".txt", ".yaml", ".mot", ".mp4"]
    + [".gz", ".zip", ".tar", ".hdf5"]
)
"""Ends of names that are those of files, not of folders."""

OPTIONS_OF = {
    "session_start": "nwb",
    "subject": "nwb",
    "age": "nwb",
    "scorer": "deeplabcut",
    "task": "bids-motion",
}
"""Options that one format alone has a place for."""

SHOWN = 20
"""Sources that an error names."""

log = logging.getLogger(__name__)


def convert_clips(
    clips: Iterable[Clip],
    row: LabFormat,
    output: Path,
    options: LabOptions | None = None,
    *,
    sources: Sequence[Path] = (),
    on_written: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write clips in a format, one after the other: only one needs to be in memory.

    Args:
        clips: What was read.
        row: The format.
        output: A file for one thing, if it ends as files of the format do; or else a folder that
            gets a file for each clip, or person, named after it. For formats of folders the folder.
        options: What results do not say.
        sources: Files that must not be written over.
        on_written: Called with each file or folder when it is whole.

    Returns:
        What was written.

    Raises:
        InputError: the format cannot hold it, or one file is named for several things. Where each
            clip has files of its own, those of the others are written.
        OutputError: something cannot be written.
        MissingDependencyError: a package is not installed.
    """
    options = options or LabOptions()
    row.check_installed()
    _check_options(options, row)
    target = Target(row, output, options, tuple(path.resolve() for path in sources))
    notes = Notes(row)
    suitable = notes.taken(_videos(clips) if row.needs_ids else clips)
    written: list[Path] = []
    write = _write_together if row.holds is Holds.all else _write_each
    try:
        for path in write(suitable, target, notes):
            written.append(path)
            if on_written is not None:
                on_written(path)
    finally:
        notes.tell()
    return written


@dataclass(frozen=True)
class Target:
    """Where clips go, in which form.

    Attributes:
        row: The format.
        output: The file or folder that was named.
        options: What results do not say.
        sources: Files that must not be written over, resolved.
    """

    row: LabFormat
    output: Path
    options: LabOptions
    sources: tuple[Path, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether one file was named, not a folder of files."""
        suffix = self.row.suffix.lower()
        return bool(suffix) and self.output.name.lower().endswith(suffix) and not self.is_folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder that is there."""
        return self.output.is_dir()

    def write(self, content: Clip | Iterable[Clip], path: Path) -> list[Path]:
        """Write one file or folder.

        Raises:
            InputError: it is one that is read, or the format cannot hold the content.
            OutputError: it cannot be written.
        """
        if path.resolve() in self.sources:
            raise InputError(f"{path} is the file that is read; choose another name")
        make_folder(path.parent, of=path)
        return self.row.write(content, path, self.options)


class Notes:
    """What is told of many clips in a line each.

    Args:
        row: The format.
    """

    def __init__(self, row: LabFormat) -> None:
        self._row = row
        self._rising: list[str] = []
        self._nobody: list[str] = []
        self._highest = 0.0

    def taken(self, clips: Iterable[Clip]) -> Iterator[Clip]:
        """The clips, whose scores are looked at."""
        for clip in clips:
            if clip.has_rising_scores and self._row.holds is not Holds.all:
                self._rising.append(clip.source)
                self._highest = max(self._highest, float(clip.scores.max()))
            yield clip

    def nobody(self, clip: Clip) -> None:
        """Nobody was seen in a clip."""
        self._nobody.append(clip.source)

    def tell(self) -> None:
        """Log them."""
        if self._rising:
            log.warning(
                "scores of %s reach %.2f and become confidences of 1 at most; the model is not"
                " calibrated (`rtmpose eval pose --calibrate`)",
                _named(self._rising),
                self._highest,
            )
        if self._nobody:
            log.warning("nobody was seen in %s: nothing is written of it", _named(self._nobody))


def _named(sources: list[str]) -> str:
    more = len(sources) - 1
    return f"{sources[0]} and {more} more sources" if more else sources[0]


def check_name(output: Path, row: LabFormat) -> None:
    """Refuse a name that is meant as something that this format is not.

    Args:
        output: File or folder to be written.
        row: The format.

    Raises:
        InputError: it is standard output, or ends as files of another format do.
    """
    if str(output) in ("-", "/dev/stdout"):
        raise InputError("convert writes files and folders, not standard output: name one with -o")
    if output.is_dir():
        return
    wanted = row.suffix.lower()
    end = output.suffix.lower()
    if end in FILE_SUFFIXES and not (wanted and wanted.endswith(end)):
        files = f"files of --to {row.name} end in {wanted}" if wanted else "it writes a folder"
        raise InputError(
            f"{output} ends in {end}, and {files}; name it so, or a folder without such an end"
        )


def with_people(clips: Iterable[Clip], numbers: Sequence[int]) -> Iterator[Clip]:
    """Some people of clips; clips without any of them are left out, with a warning.

    Args:
        clips: What was read.
        numbers: Ids of people. In a clip without ids the only person is 1.

    Raises:
        InputError: nobody has one of the numbers, or nothing says who is who.
    """
    missing = set(numbers)
    first: Clip | None = None
    for clip in (clip if clip.still else clip.with_ids() for clip in clips):
        first = first or clip
        own = [number for number in numbers if number in clip.person_ids]
        missing -= set(own)
        if own or clip.still:
            yield clip.people(own)
        else:
            people = " or ".join(str(number) for number in numbers)
            log.warning("there is no person %s in %s: it is left out", people, clip.source)
    if missing and first is not None:
        # Says which there are.
        first.people(sorted(missing))


def _videos(clips: Iterable[Clip]) -> Iterator[Clip]:
    """The clips without the photos among them.

    Raises:
        InputError: there are photos only.
    """
    photos = videos = 0
    last = ""
    for clip in clips:
        if not clip.still:
            videos += 1
            yield clip
            continue
        photos += 1
        last = clip.source
    if photos and not videos:
        raise InputError(
            f"{last} is a photo, and the format holds movement; for photos there are coco,"
            " yolo-pose, cvat, label-studio and fiftyone"
        )
    if photos:
        log.warning("%d photos among the videos are left out: the format holds movement", photos)


def _check_options(options: LabOptions, row: LabFormat) -> None:
    """Refuse what the format has no place for."""
    if options.meters_per_pixel is not None and not row.in_meters:
        raise InputError(f"--to {row.name} has pixels; leave --meters-per-pixel out")
    if options.floor_y is not None and options.meters_per_pixel is None:
        raise InputError("--floor-y is for meters, with --meters-per-pixel; leave it out")
    default = LabOptions()
    for name, form in OPTIONS_OF.items():
        if getattr(options, name) != getattr(default, name) and not row.name.startswith(form):
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} is for --to {form}; leave it out for {row.name}")


# ---- one file or folder for all clips


def _write_together(clips: Iterable[Clip], target: Target, notes: Notes) -> Iterator[Path]:
    """Write all clips into one file or folder."""
    checked = _checked(clips, target.row)
    first = next(checked, None)
    if first is None:
        return
    named = target.is_file or not target.row.suffix
    path = target.output if named else target.output / f"results{target.row.suffix}"
    yield from target.write(chain([first], checked), path)


def _checked(clips: Iterable[Clip], row: LabFormat) -> Iterator[Clip]:
    """The clips, which must have one keypoint set, and ids where they are needed."""
    names: tuple[str, ...] = ()
    for clip in clips:
        names = names or clip.skeleton.keypoints
        if clip.skeleton.keypoints != names:
            raise InputError(
                f"a file of {row.name} has one keypoint set, and {clip.source} has another than"
                " the sources before it: choose with --source"
            )
        yield clip.with_ids() if row.needs_ids else clip


# ---- files of each clip, or of each person


def _write_each(clips: Iterable[Clip], target: Target, notes: Notes) -> Iterator[Path]:
    """Write the files of each clip; one that the format cannot hold costs only itself."""
    if target.is_file:
        yield from _write_single(clips, target, notes)
        return
    names = ClipNames()
    failures: list[str] = []
    count = 0
    for clip in clips:
        name = names.name(clip)
        try:
            for content, end in _contents(clip, target, notes):
                written = target.write(content, target.output / f"{name}{end}")
                count += len(written)
                yield from written
        except InputError as error:
            failures.append(str(error))
    if not failures:
        return
    if len(failures) == 1 and not count:
        raise InputError(failures[0])
    shown = "\n  ".join(failures[:SHOWN])
    more = f"\n  and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
    raise InputError(
        f"{len(failures)} sources could not be written ({count} files were):\n  {shown}{more}"
    )


def _write_single(clips: Iterable[Clip], target: Target, notes: Notes) -> Iterator[Path]:
    """Write the only thing there is into the file that was named."""
    found = (content for clip in clips for content, _ in _contents(clip, target, notes))
    first = next(found, None)
    if first is None:
        return
    count = 1 + sum(1 for _ in found)
    if count > 1:
        raise InputError(
            f"{target.output} would hold {count} people or clips, and a file of this format holds"
            " one: name a folder, or choose with --person and --source"
        )
    yield from target.write(first, target.output)


def _contents(clip: Clip, target: Target, notes: Notes) -> Iterator[tuple[Clip, str]]:
    """What goes into each file of a clip, and the end of its name."""
    row = target.row
    whole = clip.with_ids() if row.needs_ids else clip
    if row.holds is Holds.clip:
        yield whole, row.suffix
        return
    unit = ""
    if row.in_meters:
        unit = "_px" if target.options.meters_per_pixel is None else "_m"
    for number in whole.person_ids:
        yield whole.people([number]), f"_person{number:02d}{unit}{row.suffix}"
    if not whole.person_ids:
        notes.nobody(clip)
