"""Videos as they are found: odd containers and names, damage, stamps, a start in the middle."""

import errno
import importlib
import logging
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import blank, index_of, numbered, write_video

from rtmpose import media_open
from rtmpose.errors import InputError
from rtmpose.sources import expand_sources, open_frames, probe, read_image

MILLISECOND = Fraction(1, 1000)


def read(path, **selection):
    (item,) = expand_sources([path], **selection)
    assert item.kind == "video"
    return list(open_frames(item))


def pictures(count=20, size=(96, 64)):
    return [numbered(i, size) for i in range(count)]


def check_order(frames, count, tolerance=1e-3):
    """Whether all frames are there, in order, 25 a second."""
    assert [f.index for f in frames] == list(range(count))
    assert [index_of(f.image) for f in frames] == [i % 50 for i in range(count)]
    assert [f.time_s for f in frames] == pytest.approx(
        [i / 25 for i in range(count)], abs=tolerance
    )


# ---- containers

CONTAINERS = {
    "clip.MTS": ("mpegts", "libx264", {}),
    "clip.m2ts": ("mpegts", "libx264", {"mpegts_m2ts_mode": "1"}),
    "transport": ("mpegts", "libx264", {}),
    "clip.mxf": ("mxf", "mpeg2video", {}),
    "clip.vob": ("vob", "mpeg2video", {}),
    "clip.h264": ("h264", "libx264", {}),
    "clip.hevc": ("hevc", "libx265", {}),
    "clip.asf": ("asf", "wmv2", {}),
    "clip.y4m": ("yuv4mpegpipe", "rawvideo", {}),
    "clip.3g2": ("3g2", "mpeg4", {}),
    "clip.mjpeg": ("mjpeg", "mjpeg", {}),
    "clip.webm": ("webm", "libvpx-vp9", {}),
    "clip.flv": ("flv", "flv1", {}),
    "clip.nut": ("nut", "mpeg4", {}),
    "clip.ivf": ("ivf", "libvpx", {}),
}


@pytest.mark.parametrize("suffix", ["own", "none", "wrong"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(tmp_path, name, suffix):
    fmt, codec, container = CONTAINERS[name]
    try:
        av.codec.Codec(codec, "w")
    except ValueError:
        pytest.skip(f"this PyAV has no encoder {codec}")
    if codec == "mjpeg" and suffix != "own":
        pytest.skip("is an image but for its suffix")
    path = tmp_path / {"own": name, "none": "noname", "wrong": "name.data"}[suffix]
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    write_video(
        path,
        pictures(),
        codec=codec,
        fmt=fmt,
        container=container,
        encoder=options,
        pix_fmt=pix_fmt,
    )
    frames = read(path)
    assert len(frames) == 20
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(20)], abs=2e-3)
    assert [abs(index_of(f.image) - i) <= 1 for i, f in enumerate(frames)] == [True] * 20


def test_digital_video(tmp_path):
    path = tmp_path / "tape.dv"
    try:
        write_video(path, pictures(5, (720, 576)), codec="dvvideo", fmt="dv")
    except av.error.FFmpegError:
        pytest.skip("this PyAV cannot write DV")
    frames = read(path)
    assert len(frames) == 5
    assert frames[0].image.shape == (576, 768, 3)
    assert probe(expand_sources([path])[0]).fps == 25


def test_what_is_no_video_is_left_to_the_image_reader(tmp_path):
    (tmp_path / "notes").write_text("only words " * 200)
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "zeros").write_bytes(bytes(5000))
    for name in ("notes", "noise.bin", "zeros"):
        assert expand_sources([tmp_path / name])[0].kind == "image"


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        frame.rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with pytest.raises(InputError, match="holds no video"):
        read(path)


def test_a_playlist_on_the_disk_calls_no_server(tmp_path):
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match=r"list\.mp4"):
        read(path)


def test_devices_are_cameras():
    for name in ("/dev/video97", "/dev/v4l/by-id/usb-some_camera-index0", Path("/dev/video97")):
        assert expand_sources([name])[0].kind == "camera"
    with pytest.raises(InputError, match="camera /dev/video97 cannot be opened"):
        list(open_frames(expand_sources(["/dev/video97"])[0]))


@pytest.mark.parametrize("scheme", ["srt", "rtp", "udp", "rtmp", "rtsp", "tcp", "RTSP"])
def test_addresses_are_streams(scheme):
    assert expand_sources([f"{scheme}://127.0.0.1:1234/x"])[0].kind == "stream"


# ---- names


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes are a matter of Linux")
def test_a_name_that_is_not_text(tmp_path):
    whole = write_video(tmp_path / "v.mp4", pictures())
    name = os.fsencode(tmp_path) + b"/\xff\xfe clip.mp4"
    os.link(whole, name)
    check_order(read(os.fsdecode(name)), 20)


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "%03d.mp4", "n" * 251 + ".mp4", "-.mp4", "a b'\"é.mp4"]
)
def test_names(tmp_path, name):
    whole = write_video(tmp_path / "v.mp4", pictures())
    shutil.copy(whole, tmp_path / name)
    check_order(read(tmp_path / name), 20)


def test_a_relative_name_like_a_protocol(tmp_path, monkeypatch):
    write_video(tmp_path / "v.mp4", pictures()).rename(tmp_path / "concat:v.mp4")
    monkeypatch.chdir(tmp_path)
    check_order(read("concat:v.mp4"), 20)


# ---- damage


def noise(count=60, size=(160, 120)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8) for _ in range(count)]


def damaged(path, part=0.5, length=3000):
    data = bytearray(path.read_bytes())
    first = int(len(data) * part)
    data[first : first + length] = bytes((k * 7) % 256 for k in range(length))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["v.mp4", "v.ts"])
def test_damage_in_the_middle_is_passed_over(tmp_path, caplog, capfd, name):
    container = {"movflags": "faststart"} if name == "v.mp4" else {}
    path = write_video(tmp_path / name, noise(), encoder={"g": "10"}, container=container)
    frames = read(damaged(path))
    assert len(frames) > 50
    assert caplog.text.count("damaged") == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_files_that_are_cut_short(tmp_path, caplog, capfd, name):
    container = {"movflags": "faststart"} if name == "v.mp4" else {}
    path = write_video(tmp_path / name, noise(), container=container)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    assert 20 < len(read(path)) < 50
    assert "cut short" in caplog.text
    assert capfd.readouterr().err == ""


def test_an_index_that_is_missing(tmp_path, capfd):
    path = write_video(tmp_path / "v.mp4", noise(10))
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"v\.mp4 .*index \(moov atom\) is missing"):
        read(path)
    assert capfd.readouterr().err == ""


def test_a_page_of_an_error_instead_of_a_video(tmp_path):
    for name, data in (("page.mp4", b"<html>404</html>" * 30), ("zeros.mp4", bytes(9000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="not a video FFmpeg can read"):
            read(tmp_path / name)


def test_whole_files_whose_count_is_a_guess(tmp_path, caplog):
    """Length times rate says 1,000 frames a second and more for what a browser records."""
    for name in ("v.mkv", "v.webm"):
        codec = "libvpx-vp9" if name == "v.webm" else "libx264"
        stamps = [0, 3, *range(100, 3900, 100)]
        path = write_video(
            tmp_path / name, pictures(len(stamps)), codec=codec, stamps=stamps, tick=MILLISECOND
        )
        assert len(read(path)) == len(stamps)
    assert caplog.text == ""


def test_sound_that_is_longer_than_the_pictures(tmp_path, caplog):
    path = tmp_path / "long.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = out.add_stream("aac", rate=48000, layout="mono")
        for image in pictures():
            out.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(video.encode())
        for k in range(300):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.rate, frame.pts = 48000, 1024 * k
            out.mux(sound.encode(frame))
        out.mux(sound.encode())
    check_order(read(path), 20, tolerance=2e-3)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_all_frames_where_the_sound_comes_first(tmp_path, name):
    """The empty packets that empty the decoders bear no number of a stream."""
    path = tmp_path / name
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=48000, layout="mono")
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for image in pictures():
            out.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 38400), np.float32), "fltp", "mono")
        frame.rate, frame.pts = 48000, 0
        out.mux(sound.encode(frame))
        out.mux(sound.encode())
    check_order(read(path), 20, tolerance=2e-3)


@pytest.mark.parametrize("start", [b"ID3\3", b"\xff\xfb\x90\0", b"RIFF\0\0\0\0WAVE", b"fLaC"])
def test_sound_files_are_named(tmp_path, start):
    path = tmp_path / "song"
    path.write_bytes(start + bytes(2000))
    with pytest.raises(InputError, match="is a sound file"):
        read_image(path)


# ---- stamps


@pytest.mark.parametrize("name", ["v.mp4", "v.ts", "v.mkv"])
def test_frames_out_of_order_in_the_file(tmp_path, name):
    encoder = {"bf": "3", "x264-params": "b-adapt=0:bframes=3", "crf": "5"}
    check_order(read(write_video(tmp_path / name, pictures(50), encoder=encoder)), 50)


@pytest.mark.parametrize("first", [-2000, 500, 90_000])
def test_stamps_that_do_not_begin_at_0(tmp_path, first):
    stamps = [first + 40 * i for i in range(20)]
    # In MP4 an edit list hides what lies before 0.
    names = ("v.mkv", "v.ts") if first < 0 else ("v.mkv", "v.mp4", "v.ts")
    for name in names:
        path = write_video(tmp_path / name, pictures(), stamps=stamps, tick=MILLISECOND)
        check_order(read(path), 20, tolerance=2e-3)


def test_a_variable_rate(tmp_path):
    stamps = [0, 33, 66, 166, 200, 500, 533, 1000, 1010, 8000, 8040]
    path = write_video(tmp_path / "v.mkv", pictures(11), stamps=stamps, tick=MILLISECOND)
    assert [f.time_s for f in read(path)] == pytest.approx([s / 1000 for s in stamps], abs=2e-3)


def test_one_frame_an_hour_ahead_in_a_file(tmp_path):
    stamps = [40 * i for i in range(30)]
    stamps[12] += 3_600_000
    path = tmp_path / "v.nut"
    write_video(path, pictures(30), stamps=sorted(stamps), tick=MILLISECOND)
    frames = read(path)
    assert len(frames) == 30
    assert frames[-1].time_s < 2


def test_an_edit_list(tmp_path, caplog):
    """Half a second before 0 is hidden: no frame of it is shown, and nothing is missing."""
    stamps = [-480 + 40 * i for i in range(50)]
    path = write_video(tmp_path / "v.mp4", pictures(50), stamps=stamps, tick=MILLISECOND)
    frames = read(path)
    assert [index_of(f.image) for f in frames] == list(range(12, 50))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(38)], abs=1e-3)
    assert caplog.text == ""
    part = read(path, start_s=1.0)
    assert [f.index for f in part] == list(range(25, 38))


# ---- a start in the middle


def decoded_packets(monkeypatch):
    """Counts the packets that are decoded."""
    import rtmpose.sources.decoding as decoding

    counted = []
    decode = decoding._decode

    def counting(packet, video, reading):
        counted.append(packet.size)
        return decode(packet, video, reading)

    monkeypatch.setattr(decoding, "_decode", counting)
    return counted


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts", "v.mov"])
@pytest.mark.parametrize("bframes", [0, 2])
def test_a_start_in_the_middle_is_sought(tmp_path, monkeypatch, name, bframes):
    encoder = {"g": "25", "bf": str(bframes), "crf": "5"}
    path = write_video(tmp_path / name, pictures(200), encoder=encoder)
    whole = read(path)
    counted = decoded_packets(monkeypatch)
    part = read(path, start_s=6.0, end_s=7.0)
    assert len(counted) < 80
    expected = [f for f in whole if 6.0 <= f.time_s < 7.0]
    assert [f.index for f in part] == [f.index for f in expected]
    assert [f.time_s for f in part] == [f.time_s for f in expected]
    for a, b in zip(part, expected, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


@pytest.mark.parametrize(
    ("name", "codec", "stamps"),
    [
        ("v.avi", "mpeg4", None),
        ("v.mpg", "mpeg2video", None),
        ("v.mkv", "libx264", [40 * i + (30 if i == 40 else 0) for i in range(100)]),
        ("v.mkv", "libx264", [40 * i + (5000 if i > 40 else 0) for i in range(100)]),
    ],
)
def test_a_start_in_the_middle_is_where_it_should_be(tmp_path, name, codec, stamps):
    path = write_video(
        tmp_path / name,
        pictures(100),
        codec=codec,
        stamps=stamps,
        tick=MILLISECOND,
        encoder={"g": "12"},
    )
    whole = read(path)
    part = read(path, start_s=2.5)
    expected = [(f.index, f.time_s) for f in whole if f.time_s >= 2.5]
    assert [(f.index, f.time_s) for f in part] == expected


# ---- threads and files


def test_nothing_stays_open(tmp_path):
    """Reading part of a video many times leaves neither threads nor open files."""
    path = write_video(tmp_path / "v.mp4", pictures(30))
    program = f"""
import os
from rtmpose.sources import expand_sources, open_frames
(item,) = expand_sources([{str(path)!r}])
def once(count):
    frames = open_frames(item)
    for _ in range(count):
        next(frames)
    frames.close()
once(3)
before = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
for count in range(1, 25):
    once(count)
print(before, (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))))
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("lists threads on Linux only")
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[1]))
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    before, after = result.stdout.strip().replace(" ", "").split(")(")
    assert before.strip("()") == after.strip("()")
    assert result.stderr == ""


def test_a_size_that_changes_in_the_middle(tmp_path):
    """Two transport streams, one behind the other, as a receiver records them."""
    small = write_video(tmp_path / "a.ts", pictures(10))
    large = write_video(tmp_path / "b.ts", pictures(10, (192, 128)))
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    shapes = [f.image.shape for f in read(path)]
    assert shapes == [(64, 96, 3)] * 10 + [(128, 192, 3)] * 10


def test_interlacing_that_begins_in_the_middle(tmp_path, caplog):
    plain = write_video(tmp_path / "a.ts", [blank()] * 10)
    woven = write_video(tmp_path / "b.ts", [blank()] * 10, encoder={"x264-params": "interlaced=1"})
    path = tmp_path / "both.ts"
    path.write_bytes(plain.read_bytes() + woven.read_bytes())
    with caplog.at_level(logging.INFO):
        assert len(read(path)) == 20
    assert caplog.text.count("is interlaced") == 1


def test_too_many_open_files(tmp_path, monkeypatch):
    """The limit of the system is no damage of the video."""
    path = write_video(tmp_path / "a.mp4", [blank()])

    def full(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    monkeypatch.setattr("av.open", full)
    with pytest.raises(InputError, match=r"too many files are open.*ulimit -n"):
        list(open_frames(expand_sources([str(path)])[0]))


@pytest.mark.parametrize("version", ["17.1.0", "18.0.0", "19.0.2"])
def test_every_version_of_pyav_opens_files(version, tmp_path, monkeypatch):
    """The argument for texts that are no UTF-8 is gone in PyAV 19."""
    taken = {}

    def fake_open(source, options=None, timeout=None, **more):
        taken.update(more)

    with monkeypatch.context() as patched:
        patched.setattr(av, "__version__", version)
        patched.setattr(av, "open", fake_open)
        importlib.reload(media_open)
        media_open.open_media("clip.mp4")
    importlib.reload(media_open)
    assert taken == ({} if version.startswith("19") else {"metadata_errors": "replace"})


def test_a_title_that_is_no_utf8(tmp_path):
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "TITLEHERE"
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    data = path.read_bytes()
    assert b"TITLEHERE" in data
    path.write_bytes(data.replace(b"TITLEHERE", b"caf\xe9 \xff\xfe  "))
    (item,) = expand_sources([path])
    assert len(list(open_frames(item))) == 3
