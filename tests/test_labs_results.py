"""Results that were written are read back: all frames, times, people, and what the clip is."""

import json

import numpy as np
import pytest
from results import CONTEXT, SKELETON, poses, record

from rtmpose import get_skeleton
from rtmpose.errors import InputError
from rtmpose.results import read_results
from rtmpose.types import Poses
from rtmpose.writers import WriterContext, format_named

FILES = {
    "json": "a.json",
    "jsonl": "a.jsonl",
    "csv": "a.csv",
    "parquet": "a.parquet",
    "npz": "v_people",
}
FPS = 240.0
FIRST, LAST = 10, 19
SEEN = range(12, 17)


def write(name, path, *, sources=("v.mp4",), context=None, ids=(1, 3)):
    """Ten frames that begin at 10, two people in five of them."""
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    rates = dict.fromkeys(sources, FPS)
    context = context or WriterContext(SKELETON, models={"pose": "p"}, frame_rates=rates)
    writer = format_named(name).writer(path, context)
    for source in sources:
        for k in range(FIRST, LAST + 1):
            people = poses(2, k, ids=ids) if k in SEEN else Poses.empty(SKELETON)
            writer.write(record(source, k, people, time_s=k / FPS))
    writer.close()
    return path


@pytest.mark.parametrize("name", FILES)
def test_what_was_written_is_read_back(name, tmp_path):
    (clip,) = read_results(write(name, tmp_path / FILES[name]))
    assert (clip.source, clip.fps, clip.size_wh, clip.still) == ("v.mp4", FPS, (640, 480), False)
    assert clip.skeleton is SKELETON
    assert dict(clip.models) == {"pose": "p"}
    np.testing.assert_array_equal(clip.frames, np.arange(FIRST, LAST + 1))
    assert clip.times.dtype == np.float64
    np.testing.assert_allclose(clip.times, clip.frames / FPS, rtol=0, atol=1e-12)
    assert clip.person_ids == (1, 3)
    assert len(clip.rows) == 10
    tracks = clip.tracks()
    assert tracks.keypoints.shape == (10, 2, 17, 2)
    for k in clip.frames:
        row = tracks.keypoints[k - FIRST]
        if k in SEEN:
            np.testing.assert_allclose(row, poses(2, k).keypoints, atol=1e-4)
            np.testing.assert_allclose(tracks.boxes[k - FIRST, 0], [1, 2, 31, 62])
        else:
            assert np.isnan(row).all()
    # Every frame of the source, for formats that tell frames by their position.
    assert clip.tracks(from_frame_0=True).frames.tolist() == list(range(LAST + 1))


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "parquet"])
def test_several_sources_in_one_file(name, tmp_path):
    clips = read_results(write(name, tmp_path / FILES[name], sources=("a/v.mp4", "b/v.mp4")))
    assert [clip.source for clip in clips] == ["a/v.mp4", "b/v.mp4"]
    assert [len(clip.rows) for clip in clips] == [10, 10]


def test_a_clip_without_anybody_is_a_clip(tmp_path):
    for name in ("csv", "json", "jsonl", "npz"):
        writer = format_named(name).writer(tmp_path / FILES[name], CONTEXT)
        for k in range(3):
            writer.write(record("v.mp4", k, Poses.empty(SKELETON)))
        writer.close()
        (clip,) = read_results(tmp_path / FILES[name])
        assert (len(clip), len(clip.rows)) == (3, 0), name
        np.testing.assert_allclose(clip.times, [0, 0.1, 0.2])


def test_without_the_description(tmp_path):
    """Names of keypoints are in the table; what is before the first person is not known."""
    path = write("csv", tmp_path / "a.csv")
    (tmp_path / "a.info.json").unlink()
    (clip,) = read_results(path)
    assert clip.frames.tolist() == list(SEEN)
    assert clip.fps is None
    assert clip.rate == pytest.approx(FPS)
    assert clip.skeleton.keypoints == SKELETON.keypoints


def test_every_second_frame(tmp_path):
    writer = format_named("csv").writer(tmp_path / "a.csv", CONTEXT)
    for k in range(0, 10, 2):
        people = poses(1, k, ids=[1]) if k == 4 else Poses.empty(SKELETON)
        writer.write(record("v.mp4", k, people))
    writer.close()
    (clip,) = read_results(tmp_path / "a.csv")
    assert clip.frames.tolist() == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(clip.times, clip.frames / 10)


def test_photos(tmp_path):
    writer = format_named("json").writer(tmp_path / "a.json", WriterContext(SKELETON))
    for name in ("x/1.jpg", "x/2.jpg"):
        writer.write(record(name, 0, poses(2), still=True, time_s=0.0))
    writer.close()
    clips = read_results(tmp_path / "a.json")
    assert [(clip.source, clip.still, len(clip.rows)) for clip in clips] == [
        ("x/1.jpg", True, 2),
        ("x/2.jpg", True, 2),
    ]
    with pytest.raises(InputError, match="no ids"):
        clips[0].people([1])
    with pytest.raises(InputError, match="rtmpose track"):
        clips[0].tracks()


def test_133_points(tmp_path):
    skeleton = get_skeleton("coco-wholebody133")
    x = np.arange(133, dtype=np.float32)
    person = Poses(
        np.array([[0, 0, 9, 9]], np.float32),
        np.ones(1, np.float32),
        np.stack([x, x], axis=1)[None],
        np.full((1, 133), 1.2, np.float32),
        skeleton,
        np.array([5]),
    )
    writer = format_named("json").writer(tmp_path / "a.json", WriterContext(skeleton))
    writer.write(record("v.mp4", 0, person))
    writer.close()
    (clip,) = read_results(tmp_path / "a.json")
    assert clip.skeleton is skeleton
    np.testing.assert_allclose(clip.keypoints[0, :, 0], x)
    assert clip.has_rising_scores
    assert clip.confidences.max() == 1


def test_probabilities_of_a_calibrated_model(tmp_path):
    context = WriterContext(SKELETON, models={"pose": "rtmpose-s-finetuned"})
    (clip,) = read_results(write("jsonl", tmp_path / "a.jsonl", context=context))
    assert clip.probabilities is not None
    assert 0.98 < clip.probabilities.min() <= clip.probabilities.max() < 1


def test_interpolated_people_stay_marked(tmp_path):
    for name in ("csv", "json", "jsonl", "npz"):
        writer = format_named(name).writer(tmp_path / FILES[name], CONTEXT)
        writer.write(record("v.mp4", 0, poses(2, ids=[1, 2]), filled=np.array([False, True])))
        writer.close()
        (clip,) = read_results(tmp_path / FILES[name])
        assert clip.filled.tolist() == [False, True], name


def test_windows_line_ends_and_empty_lines(tmp_path):
    path = write("csv", tmp_path / "a.csv")
    text = path.read_text()
    path.write_bytes(("\ufeff" + text + "\r\n" + "," * text.split("\n")[0].count(",")).encode())
    assert len(read_results(path)[0].rows) == 10


def test_empty_columns_of_spreadsheets(tmp_path):
    path = write("csv", tmp_path / "a.csv")
    path.write_text("".join(f"{line},,\n" for line in path.read_text().splitlines()))
    assert len(read_results(path)[0].rows) == 10


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.replace(",", ";").replace(".", ","), "semicolons"),
        (lambda t: t.replace(",", "\t"), "tabs"),
        (lambda t: t.replace('",', '"').replace("0.5,", '"0,5",', 1), "line 2"),
        (lambda t: t.replace("nose_x", "naso_x"), "columns"),
        (lambda t: t.replace("time_s", "time"), "time_s"),
        (lambda t: t.replace("v.mp4,12,", "v.mp4,twelve,", 1), "line 2"),
        (lambda t: "frame,x,y\n1,2,3\n", "no table"),
        (lambda t: "", "empty"),
    ],
)
def test_tables_of_spreadsheets_and_others_are_refused(change, match, tmp_path):
    path = write("csv", tmp_path / "a.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=match):
        read_results(path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.json", {"images": [], "annotations": []}, "annotations"),
        ("a.json", {"version": 1.3, "people": []}, "OpenPose"),
        ("a.json", [{"image_id": 1, "bbox": [0, 0, 1, 1]}], "no keypoints"),
        ("a.json", [{"image_id": 1, "keypoints": [1, 2]}], "entry 0"),
        ("a.jsonl", {"a": 1}, "first|begin"),
        ("a.info.json", {}, "describes"),
        ("a.txt", 1, "keypoints"),
        ("a.mp4", 1, "none of the formats"),
    ],
)
def test_foreign_files_are_refused(name, content, match, tmp_path):
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=match):
        read_results(tmp_path / name)


def test_other_faults(tmp_path):
    with pytest.raises(InputError, match="no results at"):
        read_results(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="without results"):
        read_results(tmp_path)
    path = write("jsonl", tmp_path / "a.jsonl", ids=(1, 1))
    with pytest.raises(InputError, match="person 1 twice"):
        read_results(path)
    path = write("jsonl", tmp_path / "b.jsonl")
    with pytest.raises(InputError, match=r"no person 2 in v\.mp4; the ids are 1, 3"):
        read_results(path)[0].people([2])


def test_coco_results_of_another_program(tmp_path):
    entries = [
        {"image_id": 42, "category_id": 1, "score": 0.9, "keypoints": [1.0, 2.0, 0.5] * 17},
        {"image_id": 43, "category_id": 1, "score": 0.8, "keypoints": [3.0, 4.0, 0.5] * 17},
    ]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    clips = read_results(tmp_path / "a.json")
    assert [(clip.source, clip.skeleton.name) for clip in clips] == [
        ("42", "coco17"),
        ("43", "coco17"),
    ]
    assert clips[1].boxes.tolist() == [[3, 4, 3, 4]]


def test_openpose_folders(tmp_path):
    writer = format_named("openpose").writer(tmp_path / "v_openpose", CONTEXT)
    for k in (5, 6):
        writer.write(record("v.mp4", k, poses(1, k, ids=[7])))
    writer.close()
    (clip,) = read_results(tmp_path / "v_openpose")
    assert clip.skeleton.name == "coco18"
    assert (clip.frames.tolist(), clip.person_ids) == ([5, 6], (7,))
    nose = clip.tracks().keypoints[:, 0, clip.skeleton.index("nose")]
    np.testing.assert_allclose(nose, [poses(1, k).keypoints[0, 0] for k in (5, 6)], atol=1e-3)
