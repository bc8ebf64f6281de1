"""The page in Chromium with what people bring: odd videos, files that go, proxies, downloads."""

from fractions import Fraction

import cv2
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("playwright.sync_api", reason="needs tests/serve_page.txt")

from pages import (
    ALLOW_CAMERA,
    FAKE_CAMERA,
    NEEDS_CHROMIUM,
    PHOTO,
    check_accessible,
    download,
    launched,
    opened,
    wait_for_people,
)
from serving import serving

from rtmpose.results.read import read_results

pytestmark = NEEDS_CHROMIUM

GIVE = """({ files, texts, kind, folder }) => {
  const data = new DataTransfer();
  for (const { name, bytes } of files) data.items.add(new File([new Uint8Array(bytes)], name));
  for (const words of texts) data.setData("text/plain", words);
  if (folder) DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true });
  const options = { dataTransfer: data, clipboardData: data, bubbles: true };
  const Event = kind === "drop" ? DragEvent : ClipboardEvent;
  document.getElementById("drop").dispatchEvent(new Event(kind, options));
}"""
RECORD = """async () => {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const stopped = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  for (let i = 0; i < 10; i++) {
    context.fillStyle = `rgb(${25 * i} 80 80)`;
    context.fillRect(0, 0, canvas.width, canvas.height);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  recorder.stop();
  await stopped;
  const data = new DataTransfer();
  data.items.add(new File(parts, "recording.webm", { type: "video/webm" }));
  document.getElementById("file").files = data.files;
  document.getElementById("file").dispatchEvent(new Event("change"));
}"""
GO = """at => {
  const timeline = document.getElementById("timeline");
  timeline.value = at;
  timeline.dispatchEvent(new Event("input"));
}"""
BRIGHTNESS = """() => {
  const canvas = document.getElementById("view");
  return canvas.getContext("2d").getImageData(20, 20, 1, 1).data[0];
}"""


def wait_until(page, script):
    # A text that waits inside the page would be kept out by its security policy.
    for _ in range(600):
        if page.evaluate(script):
            return
        page.wait_for_timeout(100)
    raise AssertionError(script)


def late_video(path, count, start_ms):
    """Frames of 40 ms whose brightness is 20 times their number, the first at a later time."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=25, options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("libopus", rate=48_000)
        quiet = np.zeros((1, 48_000 * start_ms // 1000), np.float32)
        samples = av.AudioFrame.from_ndarray(quiet, format="fltp", layout="mono")
        samples.sample_rate = 48_000
        samples.pts = 0
        container.mux(sound.encode(samples))
        for k in range(count):
            image = np.full((240, 320, 3), 20 * k, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = 40 * k + start_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        container.mux(sound.encode())
    return path


def test_a_video_whose_picture_begins_after_its_sound(browser, page_service, tmp_path):
    path = late_video(tmp_path / "late.webm", 8, 200)
    with opened(browser, page_service) as page:
        page.set_input_files("#file", path)
        page.wait_for_selector("#player:not([hidden])")
        assert page.get_attribute("#timeline", "max") == "7"
        for at in (0, 5, 7, 2):
            page.evaluate(GO, at)
            wait_until(page, f"Math.abs(({BRIGHTNESS})() - {20 * at}) < 8")
            assert page.input_value("#timeline") == str(at)


def test_a_video_of_one_frame(browser, page_service, tmp_path):
    path = late_video(tmp_path / "one.webm", 1, 40)
    with opened(browser, page_service) as page:
        page.set_input_files("#file", path)
        page.wait_for_selector("#player:not([hidden])")
        page.locator("h1").click()
        page.keyboard.press("ArrowRight")
        assert page.input_value("#timeline") == "0"


def test_a_recording_of_a_browser_that_has_no_length(browser, page_service):
    with opened(browser, page_service) as page:
        page.wait_for_selector("#model:not(:empty)")
        page.evaluate(RECORD)
        page.wait_for_selector("#player:not([hidden])")
        last = page.get_attribute("#timeline", "max")
        page.evaluate(GO, int(last))
        wait_until(page, f"document.getElementById('timeline').value === '{last}'")
        words = page.inner_text("#moment")
        assert "NaN" not in words
        assert "Infinity" not in words


def test_files_that_are_called_something_else(browser, page_service, street_clip):
    photo = {"name": "photo.mp4", "bytes": list(PHOTO.read_bytes())}
    with opened(browser, page_service) as page:
        page.wait_for_selector("#model:not(:empty)")
        page.evaluate(GIVE, {"files": [photo], "texts": [], "kind": "drop", "folder": False})
        wait_for_people(page)
        clip = {"name": "clip", "bytes": list(street_clip.read_bytes())}
        page.evaluate(GIVE, {"files": [clip], "texts": [], "kind": "drop", "folder": False})
        page.wait_for_selector("#player:not([hidden])")


def test_what_is_no_file(browser, page_service):
    photo = {"name": "photos", "bytes": [0]}
    with opened(browser, page_service) as page:
        page.wait_for_selector("#model:not(:empty)")
        for kind in ("drop", "paste"):
            given = {"files": [], "texts": ["https://example.org/a.jpg"], "kind": kind}
            page.evaluate(GIVE, {**given, "folder": False})
            page.wait_for_selector("#error:has-text('Addresses are not opened')")
            page.get_by_role("button", name="Close").click()
        given = {"files": [photo], "texts": [], "kind": "drop", "folder": True}
        page.evaluate(GIVE, given)
        page.wait_for_selector("#error:has-text('That is a folder')")


def test_a_file_that_was_taken_away(browser, page_service, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO.read_bytes())
    with opened(browser, page_service, faults=["ERR_FILE"]) as page:
        page.set_input_files("#file", path)
        wait_for_people(page)
        path.unlink()
        page.locator("#max_people").fill("2")
        page.wait_for_selector("#error:has-text('photo.jpg cannot be read any more')")


def test_a_proxy_that_answers_for_a_service_that_is_gone(browser, page_service):
    with opened(browser, page_service, faults=["502"]) as page:
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        for path in ("**/v1/**", "**/healthz"):
            page.route(path, lambda route: route.fulfill(status=502, body="<html>Bad</html>"))
        page.locator("#max_people").fill("2")
        page.wait_for_selector("#error:has-text('does not answer')")
        page.unroute_all()
        # What was asked is asked again.
        page.wait_for_selector("#status:has-text('2 people')")
        assert page.locator("#error").is_hidden()


def test_downloads_are_read_again(browser_with_camera, page_service, tmp_path):
    with opened(browser_with_camera, page_service, accept_downloads=True) as page:
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        count = page.locator("#table thead th").count() - 1
        for name in ("JSON", "CSV"):
            path = tmp_path / f"photo.{name.lower()}"
            path.write_bytes(download(page, name))
            [clip] = read_results(path)
            assert len(clip.keypoints) == count
        page.get_by_role("button", name="Camera").click()
        page.wait_for_selector("#table thead th:has-text('#1')")
        path = tmp_path / "camera.json"
        path.write_bytes(download(page, "JSON"))
        [clip] = read_results(path)
        assert clip.skeleton.name == "halpe26"


def test_a_photo_that_lies_down_in_the_browser(browser, page_service):
    """An old browser that does not turn photos has them from the service."""
    lie = """() => {
      const make = window.createImageBitmap;
      window.createImageBitmap = async (source) => {
        const found = await make(source);
        if (!(source instanceof File)) return found;
        const canvas = new OffscreenCanvas(found.height, found.width);
        canvas.getContext("2d");
        return make(canvas);
      };
    }"""
    original = cv2.imread(str(PHOTO))
    with opened(browser, page_service) as page:
        page.evaluate(lie)
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        for name in ("points", "links", "ids"):
            page.locator(f"#{name}").uncheck()
        assert abs(page.evaluate(BRIGHTNESS) - int(original[20, 20, 2])) < 12


def test_nobody_has_the_token(browser, pipeline):
    with (
        serving(pipeline.model, token="a-token-that-is-long") as service,
        opened(browser, service, faults=["401"]) as page,
    ):
        page.wait_for_selector("#token-dialog[open]")
        # Browsers close it at the first Escape or at the second.
        page.keyboard.press("Escape")
        if page.locator("#token-dialog").is_visible():
            page.keyboard.press("Escape")
        page.wait_for_selector("#error:has-text('This server is protected')")
        page.set_input_files("#file", PHOTO)
        page.locator("#token").fill("a-token-that-is-long")
        page.keyboard.press("Enter")
        wait_for_people(page)


def test_the_language_changes_while_something_is_shown(browser, page_service, street_clip):
    with opened(browser, page_service) as page:
        page.set_input_files("#file", street_clip)
        page.wait_for_selector("#player:not([hidden])")
        page.select_option("#language", "zh")
        assert "视频" in page.locator("#downloads a").all_inner_texts()
        page.set_input_files("#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b""})
        page.wait_for_selector("#error:has-text('a.jpg 是空文件')")
        page.evaluate(GIVE, {"files": [], "texts": ["words"], "kind": "drop", "folder": False})
        page.wait_for_selector("#error:has-text('不会打开网址')")
        page.select_option("#language", "en")
        page.wait_for_selector("#error:has-text('Addresses are not opened')")
        check_accessible(page)


def test_the_camera_of_last_time(playwright, page_service):
    flags = (f"{FAKE_CAMERA}=device-count=2", ALLOW_CAMERA)
    with launched(playwright, *flags) as browser, opened(browser, page_service) as page:
        page.get_by_role("button", name="Camera").click()
        page.wait_for_selector("#numbers:has-text('results/s')")
        page.select_option("#camera-device", index=1)
        wait_until(page, "document.getElementById('camera-device').selectedIndex === 1")
        page.wait_for_selector("#numbers:has-text('results/s')")
        page.reload()
        page.wait_for_selector("#model:not(:empty)")
        page.get_by_role("button", name="Camera").click()
        wait_until(page, "document.getElementById('camera-device').selectedIndex === 1")
