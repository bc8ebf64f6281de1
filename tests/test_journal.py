"""What a job has done so far, and what is left of it after a crash; the names of outputs."""

import tracemalloc

import numpy as np
import pytest
from results import CONTEXT, SKELETON, poses, record

from rtmpose import __version__ as VERSION  # noqa: N812
from rtmpose.errors import InputError, OutputError
from rtmpose.sources import SourceItem
from rtmpose.writers import format_named
from rtmpose.writers.journal import Journal
from rtmpose.writers.names import output_names

SETTINGS = {"pose": "p", "limit": None}


def crash(tmp_path):
    """A job killed while it read the second source, its last line torn."""
    journal = Journal(tmp_path / "p.json.part", SETTINGS, SKELETON)
    journal.write(record("a.jpg", still=True))
    journal.finish("a.jpg", "a")
    journal.write(record("b.jpg", still=True))
    journal.discard()
    path = tmp_path / "p.json.part"
    path.write_text(path.read_text()[:-30])


def sources_of(journal):
    return [r.source for r in journal.records()]


def test_frames_come_back_exactly(tmp_path):
    journal = Journal(tmp_path / "x.part", SETTINGS, SKELETON)
    people = poses(3, ids=[4, 5, 6])
    journal.write(record("v.mp4", 7, people, filled=np.array([False, True, False])))
    journal.write(record("a.jpg", 0, still=True))
    first, second = journal.records()
    for name in ("boxes", "box_scores", "keypoints", "scores", "ids"):
        np.testing.assert_array_equal(getattr(first.poses, name), getattr(people, name))
    assert (first.source, first.index, first.time_s, first.still) == ("v.mp4", 7, 0.7, False)
    assert first.filled.tolist() == [False, True, False]
    assert second.still
    assert second.filled is None
    assert second.poses.ids is None
    # It can go on after it was read.
    journal.write(record("v.mp4", 8))
    assert len(list(journal.records())) == 3
    journal.close(complete=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"name":"b"', '"name":"../b"'),
        ('"name":"b"', '"name":{}'),
        ('"name":"b"', '"name":"' + 300 * "b" + '"'),
        ('"name":"b"', '"title":"b"'),
        ('"done":"b.jpg"', '"done":["b.jpg"]'),
        ('"source":"b.jpg","frame":0', '"source":"b.jpg","frame":"x"'),
        ('"source":"b.jpg","frame":0', '"source":"b.jpg","frame":0,"ids":[[1],[]]'),
    ],
)
def test_damaged_lines_are_done_again(tmp_path, caplog, old, new):
    """What a line that cannot be read was about is not finished; the rest is."""
    path = tmp_path / "p.json.part"
    journal = Journal(path, SETTINGS, SKELETON)
    for name in ("a", "b"):
        journal.write(record(f"{name}.jpg", still=True))
        journal.finish(f"{name}.jpg", name)
    journal.close(complete=False)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    journal = Journal(path, SETTINGS, SKELETON, resume=True)
    assert journal.done == {"a.jpg": "a"}
    assert sources_of(journal) == ["a.jpg"]
    assert "done again" in caplog.text
    journal.close(complete=True)


def test_a_killed_job_resumes(tmp_path):
    crash(tmp_path)
    journal = Journal(tmp_path / "p.json.part", SETTINGS, SKELETON, resume=True)
    assert journal.done == {"a.jpg": "a"}
    assert sources_of(journal) == ["a.jpg"]
    journal.write(record("b.jpg", people=poses(1), still=True))
    journal.finish("b.jpg", "b")
    assert sources_of(journal) == ["a.jpg", "b.jpg"]
    journal.close(complete=True)


def test_resume_with_other_settings_is_refused(tmp_path):
    crash(tmp_path)
    with pytest.raises(InputError, match=r"other settings \(limit\)"):
        Journal(tmp_path / "p.json.part", {"pose": "p", "limit": 3}, SKELETON, resume=True)
    assert (tmp_path / "p.json.part").exists()


def test_another_version_goes_on_and_says_so(tmp_path, caplog, monkeypatch):
    crash(tmp_path)
    path = tmp_path / "p.json.part"
    monkeypatch.setattr("rtmpose.writers.journal.__version__", "99.0")
    journal = Journal(path, SETTINGS, SKELETON, resume=True)
    assert journal.done == {"a.jpg": "a"}
    journal.close(complete=False)
    (message,) = [r.getMessage() for r in caplog.records]
    assert "another version of rtmpose (0.1.0; this is 99.0)" in message.replace(VERSION, "0.1.0")
    # Of one that did not write its version, nothing is known.
    path.write_text(path.read_text().replace(',"rtmpose":"99.0"', ""))
    caplog.clear()
    journal = Journal(path, SETTINGS, SKELETON, resume=True)
    assert journal.done == {"a.jpg": "a"}
    journal.close(complete=False)
    assert "(unknown; this is 99.0)" in caplog.text


def test_without_resume_it_starts_again(tmp_path):
    crash(tmp_path)
    journal = Journal(tmp_path / "p.json.part", SETTINGS, SKELETON)
    assert journal.done == {}
    assert sources_of(journal) == []
    journal.close(complete=True)


def test_a_record_stays_where_outputs_are_per_source(tmp_path):
    paths = tmp_path / ".rtmpose.part", tmp_path / ".rtmpose.done"
    journal = Journal(paths[0], SETTINGS, SKELETON, done_path=paths[1], keep_frames=False)
    journal.write(record("a.mp4"))
    journal.finish("a.mp4", "a")
    assert sources_of(journal) == []
    journal.close(complete=True)
    assert [p.name for p in tmp_path.iterdir()] == [".rtmpose.done"]
    again = Journal(paths[0], SETTINGS, SKELETON, done_path=paths[1], resume=True)
    assert again.done == {"a.mp4": "a"}
    # While a job runs the record is void: a kill must not make it look finished.
    assert [p.name for p in tmp_path.iterdir()] == [".rtmpose.part"]
    again.close(complete=False)
    with pytest.raises(InputError, match="other settings"):
        Journal(paths[0], {}, SKELETON, done_path=paths[1], resume=True)


def test_without_a_place_it_is_temporary():
    journal = Journal(None, SETTINGS, SKELETON, resume=True)
    journal.write(record("a.jpg"))
    assert sources_of(journal) == ["a.jpg"]
    journal.close(complete=True)


def test_unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Journal(tmp_path / "file" / "p.part", SETTINGS, SKELETON)


def test_memory_does_not_grow(tmp_path):
    one = poses(4)
    journal = Journal(tmp_path / "p.json.part", SETTINGS, SKELETON)
    journal.write(record("v.mp4", 0, one))
    tracemalloc.start()
    for i in range(1000):
        journal.write(record("v.mp4", i, one))
    writers = [format_named(n).writer(tmp_path / f"p.{n}", CONTEXT) for n in ("json", "csv")]
    for r in journal.records():
        for writer in writers:
            writer.write(r)
    for writer in writers:
        writer.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    journal.close(complete=True)
    assert (tmp_path / "p.json").stat().st_size > 2_000_000
    assert peak < 700_000


# ---- names of outputs
# --------------------------------------------------------------------------------------


def named(*sources, taken=None):
    kinds = [
        "camera" if s.isdigit() else "stream" if s.startswith("rtsp") else "image" for s in sources
    ]
    items = [SourceItem(s, k) for s, k in zip(sources, kinds, strict=True)]
    names = output_names(items, taken)
    return [names[s] for s in sources]


def test_names_do_not_chain():
    sources = [f"d/fm.{suffix}" for suffix in ("bmp", "jpg", "png", "tif", "webp")]
    assert named(*sources) == ["fm", "fm_2", "fm_3", "fm_4", "fm_5"]


def test_names_of_the_same_file_in_several_folders():
    assert named("a/x.jpg", "b/x.jpg", "y.PNG") == ["x", "b_x", "y"]
    assert named("a/b/x.jpg", "c/b/x.jpg", "d/b/x.jpg") == ["x", "b_x", "d_b_x"]
    assert named("x.jpg", "b/x.jpg", "b/x.png") == ["x", "b_x", "x_2"]


def test_a_number_that_is_in_use_is_left_out():
    assert named("d/fm.jpg", "d/fm_2.jpg", "d/fm.png") == ["fm", "fm_2", "fm_3"]
    assert named("d/fm.jpg", "d/fm.png", "d/fm_2.jpg") == ["fm", "fm_2", "fm_2_2"]
    assert named("d/FM.jpg", "d/fm.png") == ["FM", "fm_2"]


def test_names_of_what_is_no_file():
    assert named("0", "rtsp://host/live?x=1", "rtsp://other/live") == [
        "camera_0",
        "live",
        "other_live",
    ]
    assert named("d/a:b.jpg", "d/" + "long" * 60 + ".jpg")[0] == "a_b"
    assert len(named("d/" + "ü" * 120 + ".jpg")[0].encode()) <= 180


def test_names_of_an_earlier_run_stay():
    """New sources, sorted before the old ones, do not take their names."""
    taken = {"d/fm.jpg": "fm", "d/fm.png": "fm_2"}
    assert named("d/fm.bmp", "d/fm.jpg", "d/fm.png", taken=taken) == ["fm_3", "fm", "fm_2"]
