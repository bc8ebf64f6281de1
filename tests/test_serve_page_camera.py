"""The page in Chromium with a camera that shows a clip: streams, servers that go, tokens."""

import base64
from contextlib import ExitStack

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("playwright.sync_api", reason="needs tests/serve_page.txt")

from pages import (
    ALLOW_CAMERA,
    FAKE_CAMERA,
    NEEDS_CHROMIUM,
    check_accessible,
    download,
    launched,
    opened,
    wait_for_people,
)
from serving import serving

TOKEN = "a-token-that-is-long"
pytestmark = NEEDS_CHROMIUM


def test_the_camera(browser_with_camera, page_service):
    with opened(browser_with_camera, page_service) as page:
        page.get_by_role("button", name="Camera").click()
        wait_for_people(page)
        page.wait_for_selector("#numbers:has-text('results/s')")
        heads = page.locator("#table thead th").all_inner_texts()
        assert heads[1] == "#1"
        check_accessible(page)
        # A change of the thresholds reaches the stream.
        page.locator("#max_people").fill("1")
        page.wait_for_selector("#status:has-text('1 person')")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Camera", exact=True).wait_for()


def test_a_camera_that_faces_the_person_is_a_mirror(browser_with_camera, page_service):
    facing = """() => {
      const get = MediaStreamTrack.prototype.getSettings;
      MediaStreamTrack.prototype.getSettings = function () {
        return { ...get.call(this), facingMode: "user" };
      };
    }"""
    with opened(browser_with_camera, page_service) as page:
        page.evaluate(facing)
        # Words are not mirrored, so they would differ.
        page.locator("#ids").uncheck()
        assert page.locator("#mirror").is_hidden()
        page.get_by_role("button", name="Camera").click()
        wait_for_people(page)
        assert page.get_by_label("As in a mirror").is_checked()
        check_accessible(page)
        # The view is a mirror image of what is downloaded, and the table is not.
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Camera", exact=True).wait_for()
        assert page.locator("#mirror").is_hidden()
        view = pixels_of_view(page)
        picture = cv2.imdecode(np.frombuffer(download(page, "Picture"), np.uint8), 1)
        assert far_apart(view[:, ::-1], picture) < 2
        assert far_apart(view, picture) > 20
        # What was chosen holds the next time.
        page.get_by_role("button", name="Camera", exact=True).click()
        page.get_by_label("As in a mirror").uncheck()
        page.wait_for_selector("#numbers:has-text('results/s')")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Camera", exact=True).wait_for()
        picture = cv2.imdecode(np.frombuffer(download(page, "Picture"), np.uint8), 1)
        assert far_apart(pixels_of_view(page), picture) < 2


def pixels_of_view(page):
    url = page.evaluate("document.querySelector('#view').toDataURL('image/png')")
    return cv2.imdecode(np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8), 1)


def far_apart(a, b):
    return np.abs(a.astype(np.int16) - b).mean()


def test_cameras_that_cannot_be_used(playwright, page_service):
    for flags, words in (([ALLOW_CAMERA], "No camera"), ([FAKE_CAMERA], "permission was refused")):
        with (
            launched(playwright, *flags, "--deny-permission-prompts") as browser,
            opened(browser, page_service) as page,
        ):
            page.get_by_role("button", name="Camera").click()
            page.wait_for_selector(f"#error:has-text('{words}')")
            check_accessible(page)
            page.get_by_role("button", name="Close").click()
            assert page.locator("#error").is_hidden()


def test_the_camera_is_unplugged(browser_with_camera, page_service):
    keep = """() => {
      const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wish) => (window.media = await get(wish));
    }"""
    with opened(browser_with_camera, page_service) as page:
        page.evaluate(keep)
        page.get_by_role("button", name="Camera").click()
        wait_for_people(page)
        page.evaluate("media.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
        page.wait_for_selector("#error:has-text('The camera is gone')")
        # It can be started again.
        page.get_by_role("button", name="Camera", exact=True).click()
        page.wait_for_selector("#numbers:has-text('results/s')")
        assert page.locator("#error").is_hidden()


def test_a_browser_that_does_not_tell_of_frames(browser_with_camera, page_service):
    forget = "delete HTMLVideoElement.prototype.requestVideoFrameCallback"
    with opened(browser_with_camera, page_service) as page:
        page.evaluate(forget)
        page.get_by_role("button", name="Camera").click()
        page.wait_for_selector("#numbers:has-text('results/s')")


def test_the_server_is_gone_and_comes_back(browser_with_camera, pipeline):
    faults = ["ERR_CONNECTION_REFUSED", "WebSocket"]
    with ExitStack() as ends:
        with serving(pipeline.model) as first:
            page = ends.enter_context(opened(browser_with_camera, first, faults=faults))
            page.get_by_role("button", name="Camera").click()
            wait_for_people(page)
        page.wait_for_selector("#error:has-text('does not answer')")
        check_accessible(page)
        page.wait_for_selector("#numbers:empty", state="attached")
        ends.enter_context(serving(pipeline.model, port=first.port))
        page.wait_for_selector("#error", state="hidden")
        page.wait_for_selector("#numbers:has-text('results/s')")


def test_the_token(browser_with_camera, pipeline):
    with (
        serving(pipeline.model, token=TOKEN) as service,
        opened(browser_with_camera, service, faults=["401"]) as page,
    ):
        page.locator("#token").fill("a-wrong-token-for-it")
        check_accessible(page)
        page.get_by_role("button", name="Go on").click()
        page.wait_for_selector("#token-wrong:not([hidden])")
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#model:not(:empty)")
        assert page.locator("#token-dialog").is_hidden()
        # Streams need it too.
        page.get_by_role("button", name="Camera").click()
        wait_for_people(page)
