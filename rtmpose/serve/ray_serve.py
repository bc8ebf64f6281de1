"""Replicas of the engine on the machines of a cluster, by Ray Serve. The only file of the service
that uses Ray.

Ray Serve places the replicas, shares images between them, starts lost ones again and adds and
removes some as the load changes. People share network calls inside a replica, by our own engine:
Ray's batches hold requests, whatever the number of people in them, and take no turns between
clients. The HTTP server is ours too, because a call fails whose replica ends: here it is made
again.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtmpose.errors import InputError, MissingDependencyError, RtmposeError
from rtmpose.families import PoseModel
from rtmpose.serve.engine import Engine
from rtmpose.serve.remote_engine import Ask, RemoteEngine, ReplicaLostError
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.tickets import Estimated, ImageTask

APPLICATION = "rtmpose"
ANSWER_S = 5.0
HEALTH_S = 5.0
TRY_AGAIN = (429, 503)
"""Statuses of a replica that is full or stops."""

OpenModels = Callable[[], Sequence[PoseModel]]


@dataclass(frozen=True)
class ReplicaOptions:
    """How many replicas there are, and what each has.

    Attributes:
        address: Of the cluster, ``host:port`` or ``auto``; ``local`` starts one here.
        replicas: Their number; None for as many as the load needs.
        cpus: Cores of each.
        gpus: GPUs of each.
    """

    address: str
    replicas: int | None = None
    cpus: int = 1
    gpus: float = 0.0


class PoseReplica:
    """An engine on one machine. Made by Ray Serve.

    Args:
        open_models: Opens the models, on that machine.
        settings: Sizes of batches and queues.
    """

    def __init__(self, open_models: OpenModels, settings: ServeSettings) -> None:
        self._engine = Engine(open_models(), settings)
        if settings.warm_up:
            self._engine.warm_up()

    async def estimate(self, task: ImageTask, client: str) -> Estimated | RtmposeError:
        """What came of an image; an error of the package as a value, which Ray would wrap."""
        try:
            return await asyncio.wrap_future(self._engine.submit([task], client)[0])
        except RtmposeError as error:
            return error

    def check_health(self) -> None:
        """Called by Ray Serve, which replaces this replica where it raises."""
        if not self._engine.alive:
            raise RuntimeError("a thread of the engine has ended")

    def __del__(self) -> None:
        # Ray Serve calls it when the last request was answered.
        engine = getattr(self, "_engine", None)
        if engine is not None:
            engine.close(1.0)


def ray_engine(
    model: PoseModel, open_models: OpenModels, settings: ServeSettings, options: ReplicaOptions
) -> RemoteEngine:
    """Start the replicas.

    Args:
        model: Tells what the models are.
        open_models: Opens them in a replica; must be picklable.
        settings: Of the service.
        options: How many replicas, and where.

    Returns:
        An engine; closing it ends the replicas.

    Raises:
        InputError: the cluster cannot be reached, or has no room.
        MissingDependencyError: Ray Serve is not installed.
    """
    ray, serve = _import_ray()
    _connect(ray, options.address)
    try:
        room = _room(ray, options)
        wanted = options.replicas or 1
        if wanted > room:
            raise InputError(
                f"the Ray cluster has room for {room} replicas with {options.cpus} cores and"
                f" {options.gpus:g} GPUs each, not for {wanted}; choose fewer by --replicas"
            )
        serve.start(proxy_location="Disabled")
        deployment = serve.deployment(PoseReplica).options(
            name="poses", **_deployment_options(settings, options, room)
        )
        of_replica = ServeSettings(
            max_batch=settings.max_batch,
            max_wait_ms=settings.max_wait_ms,
            max_call_ms=settings.max_call_ms,
            detector_batch=settings.detector_batch,
            max_queue=settings.max_queue,
            max_queue_pixels=settings.max_queue_pixels,
        )
        application = deployment.bind(open_models, of_replica)
        handle = serve.run(application, name=APPLICATION, route_prefix=None)
    except BaseException:
        ray.shutdown()
        raise

    def end() -> None:
        serve.delete(APPLICATION)
        ray.shutdown()

    return RemoteEngine(model, settings, _asking(ray, handle), end)


def _deployment_options(
    settings: ServeSettings, options: ReplicaOptions, room: int
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": options.cpus, "num_gpus": options.gpus},
        # Enough for a call at work and the next one.
        "max_ongoing_requests": 2 * settings.max_batch,
        "health_check_period_s": HEALTH_S,
        "health_check_timeout_s": 6 * HEALTH_S,
        "graceful_shutdown_timeout_s": settings.drain_s,
        "graceful_shutdown_wait_loop_s": 0.5,
    }
    if options.replicas is not None:
        return {**values, "num_replicas": options.replicas}
    values["autoscaling_config"] = {
        "min_replicas": 1,
        "max_replicas": room,
        "target_ongoing_requests": max(1, settings.max_batch // 2),
        "upscale_delay_s": 5.0,
        "downscale_delay_s": 120.0,
    }
    return values


def _asking(ray: Any, handle: Any) -> Ask:
    """Asks replicas, with Ray's errors as ours."""
    from ray.serve.exceptions import BackPressureError, RequestCancelledError

    lost = (
        ray.exceptions.RayActorError,  # ended, or not reached for a moment
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.ObjectLostError,
        ray.exceptions.TaskCancelledError,  # by a replica that stops
        BackPressureError,
        RequestCancelledError,
    )

    async def ask(task: ImageTask, client: str) -> Estimated:
        try:
            answer = await handle.estimate.remote(task, client)
        except lost as error:
            raise ReplicaLostError(type(error).__name__) from error
        if isinstance(answer, RtmposeError):
            if getattr(answer, "status", None) in TRY_AGAIN:
                raise ReplicaLostError(str(answer))
            raise answer
        assert isinstance(answer, Estimated)
        return answer

    return ask


def _room(ray: Any, options: ReplicaOptions) -> int:
    """How many replicas fit."""
    room = 0
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        fits = int(node["Resources"].get("CPU", 0) // options.cpus)
        if options.gpus:
            fits = min(fits, int(node["Resources"].get("GPU", 0) // options.gpus))
        room += fits
    return room


def _import_ray() -> tuple[Any, Any]:
    if importlib.util.find_spec("ray") is None:
        raise MissingDependencyError("--ray needs Ray Serve: pip install 'rtmpose[serve-ray]'")
    import ray

    try:
        from ray import serve
    except ImportError as error:
        raise MissingDependencyError(
            f"--ray needs {error.name}: pip install 'rtmpose[serve-ray]'"
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray, serve


def _connect(ray: Any, address: str) -> None:
    host, colon, port = address.rpartition(":")
    try:
        # Ray tries for minutes where nobody answers.
        if colon and port.isdecimal() and "://" not in address:
            socket.create_connection((host, int(port)), ANSWER_S).close()
        on_term = signal.getsignal(signal.SIGTERM)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="rtmpose")
        # Ray's own handler would end the process with a status of 15 after everything was answered.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_term)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the Ray cluster {address!r} cannot be reached: {error}; `ray status` tells whether it"
            " is up, --ray local needs none"
        ) from error
