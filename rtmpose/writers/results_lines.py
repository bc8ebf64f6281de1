"""Results again as JSON lines: with corrected ids, or of other programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from rtmpose.files import atomic_text
from rtmpose.types import Poses
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.clip import Clip
from rtmpose.writers.jsonl import line_of, line_text
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.run_info import header


def write_results(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write one file with a line for every frame of every clip.

    Raises:
        OutputError: it cannot be written.
    """
    context: WriterContext | None = None
    rates: dict[str, float] = {}
    # The first line has the rates of all clips, which come one after the other.
    with atomic_text(path) as file, TemporaryFile("w+", encoding="utf-8") as later:
        for clip in clips:
            context = WriterContext(clip.skeleton, models=clip.models)
            if clip.fps is not None:
                rates[clip.source] = clip.fps
            for record in _records(clip):
                later.write(line_text(line_of(record)))
        assert context is not None, "there is a clip at least"
        file.write(line_text({**header(context), "fps": rates}))
        later.seek(0)
        shutil.copyfileobj(later, file)
    return [path]


def _records(clip: Clip) -> Iterator[FrameRecord]:
    """The frames of a clip."""
    starts = np.searchsorted(clip.rows, np.arange(len(clip) + 1)).tolist()
    for place, frame in enumerate(clip.frames.tolist()):
        rows = slice(starts[place], starts[place + 1])
        poses = Poses(
            clip.boxes[rows],
            clip.box_scores[rows],
            clip.keypoints[rows],
            clip.scores[rows],
            clip.skeleton,
            None if clip.ids is None else clip.ids[rows],
        )
        time = float(clip.times[place])
        yield FrameRecord(
            clip.source, frame, time, poses, clip.filled[rows], clip.still, size_wh=clip.size_wh
        )
