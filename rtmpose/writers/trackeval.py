"""The folders of TrackEval: boxes and ids in the layout of MOT Challenge."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rtmpose.files.folders import AtomicFolder
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames
from rtmpose.writers.lab_options import LabOptions

BENCHMARK = "rtmpose"
SPLIT = "all"
TRACKER = "rtmpose"


def write_trackeval(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write results: ``trackers/rtmpose-all/rtmpose/data/SEQUENCE.txt``, with the description of
    each sequence in ``gt/rtmpose-all/SEQUENCE/seqinfo.ini`` and their list in ``gt/seqmaps``.

    Frames count from 1, as in the whole source. Only the annotations, ``gt/gt.txt`` of each
    sequence, are missing.

    Raises:
        InputError: people have no ids.
        OutputError: it cannot be written.
    """
    return _write(clips, path, as_truth=False)


def write_trackeval_truth(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write the same people as annotations, ``gt/rtmpose-all/SEQUENCE/gt/gt.txt``: what others are
    compared with, once it was corrected by hand.

    Raises:
        InputError: people have no ids.
        OutputError: it cannot be written.
    """
    return _write(clips, path, as_truth=True)


def _write(clips: Iterable[Clip], path: Path, *, as_truth: bool) -> list[Path]:
    folder = AtomicFolder(path)
    benchmark = f"{BENCHMARK}-{SPLIT}"
    try:
        namer = ClipNames()
        names: list[str] = []
        for clip in clips:
            name = namer.name(clip)
            names.append(name)
            folder.write_text(f"gt/{benchmark}/{name}/seqinfo.ini", _sequence(clip, name))
            place = f"trackers/{benchmark}/{TRACKER}/data/{name}.txt"
            if as_truth:
                place = f"gt/{benchmark}/{name}/gt/gt.txt"
            folder.write_text(place, _boxes(clip.with_ids(), as_truth=as_truth))
        folder.write_text(f"gt/seqmaps/{benchmark}.txt", "\n".join(["name", *names]) + "\n")
        folder.commit()
    except BaseException:
        folder.abandon()
        raise
    return [path]


def _boxes(clip: Clip, *, as_truth: bool) -> str:
    """A line per person and frame: frame, id, left, top, width, height, and three more."""
    assert clip.ids is not None
    frames = clip.frames[clip.rows] + 1
    places = np.concatenate([clip.boxes[:, :2], clip.boxes[:, 2:] - clip.boxes[:, :2]], axis=1)
    lines = []
    for row, frame in enumerate(frames.tolist()):
        box = ",".join(f"{value:.2f}" for value in places[row].tolist())
        # Annotations: to be counted, a pedestrian, wholly visible.
        rest = "1,1,1" if as_truth else f"{clip.box_scores[row]:.4f},-1,-1,-1"
        lines.append(f"{frame},{clip.ids[row]},{box},{rest}\n")
    return "".join(lines)


def _sequence(clip: Clip, name: str) -> str:
    """Frames of a part of a clip are numbered as in the whole clip, so that is how long it is."""
    width, height = clip.size_wh or (0, 0)
    length = int(clip.frames[-1]) + 1 if len(clip) else 0
    lines = [
        "[Sequence]",
        f"name={name}",
        "imDir=img1",
        f"frameRate={clip.rate:.10g}",
        f"seqLength={length}",
        f"imWidth={width}",
        f"imHeight={height}",
        "imExt=.jpg",
    ]
    return "\n".join(lines) + "\n"
