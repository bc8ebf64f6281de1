"""``rtmpose plot``: pictures of results and of angles."""

import importlib.util

import numpy as np
import pytest
from test_angles_files import write_results
from walker import SIZE, walker

from rtmpose.cli import main
from rtmpose.kinematics.clips import clip_angles
from rtmpose.plots.results import KINDS, overview, results_figure, speeds
from rtmpose.sources import read_image

NEEDS = "needs matplotlib"


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "walk.jsonl", [walker(frames=60, ids=(1, 2))[0]])


def test_without_matplotlib_the_extra_is_named(results, monkeypatch, capsys):
    find = importlib.util.find_spec

    def without(name, *rest):
        return None if name == "matplotlib" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert main(["plot", str(results)]) == 1
    assert "pip install 'rtmpose[plot]'" in capsys.readouterr().err
    assert main(["angles", str(results), "--plot", "a.png"]) == 1
    assert [path.name for path in results.parent.iterdir()] == ["walk.jsonl"]


def test_speeds_are_pixels_per_second():
    clip, _ = walker(frames=30)
    clip.keypoints[:] = np.arange(30)[:, None, None] * np.array([3.0, 4.0]) + 50
    view = overview(clip, kpt_thr=0.3, points=["nose"])
    np.testing.assert_allclose(speeds(view.tracks[0], [0])[:, 0], 5 * 60, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(results, tmp_path, kind):
    pytest.importorskip("matplotlib", reason=NEEDS)
    path = tmp_path / "walk.png"
    assert main(["plot", str(results), "-o", str(path), "--kind", kind]) == 0
    image = read_image(path)
    assert image.shape[1] > 1000
    assert image.std() > 5


def test_lines_are_the_data():
    pytest.importorskip("matplotlib", reason=NEEDS)
    clip, _ = walker(frames=60, ids=(1, 2))
    figure = results_figure(overview(clip, kpt_thr=0.3))
    trajectories, people, _, scores = figure.axes
    assert len(people.collections) == 2
    assert len(scores.lines) == 2
    np.testing.assert_allclose(scores.lines[0].get_ydata(), 0.9, atol=1e-6)
    middle = (clip.boxes[::2, 0] + clip.boxes[::2, 2]) / 2
    np.testing.assert_allclose(trajectories.lines[1].get_xdata(), middle, atol=1e-3)
    assert trajectories.get_xlim() == (0, SIZE[0])


def test_svg_is_the_same_each_time(results, tmp_path):
    pytest.importorskip("matplotlib", reason=NEEDS)
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        assert main(["plot", str(results), "-o", str(path), "--kind", "speeds"]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_angles_have_a_panel_each(tmp_path):
    pytest.importorskip("matplotlib", reason=NEEDS)
    from rtmpose.plots.angles import angles_figure

    clip, _ = walker("coco17", frames=30, ids=(1, 2))
    figure = angles_figure(clip_angles(clip))
    assert len(figure.axes) == 24
    titles = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert len(titles["knee flexion"].lines) == 3
    assert titles["foot"].texts[0].get_text() == "not seen"


def test_nobody_and_photos(tmp_path):
    pytest.importorskip("matplotlib", reason=NEEDS)
    clip, _ = walker(frames=3)
    nobody = clip.rows_where(np.zeros(3, bool))
    assert results_figure(overview(nobody, kpt_thr=0.3)).axes[0].texts
    photo, _ = walker(frames=1)
    results_figure(overview(photo, kpt_thr=0.3))


def test_a_folder_for_several_sources(tmp_path):
    pytest.importorskip("matplotlib", reason=NEEDS)
    clips = [walker(frames=20)[0], walker(frames=20, source="b/walk.mp4")[0]]
    results = write_results(tmp_path / "two.jsonl", clips)
    assert main(["plot", str(results), "--kind", "scores"]) == 0
    names = sorted(path.name for path in (tmp_path / "two_plot").iterdir())
    assert names == ["walk.png", "walk_2.png"]


def test_letters_without_a_font_are_told_in_one_line(tmp_path, caplog, recwarn):
    pytest.importorskip("matplotlib", reason=NEEDS)
    from rtmpose.plots.figures import new_figure, save_figure

    figure = new_figure(2, 1)
    figure.suptitle("\U00013000\U00013001 walk")  # hieroglyphs
    save_figure(figure, tmp_path / "walk.png")
    assert (tmp_path / "walk.png").is_file()
    (told,) = caplog.messages
    assert "no font here has some of its letters" in told
    assert len(recwarn) == 0
