"""The service keeps to its OpenAPI document, whatever comes: requests are made of the document."""

import base64

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

from clips import clip  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis.errors import Unsatisfiable  # noqa: E402
from serving import FakeModel, encoded, serving  # noqa: E402

from rtmpose.skeletons import get_skeleton  # noqa: E402

EXAMPLES = 15
REFUSALS = [
    "400",
    "401",
    "403",
    "404",
    "405",
    "406",
    "409",
    "413",
    "415",
    "422",
    "428",
    "429",
    "5xx",
]
"""Statuses of refused requests: schemathesis' own, and 413 of requests with too many images."""
INFER = "/infer"
"""End of the paths whose tensors must have as many values as their shapes say, which no schema
tells: there a request that fits the document may be refused.
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    model = FakeModel(get_skeleton("coco17"))
    data = tmp_path_factory.mktemp("data")
    with serving(model, data=data, rate_limit=0.0, max_jobs=10_000) as running:
        yield running


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return clip(tmp_path_factory.mktemp("video") / "clip.avi", frames=1).read_bytes()


OPTIONS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def with_content(case, video):
    """What no schema says: which bytes are an image or a video, which texts are JSON, and that a
    box ends behind its begin.
    """
    path, body = case.operation.path, case.body
    content = video if path == "/v1/jobs" else encoded()
    is_content = str(case.media_type).startswith(("image/", "video/", "application/octet-stream"))
    if is_content and path in ("/v1/jobs", "/v1/poses"):
        case.body = content
    elif isinstance(body, dict) and path == "/v1/jobs":
        case.body = {**body, "video": content}
        case.body.pop("settings", None)
    elif isinstance(body, dict) and "image" in body:
        case.body = {**body, "image": [content] * len(body["image"])}
        case.body.pop("boxes", None)
    elif isinstance(body, dict) and "images" in body:
        data = base64.b64encode(content).decode()
        entries = [{**entry, "data": data, "boxes": [[1, 2, 30, 40]]} for entry in body["images"]]
        case.body = {**body, "images": entries}
    if path == "/v1/poses" and "boxes" in (case.query or {}):
        case.query["boxes"] = "[[1, 2, 30, 40]]"


def check_all(cases, left_out, video):
    """Send examples; with content that can be read, where there is a video."""

    @OPTIONS
    @given(case=cases)
    def keeps_to_it(case):
        if video is not None:
            with_content(case, video)
        case.call_and_validate(excluded_checks=left_out, timeout=30)

    keeps_to_it()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_request_is_answered_as_the_document_says(service, video, mode):
    config = schemathesis.Config.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}}
    )
    document = schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json", config=config)
    kind = schemathesis.GenerationMode(mode)
    checks = schemathesis.checks
    # Content that is put into requests is bytes, which it takes for no text.
    not_looked_at = [checks.negative_data_rejection] if mode == "positive" else []
    tried = 0
    for operation in (found.ok() for found in document.get_all_operations()):
        left_out = [*not_looked_at]
        if operation.path.endswith(INFER):
            left_out.append(checks.positive_data_acceptance)
        cases = operation.as_strategy(generation_mode=kind)
        try:
            check_all(cases, left_out, video if mode == "positive" else None)
        except Unsatisfiable:
            continue  # nothing can be wrong with a request without arguments
        tried += 1
        # Whatever it was, the service works.
        assert service.get("/readyz").status == 200
    assert tried > 10
