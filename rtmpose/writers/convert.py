"""Clips to files of one format: what is written where."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.files import make_folder
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import clip_names
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

log = logging.getLogger(__name__)


def convert_clips(
    clips: Sequence[Clip],
    row: LabFormat,
    output: Path,
    options: LabOptions | None = None,
    *,
    sources: Sequence[Path] = (),
) -> list[Path]:
    """Write clips in a format.

    Args:
        clips: What was read.
        row: The format.
        output: A file for one thing, if it ends as files of the format do; or else a folder that
            gets a file for each clip, or person, named after it. For formats of folders the folder.
        options: What results do not say.
        sources: Files that must not be written over.

    Returns:
        What was written.

    Raises:
        InputError: the format cannot hold it, or one file is named for several things.
        OutputError: something cannot be written.
        MissingDependencyError: a package is not installed.
    """
    options = options or LabOptions()
    row.check_installed()
    _check_options(options, row)
    if row.needs_ids:
        clips = _without_photos(clips)
    _check(clips, row)
    for clip in clips:
        if clip.has_rising_scores and row.holds is not Holds.all:
            log.warning(
                "scores of %s reach %.2f and become confidences of 1 at most; its model is not"
                " calibrated (`rtmpose eval pose --calibrate`)",
                clip.source,
                float(clip.scores.max()),
            )
    targets = list(_targets(clips, row, output, options))
    _check_targets(targets, output, sources)

    # Everything fits: write.
    written: list[Path] = []
    for content, path in targets:
        make_folder(path.parent, of=path)
        written += row.write(content, path, options)
    return written


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


def with_people(clips: Sequence[Clip], numbers: Sequence[int]) -> list[Clip]:
    """Some people of clips; clips without any of them are left out, with a warning.

    Args:
        clips: What was read.
        numbers: Ids of people. In a clip without ids the only person is 1.

    Raises:
        InputError: nobody has one of the numbers, or nothing says who is who.
    """
    clips = [clip if clip.still else clip.with_ids() for clip in clips]
    everybody = {number for clip in clips for number in clip.person_ids}
    kept = []
    for clip in clips:
        # A number that is nowhere is a mistake; the first clip says which there are.
        own = [n for n in numbers if n in clip.person_ids or n not in everybody]
        if own or clip.still:
            kept.append(clip.people(own))
        else:
            people = " or ".join(str(number) for number in numbers)
            log.warning("there is no person %s in %s: it is left out", people, clip.source)
    return kept


def _without_photos(clips: Sequence[Clip]) -> Sequence[Clip]:
    """The videos, where there are photos among them."""
    videos = [clip for clip in clips if not clip.still]
    photos = len(clips) - len(videos)
    if photos and videos:
        log.warning("%d photos among the videos are left out: the format holds movement", photos)
    return videos or clips


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


def _check(clips: Sequence[Clip], row: LabFormat) -> None:
    names = {clip.skeleton.keypoints for clip in clips}
    if row.holds is Holds.all and len(names) > 1:
        raise InputError(f"a file of {row.name} has one keypoint set, and these are {len(names)}")
    for clip in clips:
        if row.needs_ids and clip.still:
            raise InputError(
                f"{clip.source} is a photo, and {row.name} holds movement; for photos there are"
                " coco, yolo-pose, cvat, label-studio and fiftyone"
            )
        if row.needs_ids:
            clip.with_ids()


def _targets(
    clips: Sequence[Clip], row: LabFormat, output: Path, options: LabOptions
) -> Iterator[tuple[Clip | Sequence[Clip], Path]]:
    """What goes into each file or folder."""
    if row.holds is Holds.all:
        named = not row.suffix or output.name.lower().endswith(row.suffix)
        yield clips, output if named else output / f"results{row.suffix}"
        return
    unit = ""
    if row.in_meters:
        unit = "_px" if options.meters_per_pixel is None else "_m"
    for clip, name in zip(clips, clip_names(clips), strict=True):
        if row.holds is Holds.clip:
            yield clip, output / f"{name}{row.suffix}"
            continue
        whole = clip.with_ids()
        for number in whole.person_ids:
            end = f"_person{number:02d}{unit}{row.suffix}"
            yield whole.people([number]), output / f"{name}{end}"
        if not whole.person_ids:
            log.warning("nobody was seen in %s: nothing is written of it", clip.source)


def _check_targets(
    targets: list[tuple[Clip | Sequence[Clip], Path]], output: Path, sources: Sequence[Path]
) -> None:
    """Give one thing the name that was asked for; refuse it for several."""
    suffixes = {path.suffix for _, path in targets}
    is_file = output.suffix.lower() in suffixes and bool(output.suffix) and not output.is_dir()
    inside = [number for number, (_, path) in enumerate(targets) if path.parent == output]
    if is_file and inside:
        if len(targets) > 1:
            raise InputError(
                f"{output} would hold {len(targets)} people or clips, and a file of this format"
                " holds one: name a folder, or choose with --person and --source"
            )
        targets[0] = (targets[0][0], output)
    taken = {path.resolve() for path in sources}
    for _, path in targets:
        if path.resolve() in taken:
            raise InputError(f"{path} is the file that is read; choose another name")
