"""Every format of the labs is read back by the program it is for, and equals our arrays."""

import subprocess

import numpy as np
import pytest
from lab_clips import (
    COUNT,
    FIRST,
    FPS,
    READERS,
    SEEN,
    SIZE,
    array,
    convert,
    made_clip,
    read_by,
)

pytestmark = pytest.mark.slow


# ---- motion


OPENSIM = """
import json, sys, opensim
opensim.Logger.setLevelString("Off")
table = opensim.TimeSeriesTableVec3(sys.argv[1])
rows = [[[v[0], v[1], v[2]] for v in (row[k] for k in range(row.size()))]
        for row in (table.getRowAtIndex(i) for i in range(table.getNumRows()))]
rows = [[[None if x != x else x for x in v] for v in row] for row in rows]
data = opensim.MarkerData(sys.argv[1])
print(json.dumps({"labels": list(table.getColumnLabels()),
  "times": list(table.getIndependentColumn()), "units": table.getTableMetaDataString("Units"),
  "rows": rows, "frames": data.getNumFrames(),
  "rate": data.getDataRate()}))
"""


@pytest.mark.parametrize("scale", [None, 0.005])
def test_trc_in_opensim(tmp_path, scale):
    clip = made_clip()
    written = convert([clip], "trc", tmp_path, meters_per_pixel=scale)
    unit = "px" if scale is None else "m"
    assert [path.name for path in written] == [
        f"my clip.v2_person01_{unit}.trc",
        f"my clip.v2_person03_{unit}.trc",
    ]
    for column, path in enumerate(written):
        found = read_by(OPENSIM, path)
        assert found["units"] == unit
        assert (found["frames"], found["rate"]) == (COUNT, FPS)
        assert found["labels"][:2] == ["Nose", "LEye"]
        assert found["labels"][-6:] == [
            "LBigToe", "RBigToe", "LSmallToe", "RSmallToe", "LHeel", "RHeel",
        ]  # fmt: skip
        np.testing.assert_allclose(found["times"], clip.times, atol=1e-12)
        places = array(found["rows"])
        expected = clip.tracks().keypoints[:, column].astype(float)
        if scale is not None:
            expected = np.stack([expected[..., 0], SIZE[1] - expected[..., 1]], axis=-1) * scale
        np.testing.assert_allclose(places[..., :2], expected, atol=1e-6)
        known = np.isfinite(expected[..., 0])
        assert (places[known][:, 2] == 0).all()


EZC3D = """
import json, sys, ezc3d, numpy as np
file = ezc3d.c3d(sys.argv[1])
point = file["parameters"]["POINT"]
values = {k: point[k]["value"] for k in ("LABELS", "UNITS", "RATE", "X_SCREEN", "Y_SCREEN")}
values = {k: [float(x) if k == "RATE" else x for x in v] for k, v in values.items()}
points = file["data"]["points"]
values["points"] = np.where(np.isnan(points), None, points).tolist()
values["residuals"] = file["data"]["meta_points"]["residuals"][0].tolist()
print(json.dumps(values))
"""


@pytest.mark.parametrize("scale", [None, 0.005])
def test_c3d_in_ezc3d(tmp_path, scale):
    clip = made_clip()
    written = convert([clip], "c3d", tmp_path, meters_per_pixel=scale)
    found = read_by(EZC3D, written[1])
    assert found["UNITS"] == ["px" if scale is None else "mm"]
    assert found["RATE"] == [FPS]
    assert len(found["LABELS"]) == 26
    expected = clip.tracks().keypoints[:, 1].astype(float)
    if scale is not None:
        expected = np.stack([expected[..., 0], SIZE[1] - expected[..., 1]], axis=-1) * scale * 1000
    points = array(found["points"])
    np.testing.assert_allclose(points[:2], expected.transpose(2, 1, 0), atol=2e-4)
    residuals = np.array(found["residuals"])
    missing = np.isnan(expected[..., 0]).T
    assert (residuals[missing] == -1).all()
    confidences = clip.tracks().confidences[:, 1].T
    np.testing.assert_allclose(residuals[~missing], confidences[~missing], atol=0.011)


# ---- behavior


MOVEMENT = """
import json, sys
from movement.io import load_poses
if sys.argv[2] == "netcdf":
    import xarray
    from movement.validators.datasets import ValidPosesInputs
    data = xarray.load_dataset(sys.argv[1])
    ValidPosesInputs.validate(data)
else:
    data = load_poses.from_file(sys.argv[1], source_software="DeepLabCut", fps=float(sys.argv[3]))
import numpy as np
def plain(values):
    return np.where(np.isnan(values), None, values).tolist()
print(json.dumps({"position": plain(data.position.values),
  "confidence": plain(data.confidence.values), "dims": list(data.position.dims),
  "time": data.time.values.tolist(), "fps": float(data.attrs["fps"]),
  "keypoints": data.keypoints.values.tolist(),
  "individuals": data.individuals.values.tolist() }))
"""


def check_movement(found, tracks, clip):
    assert found["dims"] == ["time", "space", "keypoints", "individuals"]
    assert found["keypoints"] == list(clip.skeleton.keypoints)
    expected = tracks.keypoints.transpose(0, 3, 2, 1)
    np.testing.assert_allclose(array(found["position"]), expected, atol=1e-4)
    known = np.isfinite(expected[:, 0])
    confidence = tracks.confidences.transpose(0, 2, 1)
    np.testing.assert_allclose(array(found["confidence"])[known], confidence[known], atol=1e-6)


def test_netcdf_in_movement(tmp_path):
    clip = made_clip()
    (path,) = convert([clip], "movement", tmp_path / "a.nc")
    found = read_by(MOVEMENT, path, "netcdf")
    check_movement(found, clip.tracks(), clip)
    assert found["individuals"] == ["person1", "person3"]
    assert found["fps"] == FPS
    np.testing.assert_allclose(found["time"], clip.times, atol=1e-12)


@pytest.mark.parametrize("name", ["deeplabcut", "deeplabcut-h5"])
@pytest.mark.parametrize("ids", [(1, 3), (3,)])
def test_deeplabcut_in_movement(tmp_path, name, ids):
    clip = made_clip(ids=ids)
    (path,) = convert([clip], name, tmp_path)
    found = read_by(MOVEMENT, path, "deeplabcut", FPS)
    tracks = clip.tracks(from_frame_0=True)
    check_movement(found, tracks, clip)
    # Readers count rows: row k is frame k of the video.
    np.testing.assert_allclose(found["time"], tracks.frames / FPS, atol=1e-9)
    assert len(found["individuals"]) == len(ids)


SLEAP_IO = """
import json, sys, numpy as np, sleap_io
labels = sleap_io.load_file(sys.argv[1])
points = labels.numpy(return_confidence=True)
print(json.dumps({"points": np.where(np.isnan(points), None, points).tolist(),
  "nodes": labels.skeletons[0].node_names, "tracks": [t.name for t in labels.tracks],
  "frames": [int(f.frame_idx) for f in labels.labeled_frames],
  "video": str(labels.videos[0].filename), "edges": len(labels.skeletons[0].edges)}))
"""


def test_sleap_in_sleap_io(tmp_path):
    clip = made_clip()
    (path,) = convert([clip], "sleap", tmp_path)
    found = read_by(SLEAP_IO, path)
    assert found["nodes"] == list(clip.skeleton.keypoints)
    assert found["tracks"] == ["person1", "person3"]
    assert found["video"] == clip.source
    assert found["edges"] == len(clip.skeleton.links)
    seen = sorted(set(SEEN[1]) | set(SEEN[3]))
    assert found["frames"] == [FIRST + place for place in seen]
    # Its arrays begin at frame 0 of the video and end with the last person.
    tracks = clip.tracks(from_frame_0=True)
    points = array(found["points"])
    expected = tracks.keypoints[: len(points)]
    np.testing.assert_allclose(points[..., :2], expected, atol=1e-4)
    known = np.isfinite(expected[..., 0])
    confidences = tracks.confidences[: len(points)]
    np.testing.assert_allclose(points[..., 2][known], confidences[known], atol=1e-6)


# ---- archives


PYNWB = """
import json, sys, ndx_pose, pynwb, numpy as np
with pynwb.NWBHDF5IO(sys.argv[1], "r") as file:
    nwb = file.read()
    behavior = nwb.processing["behavior"]
    skeleton = list(behavior["Skeletons"].skeletons.values())[0]
    people = {}
    for name, person in behavior.data_interfaces.items():
        if name == "Skeletons":
            continue
        series = [person.pose_estimation_series[n] for n in skeleton.nodes[:]]
        points = np.stack([s.data[:] for s in series], axis=1)
        certain = np.stack([s.confidence[:] for s in series], axis=1)
        first = series[0]
        people[name] = {"points": np.where(np.isnan(points), None, points).tolist(),
            "confidence": np.where(np.isnan(certain), None, certain).tolist(),
            "rate": first.rate, "start": first.starting_time,
            "times": None if first.timestamps is None else first.timestamps[:].tolist(),
            "description": person.description}
    print(json.dumps({"people": people, "nodes": list(skeleton.nodes[:]),
        "edges": skeleton.edges[:].tolist(), "subject": nwb.subject.subject_id}))
"""


def test_nwb_in_pynwb_and_its_inspector(tmp_path):
    clip = made_clip(top=1.25)
    (path,) = convert([clip], "nwb", tmp_path / "a.nwb", session_start="2026-05-31T14:30:00+02:00")
    found = read_by(PYNWB, path)
    assert found["nodes"] == list(clip.skeleton.keypoints)
    assert found["edges"] == [list(link) for link in clip.skeleton.links]
    assert list(found["people"]) == ["person1", "person3"]
    tracks = clip.tracks()
    for column, person in enumerate(found["people"].values()):
        np.testing.assert_allclose(array(person["points"]), tracks.keypoints[:, column], atol=1e-4)
        confidence = array(person["confidence"])
        np.testing.assert_allclose(confidence, tracks.confidences[:, column], atol=1e-6)
        assert np.nanmax(confidence) <= 1
        assert person["rate"] == pytest.approx(FPS)
        assert person["start"] == pytest.approx(FIRST / FPS)
        assert clip.source in person["description"]
    inspector = READERS.with_name("nwbinspector")
    arguments = [inspector, path, "--threshold", "BEST_PRACTICE_VIOLATION"]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=240)
    assert "CRITICAL" not in run.stdout + run.stderr
    assert "No issues found" in run.stdout, run.stdout[-2000:]


@pytest.mark.parametrize("scale", [None, 0.005])
def test_bids_motion_in_its_validator(tmp_path, scale):
    clips = [made_clip(), made_clip(source="b.mp4", ids=(3,))]
    folder = tmp_path / "data set"
    convert(clips, "bids-motion", folder, meters_per_pixel=scale, task="two steps")
    if not READERS.exists():
        pytest.skip("the readers are not installed: make readers")
    arguments = [READERS.with_name("bids-validator-deno"), folder, "--format", "json"]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=240)
    assert '"severity": "error"' not in run.stdout.replace('":"', '": "'), run.stdout[-3000:]
    assert run.returncode == 0, run.stderr[-2000:]
    table = folder / "sub-02" / "motion" / "sub-02_task-twosteps_tracksys-rtmpose_motion.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    values = np.array([[float("nan") if v == "n/a" else float(v) for v in row] for row in rows])
    expected = clips[0].tracks().keypoints[:, 1].astype(float)
    if scale is not None:
        expected = np.stack([expected[..., 0], SIZE[1] - expected[..., 1]], axis=-1) * scale
    np.testing.assert_allclose(values.reshape(COUNT, 26, 3)[..., :2], expected, atol=1e-6)


# ---- tracking


TRACKEVAL = """
import json, sys, contextlib, io, trackeval
out = io.StringIO()
with contextlib.redirect_stdout(out):
    data = {**trackeval.datasets.MotChallenge2DBox.get_default_dataset_config(),
        "GT_FOLDER": sys.argv[1] + "/gt", "TRACKERS_FOLDER": sys.argv[2] + "/trackers",
        "BENCHMARK": "rtmpose", "SPLIT_TO_EVAL": "all", "TRACKERS_TO_EVAL": ["rtmpose"],
        "DO_PREPROC": False, "PRINT_CONFIG": False}
    config = {**trackeval.Evaluator.get_default_eval_config(), "USE_PARALLEL": False,
        "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False,
        "PLOT_CURVES": False, "TIME_PROGRESS": False}
    metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(), trackeval.metrics.Identity()]
    result, _ = trackeval.Evaluator(config).evaluate(
        [trackeval.datasets.MotChallenge2DBox(data)], metrics)
all_of = result["MotChallenge2DBox"]["rtmpose"]["COMBINED_SEQ"]["pedestrian"]
print(json.dumps({"hota": float(all_of["HOTA"]["HOTA"].mean()),
  "mota": float(all_of["CLEAR"]["MOTA"]), "idf1": float(all_of["Identity"]["IDF1"]),
  "boxes": int(all_of["CLEAR"]["CLR_TP"])}))
"""


def test_trackeval(tmp_path):
    """Results compared with themselves as annotations are perfect: all frames are counted."""
    clips = [made_clip(), made_clip(source="e/my clip.v2.mp4", seed=1)]
    convert(clips, "trackeval", tmp_path / "results")
    convert(clips, "trackeval-truth", tmp_path / "truth")
    found = read_by(TRACKEVAL, tmp_path / "truth", tmp_path / "results")
    assert found["hota"] == pytest.approx(1)
    assert (found["mota"], found["idf1"]) == (1, 1)
    assert found["boxes"] == sum(len(clip.rows) for clip in clips)
    ini = tmp_path / "results" / "gt" / "rtmpose-all" / "my clip.v2_2" / "seqinfo.ini"
    assert f"seqLength={FIRST + COUNT}" in ini.read_text()


MOTMETRICS = """
import json, sys, motmetrics
table = motmetrics.io.loadtxt(sys.argv[1], fmt="mot15-2D")
print(json.dumps({"index": [list(map(int, i)) for i in table.index],
  "boxes": table[["X", "Y", "Width", "Height"]].values.tolist()}))
"""


def test_boxes_in_motmetrics(tmp_path):
    clip = made_clip()
    convert([clip], "trackeval", tmp_path / "results")
    path = tmp_path / "results/trackers/rtmpose-all/rtmpose/data/my clip.v2.txt"
    found = read_by(MOTMETRICS, path)
    expected = [[FIRST + p + 1, i] for p, i in zip(clip.rows, clip.ids, strict=True)]
    assert found["index"] == expected
    # Its pixels count from 1.
    boxes = np.array(found["boxes"]) + [1, 1, 0, 0]
    np.testing.assert_allclose(boxes[:, :2], clip.boxes[:, :2], atol=0.01)
    np.testing.assert_allclose(boxes[:, 2:], clip.boxes[:, 2:] - clip.boxes[:, :2], atol=0.01)
