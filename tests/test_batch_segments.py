"""Long videos are cut, and nobody can tell from the rows."""

from itertools import pairwise

import pytest
from jobs import image
from made_videos import numbered, write_video

from rtmpose.batch.ledger import Ledger
from rtmpose.batch.report import report_of
from rtmpose.batch.segments import cut, cut_moments
from rtmpose.batch.settings import BatchSettings
from rtmpose.batch.units import make_units
from rtmpose.cli import main
from rtmpose.sources import SourceItem, open_frames

GOP = {"crf": "5", "g": "10", "keyint_min": "10", "sc_threshold": "0"}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Six seconds, a key frame every 0.4 s, pictures between that look ahead."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, [numbered(n) for n in range(150)], encoder={**GOP, "bf": "2"})
    return path


def frames_of(path, start_s=0.0, end_s=None):
    item = SourceItem(str(path), "video", start_s=start_s, end_s=end_s)
    return [(frame.index, frame.time_s, frame.image.tobytes()) for frame in open_frames(item)]


def test_every_frame_is_in_one_part(video):
    moments = cut_moments(video, 1.0)
    assert len(moments) >= 3
    edges = [0.0, *moments, None]
    parts = [frames_of(video, a, b) for a, b in pairwise(edges)]
    assert [frame for part in parts for frame in part] == frames_of(video)
    # Each part begins at a key frame.
    assert all(part[0][0] % 10 == 0 for part in parts)


def test_short_videos_and_those_that_must_be_whole_are_not_cut(video, tmp_path):
    assert cut_moments(video, 5.0) == []

    def parts(source=video, **settings):
        given = BatchSettings(**{"segment_s": 1.0, **settings})
        return len(cut(make_units([str(source)], given)[0], given))

    assert parts() > 3
    assert parts(segment_s=0) == 1
    assert parts(task="track") == 1
    assert parts(format="csv") == 1
    assert parts(limit=10) == 1
    assert parts(source=image(tmp_path / "a.png")) == 1
    assert parts(source=tmp_path / "gone.mp4") == 1
    assert parts(source="s3://bucket/long.mp4") == 1
    # Only within the range that is read.
    assert 1 < parts(start_s=2.0, end_s=4.5) < parts()


def test_uneven_videos_are_not_cut(tmp_path):
    path = tmp_path / "uneven.mp4"
    stamps = [40 * n + (5000 if n > 70 else 0) for n in range(150)]
    write_video(path, [numbered(n) for n in range(150)], encoder=GOP, stamps=stamps)
    assert cut_moments(path, 1.0) == []


def test_parts_make_the_rows_of_the_whole(video, tmp_path, job_options):
    dataset = pytest.importorskip("pyarrow.dataset", reason="reads Parquet")
    for name, length in (("parts", "1"), ("whole", "0")):
        out = ["--out", str(tmp_path / name), "--segment-s", length]
        assert main(["batch", str(video), *out, *job_options]) == 0

    def rows(name):
        table = dataset.dataset(tmp_path / name / "data", format="parquet").to_table()
        return table.sort_by([("frame", "ascending")])

    assert rows("parts").equals(rows("whole"))
    assert len(rows("whole")) == 150
    assert len(list((tmp_path / "parts" / "data").iterdir())) > 3
    report = report_of(tmp_path / "parts")
    assert (report.done, report.frames, report.twice) == (1, 150, [])

    # One part is lost: only that is done again.
    files = sorted((tmp_path / "parts" / "data").iterdir())
    files[1].unlink()
    before = {path: path.stat().st_mtime_ns for path in files if path.exists()}
    lost = report_of(tmp_path / "parts")
    assert (
        main(
            [
                "batch",
                str(video),
                "--out",
                str(tmp_path / "parts"),
                "--segment-s",
                "1",
                *job_options,
            ]
        )
        == 0
    )
    assert rows("parts").equals(rows("whole"))
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert lost.done == 1  # the ledger alone cannot know
    assert not report_of(tmp_path / "parts").twice
    assert len(Ledger(tmp_path / "parts").keys()) == len(files)
