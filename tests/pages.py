"""The page of a service in Chromium (tests/serve_page.txt): it is opened, and read."""

import os
import re
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving import form

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PHOTO = Path(__file__).parents[1] / "rtmpose" / "assets" / "photos" / "000000541055.jpg"
WAIT_MS = 120_000
FAKE_CAMERA = "--use-fake-device-for-media-stream"
ALLOW_CAMERA = "--use-fake-ui-for-media-stream"

NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs Chromium (apt install chromium)"),
]
"""Marks of the tests."""


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
