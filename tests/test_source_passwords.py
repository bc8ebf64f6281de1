"""Addresses with a user and a password, as cameras have them: opened with it, shown without."""

import base64

import pytest
from test_video_remote import Handler, clip, serving

from rtmpose.errors import InputError
from rtmpose.shown_names import without_password
from rtmpose.sources import expand_sources, open_frames
from rtmpose.sources.image_url import fetch_image


class LoginHandler(Handler):
    """Wants the user ``me`` and the password ``p@ss:1``."""

    login = "Basic " + base64.b64encode(b"me:p@ss:1").decode()

    def do_GET(self):  # noqa: N802 (the name that http.server calls)
        if self.headers.get("Authorization") == self.login:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:secret@10.0.0.5:554/cam", "rtsp://me:***@10.0.0.5:554/cam"),
        ("rtsp://:secret@host/cam", "rtsp://:***@host/cam"),
        ("http://me:p@ss:1@host/v.mp4?a=b@c", "http://me:***@host/v.mp4?a=b@c"),
        ("rtsp://me@host/cam", "rtsp://me@host/cam"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("clip:1@home.mp4", "clip:1@home.mp4"),
    ],
)
def test_stars_take_the_place_of_a_password(address, shown):
    assert without_password(address) == shown


def test_results_of_a_camera_do_not_hold_its_password():
    (item,) = expand_sources(["rtsp://me:secret@10.0.0.5/cam"])
    assert item.name == "rtsp://me:***@10.0.0.5/cam"
    assert item.url == "rtsp://me:secret@10.0.0.5/cam"
    assert "secret" not in repr(item)


def test_a_source_without_a_password_is_opened_by_its_name():
    (item,) = expand_sources(["rtsp://10.0.0.5/cam"])
    assert item.url == item.name == "rtsp://10.0.0.5/cam"


def test_errors_do_not_show_the_password():
    (item,) = expand_sources(["rtsp://me:secret@127.0.0.1:1/cam"])
    with pytest.raises(InputError) as failed:
        list(open_frames(item))
    assert "rtsp://me:***@127.0.0.1:1/cam" in str(failed.value)
    assert "secret" not in str(failed.value)


def test_errors_of_images_do_not_show_the_password():
    with pytest.raises(InputError) as failed:
        fetch_image("http://me:secret@127.0.0.1:1/a.jpg")
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_video_behind_a_login(tmp_path, ranges):
    data = clip(tmp_path / "v.mp4")
    with serving({"v.mp4": data}, ranges=ranges, handler=LoginHandler) as server:
        host = server.url.removeprefix("http://")
        (item,) = expand_sources([f"http://me:p%40ss%3A1@{host}/v.mp4"])
        frames = list(open_frames(item))
    assert len(frames) == 20
    assert {frame.source for frame in frames} == {f"http://me:***@{host}/v.mp4"}


def test_a_wrong_login_is_said(tmp_path):
    with serving({"v.mp4": clip(tmp_path / "v.mp4")}, handler=LoginHandler) as server:
        host = server.url.removeprefix("http://")
        (item,) = expand_sources([f"http://me:wrong@{host}/v.mp4"])
        with pytest.raises(InputError, match="401") as failed:
            list(open_frames(item))
    assert "wrong" not in str(failed.value)
