"""Numbered images and animations as clips."""

import io
import json

import numpy as np
import pytest
from jobs import image, small_models
from PIL import Image

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.sources import expand_sources, open_frames, probe, read_image
from rtmpose.writers.names import output_names


def frames_of(source, **options):
    (item,) = expand_sources([str(source)], **options)
    return item, list(open_frames(item))


@pytest.fixture
def numbered(tmp_path):
    """Frames 8 to 12, without 10."""
    folder = tmp_path / "clip"
    for number in (8, 9, 11, 12):
        image(folder / f"cam2_{number}.png", value=10 * number)
    return folder


@pytest.mark.parametrize("pattern", ["", "*.png", "cam2_%d.png"])
def test_numbers_from_the_names(numbered, pattern):
    item, frames = frames_of(numbered / pattern, sequence=True, fps=10)
    assert item.kind == "sequence"
    assert not item.still
    assert [f.index for f in frames] == [8, 9, 11, 12]
    assert [round(f.time_s, 6) for f in frames] == [0, 0.1, 0.3, 0.4]
    assert [int(f.image[0, 0, 0]) for f in frames] == [80, 90, 110, 120]
    assert len({f.source for f in frames}) == 1
    assert probe(item).fps == 10


def test_a_counter_is_a_sequence_by_itself(tmp_path):
    for number in (1, 2, 10000):
        image(tmp_path / f"frame_{number:04d}.png")
    image(tmp_path / "frame_1.png")
    item, frames = frames_of(tmp_path / "frame_%04d.png")
    assert [f.index for f in frames] == [1, 2, 10000]
    assert output_names([item])[item.name] == "frame"
    with pytest.raises(InputError, match="nothing matches"):
        expand_sources([str(tmp_path / "other_%04d.png")])
    # A file of that very name comes first.
    image(tmp_path / "a%d.png")
    assert expand_sources([str(tmp_path / "a%d.png")])[0].kind == "image"


def test_without_the_option_a_folder_holds_single_images(numbered):
    items = expand_sources([str(numbered)])
    assert [item.kind for item in items] == ["image"] * 4


def test_names_without_numbers_are_counted(tmp_path):
    for name in ("b.png", "a.png", "c.png"):
        image(tmp_path / name)
    _, frames = frames_of(tmp_path, sequence=True)
    assert [f.index for f in frames] == [0, 1, 2]


def test_a_range_of_a_sequence(numbered):
    item, frames = frames_of(numbered, sequence=True, fps=10, start_s=0.1, limit=2)
    assert [f.index for f in frames] == [9, 11]
    assert probe(item).frames == 2
    with pytest.raises(InputError, match="no frame between"):
        frames_of(numbered, sequence=True, fps=10, start_s=9)


def test_an_unreadable_frame_is_a_gap(numbered, caplog):
    (numbered / "cam2_9.png").write_bytes(b"broken")
    _, frames = frames_of(numbered, sequence=True)
    assert [f.index for f in frames] == [8, 11, 12]
    assert "cam2_9.png" in caplog.text
    with pytest.raises(InputError, match=r"cam2_9.png"):
        frames_of(numbered, sequence=True, strict=True)
    for path in numbered.iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(InputError, match="no image of"):
        frames_of(numbered, sequence=True)


def test_fps_make_sense(numbered):
    for fps in (0, -1, float("nan"), 1e9):
        with pytest.raises(InputError, match="fps"):
            expand_sources([str(numbered)], sequence=True, fps=fps)


COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]  # RGB


def animation(path, **options):
    pictures = [Image.new("RGB", (40, 30), color) for color in COLORS]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


@pytest.mark.parametrize(
    ("name", "delays"),
    [
        ("a.gif", [100, 50, 200]),
        ("a.webp", [100, 50, 200]),
        ("a.png", [100, 50, 200]),
        ("a.tif", None),
        ("wrong_suffix.jpg", None),
    ],
)
def test_animations(tmp_path, name, delays):
    path = tmp_path / name
    options = {"duration": delays, "lossless": True} if delays else {"format": "TIFF"}
    item, frames = frames_of(animation(path, **options), fps=10)
    assert item.kind == "animation"
    expected = [0, 0.1, 0.15] if delays else [0, 0.1, 0.2]
    np.testing.assert_allclose([f.time_s for f in frames], expected, atol=1e-6)
    assert [f.index for f in frames] == [0, 1, 2]
    for frame, color in zip(frames, COLORS, strict=True):
        np.testing.assert_allclose(frame.image[15, 20, ::-1], color, atol=10)
    # As a single image it is its first frame.
    np.testing.assert_allclose(read_image(path)[15, 20, ::-1], COLORS[0], atol=10)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_one_frame_is_a_still_image(tmp_path, name):
    Image.new("RGB", (40, 30), COLORS[1]).save(tmp_path / name)
    assert expand_sources([str(tmp_path / name)])[0].kind == "image"


def test_a_damaged_animation(tmp_path):
    path = animation(tmp_path / "a.gif")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 40])
    (item,) = expand_sources([str(path)])
    try:
        list(open_frames(item))
    except InputError as error:
        assert "a.gif" in str(error)  # noqa: PT017


def test_ids_go_through_a_sequence(numbered, tmp_path, capfd):
    detector, pose = small_models(tmp_path)
    out = tmp_path / "all.jsonl"
    line = ["track", str(numbered), "--sequence", "--fps", "5", "--jsonl", str(out)]
    line += ["-o", str(tmp_path / "drawn"), "--pose", pose, "--detector", detector]
    assert main(line) == 0
    found = [json.loads(row) for row in out.read_text().splitlines()[1:]]
    assert [row["frame"] for row in found] == [8, 9, 11, 12]
    assert [row["time_s"] for row in found] == [0, 0.2, 0.6, 0.8]
    assert {person["track_id"] for row in found for person in row["people"]} == {1}
    assert (tmp_path / "drawn" / "clip.mp4").stat().st_size > 0


def test_all_frames_of_an_animation_are_predicted(tmp_path):
    detector, pose = small_models(tmp_path)
    path = animation(tmp_path / "a.gif", duration=100)
    out = tmp_path / "all.csv"
    line = ["predict", str(path), "--csv", str(out), "--pose", pose, "--detector", detector]
    assert main([*line, "--person-thr", "0"]) == 0
    assert len(out.read_text().splitlines()) == 4


def test_pages_of_different_sizes(tmp_path):
    pictures = [Image.new("RGB", (40, 30)), Image.new("L", (20, 60), 200)]
    file = io.BytesIO()
    pictures[0].save(file, "TIFF", save_all=True, append_images=pictures[1:])
    (tmp_path / "p.tif").write_bytes(file.getvalue())
    _, frames = frames_of(tmp_path / "p.tif")
    assert [f.image.shape for f in frames] == [(30, 40, 3), (60, 20, 3)]
