"""The service keeps to its OpenAPI document, whatever comes: requests are made of the document."""

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis.errors import Unsatisfiable  # noqa: E402
from serving import FakeModel, serving  # noqa: E402

from rtmpose.skeletons import get_skeleton  # noqa: E402

EXAMPLES = 15
UNDESCRIBED = (
    # That bytes are an image or a video, and which texts are JSON of settings, no schema says: what
    # fits the schema may be refused all the same.
    "positive_data_acceptance",
)
"""Checks that cannot hold here."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    model = FakeModel(get_skeleton("coco17"))
    data = tmp_path_factory.mktemp("data")
    with serving(model, data=data, rate_limit=0.0, max_jobs=5) as running:
        yield running


OPTIONS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_request_is_answered_as_the_document_says(service, mode):
    document = schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json")
    names = [getattr(schemathesis.checks, name, None) for name in UNDESCRIBED]
    left_out = [check for check in names if check is not None]
    kind = schemathesis.GenerationMode(mode)
    tried = 0
    for operation in (found.ok() for found in document.get_all_operations()):

        @OPTIONS
        @given(case=operation.as_strategy(generation_mode=kind))
        def keeps_to_it(case):
            case.call_and_validate(excluded_checks=left_out, timeout=30)

        try:
            keeps_to_it()
        except Unsatisfiable:
            continue  # nothing can be wrong with a request without arguments
        tried += 1
        # Whatever it was, the service works.
        assert service.get("/readyz").status == 200
    assert tried > 10
