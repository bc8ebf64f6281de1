"""Where the service listens and for whom: TLS, Unix sockets, pages of other origins, probes."""

import http.client
import json
import logging
import shutil
import socket
import ssl
import stat
import subprocess

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from jobs import posix
from serving import encoded, serving

from rtmpose.cli import main
from rtmpose.errors import InputError, OutputError
from rtmpose.serve.cross_origin import read_origins
from rtmpose.serve.listening import UnixSocket, tls_context
from rtmpose.serve.settings import ServeSettings

PNG = {"Content-Type": "image/png"}
TOKEN = "a-token-that-is-long"
SITE = "https://example.org"


# ---- TLS


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A certificate for localhost, its key, another key, and one with a password."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("keys")
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    for name in ("key.pem", "other.pem"):
        openssl(folder, "genpkey", *curve, "-out", name)
    openssl(folder, "pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:abcd", "-out", "pw.pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    about = ("-days", "3650", "-subj", "/CN=localhost", "-addext", names)
    openssl(folder, "req", "-x509", "-key", "key.pem", "-out", "cert.pem", *about)
    return folder


def encrypted(keys, **settings):
    return {"tls_cert": keys / "cert.pem", "tls_key": keys / "key.pem", **settings}


def secure(service, keys):
    context = ssl.create_default_context(cafile=keys / "cert.pem")
    return http.client.HTTPSConnection("localhost", service.port, timeout=30, context=context)


def test_https(job_pipeline, keys):
    with serving(job_pipeline.model, **encrypted(keys, token=TOKEN)) as service:
        assert service.url == f"https://127.0.0.1:{service.port}"
        connection = secure(service, keys)
        shown = {"Authorization": f"Bearer {TOKEN}"}
        connection.request("POST", "/v1/poses", encoded(), {**PNG, **shown})
        answer = connection.getresponse()
        assert (answer.status, len(json.loads(answer.read())["images"])) == (200, 1)
        # The cookie never goes over a connection that is not encrypted; the page's own requests
        # are of this origin.
        own = {"Origin": f"https://localhost:{service.port}"}
        connection.request("POST", "/v1/session", headers={**shown, **own})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204
        assert "; secure" in answer.headers["set-cookie"].lower()
        connection.close()

        # Plain HTTP, and clients who do not know the certificate.
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            service.get("/healthz")
        stranger = http.client.HTTPSConnection("localhost", service.port, timeout=30)
        with pytest.raises(ssl.SSLError):
            stranger.request("GET", "/healthz")
        stranger.close()


def test_a_stream_over_tls(job_pipeline, keys):
    client = pytest.importorskip("websockets.sync.client")
    context = ssl.create_default_context(cafile=keys / "cert.pem")
    with serving(job_pipeline.model, **encrypted(keys)) as service:
        url = f"wss://localhost:{service.port}/v1/stream"
        with client.connect(url, ssl=context, open_timeout=60) as stream:
            stream.send(encoded())
            assert json.loads(stream.recv(30))["type"] == "result"


def test_grpc_over_tls(job_pipeline, keys):
    grpc = pytest.importorskip("grpc", reason="needs the extra serve")
    from rtmpose.serve.oip_messages import message_class

    with serving(job_pipeline.model, **encrypted(keys, grpc_port=0)) as service:
        trusted = grpc.ssl_channel_credentials((keys / "cert.pem").read_bytes())
        address = f"localhost:{service.server.grpc_port}"
        with grpc.secure_channel(address, trusted) as channel:
            live = channel.unary_unary(
                "/inference.GRPCInferenceService/ServerLive",
                request_serializer=message_class("ServerLiveRequest").SerializeToString,
                response_deserializer=message_class("ServerLiveResponse").FromString,
            )
            assert live(message_class("ServerLiveRequest")(), timeout=30).live


def test_files_of_tls_that_cannot_be_used(keys, tmp_path):
    cert, key = keys / "cert.pem", keys / "key.pem"
    text = tmp_path / "text.pem"
    text.write_text("hello")
    for pair, said in (
        ((cert, keys / "other.pem"), "does not belong to the certificate"),
        ((key, cert), "the wrong way round"),
        ((cert, cert), "no private key in PEM"),
        ((text, key), "no certificate in PEM"),
        ((cert, text), "no private key in PEM"),
        ((cert, keys / "pw.pem"), "has a password"),
        ((cert, tmp_path / "missing.pem"), "cannot be read"),
        ((tmp_path, key), "cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            tls_context(*pair)
    with pytest.raises(InputError, match="--tls-cert and --tls-key"):
        ServeSettings(tls_cert=cert)
    with pytest.raises(InputError, match="not encrypted"):
        ServeSettings(tls_cert=cert, tls_key=key, uds=tmp_path / "socket")


def test_mistakes_of_tls_are_said_before_models_are_opened(keys, capsys):
    wrong = ["--tls-cert", str(keys / "cert.pem"), "--tls-key", str(keys / "other.pem")]
    assert main(["serve", "--pose", "no-such-model.onnx", *wrong]) == 1
    assert "does not belong" in capsys.readouterr().err


# ---- Unix sockets


def over_unix(path, line, headers=""):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(f"{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n".encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received.decode()


@posix
def test_a_unix_socket(job_pipeline, tmp_path):
    path = tmp_path / "http.sock"
    with serving(job_pipeline.model, uds=path) as service:
        assert service.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        # Behind a proxy it has the proxy's name.
        for host in ("localhost", "pose.example.org"):
            answer = over_unix(path, "GET /v1/models", f"Host: {host}\r\n")
            assert answer.startswith("HTTP/1.1 200")
        other = f"Host: localhost\r\nOrigin: {SITE}\r\n"
        assert over_unix(path, "GET /v1/models", other).startswith("HTTP/1.1 403")

        # One that is used stays.
        with pytest.raises(OutputError, match="another program listens"):
            UnixSocket(path)
        assert over_unix(path, "GET /healthz", "Host: a\r\n").startswith("HTTP/1.1 200")
    assert not path.exists()


@posix
def test_files_in_the_place_of_a_unix_socket(tmp_path):
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(stale))
    assert stat.S_ISSOCK(stale.lstat().st_mode)
    made = UnixSocket(stale)

    # Another service has taken the place meanwhile: its socket stays.
    stale.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(stale))
        made.remove()
        assert stale.exists()

    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(stale)
    for path in (mine, tmp_path, link):
        with pytest.raises(OutputError, match="is no socket; it stays"):
            UnixSocket(path)
    assert mine.read_text() == "mine"
    for path in (tmp_path / "missing" / "http.sock", tmp_path / ("a" * 200)):
        with pytest.raises(OutputError, match="--uds"):
            UnixSocket(path)


@posix
def test_who_may_use_a_unix_socket(tmp_path):
    path = tmp_path / "http.sock"
    # The host counts for gRPC only.
    assert ServeSettings(uds=path, host="0.0.0.0").token is None
    with pytest.raises(InputError, match="no token"):
        ServeSettings(uds=path, host="0.0.0.0", grpc_port=0)


# ---- pages of other origins


def test_pages_of_an_origin_that_is_let_in(job_pipeline):
    ask = {
        "Origin": SITE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    with serving(job_pipeline.model, token=TOKEN, cors_origins=(SITE,)) as service:
        shown = dict(service.headers)
        service.headers.clear()
        preflight = service.call("OPTIONS", "/v1/poses", headers=ask)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == SITE
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"]

        answer = service.post("/v1/poses", encoded(), {**PNG, **shown, "Origin": SITE})
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == SITE
        assert answer.headers["vary"] == "origin"
        # Cookies are for the service's own page.
        assert "access-control-allow-credentials" not in answer.headers
        # Errors can be read, too.
        refused = service.post("/v1/poses", encoded(), {**PNG, "Origin": SITE})
        assert refused.status == 401
        assert refused.headers["access-control-allow-origin"] == SITE

        for origin in ("https://example.com", "http://example.org", f"{SITE}.evil.org", "null"):
            answer = service.call("OPTIONS", "/v1/poses", headers={**ask, "Origin": origin})
            assert answer.status == 403
            assert "--cors-origin" in answer.json()["error"]["message"]
            assert "access-control-allow-origin" not in answer.headers
        # Without an origin it is no page.
        assert service.call("OPTIONS", "/v1/poses", headers=shown).status == 405
        assert service.get("/v1/models", headers=shown).headers["vary"] == "origin"


def test_streams_of_an_origin_that_is_let_in(job_pipeline):
    client = pytest.importorskip("websockets.sync.client")
    exceptions = pytest.importorskip("websockets.exceptions")
    with serving(job_pipeline.model, cors_origins=(SITE,)) as service:
        url = f"ws://127.0.0.1:{service.port}/v1/stream"
        with client.connect(url, origin=SITE) as stream:
            stream.send(encoded())
            assert json.loads(stream.recv(30))["type"] == "result"
        with pytest.raises(exceptions.InvalidStatus), client.connect(url, origin="http://a.org"):
            pass


def test_all_pages(job_pipeline):
    with serving(job_pipeline.model, cors_origins=("*",)) as service:
        for origin in (SITE, "null"):
            answer = service.get("/v1/models", headers={"Origin": origin})
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
        # A name that somebody made point to this machine is still refused.
        assert service.get("/v1/models", headers={"Host": "example.com"}).status == 403


def test_how_origins_are_written():
    given = ("https://Example.org/", "http://a:80", "https://a:8443", "http://[::1]:3000", "*")
    assert read_origins(given) == (
        "https://example.org",
        "http://a",
        "https://a:8443",
        "http://[::1]:3000",
        "*",
    )
    for wrong in ("example.org", "https://example.org/page", "null", "", "https://*.example.org"):
        with pytest.raises(InputError, match="--cors-origin"):
            ServeSettings(cors_origins=(wrong,))


# ---- the log


def test_probes_that_are_answered_well_are_not_logged(job_pipeline, caplog):
    caplog.set_level(logging.INFO, "rtmpose.serve.access")
    with serving(job_pipeline.model) as service:
        for path in ("/healthz", "/readyz", "/metrics", "/v2/health/ready"):
            assert service.get(path).status == 200
        assert service.get("/v1/models").status == 200
        service.server._service.warming_up = True
        assert service.get("/readyz").status == 503
    lines = [line for line in caplog.messages if line.startswith("GET")]
    assert [line.split(" in ")[0] for line in lines] == [
        "GET '/v1/models' 200",
        "GET '/readyz' 503",
    ]


def test_the_level_of_the_log(monkeypatch, job_options):
    from rtmpose.serve import server

    access = logging.getLogger("rtmpose.serve.access")
    levels = []

    def seen(_):
        levels.append(access.getEffectiveLevel())

    monkeypatch.setattr(server.RunningServer, "run", seen)
    monkeypatch.setattr(server.RunningServer, "__init__", lambda *_: None)
    for level in ([], ["--log-level", "debug"], ["--log-level", "warning"]):
        assert main(["serve", *job_options, *level]) == 0
    assert levels == [logging.INFO, logging.DEBUG, logging.WARNING]


# ---- the end


def test_a_second_interrupt_leaves_nothing_open(job_pipeline, tmp_path, caplog):
    with serving(job_pipeline.model, data=tmp_path) as service:
        # As uvicorn notes it.
        service.server._server.force_exit = True
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    # The folder is free again.
    with serving(job_pipeline.model, data=tmp_path) as service:
        assert service.get("/v1/jobs").json() == {"jobs": []}
