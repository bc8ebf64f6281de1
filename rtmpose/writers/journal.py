"""Results as they come, one line per frame, turned into COCO JSON and CSV at the end.

The journal lies beside the first output as ``<output>.part``. A killed job keeps it, and ``resume``
goes on from it: the frames of finished sources stay, those of the source that was being read are
dropped.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rtmpose.errors import InputError, OutputError
from rtmpose.types import Frame, Poses, Skeleton


class ResultWriter:
    """Streams poses to disk. A context manager: leaving it without an error completes the outputs.

    Args:
        json_path: COCO results to write, or None.
        csv_path: Table to write, or None.
        settings: What the results depend on; a resumed job must have the same.
        skeleton: Names the columns of the table.
        resume: Go on from the journal, or from finished outputs, of an earlier run.

    Raises:
        InputError: the earlier run had other settings.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        json_path: Path | None,
        csv_path: Path | None,
        settings: Mapping[str, Any],
        skeleton: Skeleton,
        *,
        resume: bool = False,
    ) -> None:
        self._json, self._csv, self._skeleton = json_path, csv_path, skeleton
        first = json_path or csv_path
        self._journal = first.with_name(first.name + ".part") if first else None
        self._done: set[str] = set()
        self._file: IO[str] | None = None
        self.people = 0
        self.failed = False
        if self._journal is None:
            return
        with _disk(self._journal):
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            if csv_path:
                csv_path.parent.mkdir(parents=True, exist_ok=True)
            if resume and self._journal.exists():
                self._take_over(dict(settings))
            self._file = self._journal.open("a" if self._done else "w", encoding="utf-8")
            if not self._done:
                self._line({"settings": dict(settings)})

    def is_done(self, source: str) -> bool:
        """Whether an earlier run finished this source."""
        return source in self._done

    def write(self, source: str, frame: Frame, poses: Poses, *, video: bool = False) -> None:
        """Add the poses of one frame; on disk when this returns.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.people += len(poses)
        if self._file is None:
            return
        stem = Path(source).stem
        rows = poses.to_coco(int(stem) if stem.isdecimal() else Path(source).name)
        entry: dict[str, Any] = {
            "source": source,
            "people": rows,
            "box_scores": poses.box_scores.round(4).tolist(),
        }
        if video:
            entry |= {"frame": frame.index, "time_s": round(frame.time_s, 4)}
        self._line(entry)

    def finish(self, source: str) -> None:
        """Mark a source as done."""
        self._done.add(source)
        self._line({"done": source})

    def close(self, *, complete: bool = True) -> None:
        """Write the outputs from the journal; a complete run removes it, any other keeps it for
        ``resume``.

        Raises:
            OutputError: an output cannot be written; the journal stays.
        """
        if self._file is None or self._journal is None:
            return
        file, self._file = self._file, None
        with _disk(self._journal):
            file.close()
        if self._json:
            with _atomic(self._json) as out:
                _write_json(out, self._entries())
        if self._csv:
            with _atomic(self._csv) as out:
                _write_csv(out, self._entries(), self._skeleton)
        if complete and not self.failed:
            # The names of finished sources stay, so that a later --resume knows them.
            self._journal.unlink(missing_ok=True)

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif isinstance(error, OutputError):
            with suppress(OSError):  # the disk is full: writing the outputs would fail again
                if self._file:
                    self._file.close()
        else:
            self.close(complete=False)

    def _line(self, entry: dict[str, Any]) -> None:
        if self._file is None or self._journal is None:
            return
        with _disk(self._journal):
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._file.flush()

    def _entries(self) -> Iterator[dict[str, Any]]:
        """The frames in the journal, read line by line so that long videos do not fill the memory."""
        assert self._journal is not None
        with self._journal.open(encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if "people" in entry:
                    yield entry

    def _take_over(self, settings: dict[str, Any]) -> None:
        """Read an earlier journal; keep the lines of finished sources only. A torn last line is
        dropped.
        """
        assert self._journal is not None
        lines, before = [], None
        with self._journal.open(encoding="utf-8") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    break
                if "settings" in entry:
                    before = entry["settings"]
                elif "done" in entry:
                    self._done.add(entry["done"])
                lines.append((entry, line))
        now = json.loads(json.dumps(settings))
        if before is not None and before != now:
            changed = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
            raise InputError(
                f"{self._journal} was made with other settings ({', '.join(changed)}); run it again"
                " with the same ones, or without --resume"
            )
        kept = [
            text
            for e, text in lines
            if "settings" in e or e.get("source", e.get("done")) in self._done
        ]
        with _atomic(self._journal) as out:
            out.writelines(kept)


def _write_json(out: IO[str], entries: Iterator[dict[str, Any]]) -> None:
    out.write("[")
    separator = "\n"
    for entry in entries:
        place = {k: entry[k] for k in ("frame", "time_s") if k in entry}
        for person in entry["people"]:
            out.write(separator + json.dumps({"image": entry["source"], **place, **person}))
            separator = ",\n"
    out.write("\n]\n")


def _write_csv(out: IO[str], entries: Iterator[dict[str, Any]], skeleton: Skeleton) -> None:
    table = csv.writer(out)
    points = [f"{name}_{part}" for name in skeleton.keypoints for part in ("x", "y", "score")]
    head = [
        "image",
        "frame",
        "time_s",
        "person",
        "box_x1",
        "box_y1",
        "box_x2",
        "box_y2",
        "box_score",
        "score",
    ]
    table.writerow(head + points)
    for entry in entries:
        for i, person in enumerate(entry["people"]):
            x, y, w, h = person["bbox"]
            box = [round(v, 2) for v in (x, y, x + w, y + h)]
            place = [entry["source"], entry.get("frame", 0), entry.get("time_s", 0), i]
            table.writerow(
                [*place, *box, entry["box_scores"][i], person["score"], *person["keypoints"]]
            )


@contextmanager
def _atomic(path: Path) -> Iterator[IO[str]]:
    """A text file that appears under its name only when it is whole."""
    with _disk(path):
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
        )
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none.

    Raises:
        OutputError: it cannot be written.
    """
    with _disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _atomic(path) as out:
        out.write(text)
