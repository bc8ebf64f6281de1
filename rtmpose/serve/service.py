"""What all routes share: the engine, the settings, the numbers, and how a request waits."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from rtmpose.errors import BackendError, InputError, OutputError, RtmposeError
from rtmpose.serve.engine import ImageEngine
from rtmpose.serve.faults import ServiceError, draining, unusable
from rtmpose.serve.images import decode_upload
from rtmpose.serve.metrics import Metrics
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.tickets import Estimated, ImageTask
from rtmpose.types import Image

log = logging.getLogger(__name__)

T = TypeVar("T")
CLIENT_GONE = 499
"""Status of a request whose client did not wait, for the log."""


@dataclass(eq=False)
class Service:
    """One service: made by :func:`rtmpose.serve.app.create_app`.

    Attributes:
        settings: Its settings.
        engine: What works on images.
        metrics: Its numbers.
        threads: Threads in which images are decoded and drawn.
        warming_up: Whether the service still compiles for likely images. Requests are taken, but it
            does not say that it is ready.
    """

    settings: ServeSettings
    engine: ImageEngine
    metrics: Metrics
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(
            min(8, os.cpu_count() or 1), thread_name_prefix="rtmpose-images"
        )
    )
    warming_up: bool = False

    @property
    def ready(self) -> bool:
        """Whether requests are taken, and the first ones wait no longer than others."""
        return self.not_ready is None

    @property
    def not_ready(self) -> str | None:
        """Why it is not ready; None where it is."""
        if self.engine.stopping:
            return "stopping"
        if not self.engine.alive:
            return "a thread of the engine has ended"
        return "warming up" if self.warming_up else None

    def check_ready(self) -> None:
        """Refuse work while the service goes down."""
        if self.engine.stopping:
            raise draining()

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Call something that takes a while without holding up other requests."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, functools.partial(work, *arguments))

    async def decode(self, data: bytes, name: str) -> Image:
        """Decode an image of a client; see :func:`rtmpose.serve.images.decode_upload`."""
        started = time.perf_counter()
        image = await self.in_thread(decode_upload, data, name, self.settings.max_pixels)
        self.metrics.stage("decode", time.perf_counter() - started)
        return image

    async def estimate(
        self, tasks: Sequence[ImageTask], client: str, request: Request | None = None
    ) -> list[Estimated]:
        """The results of some images; nothing goes on for a client who has left.

        Raises:
            ServiceError: the queue is full, an image or box is not usable, or the client has left.
        """
        try:
            futures = self.engine.submit(tasks, client)
        except InputError as error:
            raise unusable(str(error)) from error
        waiting = asyncio.gather(*map(asyncio.wrap_future, futures))
        gone = asyncio.ensure_future(_gone(request)) if request is not None else None
        try:
            both: list[asyncio.Future[Any]] = [waiting] if gone is None else [waiting, gone]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ServiceError(CLIENT_GONE, "gone", "the client has left")
            results = waiting.result()
        except InputError as error:
            raise unusable(str(error)) from error
        except BackendError as error:
            raise ServiceError(503, "engine", str(error), 5.0) from error
        finally:
            waiting.cancel()
            if gone is not None:
                gone.cancel()
        for result in results:
            self.metrics.estimated(result)
        return results

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def client_name(request: Request) -> str:
    """In whose name a request waits."""
    return str(getattr(request.state, "client", "local"))


def fault_of(error: RtmposeError) -> ServiceError:
    """An error of the package as an answer."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, InputError):
        return unusable(str(error))
    if isinstance(error, OutputError):
        # Its text names our files.
        log.error("%s", error)
        return ServiceError(503, "disk", "there is no room on the disk; try again later", 30.0)
    return ServiceError(503, "engine", str(error), 5.0)


async def _gone(request: Request) -> None:
    """Returns when the client has left."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
