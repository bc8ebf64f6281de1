"""An engine whose images are worked on elsewhere, by replicas that may end at any moment.

An image is a question without side effects: where its replica is lost, another one is asked, so
that what was accepted ends with a result.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from functools import partial

from rtmpose.errors import BackendError
from rtmpose.families import PoseModel
from rtmpose.serve.admission import Admission
from rtmpose.serve.engine import BatchSeen
from rtmpose.serve.engine_calls import pixels_of
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.tickets import Estimated, ImageTask
from rtmpose.types import Skeleton, check_image

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

Ask = Callable[[ImageTask, str], Awaitable[Estimated]]
"""Asks a replica about an image of a client; :class:`ReplicaLostError` where it ended meanwhile."""


class ReplicaLostError(Exception):
    """A replica ended, or takes nothing at this moment: another one may be asked."""


class RemoteEngine:
    """A :class:`rtmpose.serve.engine.ImageEngine` that asks replicas.

    Args:
        model: Tells what the models are; it works on nothing.
        settings: How much may wait.
        ask: Asks a replica. Called in a thread of this engine.
        on_close: Called when everything was answered.
        patience_s: How long an image is asked about again after its replicas were lost.
    """

    on_batch: BatchSeen | None = None

    def __init__(
        self,
        model: PoseModel,
        settings: ServeSettings,
        ask: Ask,
        on_close: Callable[[], None] | None = None,
        patience_s: float = 120.0,
    ) -> None:
        self._model = model
        self._admission = Admission(settings)
        self._ask = ask
        self._on_close = on_close
        self._patience_s = patience_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rtmpose-replicas", daemon=True)
        self._thread.start()

    @property
    def model(self) -> PoseModel:
        """What the models are."""
        return self._model

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self._model.skeleton

    @property
    def in_work(self) -> int:
        """Images that wait or are worked on."""
        return self._admission.in_work

    @property
    def waiting(self) -> tuple[int, int]:
        """Where images wait is known to the replicas only."""
        return 0, 0

    @property
    def stopping(self) -> bool:
        """Whether nothing more is taken."""
        return self._admission.stopping

    @property
    def alive(self) -> bool:
        """Whether replicas can be asked."""
        return self._thread.is_alive()

    def submit(self, tasks: Sequence[ImageTask], client: str) -> list[Future[Estimated]]:
        """Take the images of a request; see :meth:`rtmpose.serve.engine.Engine.submit`."""
        for task in tasks:
            check_image(task.image)
        self._admission.admit(len(tasks), sum(pixels_of(task.image) for task in tasks), client)
        futures = []
        for task in tasks:
            future = asyncio.run_coroutine_threadsafe(self._answer(task, client), self._loop)
            leave = partial(self._leave, pixels_of(task.image), client)
            future.add_done_callback(leave)
            futures.append(future)
        return futures

    def answer(self, task: ImageTask, client: str) -> Estimated:
        """Take an image and wait for its result; see :meth:`submit`."""
        return self.submit([task], client)[0].result()

    def warm_up(self) -> None:
        """Nothing: replicas do so when they start."""

    def close(self, timeout_s: float = 30.0) -> bool:
        """Take no more, wait for what was taken, end the thread."""
        finished = self._admission.close(timeout_s)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10.0)
            if self._on_close is not None:
                self._on_close()
        return finished

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

        # What nobody waits for any more.
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _leave(self, pixels: int, client: str, _: Future[Estimated]) -> None:
        self._admission.leave(pixels, client)

    async def _answer(self, task: ImageTask, client: str) -> Estimated:
        started = time.monotonic()
        pause = FIRST_PAUSE_S
        while True:
            try:
                result = await self._ask(task, client)
                break
            except ReplicaLostError as error:
                if time.monotonic() - started > self._patience_s:
                    raise BackendError(f"no replica answers: {error}") from error
                log.warning("a replica was lost, another one is asked: %s", error)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 2 * pause)
        self._admission.took(time.monotonic() - started)
        return result
