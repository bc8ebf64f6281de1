"""The page in Chromium: photos, what is drawn, languages, files that cannot be read."""

import csv
import io
import json
import re
from urllib.parse import urlsplit

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

from rtmpose.writers.openpose_layouts import fill_layout, openpose_layout

pytestmark = NEEDS_CHROMIUM


def test_a_photo(browser, page_service):
    answer = answer_of(page_service, PHOTO.read_bytes())
    expected = [person["keypoints"] for person in answer["annotations"]]
    assert len(expected) >= 4
    with opened(browser, page_service, accept_downloads=True) as page:
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
        fewer = answer_of(page_service, PHOTO.read_bytes(), max_people=2)
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


def test_what_is_drawn(browser, page_service):
    with opened(browser, page_service) as page:
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


def test_drop_and_paste(browser, page_service):
    photo = list(PHOTO.read_bytes())
    give = """([bytes, kind]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" }));
      const options = { dataTransfer: data, clipboardData: data, bubbles: true };
      const Event = kind === "drop" ? DragEvent : ClipboardEvent;
      document.getElementById("drop").dispatchEvent(new Event(kind, options));
    }"""
    for kind in ("drop", "paste"):
        with opened(browser, page_service) as page:
            page.evaluate(give, [photo, kind])
            wait_for_people(page)
            assert len(shown_people(page)) >= 4


def test_files_that_cannot_be_read(browser, page_service, tmp_path):
    for name, data in (("a.jpg", b"not a photo"), ("b.mp4", b"not a video"), ("c.png", b"")):
        path = tmp_path / name
        path.write_bytes(data)
        with opened(browser, page_service, faults=["422", "400", "415"]) as page:
            page.set_input_files("#file", path)
            page.wait_for_selector(f"#error:has-text('{name}')")
            check_accessible(page)
            # The next file that can be read takes the message away.
            page.set_input_files("#file", PHOTO)
            wait_for_people(page)
            assert page.locator("#error").is_hidden()


def test_a_heic_that_the_server_does_not_read(browser, page_service, monkeypatch, tmp_path):
    from rtmpose.serve import images

    monkeypatch.setattr(images, "heif_is_installed", lambda: False)
    photo = tmp_path / "IMG_0001.HEIC"
    photo.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with opened(browser, page_service, faults=["415"]) as page:
        page.set_input_files("#file", photo)
        page.wait_for_selector("#error:has-text('HEIC photo, which this server does not read')")


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


def test_kinds_of_photos(browser, page_service, tmp_path):
    """What the browser cannot show comes from the page_service; photos are turned as EXIF says."""
    from PIL import Image

    with Image.open(PHOTO) as image:
        image.save(tmp_path / "a.tiff")
        turned = Image.Exif()
        turned[274] = 6
        image.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=turned)
    size = "[document.getElementById('view').width, document.getElementById('view').height]"
    for name in ("a.tiff", "turned.jpg"):
        with opened(browser, page_service) as page:
            page.set_input_files("#file", tmp_path / name)
            wait_for_people(page)
            assert len(shown_people(page)) >= 4
            assert page.evaluate(size) == [640, 360]


def test_a_phone_in_the_dark_in_chinese(browser, page_service):
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    with opened(browser, page_service, **phone) as page:
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


def test_names_of_joints_in_chinese(browser, page_service):
    from rtmpose.skeletons import get_skeleton, skeleton_names

    names = sorted({name for one in skeleton_names() for name in get_skeleton(one).keypoints})
    with opened(browser, page_service, accept_downloads=True) as page:
        page.set_input_files("#file", PHOTO)
        wait_for_people(page)
        joints = page.locator("#table tbody th")
        assert joints.nth(3).inner_text() == "nose"
        before = shown_people(page)
        page.select_option("#language", "zh")
        # The table follows a moment later.
        page.wait_for_selector("#table tbody th:has-text('鼻子')")
        shown = joints.all_inner_texts()[3:]
        assert [shown[at] for at in (0, 1, 6, 19, 20)] == [
            "鼻子",
            "左眼",
            "右肩",
            "髋部中点",
            "左大脚趾",
        ]
        # What is shown stays, and files keep the names of the keypoint set.
        assert shown_people(page) == before
        assert "left_eye" in json.loads(download(page, "JSON"))["categories"][0]["keypoints"]

        # The keypoint sets of the package have no name without words, and no two with the same.
        words = page.evaluate(
            """async (names) => {
              const { jointName } = await import("./static/js/joints.js");
              return names.map((name) => jointName(name, "zh"));
            }""",
            names,
        )
        assert [word for word in words if re.search("[A-Za-z]", word)] == []
        assert len(set(words)) == len(names)
        own = page.evaluate(
            """async () => {
              const { jointName } = await import("./static/js/joints.js");
              return ["tip_of_ear", "Punkt 3"].map((name) => jointName(name, "zh"));
            }"""
        )
        assert own == ["tip of ear", "Punkt 3"]


def brightness(color):
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


def test_the_language_of_the_browser(browser, page_service):
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(page_service.url)
    assert page.inner_text("#open") == "打开文件"
    context.close()
