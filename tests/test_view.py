"""``rtmpose view``: one page with everything in it."""

import base64
import json
import re
from dataclasses import replace

import av
import numpy as np
import pytest
from test_angles_files import write_results
from walker import SIZE, walker

from rtmpose.cli import main
from rtmpose.plots.media import Place, media_of, write_webm
from rtmpose.plots.page import MISSING, page_data, page_text
from rtmpose.sources import expand_sources


def video(path, *, codec="mpeg4", frames=20):
    """A clip whose frames get brighter."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=20)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for k in range(frames):
            image = np.full((SIZE[1], SIZE[0], 3), 10 * k, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode(None))
    return path


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def array(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_data_are_the_results():
    clip, truth = walker(frames=30, ids=(1, 4))
    clip.keypoints[5, 2] = np.nan
    data = page_data(clip, None, 0.3)
    points = array(data["points"], "<i2").reshape(60, 26, 2)
    assert (points[5, 2] == MISSING).all()
    known = np.isfinite(clip.keypoints)
    np.testing.assert_allclose(points[known] / data["scale"], clip.keypoints[known], atol=0.04)
    np.testing.assert_array_equal(array(data["rows"], "<i4"), clip.rows)
    np.testing.assert_array_equal(array(data["row_people"], "<i4"), np.tile([0, 1], 30))
    np.testing.assert_array_equal(array(data["times"], "<f8"), clip.times)
    np.testing.assert_allclose(array(data["scores"], "u1") / 200, 0.9, atol=0.003)
    assert [person["name"] for person in data["people"]] == ["1", "4"]
    angles = array(data["people"][1]["angles"], "<i2").reshape(30, -1) / 10
    assert np.abs(angles[5:-5] - truth[1][5:-5]).max() < 3


def test_the_page_needs_nothing_from_elsewhere():
    text = page_text(walker(frames=3)[0], None)
    assert not re.search(r"https?://|//cdn|@import|<link|<script src", text)
    assert text.count("<script") == 2


def test_names_cannot_leave_their_element():
    clip = replace(walker(frames=3)[0], source="a</script><b>&.mp4")
    text = page_text(clip, None)
    assert text.count("</script>") == 2
    assert "<b>" not in text


def test_a_playable_video_is_put_in_as_it_is(tmp_path):
    path = video(tmp_path / "a b.webm", codec="libvpx-vp9")
    clip, _ = walker(frames=20, fps=20.0, source=str(path))
    results = write_results(tmp_path / "r.jsonl", [clip])
    assert main(["view", str(results)]) == 0
    data = data_of(tmp_path / "r_view.html")
    head, content = data["media"]["url"].split(",")
    assert head == "data:video/webm;base64"
    assert base64.b64decode(content) == path.read_bytes()

    assert main(["view", str(results), "-o", str(tmp_path / "p/q.html"), "--video-in", "link"]) == 0
    assert data_of(tmp_path / "p/q.html")["media"]["url"] == "../a%20b.webm"


def test_what_no_browser_plays_is_made_anew(tmp_path, caplog):
    path = video(tmp_path / "old.avi")
    clip, _ = walker(frames=20, fps=20.0, source=str(path))
    media = media_of(clip, None, tmp_path / "page.html")
    assert media.url.startswith("data:video/webm")
    assert "made anew as WebM" in caplog.text
    linked = media_of(clip, path, tmp_path / "page.html", place=Place.link)
    assert linked.url == "page.webm"
    assert (tmp_path / "page.webm").stat().st_size > 0


def test_webm_keeps_frames_and_times(tmp_path):
    path = video(tmp_path / "old.avi")
    (item,) = expand_sources([str(path)])
    assert write_webm(item, tmp_path / "new.webm", 20.0) == SIZE
    with av.open(str(tmp_path / "new.webm")) as file:
        frames = list(file.decode(video=0))
    assert [round(float(frame.time), 2) for frame in frames] == [k / 20 for k in range(20)]
    values = [frame.to_ndarray(format="bgr24").mean() for frame in frames]
    np.testing.assert_allclose(values, 10 * np.arange(20), atol=9)
    assert (np.diff(values) > 3).all()


def test_people_without_ids_are_shown_without_graphs(caplog):
    clip, _ = walker(frames=5, ids=(1, 2))
    data = page_data(replace(clip, ids=None), None, 0.3)
    assert data["angles"] == []
    assert len(data["people"]) == 1
    assert "have no ids" in caplog.text


def test_hands_and_photos(tmp_path):
    clip, _ = walker(frames=1)
    page_text(replace(clip, still=True, fps=None, ids=None), None)
    nobody = clip.rows_where(np.zeros(1, bool))
    assert page_data(nobody, None, 0.3)["people"][0]["name"] == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothere.mp4"], "there is no video at nothere.mp4"),
        (["-o", "x.pdf"], "no .html file"),
        (["--person", "7"], "there is no person 7"),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, arguments, words):
    results = write_results(tmp_path / "r.jsonl", [walker(frames=3)[0]])
    assert main(["view", str(results), *arguments]) == 1
    assert words in capsys.readouterr().err
