"""The page in Chromium: videos as jobs, the timeline, the list."""

import json

import cv2
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("playwright.sync_api", reason="needs tests/serve_page.txt")

from pages import NEEDS_CHROMIUM, check_accessible, download, opened, shown_people, wait_for_people
from serving import serving

pytestmark = NEEDS_CHROMIUM


def test_a_video(browser, page_service, street_clip):
    with opened(browser, page_service, accept_downloads=True) as page:
        page.set_input_files("#file", street_clip)
        page.wait_for_selector("#player:not([hidden])")
        job = page_service.get("/v1/jobs").json()["jobs"][0]
        frames = frames_of(page_service, job)
        assert len(frames) == 5
        # By keys, by the timeline.
        page.locator("h1").click()
        for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
            page.keyboard.press(key)
            check_frame(page, frames, at)
        page.locator("#timeline").focus()
        page.keyboard.press("End")
        check_frame(page, frames, 4)
        page.keyboard.press("Home")
        check_frame(page, frames, 0)
        check_accessible(page)
        page.get_by_role("button", name="Play").click()
        page.wait_for_selector("#play:has-text('Pause')")
        page.wait_for_selector("#play:has-text('Play')")

        table = download(page, "CSV").decode()
        assert table.encode() == page_service.get(f"/v1/jobs/{job['id']}/files/people.csv").body
        assert download(page, "Video")[4:8] == b"ftyp"
        assert download(page, "OpenPose")[:2] == b"PK"
        assert download(page, "Picture")[1:4] == b"PNG"

        # Opened again from the list, and removed.
        page.get_by_text("Videos on the server").click()
        page.get_by_role("button", name=f"Show: {street_clip.name}").first.click()
        page.wait_for_selector("#player:not([hidden])")
        check_frame(page, frames, 0)
        page.get_by_role("button", name=f"Remove: {street_clip.name}").first.click()
        page.wait_for_selector("#no-jobs:not([hidden])")
        assert page_service.get("/v1/jobs").json()["jobs"] == []


def frames_of(service, job):
    text = service.get(f"/v1/jobs/{job['id']}/files/people.jsonl").body.decode()
    return [json.loads(line)["people"] for line in text.splitlines()[1:]]


def check_frame(page, frames, at):
    ids = [f"#{person['track_id']}" for person in frames[at]]
    points = [person["keypoints"] for person in frames[at]]
    script = "at => document.getElementById('timeline').value === String(at)"
    for _ in range(100):
        # The table follows a moment after the picture.
        if page.evaluate(script, at) and shown_people(page) == points:
            break
        page.wait_for_timeout(50)
    assert shown_people(page) == points
    assert page.locator("#table thead th").all_inner_texts()[1:] == ids


def test_a_video_is_canceled(browser, page_service, shared):
    long = shared / "data" / "video" / "mmaction2_two_people.mp4"
    with opened(browser, page_service) as page:
        page.set_input_files("#file", long)
        page.wait_for_selector("#progress-text:has-text('at work')")
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_selector("#progress", state="hidden")
        page.get_by_text("Videos on the server").click()
        page.wait_for_selector("#jobs:has-text('canceled')")
        page.get_by_role("button", name="Remove").click()
        page.wait_for_selector("#no-jobs:not([hidden])")


def test_videos_where_they_are_not_taken(browser, pipeline, street_clip):
    with serving(pipeline.model) as service, opened(browser, service) as page:
        page.wait_for_selector("#model:not(:empty)")
        page.set_input_files("#file", street_clip)
        page.wait_for_selector("#error:has-text('takes no videos')")


def test_a_video_that_the_browser_cannot_play(browser, page_service, street_clip, tmp_path):
    import av

    video = cv2.VideoCapture(str(street_clip))
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        image = cv2.resize(video.read()[1], (480, 270))
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    with opened(browser, page_service) as page:
        page.set_input_files("#file", path)
        page.wait_for_selector("#numbers:has-text('As the server drew it')")
        wait_for_people(page)
