"""What a job has done so far, on disk: the means to go on after an interruption.

One JSON line for the settings, one per frame and one per finished source, written as they come.
While a job runs the journal is ``<first output>.part``, or ``.rtmpose.part`` within the first
output folder. It is removed when the job is complete. Where all outputs are files per source a
short record, ``.rtmpose.done``, takes its place, so that a later ``--resume`` skips the sources
that are finished. A journal that is not resumed is set aside under a number.
"""

from __future__ import annotations

import base64
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rtmpose import __version__
from rtmpose.errors import InputError
from rtmpose.files import atomic_text, make_folder, output_errors
from rtmpose.files.temporaries import free_name
from rtmpose.shown_names import shown_name
from rtmpose.text_files import parse_json, to_json
from rtmpose.types import FloatArray, Poses, Skeleton
from rtmpose.writers.base import FrameRecord
from rtmpose.writers.names import MAX_BYTES

log = logging.getLogger(__name__)

PART = ".part"
FOLDER_PART = ".rtmpose.part"
FOLDER_DONE = ".rtmpose.done"

LONGEST_NAME = MAX_BYTES + 10
"""Bytes of a name of outputs: those of the source, and a number behind it."""

Entry = dict[str, Any]  # one line of JSON


class Journal:
    """The journal of one job.

    Args:
        path: Where it lies while the job runs; None keeps it in a temporary file, without
            ``resume``.
        settings: What the results depend on; a resumed job must have the same.
        skeleton: The keypoint set of the poses.
        done_path: Where the record of finished sources lies after a complete job; None for none.
        keep_frames: Write the poses of every frame, for outputs that are made at the end.
        resume: Go on from the journal, or the record, of an earlier job.
        still_done: From the finished sources of the earlier job, those that need not be done again.

    Attributes:
        done: Finished source to the name of its outputs.

    Raises:
        InputError: the earlier job had other settings, or its journal is not one.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        settings: Mapping[str, object],
        skeleton: Skeleton,
        *,
        done_path: Path | None = None,
        keep_frames: bool = True,
        resume: bool = False,
        still_done: Callable[[Mapping[str, str]], dict[str, str]] = dict,
    ) -> None:
        self.path = path
        self.done: dict[str, str] = {}
        self._done_path = done_path
        self._still_done = still_done
        self._stamps: dict[str, list[int] | None] = {}
        self._skeleton = skeleton
        self._keep_frames = keep_frames
        # As they come back from JSON, so that they can be compared.
        packed = to_json({**settings, "skeleton": skeleton.name})
        self._settings: Entry = parse_json(packed, "the settings")
        self._file = self._open(resume)

    def write(self, record: FrameRecord) -> None:
        """Add a frame; on disk when this returns.

        Raises:
            OutputError: the disk is full or gone.
        """
        if self._keep_frames:
            self._add(_to_entry(record))

    def finish(self, source: str, name: str) -> None:
        """Mark a source as finished; its outputs are called ``name``."""
        self.done[source] = name
        self._stamps[source] = _stamp(source)
        self._add(self._done_entry(source))

    def records(self) -> Iterator[FrameRecord]:
        """All frames, read one by one so that long videos do not fill the memory."""
        with output_errors(self._shown_path):
            self._file.flush()
            self._file.seek(0)
            try:
                # Not by iterating over the file, which reads ahead and forbids to go on writing.
                while line := self._file.readline():
                    entry = parse_json(line, self._shown_path.name, allow_nan=True)
                    if "boxes" in entry:
                        yield _from_entry(entry, self._skeleton)
            finally:
                self._file.seek(0, 2)

    def close(self, *, complete: bool) -> None:
        """End the job.

        Args:
            complete: Everything is written: the journal is removed, and the record of finished
                sources written where there is one. Otherwise the journal stays for ``resume``.

        Raises:
            OutputError: the record cannot be written.
        """
        with output_errors(self._shown_path):
            self._file.close()
        if not complete or self.path is None:
            return
        if self._done_path is not None:
            lines: list[Entry] = [self._head()]
            lines += [self._done_entry(source) for source in self.done]
            with atomic_text(self._done_path) as out:
                out.writelines(_line(entry) for entry in lines)
        with output_errors(self.path):
            self.path.unlink(missing_ok=True)

    @property
    def _shown_path(self) -> Path:
        return self.path or Path("the temporary journal")

    def _open(self, resume: bool) -> IO[str]:
        if self.path is None:
            with output_errors(self._shown_path):
                return tempfile.TemporaryFile("w+", encoding="utf-8", newline="")

        # A journal on disk: lines of an earlier run first, if it is resumed.
        make_folder(self.path.parent)
        earlier = self._earlier() if resume else None
        if not resume:
            self._set_aside()

        # What other settings found must not be mixed with what is to come.
        if earlier is not None:
            self._compare_settings(earlier)
            self._read_done(earlier)

        # A fresh journal makes the record of an earlier job void. Sources that were not finished
        # are read again, so their frames are left out.
        with output_errors(self.path), atomic_text(self.path) as out:
            out.write(_line(self._head()))
            for entry, line in _entries(earlier) if earlier is not None else ():
                source = entry.get("source", entry.get("done"))
                if isinstance(source, str) and source in self.done:
                    out.write(line)
        if self._done_path is not None:
            with output_errors(self._done_path):
                self._done_path.unlink(missing_ok=True)
        with output_errors(self.path):
            return self.path.open("r+", encoding="utf-8", newline="")

    def _earlier(self) -> Path | None:
        """The journal, or the record of finished sources, that an earlier job left."""
        for path in (self.path, self._done_path):
            if path is None:
                continue
            with output_errors(path):
                if path.exists():
                    return path
        return None

    def _read_done(self, earlier: Path) -> None:
        """Take over the finished sources, but for those that have changed since."""
        done: dict[str, str] = {}
        damaged: set[str] = set()
        for entry, _ in _entries(earlier):
            if "boxes" in entry:
                if not self._is_whole(entry):
                    damaged.add(str(entry.get("source")))
                continue
            source, name = entry.get("done"), entry.get("name")
            if source is None:
                continue
            if not (isinstance(source, str) and _is_output_name(name)):
                log.warning("a line of %s is damaged: what it was about is done again", earlier)
                continue
            self._stamps[source] = entry.get("stamp")
            if entry.get("stamp") in (None, _stamp(source)):
                done[source] = name
            else:
                log.warning("%s has changed since the earlier run and is done again", source)
        for source in sorted(damaged & done.keys()):
            log.warning("%s is done again, as its lines in %s are damaged", source, earlier)
            del done[source]
        self.done = self._still_done(done)

    def _is_whole(self, entry: Entry) -> bool:
        """Whether the line of a frame can be read back."""
        try:
            record = _from_entry(entry, self._skeleton)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError):
            return False
        number = record.index, record.time_s
        return isinstance(record.source, str) and all(isinstance(n, int | float) for n in number)

    def _done_entry(self, source: str) -> Entry:
        return {"done": source, "name": self.done[source], "stamp": self._stamps[source]}

    def _set_aside(self) -> None:
        """Keep the journal of an unfinished job that is not resumed, under another name."""
        assert self.path is not None
        with output_errors(self.path):
            if not self.path.exists():
                return
            entries = [next(iter(entry), "") for entry, _ in _entries(self.path)]
            if self.path.is_file() and entries == ["settings"]:
                return  # nothing was done yet
            aside = free_name(self.path)
            self.path.rename(aside)
        log.warning(
            "%s was left by an unfinished run and is now %s; --resume would have gone on with it",
            self.path,
            aside,
        )

    def _head(self) -> Entry:
        """The first line."""
        return {"settings": self._settings, "rtmpose": __version__}

    def _compare_settings(self, earlier: Path) -> None:
        head: Entry = next((e for e, _ in _entries(earlier) if "settings" in e), {})
        settings = head.get("settings")
        if not isinstance(settings, dict):
            raise InputError(
                f"{earlier} is not the journal of an earlier run; move it away, or run without"
                " --resume"
            )
        now = self._settings
        changed = sorted(k for k in {*settings, *now} if settings.get(k) != now.get(k))
        if changed:
            raise InputError(
                f"{earlier} was made with other settings ({', '.join(changed)}); run it again with"
                " the same ones, or without --resume"
            )
        if head.get("rtmpose") != __version__:
            log.warning(
                "%s was made by another version of rtmpose (%s; this is %s): what is added may"
                " differ from what is there",
                earlier,
                shown_name(str(head.get("rtmpose", "unknown"))),
                __version__,
            )

    def _add(self, entry: Entry) -> None:
        with output_errors(self._shown_path):
            # Reading may have left the position elsewhere.
            self._file.seek(0, 2)
            self._file.write(_line(entry))
            self._file.flush()

    def discard(self) -> None:
        """Let the file go after an error, without a word; it stays for ``resume``."""
        with suppress(OSError):
            self._file.close()


def _entries(path: Path) -> Iterator[tuple[Entry, str]]:
    """The lines of a journal, up to one that was cut short."""
    with output_errors(path), path.open(encoding="utf-8", errors="replace", newline="") as file:
        for line in file:
            try:
                entry = parse_json(line, path.name, allow_nan=True)
            except ValueError:
                return
            if not isinstance(entry, dict) or not line.endswith("\n"):
                return
            yield entry, line


def _line(entry: Entry) -> str:
    return to_json(entry, separators=(",", ":")) + "\n"


def _to_entry(record: FrameRecord) -> Entry:
    """Exact: arrays as the base64 of their bytes."""
    # Decimal text would be longer, and slower to read.
    poses = record.poses
    entry: Entry = {
        "source": record.source,
        "frame": record.index,
        "time_s": record.time_s,
        "boxes": _packed(poses.boxes),
        "box_scores": _packed(poses.box_scores),
        "keypoints": _packed(poses.keypoints),
        "scores": _packed(poses.scores),
    }
    if record.still:
        entry["still"] = True
    if record.size_wh is not None:
        entry["size"] = list(record.size_wh)
    if poses.ids is not None:
        entry["ids"] = poses.ids.tolist()
    if record.filled is not None:
        entry["filled"] = np.flatnonzero(record.filled).tolist()
    return entry


def _from_entry(entry: Entry, skeleton: Skeleton) -> FrameRecord:
    # The inverse of _to_entry.
    boxes = _unpacked(entry["boxes"]).reshape(-1, 4)
    people = len(boxes)
    poses = Poses(
        boxes,
        _unpacked(entry["box_scores"]),
        _unpacked(entry["keypoints"]).reshape(people, len(skeleton), 2),
        _unpacked(entry["scores"]).reshape(people, len(skeleton)),
        skeleton,
        np.array(entry["ids"], np.int64) if "ids" in entry else None,
    )
    filled: NDArray[np.bool_] | None = None
    if "filled" in entry:
        filled = np.zeros(people, bool)
        filled[entry["filled"]] = True
    return FrameRecord(
        entry["source"],
        entry["frame"],
        entry["time_s"],
        poses,
        filled,
        still=entry.get("still", False),
        size_wh=tuple(entry["size"]) if "size" in entry else None,
    )


def _is_output_name(name: object) -> TypeGuard[str]:
    """Whether a file of a source may be called so: damage must not lead out of the folder."""
    if not isinstance(name, str) or Path(name).name != name:
        return False
    try:
        return 0 < len(name.encode()) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False


def _stamp(source: str) -> list[int] | None:
    """Size and time of change of a source that is a file."""
    try:
        stat = Path(source).stat()
    except (OSError, ValueError):
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _packed(array: FloatArray) -> str:
    # Little-endian float32, whatever the machine.
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> FloatArray:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
