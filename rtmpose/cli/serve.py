"""``rtmpose serve``: keypoints over HTTP, WebSocket and gRPC."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.cli.groups import expand_groups
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.ranges import BATCH, COUNT, FRACTION, LARGE, PEOPLE, Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmpose.families import PoseModel
    from rtmpose.serve.engine import ImageEngine
    from rtmpose.serve.ray_serve import ReplicaOptions
    from rtmpose.serve.settings import ServeSettings

ADDRESS = "Address"
ACCESS = "Access"
CONTENT = "Videos, page and log"
SHARING = "Sharing the networks"
LIMITS = "Limits"
CLUSTER = "More than one machine"
TOKEN_VARIABLE = "RTMPOSE_TOKEN"
PORT = Range(0, 65_535, whole=True)
POSITIVE = Range(0, LARGE, above=True)
MEBI = 1 << 20


class LogLevel(str, Enum):
    """Which lines are logged."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


@dataclass(frozen=True)
class AddressOptions:
    """Where the service listens."""

    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; other than loopback it needs a token.",
            rich_help_panel=ADDRESS,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, PORT, typer.Option(help="Port of HTTP; 0 takes a free one.", rich_help_panel=ADDRESS)
    ] = 8000
    uds: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Unix socket to listen on instead, for a proxy on this machine; owner and group"
            " may connect.",
            rich_help_panel=ADDRESS,
        ),
    ] = None
    grpc_port: Annotated[
        int | None,
        PORT,
        typer.Option(
            help="Port of gRPC, such as 8001; none by default.",
            rich_help_panel=ADDRESS,
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Certificate in PEM, with those that lead to its authority: https, and gRPC with"
            " TLS.",
            rich_help_panel=ADDRESS,
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Private key of the certificate, in PEM, without a password.",
            rich_help_panel=ADDRESS,
        ),
    ] = None
    trust_proxy: Annotated[
        bool,
        typer.Option(
            "--trust-proxy",
            help="Tell clients apart by X-Forwarded-For, which a proxy in front must set.",
            rich_help_panel=ADDRESS,
        ),
    ] = False
    root_path: Annotated[
        str,
        typer.Option(
            metavar="/PREFIX",
            help="Prefix below which a proxy shows the service, such as /pose.",
            rich_help_panel=ADDRESS,
        ),
    ] = ""


@dataclass(frozen=True)
class AccessOptions:
    """Who may use the service."""

    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"File with the token that clients must show; or set {TOKEN_VARIABLE}.",
            rich_help_panel=ACCESS,
        ),
    ] = None
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth",
            help="Let everybody in who reaches the address.",
            rich_help_panel=ACCESS,
        ),
    ] = False
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Origin whose pages may use the service too, such as https://example.org; may be"
            " given more than once; * for all pages.",
            show_default="only its own page",
            rich_help_panel=ACCESS,
        ),
    ] = None
    share_models: Annotated[
        bool,
        typer.Option(
            help="Let clients fetch the model files.",
            rich_help_panel=ACCESS,
        ),
    ] = True


@dataclass(frozen=True)
class ContentOptions:
    """Videos, the page and the log."""

    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for videos and their results; without it there is no /v1/jobs.",
            rich_help_panel=CONTENT,
        ),
    ] = None
    web_assets: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of scripts/web_assets.py: the page can then run the model in the browser.",
            rich_help_panel=CONTENT,
        ),
    ] = None
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Log JSON lines.", rich_help_panel=CONTENT),
    ] = False
    log_level: Annotated[
        LogLevel,
        typer.Option(
            help="info: a line for each request, but for probes that are answered well (debug);"
            " warning: none.",
            rich_help_panel=CONTENT,
        ),
    ] = LogLevel.info


@dataclass(frozen=True)
class SharingOptions:
    """How requests share network calls."""

    max_batch: Annotated[
        int,
        BATCH,
        typer.Option(
            help="People in one call of the pose network, of all requests together.",
            rich_help_panel=SHARING,
        ),
    ] = 16
    max_wait_ms: Annotated[
        float,
        Range(0, 10_000),
        typer.Option(
            help="Longest wait for others to share a call with, in milliseconds.",
            rich_help_panel=SHARING,
        ),
    ] = 4.0
    max_call_ms: Annotated[
        float,
        Range(1, 10_000),
        typer.Option(
            help="How long a call of the pose network should take, in milliseconds: an image with"
            " more people takes several, and others come between.",
            rich_help_panel=SHARING,
        ),
    ] = 30.0
    detector_batch: Annotated[
        int | None,
        BATCH,
        typer.Option(
            help="Images in one call of the detector, of those that wait; by default 8 on GPUs, 1"
            " on CPUs.",
            rich_help_panel=SHARING,
        ),
    ] = None
    warm_up: Annotated[
        bool,
        typer.Option(
            help="Compile for likely sizes of images before /readyz says that it is ready.",
            rich_help_panel=SHARING,
        ),
    ] = True
    max_queue: Annotated[
        int,
        COUNT,
        typer.Option(
            help="Images that may wait; who comes then is told to come again (429).",
            rich_help_panel=SHARING,
        ),
    ] = 128


@dataclass(frozen=True)
class LimitOptions:
    """What a request may cost."""

    max_body: Annotated[
        float, POSITIVE, typer.Option(help="Largest request, in MiB.", rich_help_panel=LIMITS)
    ] = 32.0
    max_megapixels: Annotated[
        float,
        POSITIVE,
        typer.Option(help="Largest image, in millions of pixels.", rich_help_panel=LIMITS),
    ] = 50.0
    max_images: Annotated[
        int, COUNT, typer.Option(help="Images of a request.", rich_help_panel=LIMITS)
    ] = 16
    max_people: Annotated[
        int, PEOPLE, typer.Option(help="People of an image.", rich_help_panel=LIMITS)
    ] = 100
    max_upload: Annotated[
        float, POSITIVE, typer.Option(help="Largest video, in MiB.", rich_help_panel=LIMITS)
    ] = 2048.0
    max_seconds: Annotated[
        float, POSITIVE, typer.Option(help="Longest video, in seconds.", rich_help_panel=LIMITS)
    ] = 3600.0
    max_jobs: Annotated[
        int, COUNT, typer.Option(help="Videos that may wait.", rich_help_panel=LIMITS)
    ] = 100
    keep_hours: Annotated[
        float,
        POSITIVE,
        typer.Option(
            help="Hours after which finished videos and their results are removed.",
            rich_help_panel=LIMITS,
        ),
    ] = 168.0
    rate_limit: Annotated[
        float,
        Range(0, LARGE),
        typer.Option(
            help="Requests per second of one client; 0 for any number.", rich_help_panel=LIMITS
        ),
    ] = 200.0
    drain: Annotated[
        float,
        Range(0, LARGE),
        typer.Option(
            help="Seconds that a stop waits for what is being worked on.", rich_help_panel=LIMITS
        ),
    ] = 30.0


@dataclass(frozen=True)
class ClusterOptions:
    """Replicas on other machines."""

    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on the machines of this Ray cluster; local starts one here.",
            rich_help_panel=CLUSTER,
        ),
    ] = None
    replicas: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Replicas of the models; auto follows the load.",
            rich_help_panel=CLUSTER,
        ),
    ] = "auto"
    cpus_per_replica: Annotated[
        int, COUNT, typer.Option(help="Cores of each replica.", rich_help_panel=CLUSTER)
    ] = 1
    gpus_per_replica: Annotated[
        float | None,
        Range(0, 1024),
        typer.Option(
            help="GPUs of each replica; by default one where --device is cuda.",
            rich_help_panel=CLUSTER,
        ),
    ] = None


@expand_groups
def serve(
    models: options.ModelOptions,
    address: AddressOptions,
    access: AccessOptions,
    content: ContentOptions,
    sharing: SharingOptions,
    limits: LimitOptions,
    cluster: ClusterOptions,
    speed: options.SpeedOptions,
    box_thr: Annotated[
        float,
        FRACTION,
        typer.Option(help="Lowest score of a detected box.", rich_help_panel=options.MODELS),
    ] = 0.3,
    person_thr: options.PersonThr = None,
) -> int:
    """Serve keypoints over HTTP, with a page for browsers; docs/serve.md has the API.

    Listens on this machine only, unless told. Ctrl-C or SIGTERM ends it when what was begun is
    done.

    Examples:
      rtmpose serve --data jobs

      curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8000/v1/poses

      curl -F image=@photo.jpg -H 'Accept: image/jpeg' localhost:8000/v1/poses -o drawn.jpg

      RTMPOSE_TOKEN=$(openssl rand -hex 16) rtmpose serve --host 0.0.0.0 --grpc-port 8001

      rtmpose serve --tls-cert cert.pem --tls-key key.pem --cors-origin https://example.org

      rtmpose serve --uds /run/rtmpose/http.sock --trust-proxy

      rtmpose serve --device cuda:0,cuda:1 --max-batch 64 --max-wait-ms 8

      rtmpose serve --ray 10.0.0.5:6379 --replicas 8
    """
    try:
        from rtmpose.people import person_thr_for
        from rtmpose.serve.access_log import set_up_logs
        from rtmpose.serve.listening import tls_of
        from rtmpose.serve.server import RunningServer
    except ImportError as error:
        raise MissingDependencyError(
            f"the service needs {error.name}: pip install 'rtmpose[serve]'"
        ) from error
    import logging

    # Settings first: a mistake should not cost the loading of models.
    settings = _settings(address, access, content, sharing, limits, box_thr, person_thr)
    tls_of(settings)  # looked at now, used later
    level = logging.getLogger().level  # WARNING, or as --verbose and --debug say
    named = logging.getLevelName(content.log_level.value.upper())
    own = logging.DEBUG if level == logging.DEBUG else named
    set_up_logs(as_json=settings.log_json, level=level, own=own)
    replicas = _replica_options(cluster, speed)
    if replicas is None:
        opened = open_models(models, speed)
    else:
        # Here they only tell what they are.
        opened = open_models(models, options.SpeedOptions(device="cpu", threads=1))
    # The usual threshold is that of the keypoint set, which is known now.
    settings = replace(settings, person_thr=person_thr_for(opened[0].skeleton, person_thr))
    start = None
    if replicas is not None:
        start = _cluster_engine(models, speed, opened, settings, replicas)
    server = RunningServer(opened, settings, start)
    server.run()
    return 0


def _settings(
    address: AddressOptions,
    access: AccessOptions,
    content: ContentOptions,
    sharing: SharingOptions,
    limits: LimitOptions,
    box_thr: float,
    person_thr: float | None,
) -> ServeSettings:
    from rtmpose.serve.settings import ServeSettings

    return ServeSettings(
        max_batch=sharing.max_batch,
        max_wait_ms=sharing.max_wait_ms,
        max_call_ms=sharing.max_call_ms,
        detector_batch=sharing.detector_batch,
        warm_up=sharing.warm_up,
        max_queue=sharing.max_queue,
        max_body_bytes=round(limits.max_body * MEBI),
        max_pixels=round(limits.max_megapixels * 1e6),
        max_images=limits.max_images,
        max_people=limits.max_people,
        max_upload_bytes=round(limits.max_upload * MEBI),
        max_seconds=limits.max_seconds,
        max_jobs=limits.max_jobs,
        keep_hours=limits.keep_hours,
        box_thr=box_thr,
        person_thr=person_thr or 0.0,
        host=address.host,
        port=address.port,
        uds=address.uds,
        grpc_port=address.grpc_port,
        tls_cert=address.tls_cert,
        tls_key=address.tls_key,
        token=_token(access.token_file),
        no_auth=access.no_auth,
        cors_origins=tuple(access.cors_origin or ()),
        trust_proxy=address.trust_proxy,
        root_path=address.root_path,
        rate_limit=limits.rate_limit,
        drain_s=limits.drain,
        data=content.data,
        share_models=access.share_models,
        web_assets=content.web_assets,
        log_json=content.log_json,
    )


def _token(file: Path | None) -> str | None:
    """The token of a file or of the environment; never of the command line, which others see."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    from rtmpose.text_files import read_text

    token = read_text(file).strip()
    if not token:
        raise InputError(f"{file} holds no token")
    return token


def _replica_options(cluster: ClusterOptions, speed: options.SpeedOptions) -> ReplicaOptions | None:
    """What is asked of a cluster; None without one."""
    if cluster.ray is None:
        if cluster.replicas != "auto" or cluster.gpus_per_replica is not None:
            raise InputError("--replicas and --gpus-per-replica need a cluster: --ray ADDRESS")
        return None
    from rtmpose.serve.ray_serve import ReplicaOptions

    number = None
    if cluster.replicas != "auto":
        digits = cluster.replicas.isascii() and cluster.replicas.isdecimal()
        number = int(cluster.replicas[:6]) if digits else 0
        if not number:
            raise InputError(f"--replicas is a number from 1 or auto, not {cluster.replicas!r}")
    if "," in speed.device:
        raise InputError("with --ray a replica has one device: --device cuda, or cpu")
    gpus = cluster.gpus_per_replica
    if gpus is None:
        gpus = 1.0 if speed.device.startswith("cuda") else 0.0
    return ReplicaOptions(cluster.ray, number, cluster.cpus_per_replica, gpus)


def _cluster_engine(
    models: options.ModelOptions,
    speed: options.SpeedOptions,
    opened: list[PoseModel],
    settings: ServeSettings,
    replicas: ReplicaOptions,
) -> Callable[[], ImageEngine]:
    from rtmpose.serve.ray_serve import ray_engine

    threads = speed.threads or replicas.cpus
    opening = partial(open_models, models, replace(speed, threads=threads))
    return partial(ray_engine, opened[0], opening, settings, replicas)


def open_models(models: options.ModelOptions, speed: options.SpeedOptions) -> list[PoseModel]:
    """The models on each device."""
    return [_open(models, speed, device) for device in speed.device.split(",")]


def _open(models: options.ModelOptions, speed: options.SpeedOptions, device: str) -> PoseModel:
    """The models on one device."""
    from rtmpose.pipeline import Pipeline

    speed = replace(speed, device=device.strip() or "auto")
    whole_image = models.detector.lower() == "none"
    pipeline = Pipeline(
        None if whole_image else models.opened_detector(speed),
        models.pose,
        backend=speed.backend,
        device=speed.device,
        threads=speed.threads,
        precision=speed.precision,
        allow_spinning=speed.allow_spinning,
        whole_image=whole_image,
        skeleton=models.keypoint_set(),
        card=models.pose_card(),
    )
    return pipeline.model
