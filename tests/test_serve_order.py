"""Who comes next: small work first, nobody for ever last, and no call that lasts long."""

import math
import statistics
import threading

import numpy as np
import pytest
from serving import FakeModel, picture, wait_for

from rtmpose import Pipeline
from rtmpose.serve import engine as engine_module
from rtmpose.serve import fair_queue
from rtmpose.serve.call_size import SEEN, CallSize
from rtmpose.serve.engine import Engine
from rtmpose.serve.fair_queue import (
    MANY_CLIENTS,
    PASSED_SHARE,
    PASSED_UNITS,
    REMEMBERED_S,
    FairQueue,
)
from rtmpose.serve.parallel_model import calls_of
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.tickets import ImageTask
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Detections

SIZES = (4, 1, 2, 9, 22, 7, 1, 15, 8, 6)
"""People in images."""


class Clock:
    """A time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def taken(queue, client, size=1):
    """The next item; its client is charged."""
    item = queue.take(0.0)
    queue.charge(client, size)
    return item


# ---- the queue


def test_small_work_comes_first(clock):
    queue = FairQueue(clock)
    for item, size in (("crowd", 22), ("one", 1), ("few", 4), ("another", 1)):
        queue.put("a", item, size)
        clock.now += 0.001
    assert [queue.take() for _ in range(4)] == ["one", "another", "few", "crowd"]
    assert len(queue) == 0
    assert queue.take(0.01) is None


def test_large_work_is_passed_for_a_bounded_time(clock):
    queue = FairQueue(clock)
    queue.put("a", "crowd", 22)
    # Somebody with one person is always there.
    passed = 0
    queue.put("a", "one")
    while taken(queue, "a") != "crowd":
        passed += 1
        queue.put("a", "one")
    assert 22 < passed <= (PASSED_UNITS + PASSED_SHARE) * 22 + 1


def test_what_is_left_of_large_work_keeps_its_place(clock):
    queue = FairQueue(clock)
    place = queue.place(10)
    queue.put("a", "crowd", 10, place)
    queue.charge("b", 1000)
    for left in range(9, 0, -1):
        queue.put("a", "one")
        assert taken(queue, "a") == "crowd"
        queue.put("a", "crowd", left, place)


def test_the_order_is_the_same_on_slow_machines(clock):
    orders = []
    for seconds in (1e-6, 1e3):
        queue = FairQueue(clock)
        order = []
        for number in range(200):
            queue.put("a", number, SIZES[number % len(SIZES)])
            clock.now += seconds
            if number % 2:
                order.append(taken(queue, "a", 5))
        orders.append(order)
    assert orders[0] == orders[1]


@pytest.mark.parametrize("clients", [8, 32, 64])
def test_how_long_everybody_waits_under_full_load(clock, clients):
    """Clients who ask again as soon as they are answered, one person after the other."""
    queue = FairQueue(clock)
    begun = asked = most = 0
    waits = {size: [] for size in SIZES}

    def ask():
        nonlocal asked, most
        size = SIZES[asked % len(SIZES)]
        asked += 1
        image = {"left": size, "size": size, "came": begun, "place": queue.place(size)}
        queue.put("a", image, size, image["place"])
        most = max(most, sum(one.size for one in queue._items))

    for _ in range(clients):
        ask()
    while asked < 50 * clients:
        image = taken(queue, "a")
        begun += 1
        image["left"] -= 1
        if image["left"]:
            queue.put("a", image, image["left"], image["place"])
            continue
        # What came after it was due is done later.
        place = image["place"]
        assert begun - image["came"] <= place.due - place.since + most
        waits[image["size"]].append(begun - image["came"])
        ask()

    # In the order in which they come everybody would wait equally long.
    mean = clients * statistics.mean(SIZES)
    last = {size: max(found[len(found) // 2 :]) / mean for size, found in waits.items()}
    assert max(last[size] for size in (1, 2, 4, 6, 7)) < 0.95
    assert max(last.values()) < 2.25


def test_clients_who_had_nothing_lately_come_first(clock):
    queue = FairQueue(clock)
    for item in ("a1", "a2", "a3"):
        queue.put("a", item)
    queue.put("b", "b1")
    queue.put("c", "c1")
    assert [taken(queue, client) for client in "abcaa"] == ["a1", "b1", "c1", "a2", "a3"]

    # However small the work of a client who had much.
    queue.charge("a", 30)
    queue.put("a", "a4")
    queue.put("b", "crowd", 10)
    assert queue.take() == "crowd"
    # Later nobody knows.
    queue.put("b", "crowd", 10)
    clock.now += 10 * REMEMBERED_S
    queue.put("d", "crowd of d", 10)
    assert queue.take() == "a4"


def test_of_many_clients_little_is_remembered(clock):
    queue = FairQueue(clock)
    for number in range(10_000):
        queue.charge(f"client {number}", 1)
        clock.now += 1.0
    assert len(queue._had) <= MANY_CLIENTS + 1


def test_a_next_item_that_is_too_large_ends_the_wait(clock):
    queue = FairQueue(clock)
    queue.put("a", "crowd", 5)
    assert queue.take(0.0, room=4) is None
    assert queue.take(0.0, room=5) == "crowd"


def test_a_closed_queue_gives_what_is_left():
    queue = FairQueue()
    queue.put("a", 1)
    queue.close()
    assert queue.take() == 1
    assert queue.take() is None


# ---- the size of a call


def test_a_call_has_as_many_people_as_its_time_allows():
    size = CallSize(16, 0.030)
    assert size.people == 16  # nothing is known
    for _ in range(SEEN):
        size.took(4, 4 * 0.008)
    assert size.people == 3
    # One slow call says little.
    size.took(1, 1.0)
    assert size.people == 3
    for _ in range(SEEN):
        size.took(1, 0.2)
    assert size.people == 1
    for _ in range(SEEN):
        size.took(16, 0.010)
    assert size.people == 16


def test_a_call_has_few_people_where_few_wait_and_more_where_that_costs_less():
    size = CallSize(16, math.inf)
    assert size.people_for(many=True) == size.people_for(many=False) == 16  # nothing is known
    size.measured({1: 0.0045, 2: 0.0076, 4: 0.0144, 8: 0.0286})
    assert size.people_for(many=False) == 2
    assert size.people_for(many=True) == 4
    # Where a person always costs the same, one after the other.
    size.measured({1: 0.015, 2: 0.030, 4: 0.060, 8: 0.119})
    assert size.people_for(many=True) == size.people_for(many=False) == 1


def test_a_measured_call_is_no_longer_than_it_may_be():
    size = CallSize(16, 0.030)
    for _ in range(SEEN):
        size.took(1, 0.012)
    size.measured({1: 0.012, 2: 0.018, 4: 0.024, 8: 0.032})
    assert size.people_for(many=True) == size.people_for(many=False) == 2
    alone = CallSize(1, math.inf)
    alone.measured({1: 0.012, 2: 0.018})
    assert alone.people_for(many=True) == 1
    # Larger calls only were measured: the limit holds.
    alone.measured({4: 0.024})
    assert alone.people_for(many=True) == 1


# ---- the engine


class SlowModel(FakeModel):
    """A model that notes who was in its calls."""

    def __init__(self):
        super().__init__(get_skeleton("coco17"))
        self.calls = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def estimate(self, images, boxes=None, **options):
        self.begun.release()
        assert self.go_on.acquire(timeout=30)
        self.calls.append([(int(i[0, 0, 0]), len(b)) for i, b in zip(images, boxes, strict=True)])
        return super().estimate(images, boxes, **options)


def task(value, people):
    boxes = np.array([[10 * i, 0, 10 * i + 20, 40] for i in range(people)], np.float32)
    return ImageTask(
        np.full((60, 80, 3), value, np.uint8), Detections.from_boxes(boxes.reshape(-1, 4))
    )


@pytest.fixture
def limited(monkeypatch):
    """An engine whose calls have at most four people, and its model; nothing ages on a slow
    machine.
    """
    monkeypatch.setattr(CallSize, "people", 4)
    monkeypatch.setattr(fair_queue, "PASSED_UNITS", 1e6)
    model = SlowModel()
    engine = Engine([model], ServeSettings(max_wait_ms=0))
    yield engine, model
    model.go_on.release(1000)
    assert engine.close()


def test_people_of_few_come_between_those_of_a_crowd(limited):
    engine, model = limited
    crowd = engine.submit([task(22, 10)], "a")[0]
    model.begun.acquire()
    # They come while the first four of the crowd are worked on.
    others = [engine.submit([task(value, value)], "a")[0] for value in (5, 1, 2)]
    model.go_on.release(100)
    found = [future.result(30) for future in (crowd, *others)]
    assert model.calls[:2] == [[(22, 4)], [(1, 1), (2, 2)]]
    assert sorted(map(sum_people, model.calls)) == [1, 2, 3, 4, 4, 4]
    # Everybody gets their own, in their order.
    assert [len(result.poses) for result in found] == [10, 5, 1, 2]
    assert found[0].poses.boxes[:, 0].tolist() == [10.0 * i for i in range(10)]
    assert {float(v) for v in found[0].poses.keypoints[..., 0].ravel()} == {22.0}


def sum_people(call):
    return sum(people for _, people in call)


def test_nobody_in_given_boxes(limited):
    engine, model = limited
    model.go_on.release(1)
    assert len(engine.submit([task(1, 0)], "a")[0].result(30).poses) == 0


def test_a_crowd_that_fails_in_the_middle(limited):
    engine, model = limited
    crowd = engine.submit([task(22, 10)], "a")[0]
    model.begun.acquire()
    model.go_on.release(1)
    model.begun.acquire()
    model.fail = 22
    model.go_on.release(1)
    with pytest.raises(ValueError, match="bad"):
        crowd.result(30)
    wait_for(lambda: engine.in_work == 0)
    model.go_on.release(1)
    assert len(engine.submit([task(1, 1)], "a")[0].result(30).poses) == 1


# ---- several calls at the same time


@pytest.fixture
def two_calls(monkeypatch):
    """An engine with two calls at the same time, of at most four people, and its model."""
    monkeypatch.setattr(CallSize, "people", 4)
    monkeypatch.setattr(engine_module, "calls_of", lambda model: 2)
    monkeypatch.setattr(engine_module, "for_calls", lambda model, calls: model)
    model = SlowModel()
    engine = Engine([model])
    yield engine, model
    model.go_on.release(1000)
    assert engine.close()


def test_a_crowd_has_both_calls_where_nobody_else_is_there(two_calls):
    engine, model = two_calls
    crowd = engine.submit([task(22, 9)], "a")[0]
    for _ in range(2):
        assert model.begun.acquire(timeout=30)
    assert engine.waiting == (0, 1)
    model.go_on.release(100)
    found = crowd.result(30)
    assert sorted(map(sum_people, model.calls)) == [1, 4, 4]
    # In their order, whichever call ended first.
    assert found.poses.boxes[:, 0].tolist() == [10.0 * i for i in range(9)]


def test_calls_are_larger_while_many_wait(two_calls, monkeypatch):
    engine, model = two_calls
    measured = {1: 0.0045, 2: 0.0076, 4: 0.0144}
    monkeypatch.setattr(engine_module, "seconds_of_calls", lambda model, go_on: measured)
    engine.warm_up()
    waiting = []
    for _ in range(2):
        waiting += engine.submit([task(0, 1)], "a")
        assert model.begun.acquire(timeout=30)
    waiting += [engine.submit([task(1, 1)], "a")[0] for _ in range(10)]
    # Ten wait when a call ends, then six; two are few, for two calls at the same time.
    for _ in range(3):
        model.go_on.release()
        assert model.begun.acquire(timeout=30)
    model.go_on.release(100)
    for future in waiting:
        assert len(future.result(30).poses) == 1
    assert sorted(map(sum_people, model.calls)) == [1, 1, 2, 4, 4]


def test_an_image_that_is_alone_has_all_cores(monkeypatch):
    whole, share = SlowModel(), SlowModel()
    monkeypatch.setattr(CallSize, "people", 4)
    monkeypatch.setattr(engine_module, "calls_of", lambda model: 2)
    monkeypatch.setattr(engine_module, "for_calls", lambda model, calls: share)
    engine = Engine([whole])
    first = engine.submit([task(1, 2)], "a")[0]
    assert whole.begun.acquire(timeout=30)

    # A second image beside it, and a crowd that takes several calls, get a share of the cores.
    second = engine.submit([task(2, 1)], "b")[0]
    assert share.begun.acquire(timeout=30)
    whole.go_on.release(1)
    share.go_on.release(1)
    assert (len(first.result(30).poses), len(second.result(30).poses)) == (2, 1)
    wait_for(lambda: engine.in_work == 0)
    crowd = engine.submit([task(22, 9)], "a")[0]
    share.go_on.release(100)
    assert len(crowd.result(30).poses) == 9
    assert (len(whole.calls), len(share.calls)) == (1, 4)
    assert engine.close()


def test_an_image_that_is_alone_is_done_by_whoever_asks(two_calls):
    engine, model = two_calls
    threads = []
    model.begun.release = lambda: threads.append(threading.current_thread().name)
    model.go_on.release(100)
    here = threading.current_thread().name

    # Boxes of people are found in any thread that asks, and so are keypoints in one call.
    found = engine.answer(ImageTask(picture(), boxes_only=True), "a")
    assert (len(found.boxes), len(found.poses), threads) == (1, 0, [])
    assert len(engine.answer(task(1, 3), "a").poses) == 3
    assert threads == [here]

    # What takes several calls, or both networks, is done as everything else.
    assert len(engine.answer(task(22, 9), "a").poses) == 9
    assert len(engine.answer(ImageTask(picture()), "a").poses) == 1
    assert len(threads) == 5
    assert here not in threads[1:]

    # So is an image beside another one.
    model.go_on = threading.Semaphore(0)
    first = engine.submit([task(1, 1)], "a")[0]
    wait_for(lambda: len(threads) == 6)
    model.go_on.release(100)
    assert len(engine.answer(task(2, 1), "a").poses) == 1
    assert first.result(30)
    assert engine.in_work == 0

    model.fail = 5
    with pytest.raises(ValueError, match="bad"):
        engine.answer(task(5, 1), "a")
    assert engine.in_work == 0


def test_both_calls_of_a_crowd_fail(two_calls):
    engine, model = two_calls
    model.fail = 22
    crowd = engine.submit([task(22, 10)], "a")[0]
    model.go_on.release(100)
    with pytest.raises(ValueError, match="bad"):
        crowd.result(30)
    wait_for(lambda: engine.waiting == (0, 0))
    assert len(engine.submit([task(1, 1)], "a")[0].result(30).poses) == 1
    assert engine.alive


def test_how_many_calls_there_are(job_models, fake, monkeypatch):
    assert calls_of(fake) == 1
    for threads, calls in ((1, 1), (2, 2), (8, 2), (16, 4)):
        cpu = Pipeline(*job_models, backend="onnxruntime", device="cpu", threads=threads)
        assert calls_of(cpu.model) == calls
    monkeypatch.setattr(cpu.model.networks[1].backend, "device", "cuda:0")
    assert calls_of(cpu.model) == 1


def test_calls_at_the_same_time_find_what_one_finds(job_models):
    pipeline = Pipeline(*job_models, backend="onnxruntime", device="cpu", threads=2)
    engine = Engine([pipeline.model], ServeSettings(max_call_ms=1))
    rows = np.array([[5 * i, 0, 5 * i + 20, 40] for i in range(12)], np.float32)
    found = engine.submit([ImageTask(picture(), Detections.from_boxes(rows))], "a")[0].result(30)
    expected = pipeline.model.estimate([picture()], [rows])[0]
    np.testing.assert_allclose(found.poses.keypoints, expected.keypoints, atol=0.01)
    np.testing.assert_allclose(found.poses.scores, expected.scores, atol=1e-4)
    assert engine.close()


def test_the_whole_crowd_shares_calls_with_a_file_of_one_batch_size():
    model = FakeModel(get_skeleton("coco17"), delay_s=0.02)
    model.backend = type("Backend", (), {"input": type("Input", (), {"shape": (8, 3, 4, 4)})})
    engine = Engine([model], ServeSettings(max_wait_ms=0, max_call_ms=1))
    for _ in range(SEEN):
        engine.submit([task(1, 16)], "a")[0].result(30)
    assert set(model.batches) == {16}
    assert engine.close()
