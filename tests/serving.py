"""A service on loopback for tests, and a client of the standard library."""

import http.client
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import urlsplit

import cv2
import numpy as np

TIMEOUT_S = 30


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Serving:
    """A running service."""

    server: object
    thread: threading.Thread
    token: str | None = None
    headers: dict = field(default_factory=dict)

    @property
    def url(self):
        return self.server.url

    @property
    def port(self):
        return urlsplit(self.url).port

    def call(self, method, path, body=None, headers=None, timeout=TIMEOUT_S):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {**self.headers, **(headers or {})}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, headers=None, **options):
        return self.call("POST", path, body, headers, **options)

    def stop(self):
        self.server.stop()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()


@contextmanager
def serving(model, start_engine=None, *, wait=True, **settings):
    from rtmpose.serve.server import RunningServer
    from rtmpose.serve.settings import ServeSettings

    settings = {"port": 0, "drain_s": 10.0, **settings}
    server = RunningServer([model], ServeSettings(**settings), start_engine)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert not wait or server.wait_until_ready()
    running = Serving(server, thread)
    if settings.get("token"):
        running.headers["Authorization"] = f"Bearer {settings['token']}"
    try:
        yield running
    finally:
        running.stop()


def picture(width=80, height=60, value=90):
    image = np.full((height, width, 3), value, np.uint8)
    cv2.circle(image, (width // 3, height // 2), 8, (0, 0, 255), -1)
    return image


def encoded(suffix=".png", **options):
    return cv2.imencode(suffix, picture(**options))[1].tobytes()


def form(*parts, boundary="aB3"):
    """Body and headers of a form; parts are (name, filename or None, content)."""
    body = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'Content-Disposition: form-data; name="{name}"{file}'
        body += f"--{boundary}\r\n{head}\r\n\r\n".encode()
        body += (content.encode() if isinstance(content, str) else content) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def wait_for(condition, seconds=TIMEOUT_S):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return result


class FakeModel:
    """A model that notes its calls: one person per image, where boxes are not given."""

    needs_boxes = True
    finds_people = True
    whole_image = False
    score_by_box = False
    detector = None
    networks = ()
    card = SimpleNamespace(id="fake", calibration=None)

    def __init__(self, skeleton, delay_s=0.0, people=1):
        self.skeleton = skeleton
        self.delay_s = delay_s
        self.people = people
        self.batches = []
        self.order = []
        self.fail = None
        self.gate = threading.Event()
        self.gate.set()

    @property
    def pose(self):
        return self

    def describe(self):
        return {"pose": "fake", "detector": "fake"}

    def detect(self, image, *, box_thr=None, max_people=None):
        from rtmpose.types import Detections

        boxes = np.tile(np.array([[0, 0, 20, 40]], np.float32), (self.people, 1))
        return Detections.from_boxes(boxes)[:max_people]

    def estimate(self, images, boxes=None, *, box_thr=None, max_people=None, flip_test=False):
        from rtmpose.types import Poses

        self.gate.wait(TIMEOUT_S)
        time.sleep(self.delay_s)
        if self.fail is not None and any(image[0, 0, 0] == self.fail for image in images):
            raise ValueError("this picture is bad")
        self.batches.append(sum(map(len, boxes)))
        self.order += [int(image[0, 0, 0]) for image in images]
        count = len(self.skeleton)
        return [
            Poses(
                found.boxes,
                found.scores,
                np.full((len(found), count, 2), float(image[0, 0, 0]), np.float32),
                np.ones((len(found), count), np.float32),
                self.skeleton,
            )
            for image, found in zip(images, boxes, strict=True)
        ]
