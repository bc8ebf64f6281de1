"""The pixels of videos: right colors, whole pictures, upright, square."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from made_videos import blank, numbered, set_display_matrix, write_video

from rtmpose.sources import expand_sources, open_frames, probe
from rtmpose.sources.orientation import Orientation, orientation_of, upright

# ---- colors

PATCH = 32
COLORS = np.array(
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 100, 50)]
)
"""RGB."""
MATRICES = {"bt601": (0.299, 0.114, 6), "bt709": (0.2126, 0.0722, 1), "untagged": (0.299, 0.114, 2)}


def yuv_of(rgb, kr, kb, full):
    """The textbook's conversion of one color."""
    r, g, b = (v / 255 for v in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    limited = (16 + 219 * y, 128 + 224 * u, 128 + 224 * v)
    values = (255 * y, 128 + 255 * u, 128 + 255 * v) if full else limited
    return [min(255, round(x)) for x in values]


def patches(kr, kb, full):
    """Patches of color, side by side, as YUV."""
    frame = av.VideoFrame(PATCH * len(COLORS), 64, "yuv420p")
    for number, plane in enumerate(frame.planes):
        side = PATCH if number == 0 else PATCH // 2
        rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
        for place, rgb in enumerate(COLORS):
            rows[:, place * side : (place + 1) * side] = yuv_of(rgb, kr, kb, full)[number]
        plane.update(rows.tobytes())
    return frame


def patch_colors(image):
    """RGB in the middle of each patch."""
    return image[32, PATCH // 2 :: PATCH, ::-1].astype(int)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colors(tmp_path, matrix, full):
    kr, kb, tag = MATRICES[matrix]

    def prepare(context):
        context.colorspace = tag
        context.color_range = 2 if full else 1

    path = tmp_path / "patches.mp4"
    images = [patches(kr, kb, full) for _ in range(3)]
    write_video(path, images, encoder={"crf": "1"}, prepare=prepare)
    frames = list(open_frames(expand_sources([path])[0]))
    assert np.abs(patch_colors(frames[1].image) - COLORS).max() <= 4


# ---- turned and mirrored

ORIENTATIONS = [
    ((1, 0, 0, 1), Orientation()),
    ((-1, 0, 0, 1), Orientation(flip_x=True)),
    ((1, 0, 0, -1), Orientation(flip_y=True)),
    ((-1, 0, 0, -1), Orientation(flip_x=True, flip_y=True)),
    ((0, 1, 1, 0), Orientation(transpose=True)),
    ((0, 1, -1, 0), Orientation(transpose=True, flip_x=True)),
    ((0, -1, 1, 0), Orientation(transpose=True, flip_y=True)),
    ((0, -1, -1, 0), Orientation(transpose=True, flip_x=True, flip_y=True)),
]
"""Display matrices a, b, c, d. The sixth is a phone held upright, the third a selfie clip."""


def shown(image, a, b, c, d):
    """Each pixel moved as the matrix says, one by one."""
    height, width = image.shape[:2]
    places = {
        (a * x + c * y, b * x + d * y): image[y, x] for y in range(height) for x in range(width)
    }
    left = min(x for x, _ in places)
    top = min(y for _, y in places)
    size = (height, width) if a or d else (width, height)
    result = np.zeros((*size, 3), image.dtype)
    for (x, y), pixel in places.items():
        result[y - top, x - left] = pixel
    return result


def corners():
    """A picture whose four corners differ."""
    image = blank((96, 64), 30)
    image[:32, :48] = (0, 0, 220)
    image[:32, 48:] = (0, 220, 0)
    image[32:, :48] = (220, 0, 0)
    return image


@pytest.mark.parametrize(("matrix", "orientation"), ORIENTATIONS)
def test_all_orientations(tmp_path, matrix, orientation):
    path = write_video(tmp_path / "v.mp4", [corners()] * 3, encoder={"crf": "5"})
    set_display_matrix(path, *matrix)
    (item,) = expand_sources([path])
    image = next(open_frames(item)).image
    expected = shown(corners(), *matrix)
    assert image.shape == expected.shape
    assert probe(item).size_wh == (expected.shape[1], expected.shape[0])
    # Away from the edges between the colors, which coding blurs.
    assert np.abs(image[8::48, 8::48].astype(int) - expected[8::48, 8::48]).max() < 40
    assert np.abs(image.astype(int) - expected).mean() < 12

    packed = np.array([*matrix[:2], 0, *matrix[2:], 0, 0, 0, 1], np.int32) * 65536
    assert orientation_of(packed.tobytes()) == orientation
    np.testing.assert_array_equal(upright(corners(), orientation), expected)


def test_matrices_that_are_a_little_off():
    turned = np.array([100, 65530, 0, -65530, 90, 0, 0, 0, 1 << 30], np.int32)
    assert orientation_of(turned.tobytes()) == Orientation(transpose=True, flip_x=True)
    assert orientation_of(b"") == orientation_of(bytes(36)) == Orientation()


# ---- interlaced


def fields(count=12, size=(160, 96)):
    """A bar that moves from field to field: odd rows are a moment later."""
    for index in range(count):
        image = blank(size, 40)
        image[::2, 20 + 8 * index : 40 + 8 * index] = 230
        image[1::2, 24 + 8 * index : 44 + 8 * index] = 230
        yield image


def combing(image):
    """How much rows differ from those next to them."""
    gray = image[8:-8, :, 1].astype(int)
    return np.abs(gray[1:] - gray[:-1]).mean()


@pytest.mark.parametrize(
    ("name", "codec", "encoder"),
    [
        ("v.mp4", "libx264", {"x264-params": "interlaced=1", "crf": "10"}),
        ("v.mts", "libx264", {"x264-params": "interlaced=1", "crf": "10"}),
        ("v.mpg", "mpeg2video", {"flags": "+ildct+ilme", "b": "4000000"}),
    ],
)
def test_interlaced_videos(tmp_path, caplog, name, codec, encoder):
    fmt = "mpegts" if name.endswith("mts") else None
    path = write_video(tmp_path / name, fields(), codec=codec, encoder=encoder, fmt=fmt)
    with caplog.at_level(logging.INFO):
        frames = list(open_frames(expand_sources([path])[0]))
    assert len(frames) == 12
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(12)], abs=1e-3)
    assert combing(list(fields())[5]) > 8
    assert max(combing(f.image) for f in frames[1:-1]) < 4
    assert caplog.text.count("is interlaced") == 1
    # The bar is where it was, not another frame's.
    for index, frame in enumerate(frames[1:-1], 1):
        middle = np.flatnonzero(frame.image[48, :, 1] > 130).mean()
        assert abs(middle - (32 + 8 * index)) < 4


def test_progressive_videos_are_left_alone(tmp_path, caplog):
    path = write_video(tmp_path / "v.mp4", fields(), encoder={"crf": "10"})
    with caplog.at_level(logging.INFO):
        frames = list(open_frames(expand_sources([path])[0]))
    assert combing(frames[5].image) > 8
    assert "interlaced" not in caplog.text


# ---- pixels that are not square


@pytest.mark.parametrize(
    ("aspect", "size_wh"),
    [
        (Fraction(2, 1), (192, 64)),
        (Fraction(4, 3), (128, 64)),
        (Fraction(8, 9), (96, 72)),
        (Fraction(1, 1), (96, 64)),
        (Fraction(3840, 3841), (96, 64)),
        (Fraction(100, 1), (96, 64)),
    ],
)
def test_pixels_that_are_not_square(tmp_path, caplog, aspect, size_wh):
    path = write_video(tmp_path / "v.mkv", [corners()] * 3, aspect=aspect)
    (item,) = expand_sources([path])
    with caplog.at_level(logging.INFO):
        assert probe(item).size_wh == size_wh
        images = [f.image for f in open_frames(item)]
    assert {i.shape for i in images} == {(size_wh[1], size_wh[0], 3)}
    assert caplog.text.count("resampled") == (size_wh != (96, 64))


def test_pixels_are_squared_before_frames_are_turned(tmp_path):
    path = write_video(tmp_path / "v.mp4", [corners()] * 3, aspect=Fraction(2, 1))
    set_display_matrix(path, 0, 1, -1, 0)
    assert next(open_frames(expand_sources([path])[0])).image.shape == (192, 64, 3)


# ---- whole pictures


def test_rows_that_are_padded(tmp_path):
    path = write_video(tmp_path / "v.mp4", [numbered(i, (98, 50)) for i in range(5)])
    for index, frame in enumerate(open_frames(expand_sources([path])[0])):
        assert frame.image.shape == (50, 98, 3)
        assert frame.image.flags.c_contiguous
        assert frame.image.flags.writeable
        assert np.abs(frame.image.astype(int) - (20 + 4 * index)).max() < 8


def test_frames_stay_what_they_were(tmp_path):
    """Each frame has its own memory: later ones do not change it, nor does closing the video."""
    path = write_video(tmp_path / "v.mp4", [numbered(i) for i in range(30)])
    frames = list(open_frames(expand_sources([path])[0]))
    for index, frame in enumerate(frames):
        assert abs(frame.image.mean() - (20 + 4 * index)) < 4


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p", "yuv420p10le", "gray"])
def test_other_pixel_formats(tmp_path, pix_fmt):
    path = write_video(tmp_path / "v.mkv", [corners()] * 3, pix_fmt=pix_fmt)
    image = next(open_frames(expand_sources([path])[0])).image
    assert image.dtype == np.uint8
    assert image.shape == (64, 96, 3)
