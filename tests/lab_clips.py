"""Made-up clips for the formats of labs, and programs of others that read the files back."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtmpose import get_skeleton
from rtmpose.errors import MissingDependencyError
from rtmpose.writers.clip import Clip
from rtmpose.writers.convert import convert_clips
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import lab_format

ROOT = Path(__file__).parents[1]
READERS = ROOT / ".venv-readers" / "bin" / "python"
LABELING = ROOT / ".venv-readers-labeling" / "bin" / "python"
FPS = 240.0
SIZE = (640, 480)
FIRST, COUNT = 10, 30
SEEN = {1: range(3, 25), 3: range(28)}
"""Person to the places of the frames that show it: others come and go, the first and last frames
may show nobody.
"""
MISSING = 2
"""A point of person 3 that is missing in every second frame."""


def made_clip(skeleton="halpe26", source="d/my clip.v2.mp4", *, ids=(1, 3), seed=0, top=1.0):
    """People 1 and 3 of a clip that begins at frame 10."""
    keypoints = get_skeleton(skeleton)
    rng = np.random.default_rng(seed)
    places = sorted((place, number) for number in ids for place in SEEN[number])
    rows = len(places)
    points = rng.uniform(20, 400, (rows, len(keypoints), 2)).astype(np.float32)
    scores = rng.uniform(0.35, top, (rows, len(keypoints))).astype(np.float32)
    for row, (place, number) in enumerate(places):
        if number == 3 and place % 2:
            points[row, MISSING] = np.nan
            scores[row, MISSING] = 0
    corner = rng.uniform(0, 50, (rows, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(100, 300, (rows, 2))], axis=1)
    frames = np.arange(FIRST, FIRST + COUNT)
    return Clip(
        source,
        keypoints,
        frames,
        frames / FPS,
        np.array([place for place, _ in places], np.int64),
        np.array([number for _, number in places], np.int64),
        boxes.astype(np.float32),
        rng.uniform(0.5, 1, rows).astype(np.float32),
        points,
        scores,
        np.zeros(rows, bool),
        None,
        FPS,
        SIZE,
        False,
        {"pose": "rtmpose-s", "detector": "rtmdet-nano"},
    )


def photo(source, seed=0):
    """Two people in a photo."""
    clip = made_clip("coco17", source, seed=seed)
    kept = np.arange(len(clip.rows)) < 2
    two = clip.rows_where(kept)
    return Clip(
        source,
        two.skeleton,
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(2, np.int64),
        None,
        two.boxes,
        two.box_scores,
        two.keypoints,
        two.scores,
        two.filled,
        size_wh=SIZE,
        still=True,
    )


def read_by(code, *arguments, python=READERS, timeout=240, path=None):
    """What a program of others, in an environment of its own, prints as JSON in its last line.

    With a path the program may import from there what its own environment lacks.
    """
    if not python.exists():
        pytest.skip("the readers are not installed: make readers")
    line = [python, "-W", "ignore", "-c", code, *map(str, arguments)]
    variables = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    run = subprocess.run(
        line, capture_output=True, text=True, timeout=timeout, check=False, env=variables
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.strip().splitlines()[-1])


def convert(clips, name, output, **options):
    """Write clips in a format; the test is left out where its packages are not installed."""
    row = lab_format(name)
    try:
        row.check_installed()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    return convert_clips(clips, row, output, LabOptions(**options))


def array(values):
    """Numbers that were printed as JSON; null is NaN."""
    return np.array(values, dtype=object).astype(float)
