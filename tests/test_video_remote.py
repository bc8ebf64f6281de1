"""Videos and streams on servers: what has an end is a file, what stalls or dies is called again."""

import re
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest
from made_videos import index_of, numbered, write_video

from rtmpose.errors import InputError
from rtmpose.sources import expand_sources, open_frames, probe


class Server(ThreadingHTTPServer):
    """Files by path; with or without parts, lengths and types. Counts what it sent."""

    daemon_threads = True

    def __init__(self, files, *, ranges=True, lengths=True, content_type="video/mp4", handler=None):
        self.files = files
        self.ranges = ranges
        self.lengths = lengths
        self.content_type = content_type
        self.requests = []
        super().__init__(("127.0.0.1", 0), handler or Handler)

    def handle_error(self, *_):
        """Clients hang up; that is no news."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        data = server.files.get(self.path.lstrip("/").split("?")[0])
        if data is None:
            self.send_error(404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, len(data) - 1
        if wanted and server.ranges:
            first = int(wanted[1])
            last = min(last, int(wanted[2] or last))
            if first >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", server.content_type)
        if server.lengths:
            self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def log_message(self, *_):
        pass


@contextmanager
def serving(*arguments, **options):
    server = Server(*arguments, **options)
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def no_pauses(monkeypatch):
    import rtmpose.sources.live as live

    sleep = time.sleep
    monkeypatch.setattr(live.time, "sleep", lambda s: sleep(min(s, 0.02)))


def clip(path, count=20, **options):
    return write_video(path, [numbered(i) for i in range(count)], **options).read_bytes()


def read(url):
    (item,) = expand_sources([url])
    assert item.kind == "video"
    assert probe(item).fps == 25
    return list(open_frames(item))


# ---- files


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("index", ["first", "last"])
def test_a_file_has_an_end(tmp_path, caplog, ranges, lengths, index):
    container = {"movflags": "faststart"} if index == "first" else {}
    data = clip(tmp_path / "v.mp4", container=container)
    with serving({"v.mp4": data}, ranges=ranges, lengths=lengths) as server:
        frames = read(f"{server.url}/v.mp4?token=1")
    assert [index_of(f.image) for f in frames] == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(20)])
    # Said, and done, once.
    fetched = index == "last" and not ranges
    assert caplog.text.count("fetched to a temporary file") == fetched


def test_a_file_without_a_suffix(tmp_path):
    with serving({"download": clip(tmp_path / "v.mkv")}, content_type="text/plain") as server:
        assert len(read(f"{server.url}/download")) == 20


def test_an_image_without_a_suffix(tmp_path):
    data = cv2.imencode(".png", numbered(3))[1].tobytes()
    with serving({"snapshot": data}, content_type="image/png") as server:
        (item,) = expand_sources([f"{server.url}/snapshot"])
        assert item.kind == "image"
        assert next(open_frames(item)).image.shape == (64, 96, 3)


def test_a_part_of_a_remote_file(tmp_path):
    with serving({"v.mp4": clip(tmp_path / "v.mp4", 50)}) as server:
        (item,) = expand_sources([f"{server.url}/v.mp4"], start_s=1.2, end_s=1.4)
        assert [f.index for f in open_frames(item)] == list(range(30, 35))


def test_playlists(tmp_path):
    first = clip(tmp_path / "a.ts")
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.8,\na.ts\n"
    files = {
        "a.ts": first,
        "whole.m3u8": f"{text}#EXT-X-ENDLIST\n".encode(),
        "live.m3u8": text.encode(),
    }
    with serving(files, content_type="application/vnd.apple.mpegurl") as server:
        assert expand_sources([f"{server.url}/live.m3u8"])[0].kind == "stream"
        frames = read(f"{server.url}/whole.m3u8")
    assert len(frames) == 20


@pytest.mark.parametrize("name", ["gone.mp4", "gone"])
def test_what_is_not_there(name):
    with serving({}) as server:
        (item,) = expand_sources([f"{server.url}/{name}"])
        with pytest.raises(InputError, match=rf"{name} cannot be"):
            list(open_frames(item))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v.mp4", "http://127.0.0.1:x/v", "http://a b/v"]
)
def test_servers_that_cannot_be_reached(url):
    (item,) = expand_sources([url])
    with pytest.raises(InputError, match="cannot be"):
        list(open_frames(item))


def test_a_file_that_is_shorter_than_its_server_says(tmp_path):
    data = clip(tmp_path / "v.mp4")

    class Short(Handler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + 5000))
            self.end_headers()
            self.wfile.write(data)

    with serving({}, handler=Short) as server:
        (item,) = expand_sources([f"{server.url}/v.mp4"])
        assert item.kind == "video"
        with pytest.raises(InputError, match="broke off after"):
            list(open_frames(item))


# ---- streams

JPEG_SIZES = [(80, 60), (160, 120)]


class Camera(BaseHTTPRequestHandler):
    """Multipart JPEG; each call has its own size, then it hangs up, or stalls."""

    def do_GET(self):
        server = self.server
        call = len(server.requests)
        server.requests.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", numbered(5, JPEG_SIZES[call // 2 % 2]))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        for _ in range(server.files["frames"]):
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(0.005)
        if server.files["stalls"]:
            time.sleep(server.files["stalls"])

    def log_message(self, *_):
        pass


def test_a_stream_that_comes_back_with_another_size(no_pauses, caplog):
    files = {"frames": 20, "stalls": 0}
    with serving(files, handler=Camera) as server:
        (item,) = expand_sources([f"{server.url}/live"])
        assert item.kind == "stream"
        frames = open_frames(item)
        shapes = [next(frames).image.shape for _ in range(50)]
        frames.close()
    assert {(60, 80, 3), (120, 160, 3)} == set(shapes)
    assert "opening it again" in caplog.text


def test_a_stream_that_stalls_is_called_again(no_pauses, monkeypatch):
    import rtmpose.sources.streams as streams

    monkeypatch.setattr(streams, "TIMEOUT_S", 0.5)
    with serving({"frames": 20, "stalls": 5}, handler=Camera) as server:
        frames = open_frames(expand_sources([f"{server.url}/live"])[0])
        start = time.monotonic()
        for _ in range(30):
            next(frames)
        frames.close()
        assert time.monotonic() - start < 4
        assert len(server.requests) >= 3


def test_a_stream_that_never_gave_a_frame():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        start = time.monotonic()
        for scheme in ("rtsp", "rtmp", "tcp"):
            (item,) = expand_sources([f"{scheme}://127.0.0.1:{port}/live"])
            with pytest.raises(InputError, match="is the address right"):
                list(open_frames(item))
        assert time.monotonic() - start < 5


def test_a_protocol_that_is_not_built_in():
    (item,) = expand_sources(["rist://127.0.0.1:9/live"])
    with pytest.raises(InputError, match="cannot be opened"):
        list(open_frames(item))


def test_udp(tmp_path, monkeypatch):
    """A transport stream in UDP packets, as encoders send it."""
    import rtmpose.sources.streams as streams

    monkeypatch.setattr(streams, "TIMEOUT_S", 3.0)
    data = clip(tmp_path / "v.ts", 50, encoder={"g": "5", "crf": "5"})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = threading.Event()

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not stop.is_set():
                for first in range(0, len(data), 1316):
                    out.sendto(data[first : first + 1316], ("127.0.0.1", port))
                    time.sleep(0.001)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        (item,) = expand_sources([f"udp://127.0.0.1:{port}"], limit=20)
        frames = list(open_frames(item))
    finally:
        stop.set()
        sender.join()
    assert len(frames) == 20
    assert {f.image.shape for f in frames} == {(64, 96, 3)}


def test_ffmpeg_writes_nothing(capfd):
    with serving({"v.mp4": b"no video" * 99}) as server, pytest.raises(InputError):
        list(open_frames(expand_sources([f"{server.url}/v.mp4"])[0]))
    assert capfd.readouterr().err == ""
