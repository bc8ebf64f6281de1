"""All settings of the service."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.people import DEFAULT_PERSON_THR
from rtmpose.ranges import (
    BATCH,
    COUNT,
    FRACTION,
    LARGE,
    Range,
    check_fields,
    check_flags,
)
from rtmpose.serve.cross_origin import read_origins

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MEBI = 1 << 20
BYTES = Range(1024, 1 << 40, whole=True)
PIXELS = Range(1024, 2**29, whole=True)
TIMES = Range(0, LARGE, above=True)
PORT = Range(0, 65_535, whole=True)
RATE = Range(0, LARGE)
ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
TOKEN = re.compile(r"[!-~]+")
DEFAULT_BOX_THR = 0.3


@dataclass(frozen=True)
class ServeSettings:
    """Settings of the service; see docs/serve.md.

    Attributes:
        max_batch: People in one call of the pose network.
        max_wait_ms: Longest wait of a request for others to share a call with.
        max_call_ms: How long a call of the pose network should take; an image with more people
            takes several, between which others come.
        detector_batch: Images in one call of the detector; None for 8 on a GPU, 1 on a CPU.
        max_queue: Images that wait or are worked on, of all clients together.
        max_queue_pixels: Their pixels together.
        max_body_bytes: Body of a request, but for uploads of videos; a frame of a stream.
        max_pixels: Pixels of an image, compared before it is decoded.
        max_images: Images of a request.
        max_people: People per image; also how many boxes may be given.
        max_upload_bytes: A video.
        max_seconds: Length of a video.
        max_frames: Frames of a video.
        max_jobs: Videos that wait.
        max_streams: Open streams, of all clients together.
        max_streams_per_client: Open streams of one client.
        keep_hours: Hours after which finished jobs are removed.
        box_thr: Lowest box score, unless a request says otherwise.
        person_thr: Lowest person score, likewise.
        host: Address to listen on.
        port: Port of HTTP; 0 takes a free one.
        uds: Unix socket to listen on instead of host and port, for HTTP; None for none.
        grpc_port: Port of gRPC, on the host; None for none.
        tls_cert: PEM file of the certificate, for https and gRPC; None for plain HTTP.
        tls_key: PEM file of its private key.
        token: What clients must show; None lets everybody in.
        no_auth: Listen on other addresses than loopback without a token.
        cors_origins: Origins whose pages may use the service, such as ``https://example.org``, or
            ``*``; the service's own page always may.
        trust_proxy: Take the client's address from ``X-Forwarded-For``, which a proxy must set.
        root_path: Prefix of all paths behind a proxy, such as ``/pose``; whether the proxy takes it
            away or not.
        rate_limit: Requests per second of one client; 0 for any number.
        body_timeout_s: Longest pause in a body; also of headers.
        read_timeout_s: Longest time in which a client reads nothing of an answer.
        body_rate: Slowest body, in bytes per second, after the first ``body_timeout_s``.
        drain_s: How long a stop waits for what is being worked on.
        data: Folder of the jobs; None switches them off.
        warm_up: Compile for likely sizes of images before the service says that it is ready.
        share_models: Whether the model files may be fetched.
        web_assets: Folder with what the page needs to run the model in the browser.
        log_json: Log as JSON lines.

    Raises:
        InputError: a value is out of its range, values do not go together, or the address would be
            open to everybody.
    """

    max_batch: int = 16
    max_wait_ms: float = 4.0
    max_call_ms: float = 30.0
    detector_batch: int | None = None
    max_queue: int = 128
    max_queue_pixels: int = 500_000_000
    max_body_bytes: int = 32 * MEBI
    max_pixels: int = 50_000_000
    max_images: int = 16
    max_people: int = 100
    max_upload_bytes: int = 2048 * MEBI
    max_seconds: float = 3600.0
    max_frames: int = 216_000
    max_jobs: int = 100
    max_streams: int = 64
    max_streams_per_client: int = 8
    keep_hours: float = 168.0
    box_thr: float = DEFAULT_BOX_THR
    person_thr: float = DEFAULT_PERSON_THR
    host: str = "127.0.0.1"
    port: int = 8000
    uds: Path | None = None
    grpc_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token: str | None = field(default=None, repr=False)
    no_auth: bool = False
    cors_origins: tuple[str, ...] = ()
    trust_proxy: bool = False
    root_path: str = ""
    rate_limit: float = 200.0
    body_timeout_s: float = 15.0
    read_timeout_s: float = 60.0
    body_rate: float = 1024.0
    drain_s: float = 30.0
    data: Path | None = None
    warm_up: bool = True
    share_models: bool = True
    web_assets: Path | None = None
    log_json: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            max_batch=BATCH,
            max_wait_ms=Range(0, 10_000),
            max_call_ms=Range(1, 10_000),
            detector_batch=BATCH.optional(),
            max_queue=COUNT,
            max_queue_pixels=Range(1, 1 << 40, whole=True),
            max_body_bytes=BYTES,
            max_pixels=PIXELS,
            max_images=COUNT,
            max_people=Range(1, 1000, whole=True),
            max_upload_bytes=BYTES,
            max_seconds=TIMES,
            max_frames=Range(1, LARGE, whole=True),
            max_jobs=COUNT,
            max_streams=COUNT,
            max_streams_per_client=COUNT,
            keep_hours=TIMES,
            box_thr=FRACTION,
            person_thr=FRACTION,
            port=PORT,
            grpc_port=PORT.optional(),
            rate_limit=RATE,
            body_timeout_s=TIMES,
            read_timeout_s=TIMES,
            body_rate=RATE,
            drain_s=RATE,
        )
        check_flags(self, "no_auth", "trust_proxy", "warm_up", "share_models", "log_json")
        # As in an address.
        if self.host.startswith("[") and self.host.endswith("]"):
            object.__setattr__(self, "host", self.host[1:-1])
        object.__setattr__(self, "cors_origins", read_origins(self.cors_origins))
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS needs a certificate and its key: --tls-cert and --tls-key")
        if self.tls_cert is not None and self.uds is not None and self.grpc_port is None:
            raise InputError("the Unix socket of --uds is not encrypted: leave --tls-cert out")
        path = self.root_path.rstrip("/")
        if path and not ROOT_PATH.fullmatch(path):
            raise InputError(
                f"root_path must be a path such as /pose, of letters, digits and -._~, not {path!r}"
            )
        object.__setattr__(self, "root_path", path)
        if self.token is not None and len(self.token) < 16:
            raise InputError("the token is too short: use at least 16 characters")
        if self.token is not None and not TOKEN.fullmatch(self.token):
            raise InputError(
                "the token is one word of letters, digits and other ASCII characters: clients could"
                " not send spaces, ends of lines or other letters"
            )
        is_open = not self.is_loopback and not self._only_unix
        if is_open and self.token is None and not self.no_auth:
            raise InputError(
                f"{self.host} can be reached by others, and there is no token: set one"
                " (RTMPOSE_TOKEN or --token-file), or say --no-auth"
            )

    @property
    def _only_unix(self) -> bool:
        return self.uds is not None and self.grpc_port is None

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        return self.host in LOOPBACK or self.host.startswith("127.")
