"""One engine for all requests: shared calls, bounded queues, turns between clients."""

import gc
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from networks import grid_detector
from serving import FakeModel, picture, wait_for

import rtmpose
from rtmpose import Detector, read_image
from rtmpose.backends import BackendOptions
from rtmpose.serve.engine import Engine
from rtmpose.serve.engine_model import EngineModel
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.shared_detection import IMAGES_ON_GPU, SharedDetection
from rtmpose.serve.tickets import ImageTask
from rtmpose.tracking import PoseTracker
from rtmpose.types import Detections


def task(value=0, **options):
    return ImageTask(np.full((60, 80, 3), value, np.uint8), **options)


def boxes(count=1):
    return Detections.from_boxes(np.tile(np.array([[0, 0, 20, 40]], np.float32), (count, 1)))


def results(futures):
    return [future.result(30) for future in futures]


def test_people_of_several_clients_share_a_call(fake):
    engine = Engine([fake], ServeSettings(max_batch=8, max_wait_ms=2000))
    fake.gate.clear()
    first = engine.submit([task(boxes=boxes())], "a")
    wait_for(lambda: engine.waiting == (0, 0))  # the thread has it
    others = [engine.submit([task(i, boxes=boxes())], f"client {i}")[0] for i in range(4)]
    fake.gate.set()
    found = results([*first, *others])
    assert fake.batches == [1, 4]
    # Everybody gets their own.
    assert [r.poses.keypoints[0, 0, 0] for r in found[1:]] == [0, 1, 2, 3]
    assert engine.close()


def test_nobody_waits_for_others_who_do_not_come(fake):
    engine = Engine([fake], ServeSettings(max_wait_ms=10_000))
    assert len(results(engine.submit([task()], "a"))[0].poses) == 1
    assert engine.close(5)


def test_images_are_freed_without_the_garbage_collector(fake):
    """It looks at objects that are older than others seldom: hundreds of images would wait."""
    engine = Engine([fake], ServeSettings(max_wait_ms=0))
    gc.disable()
    try:
        tasks = [task(), task(boxes=boxes())]
        images = [weakref.ref(one.image) for one in tasks]
        assert len(results(engine.submit(tasks, "a"))) == 2
        del tasks
        # The threads of the engine still hold what they had last.
        results(engine.submit([task(), task(boxes=boxes())], "a"))
        wait_for(lambda: all(image() is None for image in images), 5)
    finally:
        gc.enable()
    assert engine.close()


def test_a_call_has_no_more_people_than_its_limit(fake):
    engine = Engine([fake], ServeSettings(max_batch=4, max_wait_ms=50))
    fake.gate.clear()
    futures = [engine.submit([task(boxes=boxes(3))], "a")[0] for _ in range(4)]
    fake.gate.set()
    results(futures)
    assert fake.batches == [3, 3, 3, 3]
    engine.close()


def test_clients_take_turns(fake):
    engine = Engine([fake], ServeSettings(max_batch=1, max_wait_ms=0))
    fake.gate.clear()
    first = engine.submit([task(9, boxes=boxes())], "busy")
    wait_for(lambda: engine.waiting == (0, 0))
    many = engine.submit([task(1, boxes=boxes()) for _ in range(6)], "busy")
    one = engine.submit([task(2, boxes=boxes())], "other")
    fake.gate.set()
    results([*first, *many, *one])
    assert fake.order.index(2) <= 2
    engine.close()


def test_a_full_queue_refuses_and_says_when_to_come_again(fake):
    engine = Engine([fake], ServeSettings(max_queue=4, max_wait_ms=0))
    fake.gate.clear()
    taken = engine.submit([task(), task()], "a")
    # Half of the queue is the most that one client gets.
    with pytest.raises(ServiceError) as refused:
        engine.submit([task()], "a")
    assert refused.value.status == 429
    assert int(refused.value.headers["Retry-After"]) >= 1
    taken += engine.submit([task()], "b")
    fake.gate.set()
    results(taken)
    wait_for(lambda: engine.in_work == 0)
    results(engine.submit([task(), task()], "a"))
    engine.close()


def test_pixels_are_bounded_too(fake):
    engine = Engine([fake], ServeSettings(max_queue_pixels=6000, max_wait_ms=0))
    fake.gate.clear()
    taken = engine.submit([task()], "a")
    with pytest.raises(ServiceError, match="waiting"):
        engine.submit([task()], "b")
    fake.gate.set()
    results(taken)
    engine.close()


def test_a_bad_request_does_not_fail_those_it_shares_a_call_with(fake):
    engine = Engine([fake], ServeSettings(max_wait_ms=2000))
    fake.fail = 7
    fake.gate.clear()
    first = engine.submit([task(boxes=boxes())], "a")
    wait_for(lambda: engine.waiting == (0, 0))
    futures = [engine.submit([task(v, boxes=boxes())], "a")[0] for v in (1, 7, 2)]
    fake.gate.set()
    results([*first, futures[0], futures[2]])
    with pytest.raises(ValueError, match="bad"):
        futures[1].result(30)
    assert engine.alive
    assert engine.close()


def test_what_nobody_waits_for_is_not_worked_on(fake):
    engine = Engine([fake], ServeSettings(max_batch=1, max_wait_ms=0))
    fake.gate.clear()
    first = engine.submit([task(1, boxes=boxes())], "a")
    wait_for(lambda: engine.waiting == (0, 0))
    second = engine.submit([task(2, boxes=boxes())], "a")
    assert second[0].cancel()
    fake.gate.set()
    results(first)
    assert engine.close()
    assert fake.order == [1]


def test_closing_finishes_what_was_taken(fake):
    fake.delay_s = 0.05
    engine = Engine([fake], ServeSettings(max_batch=1, max_wait_ms=0))
    futures = engine.submit([task() for _ in range(5)], "a")
    assert engine.close(30)
    assert all(future.done() for future in futures)
    with pytest.raises(ServiceError) as refused:
        engine.submit([task()], "a")
    assert refused.value.status == 503
    assert not engine.alive


def test_every_device_has_its_own_model(fake):
    other = FakeModel(fake.skeleton, delay_s=0.02)
    fake.delay_s = 0.02
    engine = Engine([fake, other], ServeSettings(max_batch=1, max_wait_ms=0))
    results(engine.submit([task() for _ in range(20)], "a"))
    assert fake.batches
    assert other.batches
    engine.close()


def test_the_results_are_those_of_the_pipeline(job_pipeline):
    engine = Engine([job_pipeline.model], ServeSettings())
    image = picture()
    found = results(engine.submit([ImageTask(image, box_thr=0.3)], "a"))[0]
    expected = job_pipeline(image)
    assert len(expected) == 1
    np.testing.assert_array_equal(found.poses.keypoints, expected.keypoints)
    np.testing.assert_array_equal(found.poses.scores, expected.scores)
    engine.close()


def test_a_tracker_on_the_engine_finds_what_it_finds_alone(job_pipeline):
    engine = Engine([job_pipeline.model], ServeSettings())
    shared = PoseTracker(None, EngineModel(engine, "a"), person_thr=0)
    alone = PoseTracker(None, job_pipeline.model, person_thr=0)
    for value in (90, 95, 100):
        image = picture(value=value)
        a, b = shared(image), alone(image)
        assert a.ids.tolist() == b.ids.tolist()
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    engine.close()


def test_a_patient_model_waits_for_a_place(fake):
    engine = Engine([fake], ServeSettings(max_queue=2, max_wait_ms=0))
    fake.gate.clear()
    taken = engine.submit([task()], "a")
    with pytest.raises(ServiceError):
        EngineModel(engine, "a").detect(picture())
    done = []
    patient = EngineModel(engine, "a", patient=True)
    thread = threading.Thread(target=lambda: done.append(patient.detect(picture())))
    thread.start()
    fake.gate.set()
    thread.join(30)
    assert len(done[0]) == 1
    results(taken)
    engine.close()


# ---- images of several requests in one call of the detector


class BatchBackend:
    """In place of a detector's network: the box of an image ends at its first pixel's value."""

    engine, device, precision, flexible = "fake", "cpu", "fp32", False

    def __init__(self, batch=None, device="cpu"):
        self.input = SimpleNamespace(shape=(batch, 3, 96, 96))
        self.device = device
        self.calls = []
        self.joins = False
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, images):
        self.gate.wait(30)
        self.calls.append(len(images))
        if self.calls[-1] > 1 and 250 in images[:, 0, 0, 0]:
            raise ValueError("this picture is bad")
        rows = [[[1, 1, 2 + int(image[0, 0, 0]) / 4, 50, 0.9]] for image in images]
        dets = np.array(rows, np.float32)
        if self.joins:
            dets = dets.reshape(1, -1, 5)
        return dets, np.zeros(dets.shape[:2], np.int64)


@pytest.fixture
def detecting(fake, tmp_path):
    """A model with a detector that takes batches, and its network."""
    cpu = BackendOptions("onnxruntime", "cpu", 1)
    alone = Detector(grid_detector(tmp_path / "yolox.onnx"), options=cpu)

    def make(batch=None, device="cpu", joins=False):
        backend = BatchBackend(batch, device)
        backend.joins = joins
        fake.detector = alone.with_backend(backend)
        fake.detect = lambda image, *, box_thr=None, max_people=None: fake.detector(
            image, box_thr=box_thr
        )[:max_people]
        return backend

    return make


def test_images_of_several_clients_share_a_call_of_the_detector(fake, detecting):
    backend = detecting()
    detection = SharedDetection(fake, 4)
    assert detection.images == 4
    backend.calls.clear()
    found = detection([task(40 * i, max_people=1) for i in range(3)])
    assert backend.calls == [3]
    # Everybody gets their own, as alone.
    alone = [fake.detect(task(40 * i).image) for i in range(3)]
    for boxes, expected in zip(found, alone, strict=True):
        np.testing.assert_array_equal(boxes.boxes, expected.boxes)
    assert len(detection([task(box_thr=0.95), task()])[0]) == 0


def test_the_bundled_detector_takes_batches(fake):
    """Of images of several forms: each finds what it finds alone."""
    photos = Path(rtmpose.__file__).parent / "assets" / "photos"
    images = [read_image(path) for path in sorted(photos.glob("0*.jpg"))[:4]]
    fake.detector = Detector(options=BackendOptions("onnxruntime", "cpu", 1))
    detection = SharedDetection(fake, 4)
    assert detection.images == 4
    found = detection([ImageTask(image, max_people=5) for image in images])
    for image, boxes in zip(images, found, strict=True):
        alone = fake.detector(image)[:5]
        np.testing.assert_allclose(boxes.boxes, alone.boxes, atol=0.5)
        np.testing.assert_allclose(boxes.scores, alone.scores, atol=0.01)


def behind_another(engine, backend, values):
    """Images that come while the detector is busy with one."""
    backend.gate.clear()
    first = engine.submit([task(8)], "first")
    wait_for(lambda: engine.waiting == (0, 0))  # the thread has it
    futures = [engine.submit([task(value)], f"client {value}")[0] for value in values]
    backend.gate.set()
    results(first)
    return [future.result(30).boxes.boxes[0, 2] for future in futures]


def test_the_engine_takes_what_waits_for_the_detector(fake, detecting):
    backend = detecting()
    engine = Engine([fake], ServeSettings(detector_batch=3, max_wait_ms=0))
    backend.calls.clear()
    right = behind_another(engine, backend, (20, 40, 60, 80))
    assert backend.calls == [1, 3, 1]
    assert right == sorted(right)
    # A bad image does not fail those it shares a call with.
    backend.calls.clear()
    right = behind_another(engine, backend, (20, 250, 60))
    assert backend.calls == [1, 3, 1, 1, 1]
    assert len(right) == 3
    assert engine.close()


def test_a_detector_that_takes_no_batch_gets_single_images(fake, detecting):
    detecting(joins=True)
    assert SharedDetection(fake, 8).images == 1
    assert SharedDetection(FakeModel(fake.skeleton), 8).images == 1


def test_how_many_images_share_a_call(fake, detecting):
    detecting()
    assert SharedDetection(fake).images == 1
    detecting(device="cuda:0")
    assert SharedDetection(fake).images == IMAGES_ON_GPU
    # A file with a fixed batch computes all of it in any case.
    backend = detecting(batch=4)
    detection = SharedDetection(fake)
    assert detection.images == 4
    backend.calls.clear()
    assert len(detection([task(), task(), task()])) == 3
    assert backend.calls == [4]
