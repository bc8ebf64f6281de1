"""Annotated videos as others see them: H.264 that browsers play, right colors, right sound."""

import shutil
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from made_videos import blank, index_of, numbered, write_video
from test_video_pixels import COLORS, MATRICES, patch_colors, patches

from rtmpose.media_threads import opencv_in_one_thread
from rtmpose.sources import expand_sources, open_frames
from rtmpose.sources.containers import opened_file
from rtmpose.writers.video import VideoEncoder, has_h264

needs_h264 = pytest.mark.skipif(not has_h264(), reason="this build of PyAV has no H.264 encoder")


def read(path):
    return list(open_frames(expand_sources([path])[0]))


def encoded(path, images, fps=25, **options):
    with VideoEncoder(path, fps, **options) as encoder:
        for index, image in enumerate(images):
            encoder.write(image, index / fps)
    return path


@needs_h264
def test_what_browsers_play(tmp_path):
    path = encoded(tmp_path / "v.mp4", [numbered(i, (97, 65)) for i in range(20)])
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (96, 64)
        frame = next(video.decode(stream))
    # The matrix is that of the conversion; OpenCV's is BT.601, limited.
    assert (frame.colorspace, frame.color_range) == (6, 1)
    assert (frame.color_primaries, frame.color_trc) == (1, 1)
    # The index comes first.
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colors_survive(tmp_path, matrix, full):
    """From a tagged source to an annotated video, and read again."""
    kr, kb, tag = MATRICES[matrix]

    def prepare(context):
        context.colorspace = tag
        context.color_range = 2 if full else 1

    source = tmp_path / "source.mp4"
    images = [patches(kr, kb, full) for _ in range(5)]
    write_video(source, images, encoder={"crf": "1"}, prepare=prepare)
    written = encoded(tmp_path / "v.mp4", [f.image for f in read(source)])
    assert np.abs(patch_colors(read(written)[2].image) - COLORS).max() <= 8


@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_all_frames_at_their_moments(tmp_path, codec):
    if codec == "h264" and not has_h264():
        pytest.skip("this build of PyAV has no H.264 encoder")
    moments = [0, 0.033, 0.066, 0.5, 0.533, 2.0]
    with VideoEncoder(tmp_path / "v.mp4", 30, codec=codec) as encoder:
        for index, moment in enumerate(moments):
            encoder.write(numbered(5 * index), moment)
    frames = read(tmp_path / "v.mp4")
    assert [f.time_s for f in frames] == pytest.approx(moments, abs=1e-3)
    assert [abs(index_of(f.image) - 5 * i) <= 1 for i, f in enumerate(frames)] == [True] * 6


def sounding(path, *, codec, rate=48000, late=0.0, fmt=None):
    """25 frames, and a second of sound that is loud in its second half."""
    with av.open(str(path), "w", format=fmt) as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = out.add_stream(codec, rate=rate, layout="mono")
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(blank(), format="bgr24")
            frame.pts, frame.time_base = index + round(25 * late), Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        wave = np.sin(np.arange(rate) / 8) * (np.arange(rate) > rate // 2)
        for first in range(0, rate, 1000):
            part = (wave[first : first + 1000] * 20000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate = rate
            frame.pts = first + round(rate * late)
            for packet in sound.encode(resampled(frame, sound)):
                out.mux(packet)
        out.mux(sound.encode())
    return path


def resampled(frame, sound):
    context = sound.codec_context
    resampler = av.AudioResampler(context.format, context.layout, context.sample_rate)
    (found,) = resampler.resample(frame)
    found.pts = frame.pts
    return found


def loud_from(path):
    """Second at which the sound begins."""
    with av.open(str(path)) as video:
        for frame in video.decode(audio=0):
            if np.abs(frame.to_ndarray().astype(np.float64)).max() > 0.1:
                return frame.time
    return None


@needs_h264
@pytest.mark.parametrize("late", [0.0, 3.0])
def test_sound_stays_in_step(tmp_path, late):
    source = sounding(tmp_path / "s.mkv", codec="aac", late=late)
    path = encoded(tmp_path / "v.mp4", [blank()] * 25, sound_of=source)
    assert loud_from(path) == pytest.approx(0.5, abs=0.06)
    path = encoded(tmp_path / "w.mp4", [blank()] * 15, sound_of=source, sound_from_s=0.4)
    assert loud_from(path) == pytest.approx(0.1, abs=0.06)


@needs_h264
@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [("s.ts", "aac", True), ("s.avi", "pcm_s16le", True), ("s.mov", "pcm_mulaw", False)],
)
def test_sounds_of_all_kinds(tmp_path, caplog, name, codec, kept):
    source = sounding(tmp_path / name, codec=codec)
    path = encoded(tmp_path / "v.mp4", [blank()] * 25, sound_of=source)
    assert len(read(path)) == 25
    assert ("left out" in caplog.text) != kept
    with av.open(str(path)) as video:
        assert len(video.streams.audio) == kept


def test_names_with_colons(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    encoded(Path("a:b.mp4"), [blank()] * 3)
    shutil.move("a:b.mp4", "c.mp4")
    assert len(read(tmp_path / "c.mp4")) == 3


@pytest.mark.parametrize(
    ("cores", "size_hw", "threads"),
    [
        (1, (2160, 3840), 1),
        (2, (16, 16), 1),
        (2, (720, 1280), 1),
        (2, (1080, 1920), 2),
        (4, (2160, 3840), 4),
        (8, (720, 1280), 0),  # the encoder's own choice
    ],
)
def test_few_cores_are_left_to_the_networks(cores, size_hw, threads, tmp_path, monkeypatch):
    monkeypatch.setattr("rtmpose.media_threads.usable_cpus", lambda: cores)
    with VideoEncoder(tmp_path / "v.mp4", 25) as encoder:
        encoder.write(np.zeros((*size_hw, 3), np.uint8))
        assert encoder._stream.codec_context.thread_count == threads


@pytest.mark.parametrize(
    ("cores", "size_hw", "threads"),
    [(2, (48, 64), 1), (4, (1080, 1920), 2), (8, (48, 64), 0)],
)
def test_few_cores_do_not_all_decode(cores, size_hw, threads, tmp_path, monkeypatch):
    monkeypatch.setattr("rtmpose.media_threads.usable_cpus", lambda: cores)
    path = tmp_path / "v.mp4"
    encoded(path, [np.zeros((*size_hw, 3), np.uint8)] * 2)
    with opened_file(path, "v.mp4") as video:
        assert video.stream.codec_context.thread_count == threads
    assert len(read(path)) == 2


@pytest.mark.parametrize(("cores", "threads"), [(2, 1), (8, 3)])
def test_few_cores_are_not_shared_with_threads_of_opencv(cores, threads, monkeypatch):
    monkeypatch.setattr("rtmpose.media_threads.usable_cpus", lambda: cores)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        with opencv_in_one_thread():
            assert cv2.getNumThreads() == threads
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
