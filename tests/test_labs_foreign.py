"""What labs bring: tables of DeepLabCut, folders of OpenPose, results that were moved."""

import json
import shutil

import numpy as np
import pytest
from clips import clip as video
from lab_clips import COUNT, FIRST, made_clip
from results import SKELETON, poses, record

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.results import read_results
from rtmpose.writers import WriterContext, format_named
from rtmpose.writers.convert import convert_clips
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import lab_format


def write_results(path, source, count=4):
    context = WriterContext(SKELETON, frame_rates={source: 10.0})
    writer = format_named(path.suffix[1:]).writer(path, context)
    for k in range(count):
        writer.write(record(source, k, poses(1, k, ids=[1])))
    writer.close()
    return path


# ---- DeepLabCut


@pytest.mark.parametrize("ids", [(1, 3), (3,)])
def test_our_table_of_deeplabcut_comes_back(ids, tmp_path, caplog):
    made = made_clip(ids=ids)
    (path,) = convert_clips([made], lab_format("deeplabcut"), tmp_path)
    (found,) = read_results(path)
    assert "30 frames per second are taken unless --fps says another" in caplog.text
    assert found.frames.tolist() == list(range(FIRST + COUNT))
    # A single person has no name there.
    assert found.person_ids == (ids if len(ids) > 1 else (1,))
    expected = made.tracks(from_frame_0=True)
    np.testing.assert_allclose(found.tracks().keypoints, expected.keypoints, atol=1e-4)
    known = np.isfinite(expected.keypoints[..., 0])
    confidences = found.tracks().confidences
    np.testing.assert_allclose(confidences[known], expected.confidences[known], atol=1e-6)
    # The names are those of a known set, which has links.
    assert found.skeleton is made.skeleton


THREE_LEVELS = """scorer,DLC_resnet50_walkMay1,DLC_resnet50_walkMay1,DLC_resnet50_walkMay1
bodyparts,tail tip,tail tip,tail tip
coords,x,y,likelihood
0,10.5,20.25,0.9
1,11.5,21.25,0.01
2,,,
"""


def test_a_table_of_deeplabcut_itself(tmp_path, capsys):
    path = tmp_path / "mouse 7DLC_resnet50_walkMay1shuffle1_1000.csv"
    path.write_text(THREE_LEVELS)
    (found,) = read_results(path)
    assert (found.source, found.skeleton.keypoints) == ("mouse 7", ("tail tip",))
    assert found.frames.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.keypoints[:, 0], [[10.5, 20.25], [11.5, 21.25]])
    np.testing.assert_allclose(found.scores[:, 0], [0.9, 0.01])
    line = ["convert", str(path), "--to", "trc", "--fps", "240", "-o", str(tmp_path / "out")]
    assert main(line) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == "mouse 7_person01_px.trc"
    assert made.read_text().splitlines()[2].split("\t")[0] == "240"
    assert made.read_text().splitlines()[6].split("\t")[1] == repr(1 / 240)


def test_animals_without_numbers_are_counted(tmp_path):
    head = ["scorer" + ",s" * 4, "individuals,ann,ann,bob,bob", "bodyparts" + ",nose" * 4]
    (tmp_path / "a.csv").write_text("\n".join([*head, "coords,x,y,x,y", "0,1,2,3,4", "1,,,5,6"]))
    (found,) = read_results(tmp_path / "a.csv")
    assert found.person_ids == (1, 2)
    assert found.tracks().keypoints[:, 1, 0].tolist() == [[3, 4], [5, 6]]
    assert np.isnan(found.tracks().keypoints[1, 0]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (THREE_LEVELS.replace("0,10.5", "labeled-data/a/img001.png,10.5"), "rtmpose data"),
        (THREE_LEVELS.replace("20.25", "2x"), "line 4"),
        (THREE_LEVELS.replace("1,11.5,21.25,0.01", "1,11.5"), "line 5"),
        (THREE_LEVELS.replace("coords,x,y", "coords,x,z"), "no x and y of tail tip"),
        (THREE_LEVELS.split("\n")[0], "no whole table"),
    ],
)
def test_other_tables_that_begin_so_are_refused(text, words, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_results(tmp_path / "a.csv")


# ---- OpenPose


def test_a_folder_of_openpose_itself(tmp_path, capsys):
    """Nobody in it has a number, and files have the names that OpenPose gives."""
    folder = tmp_path / "Läufer 1"
    folder.mkdir()
    for k in range(4):
        person = {"person_id": [-1], "pose_keypoints_2d": [10.0 + k, 20.0, 0.9] * 25}
        content = {"version": 1.3, "people": [person] if k != 2 else []}
        (folder / f"walk_{k:012d}_keypoints.json").write_text(json.dumps(content))
    (found,) = read_results(folder)
    assert (found.skeleton.name, len(found), len(found.rows)) == ("body25", 4, 3)
    out = tmp_path / "out"
    line = [str(folder), "--to", "trc", "--fps", "50", "-o", str(out)]
    assert main(["convert", *line]) == 0
    assert [path.name for path in out.iterdir()] == ["Läufer 1_person01_px.trc"]
    rows = (out / "Läufer 1_person01_px.trc").read_text().splitlines()[5:]
    assert [row.split("\t")[1:3] for row in rows] == [
        ["0.0", "10.000000"], ["0.02", "11.000000"], ["0.04", "NaN"], ["0.06", "13.000000"],
    ]  # fmt: skip
    assert main(["angles", str(folder), "-o", str(tmp_path / "angles.csv"), "--fps", "50"]) == 0
    assert main(["view", str(folder), "-o", str(tmp_path / "page.html")]) == 0


# ---- places


def test_the_same_results_in_several_formats(tmp_path):
    for suffix in ("json", "csv", "jsonl"):
        write_results(tmp_path / f"walk.{suffix}", "walk.mp4")
    write_results(tmp_path / "run.csv", "run.mp4")
    for name, row in (("walk_people", "npz"), ("walk_openpose", "openpose"), ("jump_json", None)):
        writer = format_named(row or "openpose").writer(
            tmp_path / name, WriterContext(SKELETON, frame_rates={"walk.mp4": 10.0})
        )
        writer.write(record("walk.mp4", 0, poses(1, ids=[1])))
        writer.close()
    assert [clip.source for clip in read_results(tmp_path)] == ["run.mp4", "walk.mp4", "jump"]


def test_a_video_that_was_moved_with_its_results(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    folder = tmp_path / "Tag 1 Größe"
    (folder / "results").mkdir(parents=True)
    write_results(folder / "results" / "walk.jsonl", "/gone/walk.avi")
    video(folder / "walk.avi", 4)
    monkeypatch.chdir(folder)
    assert main(["view", "results/walk.jsonl"]) == 0
    assert "without a video" not in capsys.readouterr().out
    shutil.move(folder / "walk.avi", folder / "results" / "walk.avi")
    assert main(["view", "results"]) == 0
    assert "without a video" not in capsys.readouterr().out
    monkeypatch.chdir(folder / "results")
    for command in ("view", "plot", "angles"):
        assert main([command, "."]) == 0
    assert main(["convert", ".", "--to", "trc"]) == 0
    made = {path.name for path in folder.iterdir() if path.name != "results"}
    assert {"results_view.html", "results_plot.png", "results_angles.csv", "results_trc"} <= made


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("slp", "did you mean sleap?"),
        ("DLC", "did you mean deeplabcut?"),
        (".nc", "did you mean movement?"),
        ("labelstudio", "did you mean label-studio?"),
        ("coco_", "did you mean coco?"),
        ("parquet", "with --parquet"),
    ],
)
def test_near_names_of_formats(name, words):
    with pytest.raises(InputError) as caught:
        lab_format(name)
    assert words in str(caught.value)
    assert "there are trc, c3d" in str(caught.value)


def test_clips_of_240_frames_per_second_keep_their_times(tmp_path):
    """From a table of DeepLabCut with a rate, and back."""
    (path,) = convert_clips([made_clip()], lab_format("deeplabcut"), tmp_path)
    (found,) = read_results(path)
    fast = found.at_rate(240.0)
    np.testing.assert_allclose(fast.times, fast.frames / 240, rtol=0, atol=1e-12)
    (trc, _) = convert_clips([fast], lab_format("trc"), tmp_path / "out", LabOptions())
    assert trc.read_text().splitlines()[-1].split("\t")[1] == repr((FIRST + COUNT - 1) / 240)
