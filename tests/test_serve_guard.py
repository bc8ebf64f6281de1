"""Who may use the service, and how fast: tokens, origins, rates, slow clients."""

import asyncio
import socket
import time

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serving import encoded, serving, wait_for

from rtmpose.errors import InputError, OutputError
from rtmpose.serve.rate_limit import RateLimit
from rtmpose.serve.settings import ServeSettings

PNG = {"Content-Type": "image/png"}
TOKEN = "a-token-that-is-long"


def test_a_token_is_needed_where_others_can_connect():
    with pytest.raises(InputError, match="token"):
        ServeSettings(host="0.0.0.0")
    assert ServeSettings(host="0.0.0.0", no_auth=True).token is None
    settings = ServeSettings(host="0.0.0.0", token=TOKEN)
    assert TOKEN not in repr(settings)
    with pytest.raises(InputError, match="16"):
        ServeSettings(token="short")
    # Which no client could send in a header.
    for wrong in (f"{TOKEN}\nanother", f"{TOKEN} and more", "пароль-длинный-пароль"):
        with pytest.raises(InputError, match="one word"):
            ServeSettings(token=wrong)


def test_hosts_as_in_an_address():
    settings = ServeSettings(host="[::1]")
    assert (settings.host, settings.is_loopback) == ("::1", True)


def test_nothing_but_health_without_the_token(job_pipeline, caplog):
    caplog.set_level("DEBUG")
    with serving(job_pipeline.model, token=TOKEN) as service:
        assert service.get("/v1/models").status == 200
        service.headers.clear()
        for path in ("/v1/models", "/v1/openapi.json", "/metrics", "/v2", "/v2/models/rtmpose"):
            answer = service.get(path)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        wrong = {"Authorization": "Bearer wrong-token-wrong"}
        assert service.post("/v1/poses", encoded(), {**PNG, **wrong}).status == 401
        basic = {"Authorization": f"Basic {TOKEN}"}
        assert service.get("/v1/models", headers=basic).status == 401
        for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
            assert service.get(path).status == 200
        assert service.get(f"/v1/models?token={TOKEN}").status == 401
    assert TOKEN not in caplog.text
    assert "wrong-token" not in caplog.text


def test_pages_of_other_origins_and_other_names_of_this_machine(job_pipeline):
    with serving(job_pipeline.model) as service:
        own = f"http://127.0.0.1:{service.port}"
        assert service.get("/v1/models", headers={"Origin": own}).status == 200
        for origin in ("http://example.com", "null", f"http://localhost:{service.port + 1}"):
            assert service.get("/v1/models", headers={"Origin": origin}).status == 403
        assert service.get("/v1/models", headers={"Host": "example.com"}).status == 403
        assert service.get("/v1/models", headers={"Host": "localhost:1"}).status == 200
        answer = service.get("/v1/models", headers={"Origin": own})
        assert "access-control-allow-origin" not in answer.headers


def test_headers_of_every_answer(job_pipeline):
    with serving(job_pipeline.model) as service:
        for path in ("/healthz", "/v1/models", "/nothing"):
            headers = service.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-request-id"]
            assert "server" not in headers
        assert service.get("/v1/models").headers["cache-control"] == "no-store"


def test_too_many_requests_a_second(job_pipeline):
    with serving(job_pipeline.model, rate_limit=1.0) as service:
        answers = [service.get("/v1/models") for _ in range(4)]
        assert answers[0].status == 200
        assert answers[-1].status == 429
        assert answers[-1].headers["retry-after"] == "1"
        # Whoever watches over it is not counted.
        assert service.get("/healthz").status == 200


def test_a_rate_is_counted_for_each_client():
    now = [0.0]
    rate = RateLimit(2.0, lambda: now[0])
    assert [rate.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert rate.take("b") == 0
    now[0] = 0.5
    assert rate.take("a") == 0
    assert rate.take("a") > 0
    assert RateLimit(0).take("a") == 0


def test_clients_behind_a_proxy(job_pipeline):
    with serving(job_pipeline.model, rate_limit=1.0, trust_proxy=True) as service:
        for client in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
            headers = {"X-Forwarded-For": f"1.2.3.4, {client}"}
            assert service.get("/v1/models", headers=headers).status == 200


def test_a_cookie_takes_the_place_of_the_token(job_pipeline):
    with serving(job_pipeline.model, token=TOKEN) as service:
        answer = service.post("/v1/session")
        assert answer.status == 204
        set_cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in set_cookie
        assert "samesite=strict" in set_cookie.lower()
        assert TOKEN not in set_cookie
        service.headers.clear()
        assert service.post("/v1/session").status == 401
        cookie = {"Cookie": "a=b; " + set_cookie.split(";")[0]}
        assert service.get("/v1/models", headers=cookie).status == 200
        other = {**cookie, "Origin": "http://example.com"}
        assert service.get("/v1/models", headers=other).status == 403
        for wrong in ("rtmpose_session=", "rtmpose_session=x", f"rtmpose_session={TOKEN}"):
            assert service.get("/v1/models", headers={"Cookie": wrong}).status == 401
        assert (
            "Max-Age=0"
            in service.call("DELETE", "/v1/session", headers=cookie).headers["set-cookie"]
        )


def test_the_page_and_its_files(job_pipeline, tmp_path, monkeypatch):
    from rtmpose.serve import app

    for name in ("index.html", "sw.js", "page.js"):
        (tmp_path / name).write_text(f"this is {name}")
    monkeypatch.setattr(app, "STATIC", tmp_path)
    with serving(job_pipeline.model, token=TOKEN) as service:
        service.headers.clear()
        page = service.get("/")
        assert (page.body, page.headers["content-type"]) == (
            b"this is index.html",
            "text/html; charset=utf-8",
        )
        assert service.get("/sw.js").body == b"this is sw.js"
        assert service.get("/static/page.js").headers["content-type"].startswith("text/javascript")
        for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/app.py"):
            assert service.get(path).status in (401, 404)


def raw(service, data, pause_s=0.0):
    """Bytes that are sent in two halves; what comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(data)
        time.sleep(pause_s)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
        return received


def test_clients_that_send_nothing_or_half_a_head_are_left(job_pipeline):
    with serving(job_pipeline.model, body_timeout_s=0.3) as service:
        started = time.monotonic()
        for data in (b"", b"GET /v1/models HTT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b"):
            assert raw(service, data) == b""
        assert time.monotonic() - started < 10


def test_a_body_that_stops_or_trickles(job_pipeline):
    head = b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    with serving(job_pipeline.model, body_timeout_s=0.3, body_rate=1e6) as service:
        assert b"408" in raw(service, head + b"Content-Length: 1000\r\n\r\nabc").split(b"\r\n")[0]

        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(head + b"Content-Length: 100000\r\n\r\n")
            for _ in range(12):
                time.sleep(0.1)
                try:
                    connection.sendall(b"x")
                except ConnectionError:
                    break
            assert b"408" in connection.recv(65536).split(b"\r\n")[0]


def test_a_client_that_leaves_costs_no_network_call(job_pipeline):
    with serving(job_pipeline.model) as service:
        body = encoded()
        head = f"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
                connection.sendall(f"{head}Content-Type: image/png\r\n\r\n".encode() + body)
        wait_for(lambda: service.server.engine.in_work == 0)
        assert service.post("/v1/poses", body, PNG).status == 200


def test_small_answers_are_sent_at_once(job_pipeline):
    with serving(job_pipeline.model) as service:
        connections = service.server._server.server_state.connections
        with socket.create_connection(("127.0.0.1", service.port), timeout=20):
            (connection,) = wait_for(lambda: list(connections))
            accepted = connection.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_garbage_instead_of_http(job_pipeline):
    with serving(job_pipeline.model) as service:
        for data in (b"\x16\x03\x01\x02\x00\x01" * 20, b"GET /\r\n\r\n", b"\0" * 1000):
            assert raw(service, data).split(b"\r\n")[0] in (b"", b"HTTP/1.1 400 Bad Request")
        large = b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"
        assert b"200" not in raw(service, large)[:20]
        assert service.get("/healthz").status == 200


@pytest.fixture(params=["httptools", "h11"])
def parser(request, monkeypatch):
    """Each of the two parsers of HTTP."""
    if request.param == "httptools":
        pytest.importorskip("httptools", reason="needs the extra serve")
    else:
        monkeypatch.setattr("rtmpose.serve.server.http_protocol", lambda: "h11")
        monkeypatch.setattr("rtmpose.serve.server.run", asyncio.run)


def test_a_head_that_never_ends(job_pipeline, parser):
    with serving(job_pipeline.model) as service:
        for line in (b"X: ", b"X: a\r\n" * 100, b"GET /"):
            address = ("127.0.0.1", service.port)
            with socket.create_connection(address, timeout=20) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
                received = b""
                try:
                    for _ in range(1000):
                        connection.sendall(line + b"a" * 1000)
                    received = connection.recv(1000)
                except ConnectionError:
                    pass
                assert b"200" not in received[:20]
        assert service.get("/healthz").status == 200


def test_requests_behind_each_other_on_one_connection(job_pipeline, parser):
    with serving(job_pipeline.model) as service:
        asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        data = (asked + b"\r\n") * 50 + asked + b"Connection: close\r\n\r\n"
        assert raw(service, data).count(b"HTTP/1.1 200") == 51


def test_an_address_that_is_taken(job_pipeline):
    from rtmpose.serve.server import RunningServer

    with serving(job_pipeline.model) as service:
        with pytest.raises(OutputError, match="--port"):
            RunningServer([job_pipeline.model], ServeSettings(port=service.port))
        pytest.importorskip("grpc", reason="needs the extra serve")
        settings = ServeSettings(port=0, grpc_port=service.port)
        other = RunningServer([job_pipeline.model], settings)
        with pytest.raises(OutputError, match="--grpc-port"):
            other.run()
        assert not other.engine.alive
