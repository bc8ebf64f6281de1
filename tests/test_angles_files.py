"""``rtmpose angles``: what is written, and what is refused."""

import csv
import json

import numpy as np
import pytest
from walker import FPS, walker

from rtmpose.cli import main
from rtmpose.kinematics import ANGLES
from rtmpose.types import Poses
from rtmpose.writers import FrameRecord, WriterContext, format_named


def write_results(path, clips):
    """Results as `rtmpose track` writes them."""
    skeleton = clips[0].skeleton
    rates = {clip.source: clip.fps for clip in clips}
    writer = format_named("jsonl").writer(path, WriterContext(skeleton, frame_rates=rates))
    for clip in clips:
        for place, frame in enumerate(clip.frames.tolist()):
            rows = clip.rows == place
            people = Poses(
                clip.boxes[rows], clip.box_scores[rows], clip.keypoints[rows], clip.scores[rows],
                skeleton, clip.ids[rows],
            )  # fmt: skip
            time = float(clip.times[place])
            writer.write(
                FrameRecord(clip.source, frame, poses=people, time_s=time, size_wh=clip.size_wh)
            )
    writer.close()
    return path


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "walk.jsonl", [walker(frames=60, ids=(1, 2))[0]])


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_next_to_the_results(results, capsys):
    assert main(["angles", str(results), "--filter", "none"]) == 0
    path = results.with_name("walk_angles.csv")
    assert f"wrote {path}" in capsys.readouterr().out
    rows = table(path)
    assert len(rows) == 120
    assert list(rows[0]) == ["source", "frame", "time_s", "id", "facing", "filled", *ANGLES]
    _, truth = walker(frames=60, ids=(1, 2))
    for number in (1, 2):
        own = [row for row in rows if int(row["id"]) == number]
        assert [int(row["frame"]) for row in own] == list(range(60))
        knee = np.array([float(row["left_knee_flexion"]) for row in own])
        expected = truth[number - 1][:, ANGLES.index("left_knee_flexion")]
        np.testing.assert_allclose(knee, expected, atol=0.05)
        assert {row["facing"] for row in own} == {"right"}
        assert float(own[7]["time_s"]) == 7 / FPS
    about = json.loads(path.with_name("walk_angles.info.json").read_text(encoding="utf-8"))
    assert (about["filter"], about["gap_frames"]) == ("none", 10)


def test_the_filter_and_gaps_are_stated(results, tmp_path):
    folder = tmp_path / "mot"
    assert main(["angles", str(results), "-o", str(folder), "--cutoff", "8"]) == 0
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == ["walk_person01.mot", "walk_person02.mot"]
    text = paths[0].read_text(encoding="utf-8")
    assert "Butterworth low-pass filter of order 4 without lag, 8 Hz" in text
    assert "nRows=60\nnColumns=23\ninDegrees=yes\n" in text


def test_meters_are_columns(results, tmp_path, capsys):
    path = tmp_path / "m.csv"
    line = ["--length", "left_knee,left_ankle,0.42", "--floor", "0,400,640,400"]
    assert main(["angles", str(results), "-o", str(path), *line]) == 0
    assert "--meters-per-pixel 0.007 --floor-y 400.0" in capsys.readouterr().out
    row = table(path)[30]
    assert float(row["hip_y_m"]) == pytest.approx(140 * 0.007, abs=1e-3)


def test_parquet_says_how_it_was_made(results, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    path = tmp_path / "walk.parquet"
    assert main(["angles", str(results), "-o", str(path)]) == 0
    read = parquet.read_table(path)
    assert read.num_rows == 120
    about = json.loads(read.schema.metadata[b"rtmpose_angles"])
    assert (about["cutoff_hz"], about["filter_order"], about["zero_lag"]) == (6.0, 4, True)
    assert about["sources"][0]["people"][0]["facing_from"] == "feet"


def test_sources_of_one_name_have_files_of_their_own(tmp_path):
    first, _ = walker(frames=30)
    second, _ = walker(frames=30, source="b/walk.mp4", facing=-1)
    results = write_results(tmp_path / "two.jsonl", [first, second])
    assert main(["angles", str(results), "-o", str(tmp_path / "mot")]) == 0
    names = sorted(path.name for path in (tmp_path / "mot").iterdir())
    assert names == ["walk_2_person01.mot", "walk_person01.mot"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x.mot"], "holds one person, and there are 2"),
        (["-o", "x.xlsx"], "none of .csv, .parquet and .mot"),
        (["-o", "walk.jsonl"], "what is read"),
        (["--person", "9"], "there is no person 9"),
        (["--source", "other"], "no source 'other'"),
        (["--plot", "x.gif"], "none of .png"),
        (["--height-m", "1.7", "--length", "nose,neck,1"], "both set the scale"),
    ],
)
def test_mistakes_are_named(results, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(results.parent)
    assert main(["angles", "walk.jsonl", *arguments]) == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in results.parent.iterdir()] == ["walk.jsonl"]


def test_another_rate_is_slow_motion(results, tmp_path):
    path = tmp_path / "slow.csv"
    assert main(["angles", str(results), "-o", str(path), "--fps", "240"]) == 0
    assert float(table(path)[12]["time_s"]) == 12 / 240
