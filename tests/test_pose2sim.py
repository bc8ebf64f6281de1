"""Folders of OpenPose JSON that the real Pose2Sim triangulates to the right positions."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtmpose import get_skeleton
from rtmpose.types import Poses
from rtmpose.writers import FrameRecord, WriterContext, format_named

PYTHON = Path(__file__).parents[1] / ".venv-readers" / "bin" / "python"
HALPE = get_skeleton("halpe26")
FRAMES = 24
FOCAL = 1000.0
SIZE = (1280, 720)
CENTERS = ((-1.5, 0.0, 0.0), (1.5, 0.0, 0.0))
"""Two cameras next to each other, looking along z."""

TRIANGULATE = """
import sys, tomllib
import logging
logging.basicConfig(level=logging.INFO)
from pathlib import Path
import Pose2Sim
from Pose2Sim import Pose2Sim as steps
demo = Path(Pose2Sim.__file__).parent / "Demo_SinglePerson" / "Config.toml"
config = tomllib.loads(demo.read_text())
config["project"].update(project_dir=sys.argv[1], frame_rate=30, frame_range="all")
config["logging"]["use_custom_logging"] = True
steps.triangulation(config)
"""


def positions():
    """Where the 26 points are, in meters: (FRAMES, 26, 3), four meters from the cameras."""
    rng = np.random.default_rng(0)
    start = rng.uniform((-0.5, -0.9, 3.8), (0.5, 0.9, 4.2), (len(HALPE), 3))
    steps = 0.01 * np.arange(FRAMES)[:, None, None] * np.array([1.0, 0.2, 0.0])
    return start[None] + steps


def seen_from(center, points):
    """Pixels of points in space."""
    local = points - np.array(center)
    return FOCAL * local[..., :2] / local[..., 2:] + np.array(SIZE) / 2


def write_camera(project, number, points):
    context = WriterContext(HALPE, fps=30, openpose_format="pose2sim")
    row = format_named("openpose")
    writer = row.writer(project / "pose" / f"cam{number:02d}_json", context)
    pixels = seen_from(CENTERS[number - 1], points).astype(np.float32)
    for k in range(FRAMES):
        poses = Poses(
            np.array([[0, 0, *SIZE]], np.float32),
            np.ones(1, np.float32),
            pixels[k][None],
            np.full((1, len(HALPE)), 0.9, np.float32),
            HALPE,
        )
        # As with --start: the numbers in the clip do not begin at 0.
        writer.write(FrameRecord("cam.mp4", 50 + k, (50 + k) / 30, poses))
    writer.close()


def write_calibration(project):
    folder = project / "calibration"
    folder.mkdir(parents=True)
    lines = []
    for number, center in enumerate(CENTERS, 1):
        translation = [-value for value in center]
        lines += [
            f"[cam{number:02d}]",
            f'name = "cam{number:02d}"',
            f"size = [{SIZE[0]}.0, {SIZE[1]}.0]",
            f"matrix = [[{FOCAL}, 0.0, {SIZE[0] / 2}], [0.0, {FOCAL}, {SIZE[1] / 2}],"
            " [0.0, 0.0, 1.0]]",
            "distortions = [0.0, 0.0, 0.0, 0.0]",
            "rotation = [0.0, 0.0, 0.0]",
            f"translation = {translation}",
            "fisheye = false",
        ]
    (folder / "Calib.toml").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="the readers are not installed: make readers")
def test_pose2sim_triangulates_to_trc(tmp_path):
    points = positions()
    write_calibration(tmp_path)
    for number in (1, 2):
        write_camera(tmp_path, number, points)
    arguments = [PYTHON, "-c", TRIANGULATE, tmp_path]
    settings = {"capture_output": True, "text": True, "timeout": 240, "cwd": tmp_path}
    run = subprocess.run(arguments, check=False, **settings)
    assert run.returncode == 0, run.stderr[-3000:]
    (trc,) = (tmp_path / "pose-3d").glob("*.trc")
    lines = trc.read_text().splitlines()
    names = [name for name in lines[3].split("\t")[2:] if name]
    rows = np.array([[float(v) for v in line.split("\t") if v] for line in lines[5:] if line])
    assert len(rows) == FRAMES
    found = rows[:, 2:].reshape(FRAMES, len(names), 3)

    # OpenSim's axes: its x, y and z are the cameras' y, z and x.
    for marker, keypoint in (("RWrist", "right_wrist"), ("LHeel", "left_heel"), ("Neck", "neck")):
        expected = points[:, HALPE.keypoints.index(keypoint)][:, [1, 2, 0]]
        np.testing.assert_allclose(found[:, names.index(marker)], expected, atol=2e-3)
