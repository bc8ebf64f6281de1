"""What is compiled before the service says that it is ready."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from serving import FakeModel, encoded, serving, wait_for

from rtmpose import BackendOptions, Detector
from rtmpose.serve.engine import Engine
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.warm_up import LIKELY_WH, MEASURED, ROUNDS, seconds_of_calls, warm_up

JPEG = {"Content-Type": "image/jpeg"}


class Watched(FakeModel):
    """A model that seems to have networks, and notes the images it looks for people in."""

    networks = (
        SimpleNamespace(
            backend=SimpleNamespace(
                engine="none", device="cuda:0", input=SimpleNamespace(shape=[1])
            ),
            options=BackendOptions(threads=1),
        ),
    )

    def __init__(self, skeleton, *, rectangular=False):
        super().__init__(skeleton)
        self.sizes = []
        self.waits = threading.Event()
        self.waits.set()
        if rectangular:
            self.detector = object.__new__(Detector)
            self.detector.rectangular = True
            self.detector.backend = self.networks[0].backend
        else:
            self.detector = object()

    def detect(self, image, **options):
        self.waits.wait(30)
        self.sizes.append(image.shape[1::-1])
        return super().detect(image, **options)


@pytest.fixture
def skeleton(fake):
    return fake.skeleton


def test_each_likely_size_is_met_once_where_the_network_is_compiled_for_it(skeleton):
    model = Watched(skeleton, rectangular=True)
    warm_up(model, lambda: True)
    assert model.sizes == list(LIKELY_WH)
    assert model.batches == [1, 2, 2, 4]


def test_one_image_is_enough_for_a_detector_of_one_size(skeleton):
    model = Watched(skeleton)
    warm_up(model, lambda: True)
    assert model.sizes == [LIKELY_WH[0]]


def test_it_ends_where_the_service_does(skeleton):
    model = Watched(skeleton, rectangular=True)
    warm_up(model, lambda: len(model.sizes) < 2)
    assert len(model.sizes) == 2
    assert not model.batches


def test_calls_of_several_sizes_are_measured(skeleton):
    model = Watched(skeleton)
    seconds = seconds_of_calls(model, lambda: True)
    assert model.batches == list(MEASURED) * (1 + ROUNDS)
    assert tuple(seconds) == MEASURED
    assert all(took > 0 for took in seconds.values())
    # Half of it says nothing.
    model.batches.clear()
    assert seconds_of_calls(model, lambda: len(model.batches) < 7) == {}
    assert len(model.batches) == 7


def test_the_service_is_ready_when_it_is_warm_and_answers_before(skeleton):
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    model = Watched(skeleton)
    model.waits.clear()
    with serving(model, wait=False) as service:
        try:
            wait_for(lambda: service.server.listens)
            assert service.get("/healthz").status == 200
            assert service.get("/readyz").json() == {"status": "warming up"}
            assert service.get("/readyz").status == 503
            assert service.get("/v2/health/ready").json() == {"error": "warming up"}
            answer = service.post("/v1/poses?boxes=[[1,1,40,40]]", encoded(".jpg"), JPEG)
            assert answer.status == 200
        finally:
            model.waits.set()
        wait_for(lambda: service.get("/readyz").status == 200)


def test_without_it_the_service_is_ready_at_once(skeleton):
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    model = Watched(skeleton)
    with serving(model, warm_up=False) as service:
        assert service.get("/readyz").status == 200
    assert not model.sizes


def test_a_model_that_fails_on_a_likely_image_is_served_all_the_same(skeleton, caplog):
    model = Watched(skeleton)
    model.fail = 0
    engine = Engine([model], ServeSettings())
    engine.warm_up()
    assert "could not be made ready" in caplog.text
    model.fail = None
    assert len(engine.model.detect(np.zeros((60, 80, 3), np.uint8))) == 1
    assert engine.close()
