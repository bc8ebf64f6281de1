"""Fixtures that several tests of the service use; the names of a file's own go first."""

import cv2
import pytest

FRAMES_OF_CAMERA = 30


@pytest.fixture
def fake():
    """A model that notes its calls."""
    from serving import FakeModel

    from rtmpose.skeletons import get_skeleton

    return FakeModel(get_skeleton("coco17"))


@pytest.fixture
def video(tmp_path):
    """A video file of five frames."""
    from clips import clip

    return clip(tmp_path / "clip.avi", frames=5).read_bytes()


@pytest.fixture
def service(job_pipeline):
    """A service with small networks, on loopback."""
    from serving import serving

    with serving(job_pipeline.model, person_thr=0.0) as running:
        yield running


# ---- the page


@pytest.fixture(scope="module")
def pipeline():
    """The bundled networks."""
    from rtmpose import Pipeline

    return Pipeline(backend="onnxruntime", device="cpu", threads=1)


@pytest.fixture(scope="module")
def page_service(pipeline, tmp_path_factory):
    """A service with the bundled networks, which takes videos."""
    from serving import serving

    data = tmp_path_factory.mktemp("jobs")
    with serving(pipeline.model, data=data, warm_up=False) as running:
        yield running


@pytest.fixture(scope="module")
def street_clip(shared):
    """A video of five frames with many people."""
    return shared / "data" / "video" / "mmpose_street_5frames.mp4"


@pytest.fixture(scope="module")
def camera_file(shared, tmp_path_factory):
    """Frames of a clip, one JPEG after the other, which Chromium takes for a camera."""
    path = tmp_path_factory.mktemp("camera") / "clip.mjpeg"
    video = cv2.VideoCapture(str(shared / "data" / "video" / "mmaction2_two_people.mp4"))
    frames = [cv2.resize(video.read()[1], (640, 360)) for _ in range(FRAMES_OF_CAMERA)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    return path


@pytest.fixture(scope="module")
def playwright():
    """Remote control of browsers."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs tests/serve_page.txt")
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright):
    """Chromium without a camera."""
    from pages import launched

    with launched(playwright) as running:
        yield running


@pytest.fixture(scope="module")
def browser_with_camera(playwright, camera_file):
    """Chromium with a camera that shows a clip."""
    from pages import ALLOW_CAMERA, FAKE_CAMERA, launched

    file = f"--use-file-for-fake-video-capture={camera_file}"
    with launched(playwright, FAKE_CAMERA, ALLOW_CAMERA, file) as running:
        yield running
