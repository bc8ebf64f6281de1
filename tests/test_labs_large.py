"""Data sets larger than the memory: one clip is read and written at a time."""

import csv
import json
import weakref

import numpy as np
import pytest
from results import SKELETON, poses, record
from walker import walker

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.kinematics.angles import AngleOptions
from rtmpose.kinematics.clips import MeterSettings, clip_angles
from rtmpose.kinematics.files import write_angles
from rtmpose.results import Results, read_results
from rtmpose.types import Poses
from rtmpose.writers import WriterContext, format_named
from rtmpose.writers.convert import convert_clips, with_people
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import LAB_FORMATS, lab_format
from rtmpose.writers.parquet import ParquetTable


def write_lines(path, count, frames=2):
    """One file with many sources."""
    names = [f"v{k}.mp4" for k in range(count)]
    context = WriterContext(SKELETON, frame_rates=dict.fromkeys(names, 30.0))
    writer = format_named("jsonl").writer(path, context)
    people = poses(1, ids=[1])
    for name in names:
        for k in range(frames):
            writer.write(record(name, k, people, time_s=k / 30))
    writer.close()
    return path


def write_data_set(folder, count):
    """A file per source."""
    pytest.importorskip("pyarrow", reason="writes Parquet")
    folder.mkdir()
    people = poses(1, ids=[1])
    for k in range(count):
        writer = ParquetTable(folder / f"{k:05d}.parquet", WriterContext(SKELETON))
        for frame in range(2):
            writer.write(record(f"v{k}.mp4", frame, people))
        writer.close()
    return folder


class Watched:
    """Clips as they come, and how many of them there were at once."""

    def __init__(self, clips):
        self.most = 0
        self._clips = clips
        self._alive = weakref.WeakSet()

    def __iter__(self):
        for clip in self._clips:
            self._alive.add(clip)
            self.most = max(self.most, len(self._alive))
            yield clip


def test_2000_sources_are_in_memory_one_by_one(tmp_path):
    results = write_lines(tmp_path / "many.jsonl", 2000, frames=1)
    clips = Watched(Results(results))
    (path,) = convert_clips(clips, lab_format("coco"), tmp_path / "people.json")
    assert clips.most <= 3
    content = json.loads(path.read_text())
    assert [len(content[name]) for name in ("images", "annotations")] == [2000, 2000]
    assert content["annotations"][-1]["id"] == 2000


@pytest.mark.parametrize("row", LAB_FORMATS, ids=lambda row: row.name)
def test_every_format_takes_clips_as_they_come(row, tmp_path):
    if row.packages:
        for package in row.packages:
            pytest.importorskip(package, reason="writes the format")
    # A task of CVAT holds one video.
    count = 1 if row.name == "cvat" else 4
    clips = Watched(Results(write_lines(tmp_path / "a.jsonl", count)))
    assert convert_clips(clips, row, tmp_path / "out")
    assert clips.most <= 3


def test_files_of_a_data_set_are_read_one_by_one(tmp_path):
    clips = Watched(Results(write_data_set(tmp_path / "set", 12)))
    written = convert_clips(clips, lab_format("trackeval"), tmp_path / "out")
    assert clips.most <= 3
    assert len(list((written[0] / "trackers/rtmpose-all/rtmpose/data").iterdir())) == 12


def test_sources_that_take_turns_are_put_together(tmp_path):
    """Cameras that are tracked together write their frames in turns."""
    names = ("a.mp4", "b.mp4")
    context = WriterContext(SKELETON, frame_rates=dict.fromkeys(names, 10.0))
    writer = format_named("jsonl").writer(tmp_path / "both.jsonl", context)
    for k in range(4):
        for number, name in enumerate(names):
            people = poses(1, 10 * number + k, ids=[1]) if k else Poses.empty(SKELETON)
            writer.write(record(name, k, people))
    writer.close()
    clips = read_results(tmp_path / "both.jsonl")
    assert [(clip.source, len(clip), len(clip.rows)) for clip in clips] == [
        ("a.mp4", 4, 3),
        ("b.mp4", 4, 3),
    ]
    for number, clip in enumerate(clips):
        expected = [poses(1, 10 * number + k).keypoints[0] for k in (1, 2, 3)]
        np.testing.assert_allclose(clip.keypoints, expected, atol=1e-4)


def test_json_lines_of_other_hands(tmp_path):
    """Keys in another order, spaces, marks and a wide encoding change nothing."""
    path = write_lines(tmp_path / "a.jsonl", 2)
    before = [clip.keypoints for clip in read_results(path)]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    turned = [dict(sorted(line.items())) for line in lines]
    text = "\r\n".join(json.dumps(line) for line in turned)
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding, newline="")
        found = read_results(path)
        assert [clip.source for clip in found] == ["v0.mp4", "v1.mp4"]
        np.testing.assert_array_equal([clip.keypoints for clip in found], before)


def test_a_damaged_line_is_named(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", 2)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], '{"source": "v1.mp4", "frame": 0}', *lines[4:]]))
    with pytest.raises(InputError, match=r"line 4 of .*'time_s' is missing"):
        read_results(path)
    path.write_text("\n".join([*lines[:3], lines[3][:50]]))
    with pytest.raises(InputError, match="line 4 of"):
        read_results(path)


def test_a_source_that_cannot_be_written_costs_only_itself(tmp_path, capsys):
    context = WriterContext(SKELETON)
    writer = format_named("jsonl").writer(tmp_path / "a.jsonl", context)
    for name, count in (("good.mp4", 1), ("two.mp4", 2), ("fine.mp4", 1)):
        for k in range(2):
            writer.write(record(name, k, poses(count, k)))
    writer.close()
    line = ["convert", str(tmp_path / "a.jsonl"), "--to", "trc", "-o", str(tmp_path / "out")]
    assert main(line) == 1
    captured = capsys.readouterr()
    assert "two.mp4 shows several people" in " ".join(captured.err.split())
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["fine_person01_px.trc", "good_person01_px.trc"]
    assert captured.out.count("wrote") == 2


def test_sources_and_people_are_chosen_on_the_way(tmp_path, capsys):
    results = str(write_lines(tmp_path / "a.jsonl", 5))
    line = ["convert", results, "--to", "deeplabcut", "-o", str(tmp_path / "out")]
    assert main([*line, "--source", "v3", "--source", "v1.mp4"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["v1.csv", "v3.csv"]
    assert main([*line, "--source", "v9.mp4"]) == 1
    assert "did you mean v" in capsys.readouterr().err
    clips = Watched(Results(results))
    assert sum(1 for _ in with_people(clips, [1])) == 5
    assert clips.most <= 3


def test_too_many_people_for_one_array_are_told(tmp_path, monkeypatch):
    (clip,) = Results(write_lines(tmp_path / "a.jsonl", 1))
    monkeypatch.setattr("rtmpose.writers.clip.MOST_BYTES", 100)
    with pytest.raises(InputError, match=r"1 people in 2 frames: .* choose people with --person"):
        clip.tracks()


def test_one_file_is_refused_for_several_clips_before_it_is_written(tmp_path):
    clips = Results(write_lines(tmp_path / "a.jsonl", 3))
    with pytest.raises(InputError, match="would hold 3 people or clips"):
        convert_clips(clips, lab_format("trc"), tmp_path / "a.trc", LabOptions())
    assert not (tmp_path / "a.trc").exists()


def test_angles_are_measured_one_source_at_a_time(tmp_path):
    results = write_lines(tmp_path / "many.jsonl", 40)
    clips = Watched(Results(results))
    measured = (clip_angles(clip) for clip in clips)
    (path,) = write_angles(measured, tmp_path / "angles.csv", AngleOptions())
    assert clips.most <= 3
    rows = path.read_text().splitlines()
    assert len(rows) == 1 + 40 * 2
    assert rows[-1].startswith("v39.mp4,1,")
    about = json.loads((tmp_path / "angles.info.json").read_text())
    assert [entry["source"] for entry in about["sources"]] == [f"v{k}.mp4" for k in range(40)]


def test_columns_of_meters_are_those_of_all_sources(tmp_path):
    """Only the second clip has a scale, which the first could not know of."""
    first, second = walker(frames=20)[0], walker(frames=20, source="b.mp4")[0]
    scaled = MeterSettings(length=("left_knee", "left_ankle", 0.42))
    measured = [clip_angles(first), clip_angles(second, None, scaled)]
    (path,) = write_angles(measured, tmp_path / "angles.csv", AngleOptions())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = [row["hip_y_m"] for row in rows]
    assert not any(places[:20])
    assert all(places[20:])
