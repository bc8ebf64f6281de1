"""POST /v1/poses and what is said of the models."""

import base64
import json
import re
import struct
import tracemalloc
import zlib
from collections import Counter

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serving import encoded, form, picture, serving, wait_for

PNG = {"Content-Type": "image/png"}


def test_an_image_in_people_out(service, job_pipeline):
    answer = service.post("/v1/poses", encoded(), PNG)
    assert answer.status == 200
    found = answer.json()
    expected = job_pipeline(picture()).to_coco(0)
    assert [p["keypoints"] for p in found["annotations"]] == [p["keypoints"] for p in expected]
    assert found["annotations"][0]["bbox"] == expected[0]["bbox"]
    assert found["images"] == [{"id": 0, "file_name": "the image", "width": 80, "height": 60}]
    category = found["categories"][0]
    assert category["keypoints"][0] == "nose"
    assert len(category["keypoints"]) * 3 == len(found["annotations"][0]["keypoints"])
    # Links as COCO counts them, from 1.
    assert min(min(link) for link in category["skeleton"]) >= 1
    assert set(found["timing_ms"]) == {"decode", "wait", "detect", "pose", "total"}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_images_are_typed_by_their_content(service, suffix):
    assert service.post("/v1/poses", encoded(suffix), {"Content-Type": "image/x"}).status == 200


def test_a_form_with_several_images_and_boxes(service):
    boxes = [[[1, 2, 30, 40], [10, 2, 50, 50]], None]
    body, headers = form(
        ("image", "../../etc/a.png", encoded()),
        ("image", "b.jpg", encoded(".jpg")),
        ("boxes", None, json.dumps(boxes)),
        ("kpt_thr", None, "0.9"),
    )
    found = service.post("/v1/poses", body, headers).json()
    assert [image["file_name"] for image in found["images"]] == ["a.png", "b.jpg"]
    assert [p["image_id"] for p in found["annotations"]] == [0, 0, 1]
    assert [p["id"] for p in found["annotations"]] == [0, 1, 2]
    assert found["annotations"][0]["bbox"] == [1, 2, 29, 38]


def test_boxes_of_a_single_image_in_form_and_query(service):
    body, headers = form(("image", "a.png", encoded()), ("boxes", None, "[[1, 2, 30, 40]]"))
    assert len(service.post("/v1/poses", body, headers).json()["annotations"]) == 1
    answer = service.post("/v1/poses?boxes=[[1,2,30,40],[1,2,20,30]]", encoded(), PNG)
    assert len(answer.json()["annotations"]) == 2


def test_json_with_base64(service):
    data = base64.b64encode(encoded()).decode()
    entry = {"data": f"data:image/png;base64,{data}", "name": "x", "boxes": [[1, 2, 30, 40]]}
    found = service.post("/v1/poses", {"images": [entry, {"data": data}], "max_people": 1}).json()
    assert len(found["images"]) == 2
    assert service.post("/v1/poses", {"image": data, "boxes": []}).json()["annotations"] == []
    # As the command base64 writes it.
    lines = base64.encodebytes(encoded()).decode()
    assert service.post("/v1/poses", {"image": lines}).status == 200


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png"])
def test_the_picture_with_the_people_drawn(service, kind):
    options = "?kpt_thr=0&draw_boxes=true&output_size=160"
    answer = service.post(f"/v1/poses{options}", encoded(), {**PNG, "Accept": f"{kind}, */*;q=0.1"})
    assert answer.status == 200
    assert answer.headers["content-type"] == kind
    drawn = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (120, 160, 3)
    plain = cv2.resize(picture(), (160, 120))
    assert np.abs(drawn.astype(int) - plain).max() > 100


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("", b"", PNG, 422),
        ("", b"\x89PNG\r\n\x1a\n garbage", PNG, 422),
        ("", b"garbage", PNG, 415),
        ("", b"GET / HTTP/1.1", {"Content-Type": "text/plain"}, 415),
        ("", b"{", {"Content-Type": "application/json"}, 400),
        ("", b"[]", {"Content-Type": "application/json"}, 400),
        ("", b'{"images": 3}', {"Content-Type": "application/json"}, 400),
        ("", b'{"images": []}', {"Content-Type": "application/json"}, 422),
        ("", b'{"images": [{"data": "%%"}]}', {"Content-Type": "application/json"}, 400),
        ("", b'{"images": [{"url": "file:///x"}]}', {"Content-Type": "application/json"}, 400),
        ("", b"x", {"Content-Type": "multipart/form-data"}, 400),
        ("", b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 400),
        ("", b"--b\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 400),
        ("?box_thr=2", b"", PNG, 422),
        ("?box_thr=nan", b"", PNG, 422),
        ("?boxes=[[1,2,3]]", b"", PNG, 422),
        ("?boxes=7", b"", PNG, 422),
    ],
)
def test_what_cannot_be_used_is_refused(service, path, body, headers, status):
    answer = service.post(f"/v1/poses{path}", body, headers)
    assert answer.status == status
    assert answer.json()["error"]["message"]


def test_options_that_do_not_exist_or_do_not_fit(service):
    data = base64.b64encode(encoded()).decode()
    for wrong in ({"box_thr": 2}, {"box_thr": True}, {"path": "x"}, {"color": "red"}):
        assert service.post("/v1/poses", {"image": data, **wrong}).status == 422
    body, headers = form(("image", "a.png", encoded()), ("draw_boxes", None, "perhaps"))
    assert service.post("/v1/poses", body, headers).status == 422


def test_a_picture_of_two_images_and_other_kinds_of_answers(service):
    body, headers = form(("image", "a.png", encoded()), ("image", "b.png", encoded()))
    assert service.post("/v1/poses", body, {**headers, "Accept": "image/png"}).status == 422
    assert service.post("/v1/poses", encoded(), {**PNG, "Accept": "text/html"}).status == 406


def test_limits(job_pipeline):
    limits = {"max_images": 2, "max_people": 2, "max_pixels": 10_000, "max_body_bytes": 100_000}
    with serving(job_pipeline.model, **limits) as service:
        three, headers = form(*[("image", "a.png", encoded())] * 3)
        assert service.post("/v1/poses", three, headers).status == 413
        boxes = json.dumps([[1, 2, 30, 40]] * 3)
        body, headers = form(("image", "a.png", encoded()), ("boxes", None, boxes))
        assert service.post("/v1/poses", body, headers).status == 422
        for suffix in (".png", ".jpg", ".webp", ".bmp", ".tiff"):
            large = encoded(suffix, width=110, height=100)
            assert service.post("/v1/poses", large, PNG).status == 413
        noise = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (99, 99, 3)))
        assert service.post("/v1/poses", noise[1].tobytes() * 4, PNG).status == 413
        picture_of = {**PNG, "Accept": "image/png"}
        assert service.post("/v1/poses?output_size=100", encoded(), picture_of).status == 200
        assert service.post("/v1/poses?output_size=200", encoded(), picture_of).status == 413
        # Without a length, too.
        chunks = (bytes(50_000) for _ in range(3))
        assert service.post("/v1/poses", chunks, PNG).status == 413


def test_a_few_bytes_that_claim_many_pixels(service):
    # Only headers: nothing of that size is made.
    png = bytearray(encoded())
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    assert service.post("/v1/poses", bytes(png), PNG).status == 413
    jpeg = bytearray(encoded(".jpg"))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = (60_000).to_bytes(2, "big") * 2
    assert service.post("/v1/poses", bytes(jpeg), PNG).status == 413


def test_what_is_said_of_the_models(service, job_pipeline):
    said = service.get("/v1/models").json()
    model = said["models"][0]
    assert model["skeleton"] == "coco17"
    keypoints = model["keypoint_set"]
    assert len(keypoints["keypoint_colors"]) == len(keypoints["keypoints"]) == 17
    assert keypoints["keypoint_colors"][0].startswith("#")
    assert said["limits"]["images"] == 16
    assert said["jobs"] is False
    # The files are those that are open.
    file = service.get(model["networks"]["pose"]["file"])
    assert file.body == job_pipeline.pose.path.read_bytes()
    assert service.get(model["networks"]["pose"]["card"]).json()["skeleton"] == "coco17"
    assert service.get("/v1/models/other.onnx").status == 404
    assert service.get("/v1/models/..%2f..%2fetc%2fpasswd.onnx").status == 404


def test_model_files_that_are_not_shared(job_pipeline):
    with serving(job_pipeline.model, share_models=False) as service:
        assert service.get("/v1/models").json()["models"][0]["networks"]["pose"]["file"] is None
        assert service.get("/v1/models/pose.onnx").status == 404


def test_health_and_numbers(service):
    service.post("/v1/poses", encoded(), PNG)
    assert service.get("/healthz").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {"status": "ready"}
    text = service.get("/metrics").body.decode()
    assert 'rtmpose_requests_total{route="/v1/poses",status="200"} 1.0' in text
    for name in ("people_total 1.0", "images_total 1.0", "images_in_work 0.0"):
        assert f"rtmpose_{name}" in text
    assert 'rtmpose_batch_size_count{stage="pose"} 1.0' in text
    for stage in ("decode", "detect", "pose", "wait"):
        assert f'rtmpose_stage_seconds_count{{stage="{stage}"}} 1.0' in text
    assert 'rtmpose_queue_length{stage="pose"} 0.0' in text


def test_errors_of_paths_and_methods_have_the_same_form(service):
    missing = service.get("/v1/nothing")
    assert (missing.status, missing.json()["error"]["code"]) == (404, "not_found")
    assert service.get("/v1/poses").status == 405
    assert service.get("/v2/models/nothing").json()["error"].startswith("there is no model")


def test_whole_images_and_one_stage_models(job_models, tmp_path):
    from networks import spot_person

    from rtmpose import Pipeline

    engine = {"backend": "onnxruntime", "device": "cpu", "threads": 1}
    whole = Pipeline(None, job_models[1], whole_image=True, **engine)
    with serving(whole.model) as service:
        found = service.post("/v1/poses", encoded(), PNG).json()
        assert found["annotations"][0]["bbox"] == [0, 0, 80, 60]
        assert found["model"]["detector"] is None
    alone = Pipeline(None, spot_person(tmp_path / "rtmo.onnx"), **engine)
    with serving(alone.model, person_thr=0.0) as service:
        found = service.post("/v1/poses", encoded(), PNG).json()
        expected = alone(picture()).to_coco(0)
        assert [p["keypoints"] for p in found["annotations"]] == [p["keypoints"] for p in expected]
        assert service.post("/v1/poses?boxes=[[1,2,30,40]]", encoded(), PNG).status == 422
        assert service.get("/v1/models").json()["models"][0]["takes_boxes"] is False


def test_a_large_body_that_waits_for_leave(service):
    import socket

    body = encoded(".bmp", width=800, height=600)
    head = (
        "POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/bmp\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 200")


def test_more_boxes_than_fit_into_a_call(service):
    boxes = json.dumps([[1, 2, 30, 40]] * 70).replace(" ", "")
    answer = service.post(f"/v1/poses?boxes={boxes}", encoded(), PNG)
    people = answer.json()["annotations"]
    assert len(people) == 70
    assert people[0]["keypoints"] == people[69]["keypoints"]


def test_many_requests_leave_nothing_behind(service):
    import threading
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    folder = Path("/proc/self/fd")
    connections = service.server._server.server_state.connections
    decoding = service.server.app.state.service.threads

    def state():
        """Threads by name, and open files, when all connections are closed."""
        wait_for(lambda: not connections)
        files = len(list(folder.iterdir())) if folder.is_dir() else 0
        names = (thread.name for thread in threading.enumerate())
        # Those that decode images begin one by one, up to their number.
        return Counter(name for name in names if not name.startswith("rtmpose-images")), files

    def ask(_):
        return service.post("/v1/poses", body, PNG).status

    body = encoded()
    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(ask, range(40))) == {200}
    before = state()
    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(ask, range(160))) == {200}
    after = state()
    assert not after[0] - before[0]
    assert after[1] <= before[1]
    assert len(decoding._threads) <= decoding._max_workers <= 8
    assert service.server.engine.in_work == 0
    # Some of them shared calls.
    text = service.get("/metrics").body.decode()
    calls = float(re.search(r'batch_size_count\{stage="pose"\} (\S+)', text)[1])
    assert calls < 200


def small_tiff(strip):
    """A gray TIFF of 8 by 8 pixels with a compressed strip."""
    tags = [(256, 8), (257, 8), (258, 8), (259, 8), (262, 1), (273, 200), (278, 8)]
    tags.append((279, len(strip)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + strip


def test_a_few_bytes_that_unpack_to_far_more(service):
    good = small_tiff(zlib.compress(bytes(64)))
    assert service.post("/v1/poses", good, PNG).status == 200
    bomb = small_tiff(zlib.compress(bytes(64 << 20)))
    tracemalloc.start()
    try:
        status = service.post("/v1/poses", bomb, PNG).status
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status in (200, 422)
    assert peak < 16 << 20


def test_a_png_without_an_end_is_unpacked_as_far_as_its_rows(service):
    whole = encoded()
    at = whole.index(b"IDAT")
    size = int.from_bytes(whole[at - 4 : at], "big")
    rows = zlib.decompress(whole[at + 4 : at + 4 + size])
    packed = zlib.compress(rows + bytes(64 << 20))
    checksum = zlib.crc32(packed, zlib.crc32(b"IDAT")).to_bytes(4, "big")
    endless = whole[: at - 4] + len(packed).to_bytes(4, "big") + b"IDAT" + packed + checksum

    unpacked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtmpose.sources.png.zlib", Counted(unpacked))
        assert service.post("/v1/poses", endless, PNG).status == 200
    assert len(rows) < sum(unpacked) < 2 << 20


class Counted:
    """zlib, which notes how much was unpacked."""

    error = zlib.error
    crc32 = staticmethod(zlib.crc32)

    def __init__(self, sizes):
        self.sizes = sizes

    def decompressobj(self):
        inner = zlib.decompressobj()
        sizes = self.sizes

        class Unpacker:
            eof = property(lambda _: inner.eof)
            unconsumed_tail = property(lambda _: inner.unconsumed_tail)

            def decompress(self, data, limit=0):
                plain = inner.decompress(data, limit)
                sizes.append(len(plain))
                return plain

        return Unpacker()
