"""One stream: its newest frame, its tracker, its thread."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rtmpose.errors import RtmposeError
from rtmpose.serve.engine_model import EngineModel
from rtmpose.serve.images import decode_upload
from rtmpose.serve.results import milliseconds, people_json
from rtmpose.serve.service import Service, fault_of
from rtmpose.serve.stream_settings import StreamSettings
from rtmpose.serve.tickets import ImageTask
from rtmpose.tracking import PoseTracker
from rtmpose.types import Image, Poses

log = logging.getLogger(__name__)

BROKEN = "an error of the service; see its log"


@dataclass(frozen=True, eq=False)
class StreamFrame:
    """A frame that came.

    Attributes:
        number: Of the frame in its stream, from 0.
        data: The image file.
        time_s: Seconds of the frame.
        received: When it came (``time.perf_counter``).
    """

    number: int
    data: bytes
    time_s: float
    received: float


class StreamSession:
    """Works on the frames of one stream, always the newest.

    Args:
        service: The service.
        client: Whose stream it is.
        settings: What is asked for.
    """

    def __init__(self, service: Service, client: str, settings: StreamSettings) -> None:
        self._service = service
        self._client = client
        self._count = 0
        self._dropped = 0
        self._newest: StreamFrame | None = None
        self._begin = time.perf_counter()
        # A thread of its own, as it waits for the engine most of the time.
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="rtmpose-stream")
        self.use(settings)

    def use(self, settings: StreamSettings) -> None:
        """Go on with other settings; everybody gets new ids."""
        self.settings = settings
        model = EngineModel(self._service.engine, self._client)
        self._tracker = PoseTracker(None, model, settings.params(self._service.settings))

    def reset(self) -> None:
        """Forget everybody."""
        self._tracker.reset()

    def add(self, data: bytes, time_s: float | None) -> None:
        """A frame came; one that still waits is dropped for it."""
        now = time.perf_counter()
        if self._newest is not None:
            self._dropped += 1
            self._service.metrics.dropped(1)
        moment = now - self._begin if time_s is None else time_s
        self._newest = StreamFrame(self._count, data, moment, now)
        self._count += 1

    def take(self) -> StreamFrame | None:
        """The newest frame, if it was not taken yet."""
        frame = self._newest
        self._newest = None
        return frame

    def work(self, frame: StreamFrame) -> dict[str, Any]:
        """The message with the people of a frame, or with what was wrong with it. In the thread of
        the session.
        """
        dropped = self._dropped
        self._dropped = 0
        about = {"frame": frame.number, "dropped": dropped}
        started = time.perf_counter()
        try:
            image = decode_upload(
                frame.data, f"frame {frame.number}", self._service.settings.max_pixels
            )
            decoded = time.perf_counter()
            poses = self._poses(image, frame.time_s)
        except RtmposeError as error:
            fault = fault_of(error)
            return {"type": "error", **about, "code": fault.code, "message": str(fault)}
        except Exception:
            # What nobody thought of: told to the log, and the stream goes on.
            log.exception("an error in a stream")
            return {"type": "error", **about, "code": "internal", "message": BROKEN}
        done = time.perf_counter()
        self._service.metrics.stage("decode", decoded - started)
        height, width = image.shape[:2]
        return {
            "type": "result",
            **about,
            "time_s": round(frame.time_s, 4),
            "width": width,
            "height": height,
            "people": people_json(poses),
            "ms": {
                "wait": milliseconds(started - frame.received),
                "decode": milliseconds(decoded - started),
                "people": milliseconds(done - decoded),
                "total": milliseconds(done - frame.received),
            },
        }

    def close(self) -> None:
        """End the thread, after the frame that it is at."""
        self.thread.shutdown(wait=False, cancel_futures=True)

    def _poses(self, image: Image, time_s: float) -> Poses:
        if self.settings.track:
            return self._tracker(image, time_s=time_s)
        limits = self._service.settings
        wanted = self.settings
        task = ImageTask(
            image,
            box_thr=limits.box_thr if wanted.box_thr is None else wanted.box_thr,
            max_people=min(wanted.max_people or limits.max_people, limits.max_people),
            person_thr=limits.person_thr if wanted.person_thr is None else wanted.person_thr,
        )
        result = self._service.engine.answer(task, self._client)
        self._service.metrics.estimated(result)
        return result.poses
