"""Slips of those who write clients: said in words, never passed over."""

import base64
import json
import logging

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from clips import clip
from serving import encoded, form, picture, serving

import rtmpose
from rtmpose.errors import RtmposeError
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.images import decode_upload
from rtmpose.serve.job_files import check_head
from rtmpose.serve.job_settings import job_settings
from rtmpose.serve.json_numbers import as_whole
from rtmpose.serve.oip_tensors import check_shape
from rtmpose.serve.pose_options import PoseOptions, check_boxes, with_options
from rtmpose.serve.pose_routes import accepted_type
from rtmpose.types import Detections

PNG = {"Content-Type": "image/png"}


def refused(answer, status, *words):
    error = answer.json()["error"]
    assert answer.status == status
    for word in words:
        assert word in error["message"]


def test_names_in_the_query(service):
    refused(service.post("/v1/poses?max_poeple=2", encoded(), PNG), 422, "max_poeple", "max_people")
    twice = service.post("/v1/poses?max_people=2&max_people=3", encoded(), PNG)
    refused(twice, 422, "max_people comes 2 times")
    refused(service.get("/v1/models?token=abc"), 422, "'token'", "takes none")
    refused(service.get("/v1/models/pose.card.json?x=1"), 422, "'x'")
    assert service.post("/v1/poses?max_people=2&boxes=[]", encoded(), PNG).status == 200
    # Watchers and the page may add what they like.
    assert service.get("/healthz?probe=1").status == 200
    assert service.get("/?utm=1").status == 200


def test_names_in_forms_and_json(service):
    twice = form(("image", "a.png", encoded()), ("kpt_thr", None, "0"), ("kpt_thr", None, "1"))
    refused(service.post("/v1/poses", *twice), 422, "kpt_thr comes twice")
    data = base64.b64encode(encoded()).decode()
    both = {"image": data, "images": [data]}
    refused(service.post("/v1/poses", both), 400, 'either "images" or "image"')
    beside = {"images": [data], "boxes": [[1, 2, 30, 40]]}
    refused(service.post("/v1/poses", beside), 400, "beside the data of each image")
    named = service.post("/v1/poses", {"image": data, "name": "a.png", "boxes": [[1, 2, 30, 40]]})
    assert named.json()["images"][0]["file_name"] == "a.png"
    as_image = service.post("/v1/poses", json.dumps({"image": data}).encode(), PNG)
    refused(as_image, 415, "Content-Type: application/json")


def test_paths_and_methods(service):
    refused(service.post("/v1/poses/", encoded(), PNG), 404, "/v1/poses/", "without a slash")
    refused(service.get("/v1/poses"), 405, "GET does not work here: use POST")


def test_names_of_requests(service, caplog):
    with caplog.at_level(logging.INFO, "rtmpose.serve.access"):
        mine = service.get("/v1/models", headers={"X-Request-ID": "order-17.a"})
        other = service.get("/v1/models", headers={"X-Request-ID": "a b\u00e9" * 30})
    assert mine.headers["x-request-id"] == "order-17.a"
    assert len(other.headers["x-request-id"]) == 16
    assert any("order-17.a" in line for line in caplog.messages)


def test_the_page_is_never_of_two_versions(service):
    for path in ("/", "/static/js/main.js", "/static/page.css", "/sw.js"):
        assert service.get(path).headers["cache-control"] == "no-cache"


def test_metrics_say_the_version(service):
    words = f'rtmpose_build_info{{version="{rtmpose.__version__}"}} 1.0'
    assert words in service.get("/metrics").body.decode()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("application/json;q=0.1, image/png;q=0.9", "image/png"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("image/webp, image/*;q=0.5", "image/jpeg"),
        ("application/json;q=0, image/png", "image/png"),
    ],
)
def test_kinds_of_answers_by_their_weight(accept, kind):
    assert accepted_type(accept) == kind


def test_boxes_that_are_parts_of_the_size():
    image = picture()
    check_boxes(Detections.from_boxes(np.array([[-5.0, 0, 30, 90]])), image)
    check_boxes(Detections.from_boxes(np.array([[0.0, 0, 1, 1]])), image[:1, :1])
    parts = Detections.from_boxes(np.array([[1.0, 2, 30, 40], [0.1, 0.2, 0.6, 1.0]]))
    with pytest.raises(RtmposeError, match=r"row 1 .* pixels, not parts"):
        check_boxes(parts, image)


def test_the_other_kind_of_file(tmp_path):
    video = clip(tmp_path / "clip.avi", frames=2).read_bytes()
    with pytest.raises(RtmposeError, match="a video is sent to /v1/jobs"):
        decode_upload(video, "clip.jpg", 10_000)
    with pytest.raises(RtmposeError, match="an image is sent to /v1/poses"):
        check_head(encoded())


def test_jobs_of_earlier_pages(job_pipeline, tmp_path):
    from rtmpose.serve.job_store import JobStore

    ids = [f"{number:032x}" for number in range(5)]
    (tmp_path / "data").mkdir()
    store = JobStore(tmp_path / "data" / "jobs.sqlite")
    for job in ids:
        store.add(job, "clip", 1, None, "{}")
        store.stop(job)
    store.close()
    with serving(job_pipeline.model, data=tmp_path / "data") as service:
        first = service.get("/v1/jobs?limit=2").json()["jobs"]
        assert [job["id"] for job in first] == ids[:2:-1]
        after = service.get(f"/v1/jobs?limit=2&before={ids[3]}").json()["jobs"]
        assert [job["id"] for job in after] == [ids[2], ids[1]]
        refused(service.get(f"/v1/jobs?before={'f' * 32}"), 404, "no such job")
        refused(service.post("/v1/jobs?max_people=3", b"x"), 422, "settings is a JSON object")


def test_health_over_grpc(job_pipeline):
    grpc = pytest.importorskip("grpc", reason="needs the extra serve")
    token = "a-token-that-is-long"
    with (
        serving(job_pipeline.model, grpc_port=0, token=token) as service,
        grpc.insecure_channel(f"127.0.0.1:{service.server.grpc_port}") as channel,
    ):
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        # No token, and the bytes of the published messages.
        assert check(b"", timeout=10) == b"\x08\x01"
        known = b"inference.GRPCInferenceService"
        assert check(b"\x0a" + bytes([len(known)]) + known, timeout=10) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as error:
            check(b"\x0a\x01x", timeout=10)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=10)
        assert next(watch) == b"\x08\x01"
        watch.cancel()


@pytest.mark.parametrize(("written", "expected"), [(2.0, 2), (2, 2), (2.5, 2.5), ("2", "2")])
def test_whole_numbers_of_json_may_have_a_point(written, expected):
    assert as_whole(written) == expected
    assert type(as_whole(written)) is type(expected)


def test_options_settings_and_shapes_take_whole_numbers_with_a_point():
    assert with_options(PoseOptions(), {"max_people": 2.0}).max_people == 2
    assert job_settings({"max_people": 3.0, "trail": 4.0}).max_people == 3
    assert check_shape("image", [1, 480.0, 640, 3]) == (1, 480, 640, 3)
    with pytest.raises(ServiceError, match="max_people"):
        with_options(PoseOptions(), {"max_people": 2.5})
    with pytest.raises(ServiceError, match="list of sizes"):
        check_shape("image", [1.5])
