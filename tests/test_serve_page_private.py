"""Private mode in Chromium: the model runs in the browser."""

import csv
import io
import os
from contextlib import ExitStack
from pathlib import Path

import cv2
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("playwright.sync_api", reason="needs tests/serve_page.txt")

from pages import (
    NEEDS_CHROMIUM,
    PHOTO,
    answer_of,
    check_accessible,
    download,
    opened,
    shown_people,
    wait_for_people,
)
from serving import serving

from rtmpose.results.read import read_results

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def assets():
    """What scripts/web_assets.py made."""
    usual = Path(__file__).parents[1] / "build" / "web"
    folder = Path(os.environ.get("RTMPOSE_WEB_ASSETS", usual))
    if not folder.is_dir():
        pytest.skip("needs build/web (make web-assets), or RTMPOSE_WEB_ASSETS")
    return folder


@pytest.fixture
def private_service(pipeline, assets):
    with serving(pipeline.model, web_assets=assets) as running:
        yield running


def go_private(page):
    page.select_option("#place", "browser")
    page.wait_for_selector("#numbers:has-text('runs in this browser: wasm')")


def test_private_photos_with_and_without_the_server(browser, pipeline, assets):
    posted = []
    with ExitStack() as ends:
        with serving(pipeline.model, web_assets=assets) as service:
            answer = answer_of(service, PHOTO.read_bytes())
            faults = ["ERR_CONNECTION_REFUSED", "Failed to load resource"]
            page = ends.enter_context(opened(browser, service, faults=faults))
            page.on("request", lambda request: posted.append(request.method))
            go_private(page)
            page.wait_for_selector("#status:has-text('Works without the server')")
            check_accessible(page)
            page.set_input_files("#file", PHOTO)
            wait_for_people(page)
            check_same_people(shown_people(page), answer)
        # The service is gone: everything was kept.
        page.reload()
        page.wait_for_selector("#model:not(:empty)")
        assert page.input_value("#place") == "browser"
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        check_same_people(shown_people(page), answer)
    assert set(posted) == {"GET"}


def check_same_people(found, answer):
    """Another engine: nearly the same points of the same people."""
    import numpy as np

    expected = np.array([person["keypoints"] for person in answer["annotations"]])
    found = np.array(found)
    assert found.shape == expected.shape
    # The order of people of about the same score may differ.
    for points in expected:
        moved = np.abs(found - points).reshape(len(found), -1, 3)[..., :2].max(axis=2)
        assert np.median(moved, axis=1).min() < 1.0


def test_the_private_camera(browser_with_camera, private_service):
    with opened(browser_with_camera, private_service) as page:
        go_private(page)
        page.get_by_role("button", name="Camera").click()
        wait_for_people(page)
        assert page.locator("#table thead th").nth(1).inner_text().startswith("#")
        page.wait_for_selector("#numbers:has-text('results/s')")
        assert "wasm" in page.inner_text("#numbers")
        # Back to the server, with the camera on.
        page.select_option("#place", "server")
        page.wait_for_selector("#numbers:has-text('results/s'):not(:has-text('wasm'))")


def test_private_videos(browser, private_service, shared, tmp_path):
    # Few people: WebAssembly is slow where others use the machine too.
    clip = shared / "data" / "video" / "mmaction2_two_people.mp4"
    short = shortened(clip, tmp_path / "short.webm")
    with opened(browser, private_service, accept_downloads=True) as page:
        go_private(page)
        page.set_input_files("#file", short)
        page.wait_for_selector("#player:not([hidden])")
        wait_for_people(page)
        rows = list(csv.DictReader(io.StringIO(download(page, "CSV").decode())))
        assert {row["frame"] for row in rows} == {"0", "1", "2"}
        saved = tmp_path / "short.json"
        saved.write_bytes(download(page, "JSON"))
        assert [len(clip.frames) for clip in read_results(saved)] == [3]
        page.locator("#timeline").focus()
        page.keyboard.press("End")
        page.wait_for_selector("#moment:has-text('0:00.1 / 0:00.1')")


def shortened(clip, path):
    """Three frames, at 25 a second."""
    import av

    video = cv2.VideoCapture(str(clip))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for _ in range(3):
            image = cv2.resize(video.read()[1], (480, 270))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def test_no_private_mode_without_its_files(browser, page_service, pipeline, tmp_path):
    with opened(browser, page_service) as page:
        page.wait_for_selector("#model:not(:empty)")
        assert page.locator("#place-choice").is_hidden()
    from rtmpose.errors import InputError

    with (
        pytest.raises(InputError, match="web_assets"),
        serving(pipeline.model, web_assets=tmp_path),
    ):
        pass
