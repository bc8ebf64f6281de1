"""First requests of people with curl, forms and base64: what works, and what is said instead."""

import base64
import json

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

import cv2
from serving import encoded, form

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def noise(suffix=".jpg"):
    """A picture that is no smaller than those of people, compressed."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def refused(answer, status, *words):
    error = answer.json()["error"]
    assert answer.status == status, error
    for word in words:
        assert word in error["message"]


def test_base64_of_both_alphabets(service):
    data = noise(".png")
    usual = base64.b64encode(data).decode()
    other = base64.urlsafe_b64encode(data).decode()
    assert "+" in usual
    assert "-" in other
    for text in (usual, other, other.rstrip("="), f"data:image/png;base64,{other}"):
        assert service.post("/v1/poses", {"image": text}).json()["images"][0]["width"] == 128
    for text in ("a", "a=bc", "a*bc"):
        refused(service.post("/v1/poses", {"image": text}), 400, "not base64")


def test_curl_without_binary(service):
    picture = noise()
    stripped = picture.translate(None, b"\r\n\0")
    refused(service.post("/v1/poses", stripped, FORM), 422, "--data-binary")
    assert service.post("/v1/poses", picture, FORM).status == 200
    # Small ones may have none of these bytes.
    assert service.post("/v1/poses", encoded(".jpg"), FORM).status == 200


def test_forms_without_files(service):
    text = b"image=" + base64.b64encode(encoded())
    refused(service.post("/v1/poses", text, FORM), 415, "multipart/form-data", "JSON")
    refused(service.post("/v1/poses", *form(("image", None, "photo.jpg"))), 422, "image=@FILE")
    # What has the name of a file is looked at as a file; an image needs none.
    refused(service.post("/v1/poses", *form(("image", "a.jpg", "photo"))), 415, "a.jpg")
    assert service.post("/v1/poses", *form(("image", None, encoded()))).status == 200


def test_a_stream_through_a_proxy_that_knows_no_websockets(service):
    answer = service.get("/v1/stream")
    refused(answer, 426, "Upgrade", "proxy")
    assert answer.headers["upgrade"] == "websocket"


def test_frames_in_messages_of_text(service):
    client = pytest.importorskip("websockets.sync.client")
    text = base64.b64encode(encoded()).decode()
    url = f"ws://127.0.0.1:{service.port}/v1/stream"
    with client.connect(url) as stream:
        stream.send(text)
        said = json.loads(stream.recv(30))
        assert (said["type"], said["code"]) == ("error", "unusable")
        assert "binary messages" in said["message"]
        # The stream goes on.
        stream.send(encoded())
        assert json.loads(stream.recv(30))["type"] == "result"
        stream.send(text * 1000)
        said = json.loads(stream.recv(30))
        assert said["code"] == "too_large"
        assert "binary messages" in said["message"]
