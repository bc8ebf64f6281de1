"""Streams that flood, break off, or are none: the service goes on."""

import json

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
client = pytest.importorskip("websockets.sync.client", reason="needs the extra serve")

from raw_http import HOST, exchange, head  # noqa: E402
from serving import FakeModel, encoded, serving, wait_for  # noqa: E402

from rtmpose.skeletons import get_skeleton  # noqa: E402


@pytest.fixture(scope="module")
def service():
    with serving(FakeModel(get_skeleton("coco17")), body_timeout_s=0.5) as running:
        yield running
        # Whatever came, it works, and nothing is left.
        assert running.get("/readyz").status == 200
        assert running.server.engine.in_work == 0


@pytest.fixture
def connect(service):
    return lambda: client.connect(f"ws://127.0.0.1:{service.port}/v1/stream")


def test_a_thousand_frames_without_reading(service, connect):
    frame = encoded()
    with connect() as stream:
        for _ in range(1000):
            stream.send(frame)
        stream.send('{"type": "ping", "t": 7}')
        kinds = set()
        while len(kinds) < 2:
            kinds.add(json.loads(stream.recv(timeout=30))["type"])
        assert kinds == {"result", "pong"}
    wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)


def test_a_thousand_wrong_messages_without_reading(service, connect):
    with connect() as stream:
        for _ in range(500):
            stream.send("garbage")
            stream.send(b"garbage")
        stream.send(encoded())
        while json.loads(stream.recv(timeout=30))["type"] != "result":
            pass
    wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)


def test_an_error_of_the_network_does_not_end_a_stream(service, connect):
    model = service.server.engine.model
    with connect() as stream:
        model.fail = 90
        stream.send(encoded())
        found = json.loads(stream.recv(timeout=30))
        assert (found["type"], found["code"]) == ("error", "internal")
        model.fail = None
        stream.send(encoded())
        assert json.loads(stream.recv(timeout=30))["type"] == "result"


UPGRADE = head(
    "GET",
    "/v1/stream",
    HOST,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\xfe\xff\xffabcd" + bytes(100),  # half of a message
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd",  # of 2**63 bytes
        b"\x81\x85abcd\xff\xff\xff\xff\xff",  # no text
        b"\x82\x03abc",  # without a mask
        b"\xff" * 64,
        b"",
    ],
)
def test_streams_that_break_off(service, data):
    received = exchange(service, UPGRADE + data, half_close=True)
    assert received.startswith(b"HTTP/1.1 101")
    wait_for(lambda: b"rtmpose_streams 0.0" in service.get("/metrics").body)


def test_an_upgrade_to_something_else(service):
    for line in ("Upgrade: h2c", "Upgrade: websocket"):
        received = exchange(service, head("GET", "/healthz", HOST, line, "Connection: Upgrade"))
        assert received.split(b" ")[1] in (b"200", b"400", b"403", b"404")
