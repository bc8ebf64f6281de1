"""Replicas elsewhere: what is accepted ends with a result, whatever happens to them."""

import asyncio
import threading

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serving import FakeModel, encoded, picture, serving, wait_for

from rtmpose.cli import main
from rtmpose.errors import BackendError, InputError
from rtmpose.serve.engine import Engine
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.remote_engine import RemoteEngine, ReplicaLostError
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.tickets import ImageTask
from rtmpose.skeletons import get_skeleton

PNG = {"Content-Type": "image/png"}


class Replica:
    """Works in this process, and is lost as often as it is told."""

    def __init__(self, losses=0, error=None):
        self.model = FakeModel(get_skeleton("coco17"))
        self.engine = Engine([self.model])
        self.losses = losses
        self.error = error
        self.asked = 0
        self.closed = False

    async def ask(self, task, client):
        self.asked += 1
        if self.losses:
            self.losses -= 1
            raise ReplicaLostError("it ended")
        if self.error is not None:
            raise self.error
        return await asyncio.wrap_future(self.engine.submit([task], client)[0])

    def close(self):
        self.closed = True
        self.engine.close(5)


@pytest.fixture
def make():
    made = []

    def engine(replica, patience_s=10.0, **settings):
        found = RemoteEngine(
            replica.model, ServeSettings(**settings), replica.ask, replica.close, patience_s
        )
        made.append(found)
        return found

    yield engine
    for found in made:
        found.close(5)


def test_another_replica_is_asked_where_one_was_lost(make):
    replica = Replica(losses=3)
    engine = make(replica)
    result = engine.submit([ImageTask(picture())], "a")[0].result(10)
    assert len(result.poses) == 1
    assert replica.asked == 4
    assert engine.in_work == 0


def test_nobody_waits_for_ever(make):
    engine = make(Replica(losses=10**6), patience_s=0.1)
    with pytest.raises(BackendError, match="no replica answers"):
        engine.submit([ImageTask(picture())], "a")[0].result(10)


def test_an_error_of_the_request_is_not_asked_again(make):
    replica = Replica(error=InputError("this picture is bad"))
    engine = make(replica)
    with pytest.raises(InputError, match="this picture is bad"):
        engine.submit([ImageTask(picture())], "a")[0].result(10)
    assert replica.asked == 1


def test_what_waits_is_bounded_and_counted_out(make):
    replica = Replica()
    replica.model.gate.clear()
    engine = make(replica, max_queue=4)
    futures = engine.submit([ImageTask(picture())] * 2, "a")
    with pytest.raises(ServiceError) as refused:
        engine.submit([ImageTask(picture())], "a")
    assert refused.value.status == 429
    futures[0].cancel()
    wait_for(lambda: engine.in_work == 1)
    replica.model.gate.set()
    assert len(futures[1].result(10).poses) == 1
    with pytest.raises(InputError):
        engine.submit([ImageTask(np.zeros((2, 2)))], "a")
    assert engine.in_work == 0


def test_a_stop_finishes_what_was_taken(make):
    replica = Replica()
    replica.model.gate.clear()
    engine = make(replica)
    future = engine.submit([ImageTask(picture())], "a")[0]
    threading.Timer(0.2, replica.model.gate.set).start()
    assert engine.close(10)
    assert future.done()
    assert replica.closed
    with pytest.raises(ServiceError) as refused:
        engine.submit([ImageTask(picture())], "a")
    assert refused.value.status == 503


def test_the_whole_service_works_by_replicas():
    replica = Replica(losses=1)

    def start():
        return RemoteEngine(replica.model, ServeSettings(), replica.ask, replica.close)

    with serving(replica.model, start_engine=start) as service:
        answer = service.post("/v1/poses", encoded(), PNG)
        assert answer.status == 200
        assert len(answer.json()["annotations"]) == 1
        assert service.get("/readyz").status == 200
    assert replica.closed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replicas", "2"], "--ray ADDRESS"),
        (["--ray", "auto", "--replicas", "none"], "--replicas is a number"),
        (["--ray", "auto", "--replicas", "0"], "--replicas is a number"),
        (["--ray", "auto", "--device", "cuda:0,cuda:1"], "one device"),
    ],
)
def test_mistakes_are_said(arguments, said, capsys):
    assert main(["serve", *arguments]) != 0
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_loses_nothing_where_a_replica_is_killed(job_options, tmp_path):
    pytest.importorskip("ray.serve", reason="needs the extra serve-ray", exc_type=ImportError)
    import subprocess
    import sys
    from pathlib import Path

    import cv2

    photo = tmp_path / "photo.jpg"
    cv2.imwrite(str(photo), picture())
    script = Path(__file__).parents[1] / "benchmarks" / "serve_cluster.py"
    line = [sys.executable, str(script), "--image", str(photo), "--seconds", "9"]
    done = subprocess.run(
        [*line, "--clients", "4", "--", *job_options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no accepted request was lost" in done.stdout
