"""Reading images and videos, good ones and bad ones."""

import logging
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtmpose.errors import InputError
from rtmpose.sources import expand_sources, iterate, open_frames, probe, read_image


@pytest.fixture
def pattern():
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 3, y * 4, 255 - x * 3], axis=-1).astype(np.uint8)


def jpeg(image, **_):
    return cv2.imencode(".jpg", image)[1].tobytes()


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def write_video(path, sizes_and_counts=(((64, 48), 20),), fps=10.0):
    (size, count), *_ = sizes_and_counts
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, size)
    assert writer.isOpened()
    for i in range(count):
        writer.write(np.full((size[1], size[0], 3), i * 5, np.uint8))
    writer.release()
    return path


# ---- images
# ---------------------------------------------------------------------------------------------


def test_plain(tmp_path, pattern):
    (tmp_path / "a.png").write_bytes(png(pattern))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pattern)


def test_wrong_extension(tmp_path, pattern):
    (tmp_path / "really_png.jpg").write_bytes(png(pattern))
    np.testing.assert_array_equal(read_image(tmp_path / "really_png.jpg"), pattern)
    (tmp_path / "image.mp4").write_bytes(png(pattern))
    (item,) = expand_sources([tmp_path / "image.mp4"])
    assert item.kind == "image"


def test_gray(tmp_path, pattern):
    (tmp_path / "g.png").write_bytes(png(pattern[..., 0]))
    image = read_image(tmp_path / "g.png")
    assert image.shape == (48, 64, 3)
    np.testing.assert_array_equal(image[..., 2], pattern[..., 0])


def test_rgba(tmp_path, pattern):
    rgba = np.dstack([pattern, np.full(pattern.shape[:2], 7, np.uint8)])
    (tmp_path / "a.png").write_bytes(png(rgba))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pattern)


def test_16_bit(tmp_path, pattern):
    (tmp_path / "deep.png").write_bytes(png(pattern.astype(np.uint16) * 257))
    image = read_image(tmp_path / "deep.png")
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - pattern).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (20000, 10), (10, 20000)])
def test_odd_sizes(tmp_path, size):
    (tmp_path / "s.png").write_bytes(png(np.zeros((size[1], size[0], 3), np.uint8)))
    assert read_image(tmp_path / "s.png").shape == (size[1], size[0], 3)


def test_exif_rotation(tmp_path, pattern):
    """Orientation 6: the camera was held upright, the file lies on its side."""
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    payload = b"Exif\0\0" + tiff
    data = jpeg(pattern)
    exif = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    (tmp_path / "r.jpg").write_bytes(data[:2] + exif + data[2:])
    image = read_image(tmp_path / "r.jpg")
    assert image.shape == (64, 48, 3)
    expected = cv2.rotate(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.ROTATE_90_CLOCKWISE)
    assert np.abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("make", [jpeg, png])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated(tmp_path, pattern, make, part):
    data = make(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    (tmp_path / "cut.jpg").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match=r"cut.jpg .* cut short"):
        read_image(tmp_path / "cut.jpg")


def test_trailing_bytes_are_no_truncation(tmp_path, pattern):
    (tmp_path / "t.jpg").write_bytes(jpeg(pattern) + b"\0" * 3000)
    assert read_image(tmp_path / "t.jpg").shape == pattern.shape


def test_unusable_files(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("this is no image")
    for name, words in (
        ("missing.jpg", "does not exist"),
        ("empty.jpg", "empty"),
        ("text.jpg", "not an image"),
        (".", "folder"),
    ):
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / name)


# ---- expanding
# --------------------------------------------------------------------------------------------


def test_expand(tmp_path, pattern):
    for name in ("10.jpg", "2.jpg", "note.txt"):
        (tmp_path / name).write_bytes(jpeg(pattern))
    write_video(tmp_path / "v.avi")
    items = expand_sources([tmp_path])
    assert [i.name.rsplit("/", 1)[-1] for i in items] == ["2.jpg", "10.jpg", "v.avi"]
    assert [i.kind for i in items] == ["image", "image", "video"]
    assert len(expand_sources([str(tmp_path / "*.jpg")])) == 2
    assert expand_sources(["0"])[0].kind == expand_sources([1])[0].kind == "camera"
    assert expand_sources(["rtsp://host/stream"])[0].live
    assert expand_sources(["http://host/a.jpg"])[0].kind == "image"
    assert expand_sources([pattern])[0].kind == "array"


def test_expand_refuses(tmp_path):
    for source, words in (
        (tmp_path / "no.jpg", "does not exist"),
        (tmp_path, "holds no image"),
        (str(tmp_path / "*.jpg"), "nothing matches"),
        (3.5, "float"),
    ):
        with pytest.raises(InputError, match=words):
            expand_sources([source])
    with pytest.raises(InputError, match="no source"):
        expand_sources([])


# ---- videos
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_video(tmp_path, suffix):
    (item,) = expand_sources([write_video(tmp_path / f"v{suffix}")])
    info = probe(item)
    assert (info.frames, info.fps, info.size_wh) == (20, 10.0, (64, 48))
    frames = list(open_frames(item))
    assert len(frames) == 20
    assert frames[5].index == 5
    assert frames[5].time_s == pytest.approx(0.5)
    assert abs(int(frames[5].image.mean()) - 25) < 4
    assert len(list(iterate([replace(item, limit=3)]))) == 3


def test_video_cut_short(tmp_path, caplog):
    rng = np.random.default_rng(0)
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(100):
        writer.write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        frames = list(open_frames(expand_sources([path])[0]))
    assert 30 < len(frames) < 70
    assert "cut short" in caplog.text
    assert "of 100 frames" in caplog.text


def test_frames_that_do_not_come_evenly(tmp_path):
    av = pytest.importorskip("av")
    stamps = [0, 33, 66, 166, 200, 500, 533, 1000]
    container = av.open(str(tmp_path / "uneven.mp4"), "w")
    stream = container.add_stream("mpeg4", rate=30)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 1000)
    for stamp in stamps:
        frame = av.VideoFrame.from_ndarray(
            np.full((64, 96, 3), stamp // 4, np.uint8), format="bgr24"
        )
        frame.pts, frame.time_base = stamp, Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
    container.close()
    frames = list(open_frames(expand_sources([str(tmp_path / "uneven.mp4")])[0]))
    np.testing.assert_allclose([f.time_s for f in frames], np.array(stamps) / 1000, atol=2e-3)


def test_videos_without_frames(tmp_path):
    whole = write_video(tmp_path / "v.mp4").read_bytes()
    (tmp_path / "noindex.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video at all")
    for name in ("noindex.mp4", "empty.mp4", "text.mp4"):
        with pytest.raises(InputError, match=name):
            list(open_frames(expand_sources([tmp_path / name])[0]))
    none = write_video(tmp_path / "none.avi", (((64, 48), 0),))
    with pytest.raises(InputError, match=r"none.avi"):
        list(open_frames(expand_sources([none])[0]))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists open files on Linux only")
def test_the_file_is_closed_when_the_reader_stops(tmp_path):
    (item,) = expand_sources([write_video(tmp_path / "v.avi")])
    for _ in iterate([item]):
        break
    open_files = [link.resolve() for link in Path("/proc/self/fd").glob("*")]
    assert (tmp_path / "v.avi").resolve() not in open_files


def test_missing_camera():
    with pytest.raises(InputError, match="camera 97 cannot be opened"):
        list(open_frames(expand_sources([97])[0]))


def test_one_bad_among_good(tmp_path, pattern):
    for name in ("1.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(jpeg(pattern))
    (tmp_path / "2.jpg").write_bytes(b"broken")
    bad = []
    items = expand_sources([tmp_path])
    frames = list(iterate(items, on_error=lambda item, error: bad.append((item.name, str(error)))))
    assert len(frames) == 2
    assert len(bad) == 1
    assert "2.jpg" in bad[0][0]
    with pytest.raises(InputError, match=r"2.jpg"):
        list(iterate(items))


class Camera:
    """An HTTP camera (multipart JPEG) that hangs up after some frames and can be called again."""

    def __init__(self, frames_per_call):
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        camera = self
        self.calls = 0
        pattern = np.zeros((60, 80, 3), np.uint8)
        pattern[10:40, 20:26] = (0, 0, 255)
        jpeg = cv2.imencode(".jpg", pattern)[1].tobytes()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                camera.calls += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for _ in range(frames_per_call):
                    head = (
                        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length:"
                        f" {len(jpeg)}\r\n\r\n"
                    )
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    time.sleep(0.01)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/live.mjpg"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_a_stream_that_hangs_up_is_called_again(monkeypatch, caplog):
    import rtmpose.sources.live as live

    sleep = time.sleep
    monkeypatch.setattr(live.time, "sleep", lambda s: sleep(min(s, 0.05)))
    camera = Camera(30)
    try:
        frames = open_frames(expand_sources([camera.url])[0])
        shapes = [next(frames).image.shape for _ in range(45)]
        frames.close()
        assert set(shapes) == {(60, 80, 3)}
    finally:
        camera.server.shutdown()
        camera.server.server_close()
    assert camera.calls >= 2
    assert "opening it again" in caplog.text


# ---- a range of time
# --------------------------------------------------------------------------------------


def indices(path, **selection):
    (item,) = expand_sources([path], **selection)
    frames = list(open_frames(item))
    assert probe(item).frames == len(frames)
    return [f.index for f in frames], frames


def test_a_range_of_time(tmp_path):
    path = write_video(tmp_path / "v.avi")
    assert indices(path, start_s=0.5, end_s=1.5)[0] == list(range(5, 15))
    assert indices(path, limit=3)[0] == [0, 1, 2]
    assert indices(path, start_s=1.2, limit=3)[0] == [12, 13, 14]
    assert indices(path, start_s=1.8, end_s=99)[0] == [18, 19]
    with pytest.raises(InputError, match=r"v.avi has no frame between 5 s and its end"):
        indices(path, start_s=5)
    with pytest.raises(InputError, match=r"between 5 s and 6 s"):
        indices(path, start_s=5, end_s=6)


def test_a_range_does_not_concern_images(tmp_path, pattern):
    (tmp_path / "a.png").write_bytes(png(pattern))
    assert indices(tmp_path / "a.png", start_s=3, end_s=4)[0] == [0]


def test_mirrored_frames(tmp_path, pattern):
    (tmp_path / "a.png").write_bytes(png(pattern))
    _, (frame,) = indices(tmp_path / "a.png", flip=True)
    np.testing.assert_array_equal(frame.image, pattern[:, ::-1])


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ({"start_s": -1}, "start must be"),
        ({"start_s": float("nan")}, "start must be"),
        ({"start_s": 3, "end_s": 3}, "must be later"),
        ({"end_s": float("nan")}, "must be later"),
        ({"limit": 0}, "limit must be"),
    ],
)
def test_ranges_that_make_no_sense(tmp_path, selection, words):
    with pytest.raises(InputError, match=words):
        expand_sources([write_video(tmp_path / "v.avi")], **selection)
