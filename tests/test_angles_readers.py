"""Angles beside those of Sports2D from the same keypoints, and .mot files in OpenSim."""

import json

import av
import numpy as np
import pytest
from lab_clips import read_by
from walker import FPS, SIZE, walker

from rtmpose.kinematics import ANGLES, AngleOptions
from rtmpose.kinematics.clips import clip_angles
from rtmpose.kinematics.files import write_angles
from rtmpose.writers.convert import convert_clips
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import lab_format

pytestmark = pytest.mark.slow

THEIRS = {
    name: f"{side} {part}"
    for side in ("left", "right")
    for part, name in (
        ("ankle", f"{side}_ankle_dorsiflexion"),
        ("knee", f"{side}_knee_flexion"),
        ("hip", f"{side}_hip_flexion"),
        ("shoulder", f"{side}_shoulder_flexion"),
        ("elbow", f"{side}_elbow_flexion"),
        *(
            (segment, f"{side}_{segment}")
            for segment in ("foot", "shank", "thigh", "arm", "forearm")
        ),
    )
} | {"trunk": "trunk", "head": "head"}

SPORTS2D = """
import json, os, sys
os.environ["MPLBACKEND"] = "Agg"
from pathlib import Path
import rtoml, Sports2D
from Sports2D import Sports2D as runner
demo = Path(Sports2D.__file__).parent / "Demo" / "Config_demo.toml"
config = rtoml.load(demo)
folder, video, trc, with_filter = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "1"
config["base"].update(video_input=video, video_dir=str(folder), load_trc_px=trc,
    visible_side=["auto"], nb_persons_to_detect=1, show_realtime_results=False,
    person_ordering_method="highest_likelihood", save_vid=False,
    save_img=False, result_dir=str(folder / "theirs"), time_range=[])
config["px_to_meters_conversion"].update(to_meters=False, make_c3d=False, save_calib=False)
config["post-processing"].update(interpolate=False, reject_outliers=False, filter=with_filter,
    show_graphs=False, save_graphs=False, fill_large_gaps_with="nan")
config["kinematics"].update(do_ik=False)
runner.process(config)
(mot,) = sorted((folder / "theirs").rglob("*person00.mot"))
lines = mot.read_text().splitlines()
start = lines.index("endheader") + 1
names = lines[start].split("\\t")
rows = [[float(v) if v else None for v in line.split("\\t")] for line in lines[start + 1:]]
print(json.dumps({"names": names, "rows": rows}))
"""

OPENSIM = """
import json, sys, opensim
opensim.Logger.setLevelString("Off")
table = opensim.TimeSeriesTable(sys.argv[1])
storage = opensim.Storage(sys.argv[1])
rows = [[table.getRowAtIndex(i)[k] for k in range(table.getNumColumns())]
        for i in range(table.getNumRows())]
print(json.dumps({"labels": list(table.getColumnLabels()), "rows":
  [[None if v != v else v for v in row] for row in rows],
  "times": list(table.getIndependentColumn()), "degrees": storage.isInDegrees()}))
"""


def blank_video(path, frames):
    """A video of the length of a clip."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=int(FPS))
        stream.width, stream.height = SIZE
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for _ in range(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode(None))


@pytest.mark.parametrize("facing", [1, -1])
@pytest.mark.parametrize("filtered", [False, True])
def test_angles_are_those_of_sports2d(tmp_path, facing, filtered):
    clip, _ = walker(facing=facing)
    noise = np.random.default_rng(1).normal(0, 0.5, clip.keypoints.shape)
    clip.keypoints[:] += noise.astype(np.float32)
    (trc,) = convert_clips([clip], lab_format("trc"), tmp_path / "walk_px.trc", LabOptions())
    blank_video(tmp_path / "walk.mp4", len(clip))
    found = read_by(SPORTS2D, tmp_path, "walk.mp4", trc, int(filtered))

    options = AngleOptions(filter="butterworth" if filtered else "none")
    (ours,) = clip_angles(clip, options).people
    theirs = np.array(found["rows"], dtype=object).astype(float)
    assert len(theirs) == len(clip)
    medians = {}
    for name, column in THEIRS.items():
        values = theirs[:, found["names"].index(column)]
        difference = np.abs((ours.values[:, ANGLES.index(name)] - values + 180) % 360 - 180)
        medians[name] = float(np.median(difference))
    assert set(medians) == set(ANGLES)
    assert max(medians.values()) <= 0.5, json.dumps(medians, indent=1)
    if not filtered:
        assert max(medians.values()) <= 0.01


def test_mot_in_opensim(tmp_path):
    clip, _ = walker(frames=60)
    clip.keypoints[20:35, clip.skeleton.keypoints.index("left_knee")] = np.nan
    options = AngleOptions()
    measured = clip_angles(clip, options)
    (path,) = write_angles([measured], tmp_path / "walk.mot", options)
    found = read_by(OPENSIM, path)
    assert found["labels"] == list(ANGLES)
    assert found["degrees"] is True
    np.testing.assert_allclose(found["times"], clip.times, atol=1e-12)
    values = np.array(found["rows"], dtype=object).astype(float)
    np.testing.assert_allclose(values, measured.people[0].values, atol=1e-4)
