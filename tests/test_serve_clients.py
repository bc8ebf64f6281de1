"""Programs of others use the service unchanged (tests/serve_clients.txt). Each in a process of its
own, as their messages have the same names.
"""

import importlib.util
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serving import encoded, picture, serving

TOKEN = "a-token-that-is-long"

TRITON = """
import json, sys
import cv2, numpy as np
kind, address, folder, token = sys.argv[1:]
import importlib
triton = importlib.import_module(f"tritonclient.{kind}")
headers = {"authorization": f"Bearer {token}"}
client = triton.InferenceServerClient(address)
assert client.is_server_live(headers=headers)
assert client.is_server_ready(headers=headers)
assert client.is_model_ready("rtmpose", headers=headers)
as_json = {"as_json": True} if kind == "grpc" else {}
metadata = client.get_model_metadata("rtmpose", headers=headers, **as_json)
config = client.get_model_config("rtmpose", headers=headers, **as_json)
client.get_server_metadata(headers=headers)
client.get_model_repository_index(headers=headers)

image = cv2.imread(f"{folder}/image.png")
pixels = triton.InferInput("image", image.shape, "UINT8")
pixels.set_data_from_numpy(image)
def infer(inputs, **options):
    return client.infer("rtmpose", inputs, headers=headers, **options)
found = infer([pixels], request_id="7")
data = open(f"{folder}/image.png", "rb").read()
files = triton.InferInput("images", [2], "BYTES")
files.set_data_from_numpy(np.array([data, data], object))
wanted = [triton.InferRequestedOutput("keypoints"), triton.InferRequestedOutput("people")]
both = infer([files], outputs=wanted)
boxes = triton.InferInput("boxes", [2, 4], "FP32")
boxes.set_data_from_numpy(np.array([[1, 2, 30, 40], [2, 2, 50, 50]], np.float32))
given = infer([pixels, boxes])
nobody = infer([pixels], parameters={"box_thr": 1.0} if kind == "http" else {"box_thr": "1.0"})
sequence = [
    infer([pixels], sequence_id=5, sequence_start=i == 0, sequence_end=i == 2) for i in range(3)
]
try:
    client.infer("other", [pixels], headers=headers)
    refused = ""
except Exception as error:
    refused = error.message()
print(json.dumps({
    "name": metadata["name"],
    "config": str(config),
    "keypoints": found.as_numpy("keypoints").tolist(),
    "both": both.as_numpy("keypoints").tolist(),
    "people": both.as_numpy("people").tolist(),
    "given": list(given.as_numpy("keypoints").shape),
    "nobody": list(nobody.as_numpy("boxes").shape),
    "ids": [frame.as_numpy("ids").tolist() for frame in sequence],
    "refused": refused,
}))
"""

TRITON_STREAM = """
import json, queue, sys
import cv2
import tritonclient.grpc as triton
address, folder, token = sys.argv[1:]
client = triton.InferenceServerClient(address)
results = queue.Queue()
headers = {"authorization": f"Bearer {token}"}
client.start_stream(lambda result, error: results.put((result, error)), headers=headers)
image = cv2.imread(f"{folder}/image.png")
pixels = triton.InferInput("image", image.shape, "UINT8")
pixels.set_data_from_numpy(image)
for number in range(3):
    name = "other" if number == 1 else "rtmpose"
    client.async_stream_infer(name, [pixels], request_id=str(number))
found = [results.get(timeout=30) for _ in range(3)]
client.stop_stream()
print(json.dumps([
    str(error) if result is None else list(result.as_numpy("keypoints").shape)
    for result, error in found
]))
"""

KSERVE = """
import asyncio, json, sys
import cv2
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
url, folder, token = sys.argv[1:]
image = cv2.imread(f"{folder}/image.png")

async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    headers = {"authorization": f"Bearer {token}"}
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, "rtmpose", headers=headers)
    found = []
    for binary in (False, True):
        tensor = InferInput("image", list(image.shape), "UINT8")
        tensor.set_data_from_numpy(image, binary_data=binary)
        request = InferRequest("rtmpose", [tensor])
        response = await client.infer(url, request, model_name="rtmpose", headers=dict(headers))
        outputs = {output.name: output.as_numpy().tolist() for output in response.outputs}
        found.append(outputs["keypoints"])
    await client.close()
    print(json.dumps(found))

asyncio.run(main())
"""

KSERVE_GRPC = """
import asyncio, json, sys
import cv2
from kserve import InferenceGRPCClient, InferInput, InferRequest
address, folder, token = sys.argv[1:]
image = cv2.imread(f"{folder}/image.png")

async def main():
    client = InferenceGRPCClient(address)
    headers = (("authorization", f"Bearer {token}"),)
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready("rtmpose", headers=headers)
    tensor = InferInput("image", list(image.shape), "UINT8")
    tensor.set_data_from_numpy(image, binary_data=True)
    response = await client.infer(InferRequest("rtmpose", [tensor]), headers=headers)
    outputs = {output.name: output.as_numpy().tolist() for output in response.outputs}
    await client.close()
    print(json.dumps(outputs["keypoints"]))

asyncio.run(main())
"""


def needs(package):
    reason = f"needs {package} (tests/serve_clients.txt)"
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=reason)


def run(code, *arguments):
    line = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def service(job_pipeline, tmp_path):
    (tmp_path / "image.png").write_bytes(encoded())
    grpc = {"grpc_port": 0} if importlib.util.find_spec("grpc") else {}
    with serving(job_pipeline.model, person_thr=0.0, token=TOKEN, **grpc) as running:
        yield running


def address_of(service, kind):
    port = service.port if kind == "http" else service.server.grpc_port
    return f"127.0.0.1:{port}"


@needs("tritonclient")
@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_triton(service, kind, tmp_path, job_pipeline):
    found = run(TRITON, kind, address_of(service, kind), tmp_path, TOKEN)
    expected = job_pipeline(cv2.imread(str(tmp_path / "image.png"))).keypoints
    np.testing.assert_array_equal(np.float32(found["keypoints"]), expected)
    np.testing.assert_array_equal(np.float32(found["both"]), np.concatenate([expected] * 2))
    assert found["people"] == [1, 1]
    assert found["given"] == [2, 17, 2]
    assert found["nobody"] == [0, 4]
    assert found["ids"] == [[1], [1], [1]]
    assert "no model" in found["refused"]
    assert found["name"] in found["config"]


@needs("tritonclient")
def test_a_stream_of_triton(service, tmp_path):
    first, second, third = run(TRITON_STREAM, address_of(service, "grpc"), tmp_path, TOKEN)
    assert first == third == [1, 17, 2]
    assert "no model" in second


@needs("kserve")
def test_kserve(service, tmp_path, job_pipeline):
    expected = job_pipeline(picture()).keypoints
    for found in run(KSERVE, service.url, tmp_path, TOKEN):
        np.testing.assert_array_equal(np.float32(found).reshape(expected.shape), expected)
    found = run(KSERVE_GRPC, address_of(service, "grpc"), tmp_path, TOKEN)
    np.testing.assert_array_equal(np.float32(found).reshape(expected.shape), expected)


def test_the_messages_are_those_of_the_public_protocol():
    pytest.importorskip("google.protobuf", reason="needs the extra serve")
    service_pb2 = pytest.importorskip("tritonclient.grpc.service_pb2")
    from rtmpose.serve.oip_messages import message_class

    for name in ("ModelInferRequest", "ModelInferResponse", "ModelMetadataResponse"):
        ours = message_class(name).DESCRIPTOR
        theirs = getattr(service_pb2, name).DESCRIPTOR
        assert {f.name: (f.number, f.type) for f in ours.fields} == {
            f.name: (f.number, f.type) for f in theirs.fields
        }


def test_the_descriptors_are_made_of_the_proto_file(tmp_path):
    pytest.importorskip("grpc_tools", reason="needs grpcio-tools")
    from pathlib import Path

    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    try:
        from grpc_descriptors import FOLDER, compile_to
    finally:
        sys.path.pop(0)
    assert compile_to(tmp_path / "new.pb") == 0
    made = FileDescriptorSet.FromString((tmp_path / "new.pb").read_bytes())
    kept = FileDescriptorSet.FromString((FOLDER / "open_inference.pb").read_bytes())
    assert made == kept


@needs("tritonclient")
def test_grpc_needs_the_token(service, tmp_path):
    code = """
import json, sys
import tritonclient.grpc as triton
client = triton.InferenceServerClient(sys.argv[1])
live = client.is_server_live()
try:
    client.get_model_metadata("rtmpose")
    refused = ""
except triton.InferenceServerException as error:
    refused = error.status()
print(json.dumps([live, refused]))
"""
    code = code.replace("triton.InferenceServerException", "Exception")
    live, refused = run(code, address_of(service, "grpc"))
    assert live is True
    assert refused == "StatusCode.UNAUTHENTICATED"
