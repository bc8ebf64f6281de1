"""The Open Inference Protocol, spoken byte by byte; clients of others: test_serve_clients.py."""

import base64
import gzip
import json
import struct
import threading
import zlib

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serving import encoded, picture, serving, wait_for

from rtmpose.serve.faults import ServiceError
from rtmpose.serve.oip_http import read_request
from rtmpose.serve.oip_tensors import from_json, from_raw

LENGTH = "Inference-Header-Content-Length"
MODEL = "/v2/models/rtmpose"


def infer(service, head, raw=b"", **headers):
    text = json.dumps(head).encode()
    if raw:
        headers[LENGTH.replace("-", "_")] = str(len(text))
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.post(f"{MODEL}/infer", text + raw, names)


def pixels(image, **parameters):
    entry = {"name": "image", "shape": list(image.shape), "datatype": "UINT8"}
    return {**entry, "parameters": {"binary_data_size": image.size, **parameters}}


def outputs(answer):
    """Name to array of an answer, JSON or binary."""
    length = answer.headers.get(LENGTH.lower())
    head = json.loads(answer.body if length is None else answer.body[: int(length)])
    rest = b"" if length is None else answer.body[int(length) :]
    found = {}
    for entry in head["outputs"]:
        dtype = {"FP32": "<f4", "INT64": "<i8"}[entry["datatype"]]
        size = entry.get("parameters", {}).get("binary_data_size")
        if size is None:
            array = np.array(entry["data"], dtype)
        else:
            array, rest = np.frombuffer(rest[:size], dtype), rest[size:]
        found[entry["name"]] = array.reshape(entry["shape"])
    assert not rest
    return found


def test_what_it_says_of_itself(service):
    assert "binary_tensor_data" in service.get("/v2").json()["extensions"]
    assert service.get("/v2/health/live").json() == {"live": True}
    assert service.get("/v2/health/ready").json() == {"ready": True}
    metadata = service.get(MODEL).json()
    assert metadata["versions"] == ["1"]
    own = metadata["name"]
    for name in ("rtmpose", own):
        for version in ("", "/versions/1"):
            path = f"/v2/models/{name}{version}"
            assert service.get(path).json() == metadata
            assert service.get(f"{path}/ready").json()["ready"] is True
            assert service.get(f"{path}/config").json()["max_batch_size"] == 0
    shapes = {tensor["name"]: tensor["shape"] for tensor in metadata["outputs"]}
    assert shapes["keypoints"] == [-1, 17, 2]
    assert service.post("/v2/repository/index").json()[0]["state"] == "READY"
    assert service.get("/v2/models/other").status == 404
    assert service.get(f"{MODEL}/versions/2").status == 404


def test_pixels_in_arrays_out(service, job_pipeline):
    image = picture()
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in ("scores", "boxes")]
    answer = infer(service, {"id": "7", "inputs": [pixels(image)]}, image.tobytes())
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["id"] == "7"
    found = outputs(answer)
    expected = job_pipeline(image)
    np.testing.assert_array_equal(found["keypoints"], expected.keypoints)
    np.testing.assert_array_equal(found["boxes"], expected.boxes)
    assert found["people"].tolist() == [1]
    answer = infer(service, {"inputs": [pixels(image)], "outputs": wanted}, image.tobytes())
    binary = outputs(answer)
    assert list(binary) == ["scores", "boxes"]
    np.testing.assert_array_equal(binary["scores"], expected.scores)
    head = {"inputs": [pixels(image)], "parameters": {"binary_data_output": True}}
    assert len(outputs(infer(service, head, image.tobytes()))) == 7


def test_encoded_images_in_json_and_binary(service):
    files = [encoded(), encoded(".jpg")]
    entry = {"name": "images", "shape": [2], "datatype": "BYTES"}
    plain = {**entry, "data": [base64.b64encode(file).decode() for file in files]}
    found = outputs(infer(service, {"inputs": [plain]}))
    assert found["image_index"].tolist() == [0, 1]
    assert found["people"].tolist() == [1, 1]
    raw = b"".join(struct.pack("<I", len(file)) + file for file in files)
    binary = {**entry, "parameters": {"binary_data_size": len(raw)}}
    same = outputs(infer(service, {"inputs": [binary]}, raw))
    np.testing.assert_array_equal(same["keypoints"], found["keypoints"])


def test_boxes_and_parameters(service):
    image = picture()
    rows = [[1, 2, 30, 40], [5, 5, 60, 50]]
    boxes = {"name": "boxes", "shape": [2, 4], "datatype": "FP32", "data": rows}
    found = outputs(infer(service, {"inputs": [pixels(image), boxes]}, image.tobytes()))
    assert found["boxes"].tolist() == rows
    head = {"inputs": [pixels(image)], "parameters": {"box_thr": 1.0}}
    assert outputs(infer(service, head, image.tobytes()))["keypoints"].shape == (0, 17, 2)


def test_frames_of_a_sequence_have_ids(service):
    image = picture()

    def ids(number, **parameters):
        head = {"inputs": [pixels(image)], "parameters": {"sequence_id": number, **parameters}}
        return outputs(infer(service, head, image.tobytes()))["ids"].tolist()

    assert ids(5, sequence_start=True) == [1]
    assert ids(5) == [1]
    assert ids("other") == [1]
    assert ids(5, sequence_end=True) == [1]
    assert outputs(infer(service, {"inputs": [pixels(image)]}, image.tobytes()))["ids"].sum() == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies(service, encoding):
    entry = {"name": "image", "shape": [4, 4, 3], "datatype": "UINT8", "data": [0] * 48}
    text = json.dumps({"inputs": [entry]}).encode()
    packed = gzip.compress(text) if encoding == "gzip" else zlib.compress(text)
    headers = {"Content-Encoding": encoding}
    assert service.post(f"{MODEL}/infer", packed, headers).status == 200
    assert service.post(f"{MODEL}/infer", packed[:-8], headers).status == 400
    assert service.post(f"{MODEL}/infer", text, headers).status == 400


def test_a_body_that_unpacks_to_more_than_is_taken(job_pipeline):
    with serving(job_pipeline.model, max_body_bytes=100_000) as service:
        packed = gzip.compress(bytes(200_000))
        answer = service.post(f"{MODEL}/infer", packed, {"Content-Encoding": "gzip"})
        assert answer.status == 413
        other = service.post(f"{MODEL}/infer", packed, {"Content-Encoding": "br"})
        assert other.status == 415


IMAGE = {"name": "image", "shape": [2, 2, 3], "datatype": "UINT8", "data": [0] * 12}


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"inputs": []},
        {"inputs": [{}]},
        {"inputs": [{**IMAGE, "shape": [2, 2, 4]}]},
        {"inputs": [{**IMAGE, "shape": [-1, 2, 3]}]},
        {"inputs": [{**IMAGE, "shape": [1 << 40, 2, 3]}]},
        {"inputs": [{**IMAGE, "shape": [0, 2, 3], "data": []}]},
        {"inputs": [{**IMAGE, "datatype": "FP32"}]},
        {"inputs": [{**IMAGE, "datatype": "STRING"}]},
        {"inputs": [{**IMAGE, "data": ["x"] * 12}]},
        {"inputs": [{**IMAGE, "data": [256] * 12}]},
        {"inputs": [{**IMAGE, "data": [[1], [2, 3]]}]},
        {"inputs": [{**IMAGE, "parameters": {"binary_data_size": 12}}]},
        {"inputs": [IMAGE, IMAGE]},
        {"inputs": [{**IMAGE, "name": "other"}]},
        {"inputs": [IMAGE], "outputs": [{"name": "other"}]},
        {"inputs": [IMAGE], "outputs": 3},
        {"inputs": [IMAGE], "parameters": {"path": "x"}},
        {"inputs": [IMAGE], "parameters": {"sequence_id": [1]}},
        {"inputs": [IMAGE], "id": 3},
    ],
)
def test_requests_that_cannot_be_read(service, head):
    answer = infer(service, head)
    assert answer.status in (400, 413)
    assert isinstance(answer.json()["error"], str)


def test_bytes_that_do_not_add_up():
    head = json.dumps({"inputs": [pixels(picture())]}).encode()
    for length, body in (("x", head), (str(len(head) + 1), head), (str(len(head)), head + b"1")):
        with pytest.raises(ServiceError):
            read_request(body, length)
    for raw in (b"", b"\1\0\0\0", b"\5\0\0\0abcd", b"\1\0\0\0a\1\0\0\0a"):
        with pytest.raises(ServiceError):
            from_raw("images", "BYTES", (1,), raw)
    assert from_raw("images", "BYTES", (2,), b"\1\0\0\0a\0\0\0\0").data == [b"a", b""]
    assert from_json("x", "FP32", (2, 1), [[1.5], [2]]).data.tolist() == [[1.5], [2.0]]


def test_no_thread_of_sequences_is_left(job_pipeline):
    image = picture()
    with serving(job_pipeline.model, person_thr=0.0) as service:
        head = {"inputs": [pixels(image)], "parameters": {"sequence_id": 5}}
        assert outputs(infer(service, head, image.tobytes()))["ids"].tolist() == [1]
    wait_for(lambda: not any(t.name.startswith("rtmpose-seq") for t in threading.enumerate()))
