"""The files of jobs, in the data folder, under names of our own.

DATA/jobs.sqlite
DATA/jobs/ID/source          the video as it was sent
DATA/jobs/ID/results/NAME    results, there when they are whole
"""

from __future__ import annotations

import re
import secrets
import shutil
import zipfile
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError
from rtmpose.files import atomic_binary, make_folder
from rtmpose.serve.faults import ServiceError, too_large, unusable
from rtmpose.serve.settings import ServeSettings
from rtmpose.sources import SourceInfo, SourceItem, probe
from rtmpose.sources.images import looks_like_image
from rtmpose.sources.kinds import looks_like_video
from rtmpose.writers.table import FORMATS, format_named

HEAD_BYTES = 1 << 20
"""As much of a file as FFmpeg looks at to tell its format."""
ID_PATTERN = re.compile(r"[0-9a-f]{32}")
SOURCE_NAME = "video"
"""How results name the video, whatever the client calls it."""
ANNOTATED = "annotated.mp4"
REFERRING = (
    (b"#EXTM3U", b""),
    (b"ffconcat", b""),
    (b"<MPD", b"dash:profile"),
    (b"<CompositionPlaylist", b""),
    (b"c=IN IP", b""),
)
"""Texts of formats that name other files or servers; a second text must be there too."""
MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain",
    ".zip": "application/zip",
    ".mp4": "video/mp4",
}


class JobFolders:
    """Where the files of each job lie.

    Args:
        data: The data folder; made where it is missing.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, data: Path) -> None:
        self._root = data / "jobs"
        make_folder(self._root)

    def new_id(self) -> str:
        """An id that nobody guesses."""
        return secrets.token_hex(16)

    def source(self, job: str) -> Path:
        """The video."""
        return self._folder(job) / "source"

    def results(self, job: str) -> Path:
        """The folder of the results."""
        return self._folder(job) / "results"

    def remove(self, job: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self._folder(job), ignore_errors=True)

    def remove_results(self, job: str) -> None:
        """Remove the results of a job: half of them are none."""
        shutil.rmtree(self.results(job), ignore_errors=True)

    def ids(self) -> set[str]:
        """Jobs that have a folder."""
        return {path.name for path in self._root.iterdir() if ID_PATTERN.fullmatch(path.name)}

    def _folder(self, job: str) -> Path:
        # Ids come from clients too.
        if not ID_PATTERN.fullmatch(job):
            raise InputError("that is no id of a job")
        return self._root / job


def check_head(head: bytes) -> None:
    """Refuse what is no video by its content, and what names other files.

    Args:
        head: The first MiB of the file.

    Raises:
        ServiceError: it is refused (415).
    """
    refers = any(first in head and second in head for first, second in REFERRING)
    instead = "; an image is sent to /v1/poses" if looks_like_image(head[:64]) else ""
    if refers or not looks_like_video(head[:1024]):
        raise ServiceError(
            415,
            "no_video",
            "the body is not a video of a kind that is taken: MP4, QuickTime, Matroska, WebM, AVI,"
            f" MPEG, FLV, WMV{instead}",
        )


def source_item(path: Path, settings: ServeSettings) -> SourceItem:
    """The video of a job, to be read up to the limits."""
    return SourceItem(
        SOURCE_NAME, "video", content=path, limit=settings.max_frames, end_s=settings.max_seconds
    )


def check_video(path: Path, settings: ServeSettings) -> SourceInfo:
    """Open a video that was sent and compare it with the limits.

    Raises:
        ServiceError: it cannot be opened (422) or is over a limit (413).
    """
    try:
        # Without the limits, so that what it says of itself is seen.
        info = probe(SourceItem("the file", "video", content=path))
    except InputError as error:
        raise unusable(str(error)) from error
    if info.frames is not None and info.frames > settings.max_frames:
        raise too_large(f"the video has {info.frames} frames; the limit is {settings.max_frames}")
    if info.frames is not None and info.fps and info.frames / info.fps > settings.max_seconds:
        raise too_large(
            f"the video has {info.frames / info.fps:.0f} s; the limit is {settings.max_seconds:g} s"
        )
    width, height = info.size_wh or (0, 0)
    if width * height > settings.max_pixels:
        raise too_large(f"frames of {width}x{height} pixels are too large")
    return info


def output_paths(results: Path, formats: tuple[str, ...]) -> dict[str, Path]:
    """Format to the file, or folder, that its results are written to."""
    paths = {}
    for name in formats:
        row = format_named(name)
        single = "" if row.is_folder else row.suffix
        paths[name] = results / (f"people{single}" if single else name)
    return paths


def finished_files(results: Path, formats: tuple[str, ...]) -> list[dict[str, Any]]:
    """The files that a client can fetch; results that are folders become archives first.

    Raises:
        OutputError: an archive cannot be written.
    """
    found = []
    for name, path in output_paths(results, formats).items():
        if path.is_dir():
            path = _archive(path)
        if path.is_file():
            found.append(_entry(path, name))
    annotated = results / ANNOTATED
    if annotated.is_file():
        found.append(_entry(annotated, "annotated"))
    return found


def format_help() -> dict[str, str]:
    """Format to what it holds, in a line."""
    return {row.name: row.help for row in FORMATS}


def _archive(folder: Path) -> Path:
    """A folder of results as one file."""
    path = folder.with_suffix(".zip")
    with atomic_binary(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in sorted(folder.rglob("*")):
            # Records of the writers are not results.
            if entry.is_file() and not entry.name.startswith("."):
                archive.write(entry, str(entry.relative_to(folder)))
    shutil.rmtree(folder, ignore_errors=True)
    return path


def _entry(path: Path, name: str) -> dict[str, Any]:
    return {
        "name": path.name,
        "format": name,
        "bytes": path.stat().st_size,
        "media_type": MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
    }
