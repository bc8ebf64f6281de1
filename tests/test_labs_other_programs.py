"""Results of other programs, told apart by content: SLEAP, DeepLabCut, movement, TRC, COCO."""

import json
from dataclasses import replace

import numpy as np
import pytest
from lab_clips import COUNT, FIRST, FPS, made_clip

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.plots.frame import source_file
from rtmpose.results import read_results
from rtmpose.writers.clip_names import ClipNames
from rtmpose.writers.convert import convert_clips
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import lab_format

NO_RATE = "30 frames per second are taken unless --fps says another"


def written(name, folder, clip=None, options=None):
    return convert_clips([clip or made_clip()], lab_format(name), folder, options)


def same_people(found, made, *, from_frame_0=False, atol=1e-3):
    """Positions and confidences of everybody in every frame."""
    expected = made.tracks(from_frame_0=from_frame_0)
    tracks = found.tracks()
    assert tracks.ids == expected.ids
    assert found.skeleton.keypoints == made.skeleton.keypoints
    places = np.searchsorted(tracks.frames, expected.frames)
    np.testing.assert_array_equal(tracks.frames[places], expected.frames)
    np.testing.assert_allclose(tracks.keypoints[places], expected.keypoints, atol=atol)
    known = np.isfinite(expected.keypoints[..., 0])
    np.testing.assert_allclose(
        tracks.confidences[places][known], expected.confidences[known], atol=1e-5
    )
    assert np.isfinite(tracks.keypoints).sum() == np.isfinite(expected.keypoints).sum()


# ---- DeepLabCut


def test_deeplabcuts_hdf5(tmp_path, caplog):
    for package in ("pandas", "tables", "h5py"):
        pytest.importorskip(package, reason=f"needs {package}")
    (path,) = written("deeplabcut-h5", tmp_path)
    (found,) = read_results(path)
    same_people(found, made_clip(), from_frame_0=True)
    assert NO_RATE in caplog.text


@pytest.mark.parametrize("individuals", [False, True])
def test_hdf5_as_movement_saves_it(individuals, tmp_path):
    """pandas' fixed form, in which DeepLabCut keeps labeled images."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    for package in ("tables", "h5py"):
        pytest.importorskip(package, reason=f"needs {package}")
    names = [("bob",), ("ann",)] if individuals else [()]
    labels = [
        ("s", *name, part, axis)
        for name in names for part in ("tail", "nose") for axis in ("x", "y", "likelihood")
    ]  # fmt: skip
    levels = ["scorer", *(["individuals"] if individuals else []), "bodyparts", "coords"]
    values = np.arange(3.0 * len(labels)).reshape(3, -1) / 100
    frame = pandas.DataFrame(values, columns=pandas.MultiIndex.from_tuples(labels, names=levels))
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing")
    (found,) = read_results(tmp_path / "a.h5")
    assert found.skeleton.keypoints == ("tail", "nose")
    assert found.frames.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.tracks().keypoints[2, -1, 1], values[2, -3:-1], atol=1e-6)
    np.testing.assert_allclose(found.tracks().scores[2, -1, 1], values[2, -1], atol=1e-6)
    frame.index = [f"labeled-data/a/img{k}.png" for k in range(3)]
    frame.to_hdf(tmp_path / "b.h5", key="df_with_missing")
    with pytest.raises(InputError, match="`rtmpose data` reads"):
        read_results(tmp_path / "b.h5")


def test_objects_in_hdf5_are_not_opened(tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = b"frame_table"
        # Harmless: the type of a builtin function.
        group.attrs["non_index_axes"] = np.bytes_(b"cbuiltins\nprint\n.")
        group["table"] = np.zeros(2, [("index", "<i8"), ("values_block_0", "<f8", (3,))])
    with pytest.raises(InputError, match=r"Python objects.*\.csv"):
        read_results(tmp_path / "a.h5")


# ---- SLEAP


def test_slp(tmp_path, caplog):
    pytest.importorskip("sleap_io", reason="needs sleap-io")
    (path,) = written("sleap", tmp_path)
    (found,) = read_results(path)
    same_people(found, made_clip())
    assert (found.source, found.size_wh) == ("d/my clip.v2.mp4", (640, 480))
    assert (found.frames[0], len(found)) == (0, FIRST + COUNT)
    assert NO_RATE in caplog.text


def test_corrections_stand_for_the_predictions_they_were_made_of(tmp_path, caplog):
    sleap_io = pytest.importorskip("sleap_io", reason="needs sleap-io")
    skeleton = sleap_io.Skeleton(["nose", "tail"])
    track = sleap_io.Track("mouse")
    video = sleap_io.Video("a.mp4", open_backend=False)

    def predicted(x, own):
        return sleap_io.PredictedInstance.from_numpy(
            np.full((2, 2), x), skeleton, point_scores=np.full(2, 0.4), score=0.5, track=own
        )

    wrong = predicted(9.0, track)
    mended = sleap_io.Instance.from_numpy(np.full((2, 2), 5.0), skeleton, track=track)
    mended.from_predicted = wrong
    people = [wrong, mended, predicted(7.0, None)]
    labels = sleap_io.Labels(
        [sleap_io.LabeledFrame(video=video, frame_idx=3, instances=people)],
        videos=[video], skeletons=[skeleton], tracks=[track],
    )  # fmt: skip
    labels.save(str(tmp_path / "a.slp"), embed=False, verbose=False)
    (found,) = read_results(tmp_path / "a.slp")
    assert found.keypoints[:, 0].tolist() == [[5.0, 5.0]]
    assert found.scores.tolist() == [[1.0, 1.0]]
    assert "1 instances of" in caplog.text


@pytest.mark.parametrize("order", [None, ("frame", "track", "node", "xy")])
def test_the_analysis_file_of_sleap(order, tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs h5py")
    matlab = ("track", "xy", "node", "frame")
    # Two tracks, three nodes, five frames.
    tracks = np.arange(60.0).reshape(2, 2, 3, 5)
    tracks[1, :, :, 2] = np.nan
    axes = [matlab.index(axis) for axis in order or matlab]
    with h5py.File(tmp_path / "walk.analysis.h5", "w") as file:
        file["tracks"] = tracks.transpose(axes)
        if order:
            file["tracks"].attrs["dims"] = json.dumps(order)
        file["track_occupancy"] = np.ones((5, 2))
        file["node_names"] = np.array([b"nose", b"neck", b"tail"])
        file["track_names"] = np.array([b"track_0", b"track_1"])
        file["edge_inds"] = np.array([[0, 1], [1, 2]])
    (found,) = read_results(tmp_path / "walk.analysis.h5")
    assert (found.source, found.person_ids, len(found)) == ("walk", (0, 1), 5)
    assert found.skeleton.links == ((0, 1), (1, 2))
    people = found.tracks().keypoints
    np.testing.assert_array_equal(people[4, 1, 2], tracks[1, :, 2, 4])
    assert np.isnan(people[2, 1]).all()


@pytest.mark.parametrize("preset", ["matlab", "standard"])
def test_the_analysis_file_that_sleap_io_writes(preset, tmp_path):
    sleap_io = pytest.importorskip("sleap_io", reason="needs sleap-io")
    if not hasattr(sleap_io, "save_analysis_h5"):
        pytest.skip("this sleap-io does not write it")
    (path,) = written("sleap", tmp_path)
    labels = sleap_io.load_slp(str(path), open_videos=False)
    sleap_io.save_analysis_h5(labels, str(tmp_path / "a.h5"), preset=preset)
    (found,) = read_results(tmp_path / "a.h5")
    same_people(found, made_clip())


# ---- movement


def test_movements_netcdf(tmp_path, caplog):
    pytest.importorskip("xarray", reason="needs xarray")
    pytest.importorskip("netCDF4", reason="needs netCDF4")
    (path,) = written("movement", tmp_path)
    (found,) = read_results(path)
    same_people(found, made_clip())
    assert (found.frames[0], found.fps) == (FIRST, FPS)
    np.testing.assert_allclose(found.times, made_clip().times)
    assert NO_RATE not in caplog.text


def test_movements_netcdf_at_an_uneven_rate(tmp_path):
    """Frames are counted where times do not tell their numbers."""
    pytest.importorskip("xarray", reason="needs xarray")
    pytest.importorskip("netCDF4", reason="needs netCDF4")
    made = made_clip()
    uneven = replace(made, times=made.times + np.arange(COUNT) % 2 * 0.3 / FPS)
    (path,) = written("movement", tmp_path, uneven)
    (found,) = read_results(path)
    assert found.frames.tolist() == list(range(COUNT))
    np.testing.assert_allclose(found.times, uneven.times)


# ---- other HDF5


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.h5", b"no results", "no HDF5 file"),
        ("a.nc", b"CDF\x01 and more", "netCDF 3"),
        ("a.results", b"\x89HDF\r\n\x1a\n", "holds HDF5"),
        ("a.dat", b'[{"image_id": 1}]', "looks like JSON"),
        ("a.json", b'{"frames": [], "fps": 3}', "an object with 'frames', 'fps'"),
    ],
)
def test_what_was_found_is_told(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_results(tmp_path / name)


def test_unknown_hdf5_is_told_by_its_names(tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["weights"] = np.zeros(2)
        file["biases"] = np.zeros(2)
    with pytest.raises(InputError, match="it holds biases, weights"):
        read_results(tmp_path / "a.h5")


# ---- TRC


def test_a_folder_of_trc_is_one_clip(tmp_path):
    assert len(written("trc", tmp_path)) == 2
    (found,) = read_results(tmp_path)
    expected = made_clip().tracks()
    np.testing.assert_allclose(found.tracks().keypoints, expected.keypoints, atol=1e-5)
    assert (found.source, found.person_ids, found.fps) == ("my clip.v2", (1, 3), FPS)
    assert found.skeleton is made_clip().skeleton
    np.testing.assert_allclose(found.times, expected.times)


def test_meters_come_back_as_meters(tmp_path, caplog):
    scaled = LabOptions(meters_per_pixel=0.004)
    written("trc", tmp_path / "a", made_clip(ids=(3,)), scaled)
    clips = read_results(tmp_path / "a")
    assert "--meters-per-pixel 0.001" in caplog.text
    again = LabOptions(meters_per_pixel=0.001, floor_y=0)
    convert_clips(clips, lab_format("trc"), tmp_path / "b", again)
    first, second = (next((tmp_path / name).iterdir()).read_text() for name in "ab")
    table, other = (
        [line.split("\t") for line in text.splitlines()[5:]] for text in (first, second)
    )
    np.testing.assert_allclose(np.array(table, float), np.array(other, float), atol=2e-6)


TRC = """PathFileType\t4\t(X/Y/Z)\ta.trc
DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames
60\t60\t2\t2\tm\t60\t1\t2
Frame#\tTime\tRHip\t\t\tNose\t\t
\t\tX1\tY1\tZ1\tX2\tY2\tZ2

1\t0.0\t0.5\t1.0\t0.0\t0.6\t1.7\t0.0
2\t0.016667\t0.51\t1.0\t0.0\t
"""


def test_trc_of_sports2d(tmp_path):
    """A blank line below the head, and markers that are lost at the end of a line."""
    (tmp_path / "demo_Sports2D_m_person00.trc").write_bytes(TRC.replace("\n", "\r\n").encode())
    (found,) = read_results(tmp_path / "demo_Sports2D_m_person00.trc")
    assert (found.person_ids, found.skeleton.keypoints) == ((0,), ("right_hip", "nose"))
    assert found.keypoints[0].tolist() == [[500, -1000], [600, -1700]]
    assert np.isnan(found.keypoints[1, 1]).all()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1.7\t0.0", "1.7\t0.4", "three dimensions"),
        ("\tm\t", "\tinch\t", "unit 'inch'"),
        ("PathFileType", "something", "no TRC file"),
        ("\n2\t0.01", "\n1\t0.01", "do not rise"),
        ("0.51\t", "zero\t", "damaged"),
    ],
)
def test_other_trc_is_refused(old, new, words, tmp_path):
    (tmp_path / "a.trc").write_text(TRC.replace(old, new))
    with pytest.raises(InputError, match=words):
        read_results(tmp_path / "a.trc")


# ---- COCO


def test_annotations_of_a_video_are_a_clip_again(tmp_path):
    made = made_clip()
    written("coco", tmp_path / "people.json", made)
    (found,) = read_results(tmp_path / "people.json")
    assert (found.source, found.size_wh, found.still) == ("my clip.v2", (640, 480), False)
    expected = made.tracks()
    np.testing.assert_allclose(found.tracks().keypoints, expected.keypoints, atol=1e-3)
    # A person is where people labeled one: there are no scores of points.
    assert set(found.scores.ravel().tolist()) == {0.0, 1.0}
    line = [str(tmp_path / "people.json"), "--to", "trc", "--fps", "240"]
    assert main(["convert", *line, "-o", str(tmp_path / "out")]) == 0


def test_annotations_of_photos_stay_photos(tmp_path):
    content = {
        "images": [{"id": 5, "file_name": "a.jpg", "width": 10, "height": 8},
                   {"id": 6, "file_name": "b.jpg"}],
        "annotations": [{"image_id": 5, "keypoints": [1, 2, 2, 0, 0, 0]},
                        {"image_id": 5, "keypoints": [3, 4, 0.7, 1, 1, 0.2]}],
        "categories": [{"id": 1, "name": "rat", "keypoints": ["nose", "tail"],
                        "skeleton": [[1, 2]]}],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(content))
    first, second = read_results(tmp_path / "a.json")
    assert (first.source, first.still, first.size_wh, second.source) == (
        "a.jpg", True, (10, 8), "b.jpg",
    )  # fmt: skip
    np.testing.assert_allclose(first.scores, [[1, 0], [0.7, 0.2]])
    assert first.ids is None
    assert len(second.rows) == 0
    assert first.skeleton.links == ((0, 1),)


# ---- where things lie


def test_the_video_of_another_program_is_found(tmp_path):
    """They name it without its suffix."""
    table = "scorer,s,s\nbodyparts,nose,nose\ncoords,x,y\n0,1,2\n"
    path = tmp_path / "day.2 walkDLC_resnet50_walkMay1shuffle1_1000.csv"
    path.write_text(table)
    (clip,) = read_results(path)
    assert source_file(clip, path) is None
    (tmp_path / "day.2 walk.MOV").touch()
    assert source_file(clip, path) == tmp_path / "day.2 walk.MOV"
    assert ClipNames().name(clip) == "day.2 walk"


def test_results_in_a_store_are_to_be_copied(capsys):
    assert main(["convert", "s3://bucket/results", "--to", "trc"]) == 1
    assert "copy the results to this machine" in capsys.readouterr().err
