"""Ids corrected by hand, in every command that reads results."""

from dataclasses import replace

import numpy as np
import pytest
from lab_clips import made_clip
from results import SKELETON, poses, record

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.results import read_results
from rtmpose.results.identities import IdCorrections
from rtmpose.writers import WriterContext, format_named
from rtmpose.writers.convert import convert_clips
from rtmpose.writers.lab_table import RESULTS


def corrected(clip, swaps=(), merges=(), drops=()):
    return IdCorrections.parsed(swaps, merges, drops).apply(clip)


def places_of(clip, number):
    """Frame to the first point of a person."""
    own = clip.ids == number
    frames = clip.frames[clip.rows[own]].tolist()
    return dict(zip(frames, clip.keypoints[own, 0].tolist(), strict=True))


def test_two_people_are_swapped_from_a_frame_on():
    before = made_clip()
    after = corrected(before, ["1,3@20"])
    assert after.person_ids == (1, 3)
    for number, other in ((1, 3), (3, 1)):
        own, others = places_of(before, number), places_of(before, other)
        expected = {f: p for f, p in own.items() if f < 20}
        expected |= {f: p for f, p in others.items() if f >= 20}
        assert places_of(after, number) == expected
    # Twice is as before; without a frame the whole clip.
    assert corrected(before, ["1,3@20", "3, 1 @ 20"]).ids.tolist() == before.ids.tolist()
    assert places_of(corrected(before, ["1,3"]), 1) == places_of(before, 3)


def test_ids_of_one_person_are_merged():
    before = made_clip()
    first = before.rows < 15
    parts = np.where(first & (before.ids == 1), 7, before.ids)
    merged = corrected(replace(before, ids=parts), merges=["1,7"])
    assert merged.ids.tolist() == before.ids.tolist()
    with pytest.raises(InputError, match=r"1, 3 of .* not one person: .* in frame 13 \(22 frames"):
        corrected(before, merges=["1,3"])


def test_people_are_left_out():
    after = corrected(made_clip(), drops=["3"])
    assert (after.person_ids, len(after)) == ((1,), len(made_clip()))
    assert corrected(made_clip(), drops=["1, 3"]).person_ids == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"swaps": ["1,4"]}, r"no person 4 in .*; the ids are 1, 3"),
        ({"swaps": ["1,3@40"]}, r"no frame 40 in .*; its frames go from 10 to 39"),
        ({"swaps": ["1,3@9"]}, "no frame 9"),
        ({"swaps": ["1,1"]}, "such as 1,2@350"),
        ({"swaps": ["1-3"]}, "such as 1,2@350"),
        ({"merges": ["3"]}, "two ids or more"),
        ({"merges": ["3,x"]}, "such as 3,7"),
        ({"drops": ["2"]}, "no person 2"),
        ({"drops": ["a"]}, "9 or 8,9"),
    ],
)
def test_what_does_not_exist_is_told(given, words):
    with pytest.raises(InputError, match=words):
        corrected(made_clip(), **given)


def write_results(path, *sources):
    """Two people each, 100 pixels apart in x."""
    writer = format_named("jsonl").writer(
        path, WriterContext(SKELETON, frame_rates=dict.fromkeys(sources, 10.0))
    )
    for source in sources:
        for k in range(6):
            writer.write(record(source, k, poses(2, k, ids=[1, 2]), time_s=k / 10))
    writer.close()
    return path


def test_every_command_takes_them(tmp_path, capsys):
    results = write_results(tmp_path / "walk.jsonl", "walk.mp4")
    fixed = tmp_path / "fixed.jsonl"
    line = ["--swap-ids", "1,2@3"]
    assert main(["convert", str(results), "--to", "jsonl", "-o", str(fixed), *line]) == 0
    (before,), (after,) = read_results(results), read_results(fixed)
    assert after.ids.tolist() == corrected(before, ["1,2@3"]).ids.tolist()
    assert (after.fps, after.size_wh, after.skeleton) == (10.0, before.size_wh, before.skeleton)
    np.testing.assert_array_equal(after.keypoints, before.keypoints)

    # Corrected on the way or before, it is the same.
    for name, source, more in (("a", results, line), ("b", fixed, [])):
        out = str(tmp_path / f"{name}.csv")
        assert main(["angles", str(source), "-o", out, "--filter", "none", *more]) == 0
    first, second = ((tmp_path / f"{name}.csv").read_text() for name in "ab")
    assert first == second
    page = tmp_path / "page.html"
    assert main(["view", str(results), "-o", str(page), "--drop-ids", "1"]) == 0
    capsys.readouterr()
    assert main(["convert", str(results), "--to", "trc", "--swap-ids", "1,5"]) == 1
    assert "there is no person 5 in walk.mp4" in capsys.readouterr().err


def test_ids_belong_to_one_source(tmp_path, capsys):
    results = write_results(tmp_path / "two.jsonl", "a.mp4", "b.mp4")
    out = ["--to", "deeplabcut", "-o", str(tmp_path / "out"), "--merge-ids", "1,2"]
    assert main(["convert", str(results), *out]) == 1
    assert "choose with --source" in capsys.readouterr().err
    drop = [*out[:-2], "--drop-ids", "2", "--source", "b.mp4"]
    assert main(["convert", str(results), *drop]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.csv"]


def test_results_are_written_again(tmp_path):
    made = [made_clip(), made_clip(source="other.mp4", seed=1)]
    (path,) = convert_clips(made, RESULTS, tmp_path / "out.jsonl")
    found = read_results(path)
    for before, after in zip(made, found, strict=True):
        assert (after.source, after.fps, len(after)) == (before.source, before.fps, len(before))
        np.testing.assert_allclose(after.keypoints, before.keypoints, atol=1e-4)
        np.testing.assert_allclose(after.times, before.times)
