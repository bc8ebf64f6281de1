"""``rtmpose convert``: what is written where, and what is refused, without the readers of labs."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from lab_clips import COUNT, FIRST, FPS, SIZE, convert, made_clip, photo
from results import SKELETON, poses, record

from rtmpose.cli import main
from rtmpose.datasets import read
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.types import Poses
from rtmpose.writers import WriterContext, format_named
from rtmpose.writers.clip_names import ClipNames
from rtmpose.writers.lab_options import LabOptions
from rtmpose.writers.lab_table import LAB_FORMATS, lab_format
from rtmpose.writers.marker_names import marker_names

NO_IDS = ("coco", "yolo-pose", "cvat", "label-studio", "fiftyone")


def tracked(path, *, ids=(1, 3), source="v.mp4"):
    """Results of six frames, two people in those from the third on."""
    writer = format_named("jsonl").writer(path, WriterContext(SKELETON, frame_rates={source: FPS}))
    for k in range(6):
        people = poses(2, k, ids=ids) if k > 1 else Poses.empty(SKELETON)
        writer.write(record(source, k, people, time_s=k / FPS))
    writer.close()
    return path


@pytest.mark.parametrize("row", LAB_FORMATS, ids=lambda row: row.name)
def test_every_format_is_whole_and_written_again(row, tmp_path):
    clip = made_clip()
    written = convert([clip], row.name, tmp_path / "out")
    again = convert([clip], row.name, tmp_path / "out")
    assert again == written
    assert all(path.exists() for path in written)
    left = [p.name for p in tmp_path.rglob("*") if ".tmp" in p.name or p.name.endswith(".old")]
    assert left == []


@pytest.mark.parametrize("row", LAB_FORMATS, ids=lambda row: row.name)
def test_a_clip_without_anybody(row, tmp_path):
    clip = made_clip()
    nobody = clip.rows_where(np.zeros(len(clip.rows), bool))
    written = convert([nobody], row.name, tmp_path / "out")
    assert all(path.exists() for path in written)


@pytest.mark.parametrize("row", LAB_FORMATS, ids=lambda row: row.name)
def test_133_points(row, tmp_path):
    assert convert([made_clip("coco-wholebody133")], row.name, tmp_path / "out")


def test_a_missing_package_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"rtmpose\[labs\]"):
        lab_format("c3d").check_installed()


# ---- TRC


def test_trc_has_nan_and_no_blanks(tmp_path):
    (first, _) = convert([made_clip()], "trc", tmp_path)
    lines = first.read_text().split("\n")
    numbers = ["240", "240", "30", "26", "px", "240", "11", "30"]
    assert lines[2].split("\t") == numbers
    assert len(lines[3].split("\t")) == len(lines[4].split("\t")) == 2 + 3 * 26
    rows = [line.split("\t") for line in lines[5:-1]]
    assert {len(row) for row in rows} == {2 + 3 * 26}
    assert rows[0][:3] == [str(FIRST + 1), repr(FIRST / FPS), "NaN"]
    assert all(cell for row in rows for cell in row)


def test_meters(tmp_path):
    """y is up from the floor, which is the lower border unless it is said."""
    clip = made_clip()
    y = clip.tracks().keypoints[5, 0, 0, 1]
    for floor, name in ((None, "a"), (300.0, "b")):
        options = {"meters_per_pixel": 0.01, "floor_y": floor}
        (path, _) = convert([clip], "trc", tmp_path / name, **options)
        assert path.name.endswith("_m.trc")
        row = path.read_text().splitlines()[5 + 5].split("\t")
        expected = ((SIZE[1] if floor is None else floor) - y) * 0.01
        assert float(row[3]) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match="leave --meters-per-pixel out"):
        convert([clip], "coco", tmp_path / "c", meters_per_pixel=0.01)
    with pytest.raises(InputError):
        LabOptions(meters_per_pixel=0)


def test_times_that_stand_still_are_counted_anew(tmp_path, caplog):
    clip = made_clip()
    times = clip.times.copy()
    times[4] = times[3]
    (path, _) = convert([replace(clip, times=times)], "trc", tmp_path)
    found = [float(line.split("\t")[1]) for line in path.read_text().splitlines()[5:]]
    assert (np.diff(found) > 0).all()
    assert "do not rise" in caplog.text


def test_names_of_markers():
    names = marker_names(made_clip("coco-wholebody133").skeleton)
    assert names[:3] == ["Nose", "LEye", "REye"]
    assert "LBigToe" in names
    assert len(set(names)) == 133


# ---- DeepLabCut


def test_deeplabcut_rows_are_frames_of_the_video(tmp_path):
    (path,) = convert([made_clip()], "deeplabcut", tmp_path)
    rows = list(csv.reader(path.read_text().splitlines()))
    assert [row[0] for row in rows[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
    assert [row[0] for row in rows[4:]] == [str(k) for k in range(FIRST + COUNT)]
    assert set(rows[4][1:]) == {""}
    (path,) = convert([made_clip(ids=(3,))], "deeplabcut", tmp_path / "one")
    rows = list(csv.reader(path.read_text().splitlines()))
    assert [row[0] for row in rows[:3]] == ["scorer", "bodyparts", "coords"]
    assert rows[2][1:4] == ["x", "y", "likelihood"]


def test_the_scorer_of_another_tool(tmp_path):
    (path,) = convert([made_clip()], "deeplabcut", tmp_path, scorer="DLC_resnet50")
    assert set(path.read_text().splitlines()[0].split(",")[1:]) == {"DLC_resnet50"}


# ---- frames that were left out


def test_every_second_frame_has_half_the_rate(tmp_path):
    clip = made_clip(ids=(1,))
    half = replace(clip, frames=FIRST + 2 * np.arange(COUNT))
    half = replace(half, times=half.frames / FPS)
    (path,) = convert([half], "trc", tmp_path)
    assert path.read_text().splitlines()[2].split("\t")[0] == "120"
    assert half.evenly() is half

    # Uneven: formats without times have every frame.
    frames = half.frames.copy()
    frames[-1] += 1
    uneven = replace(half, frames=frames, times=frames / FPS)
    even = uneven.evenly()
    assert even.frames.tolist() == list(range(frames[0], frames[-1] + 1))
    np.testing.assert_allclose(even.times, even.frames / FPS)
    np.testing.assert_array_equal(even.frames[even.rows], uneven.frames[uneven.rows])
    (folder,) = convert([uneven], "bids-motion", tmp_path / "set")
    (table,) = folder.rglob("*_motion.tsv")
    assert len(table.read_text().splitlines()) == len(even)
    (sidecar,) = folder.rglob("*_motion.json")
    assert json.loads(sidecar.read_text())["SamplingFrequency"] == FPS


# ---- C3D


def test_more_frames_than_a_c3d_file_holds(tmp_path, monkeypatch, caplog):
    pytest.importorskip("ezc3d", reason="needs ezc3d")
    monkeypatch.setattr("rtmpose.writers.c3d.MOST_FRAMES", 20)
    written = convert([made_clip(ids=(1,))], "c3d", tmp_path / "a.c3d")
    assert [path.name for path in written] == ["a_part1.c3d", "a_part2.c3d"]
    assert "2 files" in caplog.text


# ---- labeling tools, with our own readers


@pytest.mark.parametrize("name", ["coco", "yolo-pose", "cvat", "label-studio"])
def test_annotations_are_read_back(name, tmp_path):
    import cv2

    clips = [photo("a.jpg"), photo("b.jpg", 1)]
    images = tmp_path / "images"
    images.mkdir()
    for clip in clips:
        cv2.imwrite(str(images / clip.source), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    target = tmp_path if name == "yolo-pose" else tmp_path / "people"
    if name == "yolo-pose":
        target = tmp_path / "yolo"
    (path,) = convert(clips, name, target)
    if name == "yolo-pose":
        images.rename(path / "images")
        dataset = read(path / "data.yaml", skeleton=SKELETON)
    else:
        dataset = read(path, images=images, skeleton=SKELETON)
    people = [person for image in dataset.annotations.values() for person in image]
    assert len(people) == 4
    points = np.array([person["keypoints"] for person in people], float).reshape(4, -1, 3)
    found = sorted(points[..., :2].reshape(4, -1).tolist())
    expected = sorted(p.ravel().tolist() for clip in clips for p in clip.keypoints)
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=0.02)


def test_coco_has_an_image_for_every_frame(tmp_path):
    (path,) = convert([made_clip()], "coco", tmp_path / "a.json")
    content = json.loads(path.read_text())
    assert len(content["images"]) == COUNT
    assert content["images"][0]["file_name"] == f"my clip.v2/{FIRST:06d}.jpg"
    assert content["categories"][0]["skeleton"][0] == [a + 1 for a in made_clip().skeleton.links[0]]
    flags = [person["keypoints"][8] for person in content["annotations"]]
    assert flags.count(0) == 14


def test_cvat_frames_of_a_video(tmp_path):
    (path,) = convert([made_clip()], "cvat", tmp_path / "a.xml")
    text = path.read_text()
    assert text.count("<image ") == COUNT
    assert f'<image id="{FIRST}" name="frame_{FIRST:06d}" width="640" height="480">' in text
    assert text.count('outside="1"') == 14
    with pytest.raises(InputError, match="one video"):
        convert([made_clip(), made_clip(source="b.mp4")], "cvat", tmp_path / "b.xml")


# ---- what is refused, and where things go


def test_photos_and_people_without_ids(tmp_path):
    for row in LAB_FORMATS:
        if row.name in NO_IDS:
            assert convert([photo("a.jpg")], row.name, tmp_path / row.name)
        elif row.needs_ids and not row.packages:
            with pytest.raises(InputError, match="is a photo"):
                convert([photo("a.jpg")], row.name, tmp_path / row.name)
    untracked = replace(made_clip(), ids=None)
    with pytest.raises(InputError, match="rtmpose track"):
        convert([untracked], "trc", tmp_path)
    alone = replace(made_clip(ids=(3,)), ids=None)
    assert convert([alone], "trc", tmp_path)[0].name == "my clip.v2_person01_px.trc"


def test_names_of_clips():
    sources = ("a/v.mp4", "b/V.avi", "c\\v.mp4", "rtsp://x/live", "we:ird?.mp4", "day.2 take.1")
    names = ClipNames()
    found = [names.name(made_clip(source=source, ids=(1,))) for source in sources]
    assert found == ["v", "V_2", "v_3", "clip", "we_ird_", "day.2 take.1"]


def test_one_file_for_several_people_is_refused(tmp_path):
    with pytest.raises(InputError, match="--person"):
        convert([made_clip()], "trc", tmp_path / "a.trc")
    assert convert([made_clip(ids=(3,))], "trc", tmp_path / "a.trc") == [tmp_path / "a.trc"]


def test_scores_above_one_are_said(tmp_path, caplog):
    convert([made_clip(top=1.2)], "deeplabcut", tmp_path)
    assert "not calibrated" in caplog.text.replace("\n", " ")


def test_the_command(tmp_path, capsys):
    path = tracked(tmp_path / "walk.jsonl")
    assert main(["convert", str(path), "--to", "trc"]) == 0
    names = ["v_person01_px.trc", "v_person03_px.trc"]
    assert sorted(p.name for p in (tmp_path / "walk_trc").iterdir()) == names
    assert "wrote" in capsys.readouterr().out
    one = tmp_path / "one.trc"
    arguments = ["convert", str(path), "--to", "trc", "--person", "3", "-o", str(one)]
    assert main([*arguments, "--meters-per-pixel", "0.01"]) == 0
    assert one.read_text().splitlines()[2].split("\t")[4] == "m"

    # Everything with a low score becomes missing.
    assert main([*arguments, "--kpt-thr", "0.9"]) == 0
    assert {v for line in one.read_text().splitlines()[5:] for v in line.split("\t")[2:]} == {"NaN"}


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (["--to", "trc", "--person", "2"], "no person 2"),
        (["--to", "trc", "--source", "w"], "no source 'w'"),
        (["--to", "xml"], "there are trc, c3d"),
        (["--to", "trc", "-o", "a.trc"], "name a folder"),
        (["--to", "label-studio", "-o", "RESULTS"], "choose another name"),
    ],
)
def test_mistakes_on_the_command_line(rest, message, tmp_path, capsys):
    path = tracked(tmp_path / "walk.json" if "RESULTS" in rest else tmp_path / "walk.jsonl")
    if "RESULTS" in rest:
        path.write_text("[]")
        writer = format_named("json").writer(path, WriterContext(SKELETON))
        writer.write(record("v.mp4", 0, poses(1, ids=[1])))
        writer.close()
    arguments = [str(path) if word == "RESULTS" else word for word in rest]
    assert main(["convert", str(path), *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
