"""Run the service under uvicorn: opens the models, listens, and ends what it began on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from rtmpose.families import PoseModel
from rtmpose.serve.app import create_app
from rtmpose.serve.engine import Engine, ImageEngine
from rtmpose.serve.fast_http import http_protocol, run
from rtmpose.serve.listening import UnixSocket, listen, tls_of
from rtmpose.serve.service import Service
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.slow_clients import close_idle_connections

if TYPE_CHECKING:
    from rtmpose.serve.oip_grpc import GrpcServer

log = logging.getLogger("rtmpose.serve")

MOST_CONNECTIONS = 1024
KEEP_ALIVE_S = 10
PING_S = 20.0
LOOK_S = 0.2
AT_LEAST_S = 8.0
"""The engine's time to end its threads: an interpreter that ends during a network call crashes."""
LARGEST_HEADERS = 32 * 1024


class RunningServer:
    """The service, listening. Made of opened models; :meth:`run` works until :meth:`stop`.

    Args:
        models: One for each device.
        settings: Address, limits, token.
        start_engine: Starts another engine, once the address was found to be free.

    Attributes:
        app: The application.
        url: Where it listens: ``http://``, ``https://``, or ``unix:`` and the path of a socket.
        grpc_port: Where it listens for gRPC, once it is ready; None for nowhere.

    Raises:
        InputError: the files of TLS cannot be used.
        OutputError: the address is in use, or the data folder cannot be written.
    """

    def __init__(
        self,
        models: Sequence[PoseModel],
        settings: ServeSettings,
        start_engine: Callable[[], ImageEngine] | None = None,
    ) -> None:
        # The address first: a mistake in it should not cost the start of threads.
        self._tls = None if settings.uds is not None else tls_of(settings)
        self._unix: UnixSocket | None = None
        self._socket = self._listening(settings)
        self.settings = settings
        try:
            self.engine: ImageEngine = (
                Engine(models, settings) if start_engine is None else start_engine()
            )
        except BaseException:
            self._close_socket()
            raise
        try:
            self.app: FastAPI = create_app(settings, self.engine)
        except BaseException:
            self._close_socket()
            self.engine.close(0.0)
            raise
        self.url = self._url()
        self._server = uvicorn.Server(_configuration(self.app, settings, self._tls))
        self._service: Service = self.app.state.service
        self._service.warming_up = settings.warm_up
        self.grpc_port: int | None = None
        self._ready = threading.Event()

    def run(self) -> None:
        """Serve until :meth:`stop`, or SIGTERM or Ctrl-C in the main thread; then end what was
        begun.
        """
        run(self._serve())

    def stop(self) -> None:
        """End soon: nothing new is taken, what was taken is finished. From any thread."""
        self._server.should_exit = True

    @property
    def listens(self) -> bool:
        """Whether requests are answered already."""
        return self._server.started

    def wait_until_ready(self, timeout_s: float = 30.0) -> bool:
        """Whether it listens and is ready for likely images, at the latest after that time."""
        return self._ready.wait(timeout_s)

    async def _serve(self) -> None:
        watch = asyncio.ensure_future(self._watch())
        stop = asyncio.ensure_future(self._when_stopped())
        grpc = None
        try:
            grpc = await self._start_grpc()
            await self._server.serve(sockets=[self._socket])
        except KeyboardInterrupt:
            # The signal that stopped it, once more after everything was answered.
            pass
        finally:
            watch.cancel()
            self._close_socket()
            # All parts share the time of a stop.
            end = self.settings.drain_s + (await stop if stop.done() else time.monotonic())
            stop.cancel()
            if self._server.force_exit and self._server.started:
                # A second Ctrl-C ends the answers, and uvicorn then leaves the rest to nobody.
                await self._server.lifespan.shutdown()
            if grpc is not None:
                await grpc.stop(max(0.0, end - time.monotonic()))
            self._ready.set()
            left = max(AT_LEAST_S, end - time.monotonic())
            finished = await asyncio.to_thread(self.engine.close, left)
            log.info("stopped, %s", "everything was finished" if finished else "work was left")

    def _listening(self, settings: ServeSettings) -> socket.socket:
        if settings.uds is None:
            return listen(settings.host, settings.port)
        self._unix = UnixSocket(settings.uds)
        return self._unix.socket

    def _close_socket(self) -> None:
        self._socket.close()
        if self._unix is not None:
            self._unix.remove()

    def _url(self) -> str:
        if self.settings.uds is not None:
            return f"unix:{self.settings.uds}"
        host = self.settings.host
        name = f"[{host}]" if ":" in host else host
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{name}:{self._socket.getsockname()[1]}"

    async def _when_stopped(self) -> float:
        """The moment at which the stop began."""
        while not self._server.should_exit:
            await asyncio.sleep(LOOK_S)
        return time.monotonic()

    async def _start_grpc(self) -> GrpcServer | None:
        if self.settings.grpc_port is None:
            return None
        from rtmpose.serve.oip_grpc import GrpcServer

        server = GrpcServer(self._service, self.app.state.protocol_model, self.settings.grpc_port)
        await server.start()
        self.grpc_port = server.port
        return server

    async def _watch(self) -> None:
        """Says when it listens, and closes connections that only sit there."""
        while not self._server.started:
            await asyncio.sleep(0.01)
        log.info("serving on %s", self.url)
        limits = (self.settings.body_timeout_s, self.settings.read_timeout_s)
        await asyncio.gather(self._warm_up(), close_idle_connections(self._server, *limits))

    async def _warm_up(self) -> None:
        """Says when the first requests wait no longer than others."""
        if self.settings.warm_up:
            started = time.monotonic()
            # It ends by itself when the engine is closed.
            await asyncio.to_thread(self.engine.warm_up)
            self._service.warming_up = False
            log.info("ready after another %.1f s", time.monotonic() - started)
        self._ready.set()


def _configuration(
    app: FastAPI, settings: ServeSettings, tls: ssl.SSLContext | None
) -> uvicorn.Config:
    options: dict[str, Any] = {
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        # Its lines of streams have the query, which may hold a token.
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": max(1, round(settings.drain_s)),
        "limit_concurrency": MOST_CONNECTIONS,
        "h11_max_incomplete_event_size": LARGEST_HEADERS,
        "http": http_protocol(),
        "ws": "websockets-sansio",
        "ws_max_size": settings.max_body_bytes,
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "ws_per_message_deflate": False,
    }
    if tls is not None:
        options["ssl_context_factory"] = lambda *_: tls
    return uvicorn.Config(app, **options)
