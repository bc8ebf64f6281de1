"""Requests that are frames of one stream, told by their ``sequence_id``: a tracker for each."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rtmpose.serve.engine_model import EngineModel
from rtmpose.serve.faults import bad_request, busy
from rtmpose.serve.service import Service
from rtmpose.serve.stream_settings import StreamSettings
from rtmpose.tracking import PoseTracker
from rtmpose.types import Image, Poses

FORGOTTEN_S = 60.0
"""A sequence without a request for so long is over."""


@dataclass(eq=False)
class _Sequence:
    tracker: PoseTracker
    begun: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sequences:
    """The sequences of all clients; as many as streams may be open.

    Args:
        service: The service.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._all: OrderedDict[tuple[str, str], _Sequence] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None

    async def track(self, parameters: Mapping[str, object], image: Image, client: str) -> Poses:
        """The people of the next frame of a sequence, with ids.

        Args:
            parameters: ``sequence_id``, ``sequence_start``, ``sequence_end``.
            image: The frame.
            client: Whose sequence it is.

        Raises:
            ServiceError: too many sequences are open.
        """
        number = parameters["sequence_id"]
        if not isinstance(number, int | str) or len(str(number)) > 64:
            raise bad_request("sequence_id must be a number or a short text")
        key = (client, str(number))
        sequence = self._sequence(key, client, anew=bool(parameters.get("sequence_start")))
        # Frames of one sequence, one after the other.
        async with sequence.turn:
            moment = time.monotonic() - sequence.begun
            loop = asyncio.get_running_loop()
            poses = await loop.run_in_executor(
                self._pool(), lambda: sequence.tracker(image, time_s=moment)
            )
        sequence.used = time.monotonic()
        if parameters.get("sequence_end"):
            self._all.pop(key, None)
        return poses

    def _sequence(self, key: tuple[str, str], client: str, *, anew: bool) -> _Sequence:
        now = time.monotonic()
        if anew:
            self._all.pop(key, None)
        for other in [k for k, found in self._all.items() if now - found.used > FORGOTTEN_S]:
            del self._all[other]
        if key not in self._all:
            limits = self._service.settings
            if len(self._all) >= limits.max_streams:
                raise busy(FORGOTTEN_S / 2)
            params = StreamSettings().params(limits)
            model = EngineModel(self._service.engine, client)
            self._all[key] = _Sequence(PoseTracker(None, model, params))
        return self._all[key]

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _pool(self) -> ThreadPoolExecutor:
        # Made when the first sequence comes.
        if self._threads is None:
            most = min(16, self._service.settings.max_streams)
            self._threads = ThreadPoolExecutor(most, thread_name_prefix="rtmpose-sequence")
        return self._threads
