"""/v1/stream: the newest frame first, ids, settings, limits."""

import base64
import json
from contextlib import suppress
from socket import SHUT_RDWR

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
sync_client = pytest.importorskip("websockets.sync.client", reason="needs the extra serve")

from serving import FakeModel, encoded, serving, wait_for  # noqa: E402
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402

from rtmpose.serve import stream_routes  # noqa: E402
from rtmpose.skeletons import get_skeleton  # noqa: E402

TOKEN = "a-token-that-is-long"


def connect(service, **options):
    return sync_client.connect(f"ws://127.0.0.1:{service.port}/v1/stream", **options)


def receive(socket):
    return json.loads(socket.recv(timeout=30))


def say(socket, **message):
    socket.send(json.dumps(message))


def test_people_keep_their_ids(service):
    with connect(service) as socket:
        say(socket, type="settings", smooth="off")
        ready = receive(socket)
        assert ready["type"] == "ready"
        assert ready["settings"]["smooth"] == "off"
        assert len(ready["keypoint_set"]["keypoints"]) == 17
        for number in range(3):
            say(socket, type="frame", time_s=number / 25)
            socket.send(encoded(".webp" if number else ".jpg"))
            found = receive(socket)
            assert (found["type"], found["frame"], found["dropped"]) == ("result", number, 0)
            assert found["time_s"] == number / 25
            assert [p["id"] for p in found["people"]] == [1]
            assert (found["width"], found["height"]) == (80, 60)
            assert len(found["people"][0]["keypoints"]) == 17
        # Nobody gets an id that somebody else had.
        say(socket, type="reset")
        socket.send(encoded())
        assert [p["id"] for p in receive(socket)["people"]] == [2]


def test_frames_without_tracking_are_those_of_single_images(service):
    with connect(service) as socket:
        say(socket, type="settings", track=False)
        assert receive(socket)["settings"]["track"] is False
        socket.send(encoded())
        person = receive(socket)["people"][0]
    alone = service.post("/v1/poses", encoded(), {"Content-Type": "image/png"}).json()
    assert person["id"] is None
    assert [v for row in person["keypoints"] for v in row] == alone["annotations"][0]["keypoints"]


def test_the_newest_frame_is_next(job_pipeline):
    model = FakeModel(get_skeleton("coco17"))
    with serving(model) as service, connect(service) as socket:
        model.gate.clear()
        frame = encoded()
        socket.send(frame)
        wait_for(lambda: service.server.engine.in_work)
        for _ in range(5):
            socket.send(frame)
        say(socket, type="ping", t=1)
        assert receive(socket) == {"type": "pong", "t": 1}
        model.gate.set()
        first, second = receive(socket), receive(socket)
        assert (first["frame"], first["dropped"]) == (0, 0)
        assert (second["frame"], second["dropped"]) == (5, 4)
        # Nothing old is left.
        socket.send(frame)
        assert receive(socket)["frame"] == 6
        assert b"dropped_frames_total 4.0" in service.get("/metrics").body


def test_what_is_wrong_is_said_and_the_stream_goes_on(service):
    with connect(service) as socket:
        for text in ("{", "[]", '{"type": "x"}', '{"type": "frame", "time_s": "now"}'):
            socket.send(text)
            assert receive(socket)["type"] == "error"
        say(socket, type="settings", det_interval=0)
        assert "det_interval" in receive(socket)["message"]
        say(socket, type="settings", url="http://x")
        assert "url" in receive(socket)["message"]
        socket.send(b"garbage")
        wrong = receive(socket)
        assert (wrong["type"], wrong["frame"], wrong["code"]) == ("error", 0, "no_image")
        socket.send(encoded())
        assert receive(socket)["type"] == "result"


def test_two_streams_do_not_share_ids(service):
    with connect(service) as one, connect(service) as other:
        for _ in range(2):
            one.send(encoded())
            assert [p["id"] for p in receive(one)["people"]] == [1]
        other.send(encoded())
        assert [p["id"] for p in receive(other)["people"]] == [1]
        assert b"rtmpose_streams 2.0" in service.get("/metrics").body
    wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)


def test_as_many_streams_as_there_may_be(job_pipeline):
    with serving(job_pipeline.model, max_streams_per_client=1) as service:
        with connect(service), connect(service) as second:
            assert receive(second)["code"] == "busy"
            with pytest.raises(ConnectionClosed) as closed:
                second.recv(timeout=30)
            assert closed.value.rcvd.code == 1013
        wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)
        with connect(service) as third:
            third.send(encoded())
            assert receive(third)["type"] == "result"


def test_the_token_comes_as_a_header_or_a_subprotocol(job_pipeline):
    coded = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    with serving(job_pipeline.model, token=TOKEN) as service:
        with pytest.raises(InvalidStatus):
            connect(service)
        with pytest.raises(InvalidStatus):
            connect(service, subprotocols=["rtmpose.v1", "bearer.d3Jvbmc"])
        with connect(service, subprotocols=["rtmpose.v1", f"bearer.{coded}"]) as socket:
            assert socket.subprotocol == "rtmpose.v1"
            socket.send(encoded())
            assert receive(socket)["type"] == "result"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with connect(service, additional_headers=headers) as socket:
            socket.send(encoded())
            assert receive(socket)["type"] == "result"


def test_pages_of_other_origins_get_no_stream(service):
    with pytest.raises(InvalidStatus):
        connect(service, origin="http://example.com")


def test_frames_that_are_too_large_end_the_stream(job_pipeline):
    with serving(job_pipeline.model, max_body_bytes=10_000) as service, connect(service) as socket:
        socket.send(bytes(20_000))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        assert closed.value.rcvd.code == 1009


def test_a_client_that_is_gone_leaves_nothing(service):
    for _ in range(3):
        with connect(service) as socket:
            socket.send(encoded())
            socket.socket.shutdown(SHUT_RDWR)
    wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)
    wait_for(lambda: service.server.engine.in_work == 0)


def test_a_stream_without_messages_ends(service, monkeypatch):
    monkeypatch.setattr(stream_routes, "IDLE_S", 0.2)
    with connect(service) as socket:
        assert receive(socket)["code"] == "idle"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        assert closed.value.rcvd.code == 1001


def test_a_client_that_takes_no_results_is_left(service, monkeypatch):
    monkeypatch.setattr(stream_routes, "SEND_S", 0.2)
    # As much comes back as is sent.
    ping = json.dumps({"type": "ping", "t": "x" * 60_000})
    with connect(service, max_queue=1) as socket:
        with suppress(ConnectionClosed, OSError):
            for _ in range(2000):
                socket.send(ping)
        wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)
