"""The page in Chromium, with a camera that shows a clip (tests/serve_page.txt)."""

import csv
import io
import json
import os
import re
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs tests/serve_page.txt")

from serving import form, serving  # noqa: E402

from rtmpose.writers.openpose_layouts import fill_layout, openpose_layout  # noqa: E402

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PHOTO = Path(__file__).parents[1] / "rtmpose" / "assets" / "photos" / "000000541055.jpg"
TOKEN = "a-token-that-is-long"
FRAMES = 30
WAIT_MS = 120_000
FAKE_CAMERA = "--use-fake-device-for-media-stream"
ALLOW_CAMERA = "--use-fake-ui-for-media-stream"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs Chromium (apt install chromium)"),
]


@pytest.fixture(scope="module")
def pipeline():
    from rtmpose import Pipeline

    return Pipeline(backend="onnxruntime", device="cpu", threads=1)


@pytest.fixture(scope="module")
def service(pipeline, tmp_path_factory):
    with serving(pipeline.model, data=tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def clip(shared):
    return shared / "data" / "video" / "mmpose_street_5frames.mp4"


@pytest.fixture(scope="module")
def playwright():
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def camera_file(shared, tmp_path_factory):
    """Frames of a clip, one JPEG after the other, which Chromium takes for a camera."""
    path = tmp_path_factory.mktemp("camera") / "clip.mjpeg"
    video = cv2.VideoCapture(str(shared / "data" / "video" / "mmaction2_two_people.mp4"))
    frames = [cv2.resize(video.read()[1], (640, 360)) for _ in range(FRAMES)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    return path


@pytest.fixture(scope="module")
def browser(playwright):
    with launched(playwright) as running:
        yield running


@pytest.fixture(scope="module")
def browser_with_camera(playwright, camera_file):
    file = f"--use-file-for-fake-video-capture={camera_file}"
    with launched(playwright, FAKE_CAMERA, ALLOW_CAMERA, file) as running:
        yield running


@contextmanager
def launched(playwright, *flags):
    path = str(CHROMIUM)
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def opened(browser, service, *, faults=(), **options):
    """The page; afterwards: no request left its origin, and nothing went wrong in scripts."""
    context = browser.new_context(locale="en-US", **options)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    addresses, errors = [], []
    context.on("request", lambda request: addresses.append(request.url))
    page.on("websocket", lambda socket: addresses.append(socket.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.goto(service.url)
    try:
        yield page
    finally:
        context.close()
    hosts = {urlsplit(url).netloc for url in addresses if not own(url)}
    assert hosts == {urlsplit(service.url).netloc}
    assert not [error for error in errors if not any(re.search(f, error) for f in faults)]


def own(url):
    """Whether an address is of what the page made itself."""
    return url.startswith(("blob:", "data:"))


def wait_for_people(page):
    page.wait_for_selector("#table td")


def shown_people(page):
    """The keypoints in the table: of each person rows of x, y, score."""
    rows = page.eval_on_selector_all(
        "#table tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.dataset.point ?? null))"
    )
    joints = [row[1:] for row in rows if row[1]]
    people = zip(*joints, strict=True)
    return [[float(v) for cell in person for v in cell.split(",")] for person in people]


def download(page, name):
    with page.expect_download() as started:
        page.locator("#downloads").get_by_text(name, exact=True).click()
    return Path(started.value.path()).read_bytes()


def check_accessible(page):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs tests/serve_page.txt"
    )
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    report = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found.response["violations"]]
    assert report == []


def answer_of(service, photo, **options):
    parts = [(name, None, str(value)) for name, value in options.items()]
    body, headers = form(("image", "photo.jpg", photo), *parts)
    return service.post("/v1/poses", body, headers).json()


def test_a_photo(browser, service):
    answer = answer_of(service, PHOTO.read_bytes())
    expected = [person["keypoints"] for person in answer["annotations"]]
    assert len(expected) >= 4
    with opened(browser, service, accept_downloads=True) as page:
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        assert shown_people(page) == expected
        assert f"{len(expected)} people" in page.inner_text("#status")
        assert " ms (" in page.inner_text("#numbers")
        assert "halpe26 (26)" in page.inner_text("#model")
        check_accessible(page)

        saved = json.loads(download(page, "JSON"))
        assert [person["keypoints"] for person in saved["annotations"]] == expected
        rows = list(csv.DictReader(io.StringIO(download(page, "CSV").decode())))
        assert [float(row["nose_x"]) for row in rows] == [points[0] for points in expected]
        check_openpose(json.loads(download(page, "OpenPose")), expected)
        picture = cv2.imdecode(as_array(download(page, "Picture")), cv2.IMREAD_COLOR)
        original = cv2.imread(str(PHOTO))
        assert picture.shape == original.shape
        assert (picture != original).any(axis=2).mean() > 0.01

        # Other thresholds ask again, the same as in a request.
        page.locator("#max_people").fill("2")
        page.wait_for_selector("#status:has-text('2 people')")
        fewer = answer_of(service, PHOTO.read_bytes(), max_people=2)
        assert shown_people(page) == [person["keypoints"] for person in fewer["annotations"]]
        page.get_by_role("button", name="Usual values").click()
        page.wait_for_selector(f"#status:has-text('{len(expected)} people')")


def as_array(data):
    import numpy as np

    return np.frombuffer(data, np.uint8)


def check_openpose(found, expected):
    """The same as the package's own writer makes."""
    import numpy as np

    from rtmpose.skeletons import get_skeleton

    body = openpose_layout("auto", get_skeleton("halpe26")).body
    for person, points in zip(found["people"], expected, strict=True):
        rows = np.array(points).reshape(-1, 3)
        right = fill_layout(body, rows[:, :2], rows[:, 2])
        assert person["pose_keypoints_2d"] == pytest.approx(right, abs=2e-3)


def test_what_is_drawn(browser, service):
    with opened(browser, service) as page:
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)

        def pixels():
            return page.evaluate("document.getElementById('view').toDataURL()")

        everything = pixels()
        seen = {everything}
        for name in ("boxes", "scores", "ids", "points", "links"):
            page.locator(f"#{name}").click()
            seen.add(pixels())
        assert len(seen) == 6
        for name in ("links", "points", "ids", "scores", "boxes"):
            page.locator(f"#{name}").click()
        assert pixels() == everything
        # It is the same at the next visit.
        page.locator("#boxes").click()
        page.reload()
        assert page.locator("#boxes").is_checked()


def test_drop_and_paste(browser, service):
    photo = list(PHOTO.read_bytes())
    give = """([bytes, kind]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" }));
      const options = { dataTransfer: data, clipboardData: data, bubbles: true };
      const Event = kind === "drop" ? DragEvent : ClipboardEvent;
      document.getElementById("drop").dispatchEvent(new Event(kind, options));
    }"""
    for kind in ("drop", "paste"):
        with opened(browser, service) as page:
            page.evaluate(give, [photo, kind])
            wait_for_people(page)
            assert len(shown_people(page)) >= 4


def test_a_video(browser, service, clip):
    with opened(browser, service, accept_downloads=True) as page:
        page.set_input_files("#file", clip)
        page.wait_for_selector("#player:not([hidden])")
        job = service.get("/v1/jobs").json()["jobs"][0]
        frames = frames_of(service, job)
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
        assert table.encode() == service.get(f"/v1/jobs/{job['id']}/files/people.csv").body
        assert download(page, "Video")[4:8] == b"ftyp"
        assert download(page, "OpenPose")[:2] == b"PK"
        assert download(page, "Picture")[1:4] == b"PNG"

        # Opened again from the list, and removed.
        page.get_by_text("Videos on the server").click()
        page.get_by_role("button", name=f"Show: {clip.name}").first.click()
        page.wait_for_selector("#player:not([hidden])")
        check_frame(page, frames, 0)
        page.get_by_role("button", name=f"Remove: {clip.name}").first.click()
        page.wait_for_selector("#no-jobs:not([hidden])")
        assert service.get("/v1/jobs").json()["jobs"] == []


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


def test_a_video_is_canceled(browser, service, shared):
    long = shared / "data" / "video" / "mmaction2_two_people.mp4"
    with opened(browser, service) as page:
        page.set_input_files("#file", long)
        page.wait_for_selector("#progress-text:has-text('at work')")
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_selector("#progress", state="hidden")
        page.get_by_text("Videos on the server").click()
        page.wait_for_selector("#jobs:has-text('canceled')")
        page.get_by_role("button", name="Remove").click()
        page.wait_for_selector("#no-jobs:not([hidden])")


def test_the_camera(browser_with_camera, service):
    with opened(browser_with_camera, service) as page:
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


def test_cameras_that_cannot_be_used(playwright, service):
    for flags, words in (([ALLOW_CAMERA], "No camera"), ([FAKE_CAMERA], "permission was refused")):
        with (
            launched(playwright, *flags, "--deny-permission-prompts") as browser,
            opened(browser, service) as page,
        ):
            page.get_by_role("button", name="Camera").click()
            page.wait_for_selector(f"#error:has-text('{words}')")
            check_accessible(page)
            page.get_by_role("button", name="Close").click()
            assert page.locator("#error").is_hidden()


def test_files_that_cannot_be_read(browser, service, tmp_path):
    for name, data in (("a.jpg", b"not a photo"), ("b.mp4", b"not a video"), ("c.png", b"")):
        path = tmp_path / name
        path.write_bytes(data)
        with opened(browser, service, faults=["422", "400", "415"]) as page:
            page.set_input_files("#file", path)
            page.wait_for_selector(f"#error:has-text('{name}')")
            check_accessible(page)
            # The next file that can be read takes the message away.
            page.set_input_files("#file", PHOTO)
            wait_for_people(page)
            assert page.locator("#error").is_hidden()


def test_below_a_prefix_and_with_small_limits(browser, pipeline):
    limits = {"root_path": "/pose", "max_body_bytes": 500_000}
    with serving(pipeline.model, **limits) as service, opened(browser, service) as page:
        paths = []
        page.on("request", lambda request: paths.append(urlsplit(request.url).path))
        page.goto(f"{service.url}/pose/")
        page.wait_for_selector("#model:not(:empty)")
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        assert "/pose/v1/poses" in paths
        assert all(path.startswith("/pose/") for path in paths if not path.startswith("blob"))
        # What would be refused is not sent.
        large = {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": bytes(600_000)}
        page.set_input_files("#file", large)
        page.wait_for_selector("#error:has-text('large.jpg is too large')")


def test_kinds_of_photos(browser, service, tmp_path):
    """What the browser cannot show comes from the service; photos are turned as EXIF says."""
    from PIL import Image

    with Image.open(PHOTO) as image:
        image.save(tmp_path / "a.tiff")
        turned = Image.Exif()
        turned[274] = 6
        image.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=turned)
    size = "[document.getElementById('view').width, document.getElementById('view').height]"
    for name in ("a.tiff", "turned.jpg"):
        with opened(browser, service) as page:
            page.set_input_files("#file", tmp_path / name)
            wait_for_people(page)
            assert len(shown_people(page)) >= 4
            assert page.evaluate(size) == [640, 360]


def test_videos_where_they_are_not_taken(browser, pipeline, clip):
    with serving(pipeline.model) as service, opened(browser, service) as page:
        page.wait_for_selector("#model:not(:empty)")
        page.set_input_files("#file", clip)
        page.wait_for_selector("#error:has-text('takes no videos')")


def test_a_video_that_the_browser_cannot_play(browser, service, clip, tmp_path):
    import av

    video = cv2.VideoCapture(str(clip))
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        image = cv2.resize(video.read()[1], (480, 270))
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    with opened(browser, service) as page:
        page.set_input_files("#file", path)
        page.wait_for_selector("#numbers:has-text('As the server drew it')")
        wait_for_people(page)


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


def test_a_phone_in_the_dark_in_chinese(browser, service):
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    with opened(browser, service, **phone) as page:
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.select_option("#language", "zh")
        page.set_input_files("#file", PHOTO)
        page.wait_for_selector("#status:has-text('人')")
        # Nothing has to be scrolled sideways but the table.
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        assert "打开文件" in page.inner_text("#open")
        check_accessible(page)
        page.select_option("#theme", "light")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert brightness(dark) < 60 < 200 < brightness(light)
        check_accessible(page)


def test_the_language_of_the_browser(browser, service):
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(service.url)
    assert page.inner_text("#open") == "打开文件"
    context.close()


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
        assert len(json.loads(download(page, "JSON"))["frames"]) == 3
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


def test_no_private_mode_without_its_files(browser, service, pipeline, tmp_path):
    with opened(browser, service) as page:
        page.wait_for_selector("#model:not(:empty)")
        assert page.locator("#place-choice").is_hidden()
    from rtmpose.errors import InputError

    with (
        pytest.raises(InputError, match="web_assets"),
        serving(pipeline.model, web_assets=tmp_path),
    ):
        pass


def brightness(color):
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3
