"""Batches in this process: what they are given, and what they made."""

import csv

import pytest
from clips import clip
from jobs import image

from rtmpose.cli import main


class BatchRuns:
    """Runs the command; its status, output and errors.

    Args:
        folder: Where the output folders lie.
        options: Models and engine.
        capsys: Of pytest.
    """

    def __init__(self, folder, options, capsys):
        self.out = folder / "out"
        self._folder = folder
        self._options = options
        self._capsys = capsys

    def __call__(self, *arguments, out="out", form="csv"):
        place = out if "://" in out else str(self._folder / out)
        line = ["batch", *map(str, arguments), "--out", place, *self._options]
        status = main([*line, "--format", form])
        captured = self._capsys.readouterr()
        return status, captured.out, captured.err


def make_sources(folder):
    """Five photos, a clip, and two files that are neither."""
    for number in range(5):
        image(folder / f"{number}.png", 60 + 20 * number)
    clip(folder / "clip.avi", 6)
    (folder / "bad.jpg").write_text("no picture")
    (folder / "empty.mp4").touch()
    return folder


def parquet_rows(out):
    """All rows of a data set, in one order."""
    dataset = pytest.importorskip("pyarrow.dataset", reason="reads Parquet")
    table = dataset.dataset(out / "data", format="parquet").to_table()
    return table.sort_by([(name, "ascending") for name in ("source", "frame", "person")])


def csv_rows(out):
    rows = []
    for path in sorted((out / "data").glob("*.csv")):
        with path.open() as file:
            rows += list(csv.DictReader(file))
    return sorted((row["source"], int(row["frame"])) for row in rows)


def snapshot(out):
    return {p: p.stat().st_mtime_ns for name in ("data", "ledger") for p in (out / name).iterdir()}


SLOW_BATCH = (
    "import sys, time\n"
    "import rtmpose.batch.models as models\n"
    "check = models.refuse_non_numbers\n"
    "models.refuse_non_numbers = lambda *a: (time.sleep(0.1), check(*a))\n"
    "from rtmpose.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
"""The command with a pause after each frame, so that it can be killed at work."""
