"""What `rtmpose batch` wrote is read by `rtmpose convert`: a data set, parts of videos, folders."""

import json
from dataclasses import replace

import numpy as np
import pytest
from lab_clips import made_clip, photo
from results import SKELETON, poses, record

from rtmpose.batch.ledger import FOOTER
from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.results import read_results
from rtmpose.types import Calibration, Poses
from rtmpose.writers import WriterContext, format_named
from rtmpose.writers.convert import convert_clips, with_people
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import lab_format
from rtmpose.writers.parquet import ParquetTable

FPS = 240.0
SEEN = (0, 1, 2, 7)
CALIBRATION = Calibration((4.0,), (-1.0,))


def people(frame):
    if frame not in SEEN:
        return Poses.empty(SKELETON)
    return replace(poses(2, frame, ids=(1, 3)), calibration=CALIBRATION)


def write_part(out, name, frames, *, source="v.mp4", part=0, parts=1):
    """One file of the data set, of a model that no list has."""
    pytest.importorskip("pyarrow", reason="writes Parquet")
    for folder in ("data", "ledger"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    context = WriterContext(SKELETON, models={"pose": "own"}, frame_rates={source: FPS})
    path = out / "data" / f"{name}.parquet"
    writer = ParquetTable(path, context, with_probabilities=True)
    for k in frames:
        writer.write(record(source, k, people(k), time_s=k / FPS))
    entry = {"part": part, "parts": parts, "sources": [{"source": source}]}
    writer.close({FOOTER: json.dumps(entry)})


def in_parts(out):
    for part, frames in enumerate((range(4), range(4, 6), range(6, 9))):
        write_part(out, f"v-part{part}", frames, part=part, parts=3)
    write_part(out, "w", range(3), source="w.mp4")


@pytest.mark.parametrize("place", [".", "data"])
def test_parts_of_a_video_are_one_clip(place, tmp_path):
    in_parts(tmp_path)
    clip, other = read_results(tmp_path / place)
    assert (clip.source, clip.fps, clip.size_wh) == ("v.mp4", FPS, (640, 480))
    assert (other.source, len(other.frames)) == ("w.mp4", 3)
    np.testing.assert_array_equal(clip.frames, np.arange(9))
    np.testing.assert_allclose(clip.times, np.arange(9) / FPS, rtol=0, atol=1e-12)
    tracks = clip.tracks()
    for k in range(9):
        row = tracks.keypoints[k]
        expected = people(k).keypoints if k in SEEN else np.nan
        np.testing.assert_allclose(row, np.broadcast_to(expected, row.shape), atol=1e-5)


def test_probabilities_are_those_that_were_written(tmp_path):
    in_parts(tmp_path)
    clip = read_results(tmp_path)[0]
    expected = CALIBRATION.probabilities(np.full((8, 17), 0.8, np.float32))
    np.testing.assert_allclose(clip.probabilities, expected, rtol=1e-6)
    assert not np.allclose(clip.probabilities, clip.scores)


def test_a_video_with_a_hole_is_refused(tmp_path):
    in_parts(tmp_path)
    (tmp_path / "data" / "v-part2.parquet").unlink()
    with pytest.raises(InputError, match=r"2 of the 3 parts of v\.mp4"):
        read_results(tmp_path)
    # A part by itself is what was asked for.
    (clip,) = read_results(tmp_path / "data" / "v-part1.parquet")
    assert clip.frames.tolist() == [4, 5]


def write_lines(path, source):
    path.parent.mkdir(parents=True, exist_ok=True)
    context = WriterContext(SKELETON, frame_rates={source: FPS})
    writer = format_named(path.suffix[1:]).writer(path, context)
    for k in range(3):
        writer.write(record(source, k, poses(1, k, ids=[2]), time_s=k / FPS))
    writer.close()


@pytest.mark.parametrize("end", ["json", "jsonl", "csv"])
def test_a_folder_of_files(end, tmp_path):
    (tmp_path / "ledger").mkdir()
    for name in ("a", "b"):
        write_lines(tmp_path / "data" / f"{name}.{end}", f"{name}.mp4")
    clips = read_results(tmp_path)
    assert [clip.source for clip in clips] == ["a.mp4", "b.mp4"]
    assert [len(clip.frames) for clip in clips] == [3, 3]


def test_a_source_in_two_files_is_refused(tmp_path):
    write_lines(tmp_path / "a.jsonl", "v.mp4")
    write_lines(tmp_path / "b.csv", "v.mp4")
    with pytest.raises(InputError, match=r"v\.mp4 twice"):
        read_results(tmp_path)


def test_several_results_in_one_command(tmp_path, capsys):
    for name in ("a", "b"):
        write_lines(tmp_path / f"{name}.jsonl", f"{name}.mp4")
    both = ["convert", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"), "--to", "trc"]
    assert main([*both, "-o", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a_person02_px.trc", "b_person02_px.trc"]
    assert main(both) == 1
    assert "with -o" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "a.jsonl"), *both[1:], "-o", str(tmp_path / "x")]) == 1
    assert "a.mp4 twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "output", "message"),
    [
        ("trc", "walk.c3d", "end in .trc"),
        ("coco", "walk.json.gz", "end in .json"),
        ("yolo-pose", "walk.yaml", "it writes a folder"),
        ("coco", "-", "not standard output"),
    ],
)
def test_names_of_other_formats_are_refused(form, output, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.jsonl", "a.mp4")
    assert main(["convert", "a.jsonl", "--to", form, "-o", output]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / output).exists()

    # A folder that is there may be called anything, and one with a point in its name made.
    (tmp_path / "old.c3d").mkdir()
    assert main(["convert", "a.jsonl", "--to", "trc", "-o", "old.c3d"]) == 0
    assert main(["convert", "a.jsonl", "--to", "trc", "-o", "day.2"]) == 0


def test_the_current_folder_has_a_name(tmp_path, monkeypatch):
    folder = tmp_path / "walk"
    write_lines(folder / "a.jsonl", "a.mp4")
    monkeypatch.chdir(folder)
    assert main(["convert", ".", "--to", "trc"]) == 0
    assert (tmp_path / "walk_trc" / "a_person02_px.trc").exists()


def test_packed_results_are_told(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(b"")
    with pytest.raises(InputError, match="unpack it first"):
        read_results(tmp_path / "a.jsonl.gz")


def test_people_of_several_clips(tmp_path, caplog):
    videos = [made_clip(ids=(1,), source="a.mp4"), made_clip(source="b.mp4")]
    assert [clip.person_ids for clip in with_people(videos, [1])] == [(1,), (1,)]
    (kept,) = with_people(videos, [3])
    assert (kept.source, kept.person_ids) == ("b.mp4", (3,))
    assert "no person 3 in a.mp4: it is left out" in caplog.text
    with pytest.raises(InputError, match=r"no person 9 in a\.mp4; the ids are 1"):
        list(with_people(videos, [1, 9]))


def test_photos_among_videos_are_left_out(tmp_path, caplog):
    row = lab_format("trc")
    written = convert_clips([photo("a.jpg"), made_clip()], row, tmp_path / "out")
    assert written
    assert "1 photos among the videos are left out" in caplog.text
    with pytest.raises(InputError, match="is a photo"):
        convert_clips([photo("a.jpg")], row, tmp_path / "out")


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("trc", {"floor_y": 100.0}, "with --meters-per-pixel"),
        ("trc", {"subject": "S1"}, "--subject is for --to nwb"),
        ("sleap", {"scorer": "me"}, "--scorer is for --to deeplabcut"),
        ("trc", {"task": "walk"}, "--task is for --to bids-motion"),
        ("movement", {"session_start": "2026"}, "--session-start is for --to nwb"),
    ],
)
def test_options_of_other_formats_are_refused(form, options, message, tmp_path):
    row = replace(lab_format(form), packages=())
    with pytest.raises(InputError, match=message):
        convert_clips([made_clip()], row, tmp_path, LabOptions(**options))


@pytest.mark.parametrize("age", ["30", "P", "P30", "30Y", "P30Y/x"])
def test_ages_are_durations(age):
    with pytest.raises(InputError, match="P30Y"):
        LabOptions(age=age)
    for good in ("P30Y", "P1Y6M", "P2W3D", "P20Y/P30Y", "P20Y/"):
        assert LabOptions(age=good).age == good
