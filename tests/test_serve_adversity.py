"""What people and programs send by mistake or on purpose: kinds of images, names, half requests,
other versions of HTTP, proxies. No 5xx but 503, and the service goes on.
"""

import asyncio
import gzip
import io
import socket
import threading
import time
import zlib

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

from raw_http import CLOSE, HOST, exchange, head  # noqa: E402
from serving import FakeModel, encoded, form, serving, wait_for  # noqa: E402

from rtmpose.serve.client_address import client_address  # noqa: E402
from rtmpose.skeletons import get_skeleton  # noqa: E402

PNG = {"Content-Type": "image/png"}
TOKEN = "a-token-that-is-long"


@pytest.fixture(scope="module")
def service():
    with serving(FakeModel(get_skeleton("coco17")), body_timeout_s=0.5) as running:
        yield running
        # Whatever came, it works, and nothing is left.
        assert running.get("/readyz").status == 200
        assert running.server.engine.in_work == 0


def saved(kind, mode="RGB", size=(40, 20), **options):
    """A file of Pillow."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def animated(kind):
    frames = [Image.new("RGB", (40, 20), (value, 0, 0)) for value in (0, 90, 180)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=50)
    return file.getvalue()


def turned():
    """A JPEG that says that it lies on its side."""
    exif = Image.Exif()
    exif[274] = 6
    return saved("JPEG", exif=exif)


IMAGES = {
    "animated GIF": (lambda: animated("GIF"), (40, 20)),
    "animated WebP": (lambda: animated("WEBP"), (40, 20)),
    "one pixel": (lambda: saved("PNG", size=(1, 1)), (1, 1)),
    "16 bits": (lambda: saved("PNG", "I;16"), (40, 20)),
    "CMYK": (lambda: saved("JPEG", "CMYK"), (40, 20)),
    "on its side": (turned, (20, 40)),
    "palette with transparency": (lambda: saved("PNG", "P", transparency=0), (40, 20)),
    "gray with transparency": (lambda: saved("PNG", "LA"), (40, 20)),
    "one bit": (lambda: saved("TIFF", "1"), (40, 20)),
    "long and thin": (lambda: saved("PNG", size=(3000, 1)), (3000, 1)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_kinds_of_images(service, name):
    make, size = IMAGES[name]
    answer = service.post("/v1/poses", make(), PNG)
    assert answer.status == 200, answer.body
    (entry,) = answer.json()["images"]
    assert (entry["width"], entry["height"]) == size
    drawn = service.post("/v1/poses", make(), {**PNG, "Accept": "image/png"})
    assert Image.open(io.BytesIO(drawn.body)).size == size


def test_avif(service):
    pytest.importorskip("PIL.AvifImagePlugin", reason="needs Pillow with AVIF")
    try:
        data = saved("AVIF")
    except (KeyError, OSError):
        pytest.skip("this Pillow writes no AVIF")
    assert service.post("/v1/poses", data, PNG).json()["images"][0]["width"] == 40


def test_heic_with_and_without_its_package(service, monkeypatch):
    from rtmpose.serve import images

    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    monkeypatch.setattr(images, "heif_is_installed", lambda: False)
    refused = service.post("/v1/poses", head, PNG)
    assert refused.status == 415
    assert refused.json()["error"]["code"] == "no_heic"
    assert "HEIC" in refused.json()["error"]["message"]
    monkeypatch.undo()
    heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    file = io.BytesIO()
    heif.from_pillow(Image.new("RGB", (64, 48))).save(file)
    assert service.post("/v1/poses", file.getvalue(), PNG).json()["images"][0]["width"] == 64
    assert service.post("/v1/poses", file.getvalue()[:200], PNG).status == 422


def test_what_curl_sends_without_being_told(service):
    """``curl --data-binary @photo.jpg``; other forms of that type are no images."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert service.post("/v1/poses", encoded(), kind).json()["images"][0]["width"] == 80
    refused = service.post("/v1/poses", b"image=%FF%D8%FF", kind)
    assert (refused.status, refused.json()["error"]["code"]) == (415, "no_image")


@pytest.mark.parametrize(
    "address", ["https://example.org/a.jpg", "HTTP://a/b", "file:///etc/passwd"]
)
def test_addresses_are_not_opened(service, address):
    refused = service.post("/v1/poses", {"image": address})
    assert refused.status == 400
    assert "address" in refused.json()["error"]["message"]


# ---- names and heads


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\me.png", "me.png"),
        ("照片 1.png", "照片 1.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("x" * 300 + ".png", "x" * 80),
        ("..", ".."),
        ("", "image-0"),
    ],
)
def test_names_of_uploads(service, sent, shown):
    import base64

    data = base64.b64encode(encoded()).decode()
    found = service.post("/v1/poses", {"images": [{"data": data, "name": sent}]}).json()
    assert found["images"][0]["file_name"] == shown
    if "\\" not in sent and sent:
        body, headers = form(("image", sent, encoded()))
        found = service.post("/v1/poses", body, headers).json()
        assert found["images"][0]["file_name"] == shown


def test_http_1_0(service):
    received = exchange(service, head("GET", "/healthz", version="1.0"))
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b'{"status":"ok"}')
    body = encoded()
    length = f"Content-Length: {len(body)}"
    post = head("POST", "/v1/poses", length, "Content-Type: image/png", version="1.0")
    assert exchange(service, post + body).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/v1/models", "/static/page.css", "/v1/x"]
)
def test_head_is_get_without_a_body(service, path):
    got = service.get(path)
    asked = service.call("HEAD", path)
    assert asked.status == got.status
    assert asked.body == b""
    for name in ("content-type", "x-content-type-options"):
        assert asked.headers[name] == got.headers[name]
    # The connection can be used again.
    two = head("HEAD", path, HOST) + head("GET", "/healthz", HOST, CLOSE)
    assert exchange(service, two).count(b"HTTP/1.1 ") == 2


def test_other_methods(service):
    for method in ("OPTIONS", "TRACE", "PUT", "PROPFIND"):
        answer = service.call(method, "/v1/poses")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
    # A page of another origin asks for leave, and does not get it.
    other = {"Origin": "http://example.com", "Access-Control-Request-Method": "POST"}
    answer = service.call("OPTIONS", "/v1/poses", headers=other)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: 10", "Content-Length: 20"], b"400"),
        (["Content-Length: -5"], b"400"),
        (["Content-Length: 1e9"], b"400"),
        (["Content-Length: 99999999999999999999"], b"4"),
        (["Content-Length: 9999999999"], b"413"),
        (["Content-Length: 3", "Transfer-Encoding: chunked"], b"4"),
        (["Transfer-Encoding: gzip"], b"4"),
        (["Content-Encoding: br", "Content-Length: 3"], b"415"),
        (["Content-Type: multipart/form-data; boundary=" + "b" * 500, "Content-Length: 3"], b"400"),
        ([f"X-Long: {'a' * 40_000}"], b"4"),
    ],
)
def test_heads_that_lie(service, lines, status):
    received = exchange(service, head("POST", "/v1/poses", HOST, CLOSE, *lines) + b"abc")
    assert received.split(b" ")[1].startswith(status), received[:200]


def test_a_length_that_is_too_short(service):
    body = encoded()
    lines = [HOST, "Content-Type: image/png", f"Content-Length: {len(body) - 20}"]
    received = exchange(service, head("POST", "/v1/poses", *lines) + body)
    # What is behind the length belongs to no picture, and is no request: whichever is seen first.
    assert received.startswith((b"HTTP/1.1 400", b"HTTP/1.1 422"))
    assert b"HTTP/1.1 200" not in received


def test_chunks_and_a_broken_one(service):
    body = encoded()
    lines = [HOST, CLOSE, "Content-Type: image/png", "Transfer-Encoding: chunked"]
    start = head("POST", "/v1/poses", *lines)
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + 50]), body[at : at + 50])
        for at in range(0, len(body), 50)
    )
    assert exchange(service, start + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert exchange(service, start + b"zz\r\nabc").startswith(b"HTTP/1.1 400")


# ---- compressed bodies


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies(service, encoding):
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    headers = {**PNG, "Content-Encoding": encoding}
    assert service.post("/v1/poses", pack(encoded()), headers).status == 200
    large = encoded(".bmp", width=700, height=500)
    assert service.post("/v1/poses", pack(large), headers).status == 200
    assert service.post("/v1/poses", pack(large)[:-20], headers).status == 400
    assert service.post("/v1/poses", pack(encoded()) + b"more", headers).status == 400
    assert service.post("/v1/poses", encoded(), headers).status == 400
    assert service.post("/v1/poses", pack(bytes(40 << 20)), headers).status == 413


# ---- proxies


def test_who_a_client_is():
    assert client_address("1.2.3.4") == "1.2.3.4"
    assert client_address(None) == "local"
    assert client_address("127.0.0.1", ["9.9.9.9, 1.2.3.4"]) == "1.2.3.4"
    # A line of a client's own stands before that of the proxy.
    assert client_address("127.0.0.1", ["9.9.9.9", "1.2.3.4"]) == "1.2.3.4"
    # Another port is no other client, nor is another address of its own network.
    assert client_address("127.0.0.1", ["1.2.3.4:50123"]) == "1.2.3.4"
    network = client_address("2001:db8::1")
    assert client_address("127.0.0.1", ["[2001:db8::2]:443"]) == network
    assert client_address("2001:db8:0:1::1") != network
    assert client_address("::ffff:1.2.3.4") == "1.2.3.4"
    assert client_address("::1") == "::1"
    assert client_address("127.0.0.1", ["unknown"]) == "unknown"


def test_the_rate_is_that_of_the_client_the_proxy_names():
    model = FakeModel(get_skeleton("coco17"))

    def statuses(service):
        """Of a client that calls itself something else each time, on another connection."""
        found = []
        for number in range(4):
            own = f"X-Forwarded-For: 9.9.9.{number}"
            of_proxy = f"X-Forwarded-For: 10.0.0.1:{50_000 + number}"
            request = head("GET", "/v1/models", HOST, CLOSE, own, of_proxy)
            found.append(exchange(service, request).split(b" ")[1])
        return found

    for trust_proxy in (True, False):
        with serving(model, rate_limit=1.0, trust_proxy=trust_proxy) as service:
            assert statuses(service) == [b"200", b"200", b"429", b"429"]


@pytest.mark.parametrize("prefix", ["/pose", ""])
def test_a_prefix_that_the_proxy_leaves_or_takes_away(prefix, tmp_path):
    model = FakeModel(get_skeleton("coco17"))
    with serving(model, root_path="/pose/", token=TOKEN, data=tmp_path) as service:
        assert service.post(f"{prefix}/v1/poses", encoded(), PNG).status == 200
        page = service.get(f"{prefix}/").body
        assert b'"/pose/static/js/main.js"' in page
        assert b'"/static/' not in page
        assert service.get(f"{prefix}/static/js/main.js").status == 200
        document = service.get(f"{prefix}/v1/openapi.json").json()
        assert document["servers"] == [{"url": "/pose"}]
        cookie = service.post(f"{prefix}/v1/session").headers["set-cookie"]
        assert "Path=/pose" in cookie
        missing = service.get(f"{prefix}/v2/models/nothing").json()
        assert isinstance(missing["error"], str)
        service.headers.clear()
        assert service.get(f"{prefix}/healthz").status == 200
        assert service.get(f"{prefix}/v1/models").status == 401
        assert service.get(f"{prefix}/v1/models").headers["cache-control"] == "no-store"


def test_below_a_path_of_another_application():
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from rtmpose.serve.app import create_app
    from rtmpose.serve.engine import Engine
    from rtmpose.serve.settings import ServeSettings

    settings = ServeSettings(token=TOKEN)
    engine = Engine([FakeModel(get_skeleton("coco17"))], settings)
    outer = Starlette(routes=[Mount("/inner", create_app(settings, engine))])

    async def start_of_answer(path):
        scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
        scope |= {"query_string": b"", "scheme": "http", "client": None, "server": None}
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        await outer(scope, receive, send)
        return sent[0]

    assert asyncio.run(start_of_answer("/inner/healthz"))["status"] == 200
    start = asyncio.run(start_of_answer("/inner/v1/models"))
    assert start["status"] == 401
    assert (b"cache-control", b"no-store") in start["headers"]
    assert engine.close()


def test_a_path_that_is_none():
    from rtmpose.errors import InputError
    from rtmpose.serve.settings import ServeSettings

    for path in ("pose", "/a b", "//x", '/"><script>'):
        with pytest.raises(InputError, match="root_path"):
            ServeSettings(root_path=path)


# ---- clients that are slow or gone


def test_a_client_that_reads_nothing_of_its_answers():
    with serving(FakeModel(get_skeleton("coco17")), read_timeout_s=0.4) as service:
        connections = service.server._server.server_state.connections
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.settimeout(20)
            slow.connect(("127.0.0.1", service.port))
            # More than the buffers of the system take.
            wait_for(lambda: _asked_until_it_waits(slow, connections))
            wait_for(lambda: not connections)
        assert service.get("/healthz").status == 200


def _asked_until_it_waits(slow, connections):
    slow.sendall(head("GET", "/static/js/main.js", HOST) * 100)
    return any(c.transport.get_write_buffer_size() for c in list(connections))


def test_a_token_in_an_address_is_none_and_is_not_logged(caplog):
    sync_client = pytest.importorskip("websockets.sync.client", reason="needs websockets")
    from websockets.exceptions import InvalidStatus

    caplog.set_level("INFO")
    with serving(FakeModel(get_skeleton("coco17")), token=TOKEN) as service:
        service.headers.clear()
        assert service.get(f"/v1/models?token={TOKEN}").status == 401
        with pytest.raises(InvalidStatus):
            sync_client.connect(f"ws://127.0.0.1:{service.port}/v1/stream?token={TOKEN}")
    assert "401" in caplog.text
    assert TOKEN not in caplog.text


def test_clients_that_leave_in_the_middle(service):
    body = encoded()
    for data in (
        head("POST", "/v1/poses", HOST, "Content-Length: 1000"),
        head("POST", "/v1/poses", HOST, "Transfer-Encoding: chunked") + b"5\r\nabc",
        head("POST", "/v1/poses", HOST, f"Content-Length: {len(body)}") + body,
        head("GET", "/v1/models", HOST),
    ):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
                connection.sendall(data)
    wait_for(lambda: service.server.engine.in_work == 0)
    assert service.get("/healthz").status == 200


def test_what_a_stop_does_not_wait_for_is_told_to_come_again(fake):
    fake.gate.clear()
    answers = []

    def ask():
        answers.append(service.post("/v1/poses", encoded(), timeout=20))
        fake.gate.set()

    with serving(fake, drain_s=0.5) as service:
        client = threading.Thread(target=ask)
        client.start()
        wait_for(lambda: service.server.engine.in_work == 1)
        begun = time.monotonic()
        service.stop()
        took_s = time.monotonic() - begun
        client.join(20)
    (answer,) = answers
    assert (answer.status, answer.json()["error"]["code"]) == (503, "stopping")
    assert int(answer.headers["retry-after"]) > 0
    # The engine ended its threads, and the waits of the parts did not add up.
    assert not service.server.engine.alive
    assert took_s < 8
