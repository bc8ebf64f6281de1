"""The list of jobs, in SQLite: what was accepted is there before the client hears of it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from rtmpose.errors import OutputError
from rtmpose.serve.schemas import JobEntry
from rtmpose.text_files import parse_json, to_json

QUEUED, RUNNING, DONE, FAILED, CANCELED = "queued", "running", "done", "failed", "canceled"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELED)
WAITING = (QUEUED, RUNNING)
MOST_ATTEMPTS = 3
"""A video that took the process down with it so often is not tried again."""

_FIELDS = tuple(field.name for field in fields(JobEntry))
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    bytes INTEGER NOT NULL,
    frames INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    fps REAL NOT NULL DEFAULT 0,
    people INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    settings TEXT NOT NULL,
    error TEXT,
    files TEXT NOT NULL DEFAULT '[]',
    stop INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0
)
"""
"""The fields of ``JobEntry``; ``stop`` and ``removed``: the client wants it canceled, or gone."""


class JobStore:
    """The jobs of one service. For any thread.

    Args:
        path: The database; made where it is missing.

    Raises:
        OutputError: it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._base.row_factory = sqlite3.Row
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.execute(_TABLE)

    def add(self, job: str, name: str, size: int, total: int | None, settings: str) -> JobEntry:
        """A new job, which waits."""
        columns = "id, state, name, created, bytes, total, settings"
        values = (job, QUEUED, name, time.time(), size, total, settings)
        self._write(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        row = self.get(job)
        assert row is not None
        return row

    def get(self, job: str) -> JobEntry | None:
        """A job that was not removed."""
        rows = self._read("SELECT * FROM jobs WHERE id = ? AND removed = 0", (job,))
        return rows[0] if rows else None

    def newest(self, limit: int, before: str | None = None) -> list[JobEntry]:
        """The newest jobs first, or those that came before a job."""
        older = "" if before is None else "AND number < (SELECT number FROM jobs WHERE id = ?)"
        query = f"SELECT * FROM jobs WHERE removed = 0 {older} ORDER BY number DESC LIMIT ?"
        return self._read(query, (limit,) if before is None else (before, limit))

    def count(self) -> dict[str, int]:
        """Number of jobs in each state."""
        counts = dict.fromkeys(STATES, 0)
        with self._errors(), self._lock:
            rows = self._base.execute(
                "SELECT state, COUNT(*) AS n FROM jobs WHERE removed = 0 GROUP BY state"
            ).fetchall()
        counts.update({row["state"]: row["n"] for row in rows})
        return counts

    def claim(self) -> JobEntry | None:
        """The job that waits longest, which runs from now on."""
        rows = self._read(
            "UPDATE jobs SET state = ?, started = ?, attempts = attempts + 1, frames = 0"
            " WHERE number = (SELECT MIN(number) FROM jobs"
            " WHERE state = ? AND removed = 0 AND stop = 0) RETURNING *",
            (RUNNING, time.time(), QUEUED),
        )
        return rows[0] if rows else None

    def progress(self, job: str, frames: int, total: int | None, fps: float) -> bool:
        """Note how far a job is; False where it is to stop."""
        query = "UPDATE jobs SET frames = ?, total = COALESCE(?, total), fps = ? WHERE id = ?"
        self._write(query, (frames, total, fps, job))
        wanted = "SELECT * FROM jobs WHERE id = ? AND stop = 0 AND removed = 0"
        return bool(self._read(wanted, (job,)))

    def finish(
        self,
        job: str,
        state: str,
        *,
        error: str | None = None,
        files: list[dict[str, Any]] | None = None,
        people: int = 0,
        frames: int = 0,
    ) -> None:
        """A job has ended."""
        self._write(
            "UPDATE jobs SET state = ?, finished = ?, error = ?, files = ?, people = ?,"
            " frames = MAX(frames, ?) WHERE id = ?",
            (state, time.time(), error, to_json(files or []), people, frames, job),
        )

    def queue_again(self, job: str) -> None:
        """A job that was interrupted waits again, or is canceled where that was wanted. The
        attempt does not count.
        """
        self._write(
            "UPDATE jobs SET state = CASE stop WHEN 0 THEN ? ELSE ? END,"
            " finished = CASE stop WHEN 0 THEN NULL ELSE ? END, attempts = attempts - 1"
            " WHERE id = ?",
            (QUEUED, CANCELED, time.time(), job),
        )

    def stop(self, job: str) -> JobEntry | None:
        """Cancel a job: at once if it waits, soon if it runs."""
        self._write("UPDATE jobs SET stop = 1 WHERE id = ? AND state = ?", (job, RUNNING))
        self._write(
            "UPDATE jobs SET state = ?, finished = ? WHERE id = ? AND state = ?",
            (CANCELED, time.time(), job, QUEUED),
        )
        return self.get(job)

    def remove(self, job: str) -> bool:
        """Hide a job; True if its files can be removed at once."""
        row = self.stop(job)
        self._write("UPDATE jobs SET removed = 1 WHERE id = ?", (job,))
        return row is None or row.state != RUNNING

    def forget(self, job: str) -> None:
        """A removed job whose files are gone."""
        self._write("DELETE FROM jobs WHERE id = ?", (job,))

    def recover(self) -> None:
        """After a start: what ran when the process ended waits again."""
        self._write(
            "UPDATE jobs SET state = ?, finished = ? WHERE state = ? AND stop = 1",
            (CANCELED, time.time(), RUNNING),
        )
        self._write(
            "UPDATE jobs SET state = ?, finished = ?, error = ? WHERE state = ? AND attempts >= ?",
            (
                FAILED,
                time.time(),
                f"the service ended {MOST_ATTEMPTS} times while it worked on this video",
                RUNNING,
                MOST_ATTEMPTS,
            ),
        )
        self._write("UPDATE jobs SET state = ? WHERE state = ?", (QUEUED, RUNNING))

    def removed(self) -> list[JobEntry]:
        """Jobs that are hidden, with files that may be left."""
        return self._read("SELECT * FROM jobs WHERE removed = 1", ())

    def finished_before(self, moment: float) -> list[JobEntry]:
        """Jobs that ended before a moment."""
        query = "SELECT * FROM jobs WHERE finished < ? AND state NOT IN (?, ?)"
        return self._read(query, (moment, *WAITING))

    def known(self) -> set[str]:
        """The ids of all jobs, hidden ones included."""
        return {row.id for row in self._read("SELECT * FROM jobs", ())}

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._base.close()

    def _read(self, query: str, values: tuple[object, ...]) -> list[JobEntry]:
        with self._errors(), self._lock:
            return [_row(row) for row in self._base.execute(query, values).fetchall()]

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        with self._errors(), self._lock:
            self._base.execute(query, values)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"the list of jobs cannot be used: {error}") from error


def _row(row: sqlite3.Row) -> JobEntry:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    values["settings"] = parse_json(values["settings"], "the settings of a job")
    values["files"] = parse_json(values["files"], "the files of a job")
    return JobEntry(**values)
