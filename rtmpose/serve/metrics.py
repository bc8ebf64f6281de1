"""Numbers for Prometheus. Every application has a registry of its own."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from rtmpose.serve.engine import ImageEngine
from rtmpose.serve.tickets import Estimated

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts what happens.

    Args:
        version: Of the package.
    """

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        of = {"registry": self.registry}
        ProcessCollector(registry=self.registry)  # memory, files, time of this process
        build = Gauge("rtmpose_build_info", "Version of the package, always 1.", ["version"], **of)
        build.labels(version).set(1)
        self._requests = Counter(
            "rtmpose_requests_total", "Requests by route and status.", ["route", "status"], **of
        )
        self._request_s = Histogram(
            "rtmpose_request_seconds", "Duration of requests.", ["route"], buckets=SECONDS, **of
        )
        self._images = Counter("rtmpose_images_total", "Images with results.", **of)
        self._people = Counter("rtmpose_people_total", "People in results.", **of)
        self._batch = Histogram(
            "rtmpose_batch_size",
            "People in a call of the pose network, images in one of the detector.",
            ["stage"],
            buckets=BATCHES,
            **of,
        )
        self._stage_s = Histogram(
            "rtmpose_stage_seconds",
            "Duration of decoding, waiting, and network calls.",
            ["stage"],
            buckets=SECONDS,
            **of,
        )
        self._dropped = Counter(
            "rtmpose_dropped_frames_total", "Frames of streams replaced by newer ones.", **of
        )
        self._queue = Gauge("rtmpose_queue_length", "Images that wait.", ["stage"], **of)
        self._in_work = Gauge("rtmpose_images_in_work", "Images that wait or are at work.", **of)
        self.streams = Gauge("rtmpose_streams", "Open streams.", **of)
        self.jobs = Gauge("rtmpose_jobs", "Jobs by state.", ["state"], **of)

    def watch(self, engine: ImageEngine) -> None:
        """Take the numbers of an engine."""
        engine.on_batch = self.batch
        self._in_work.set_function(lambda: engine.in_work)
        self._queue.labels("detect").set_function(lambda: engine.waiting[0])
        self._queue.labels("pose").set_function(lambda: engine.waiting[1])

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        # Streams last as long as their clients like.
        if method != "WS":
            self._request_s.labels(route).observe(seconds)

    def batch(self, stage: str, count: int, seconds: float) -> None:
        """A network was called."""
        self._batch.labels(stage).observe(count)
        self._stage_s.labels(stage).observe(seconds)

    def stage(self, stage: str, seconds: float) -> None:
        """A stage that is no network call took its time."""
        self._stage_s.labels(stage).observe(seconds)

    def estimated(self, result: Estimated) -> None:
        """An image has its result."""
        self._images.inc()
        self._people.inc(len(result.poses))
        self._stage_s.labels("wait").observe(result.wait_s)

    def job_counts(self, counts: dict[str, int]) -> None:
        """The number of jobs in each state has changed."""
        for state, count in counts.items():
            self.jobs.labels(state).set(count)

    def dropped(self, count: int) -> None:
        """Frames of a stream were replaced by newer ones."""
        self._dropped.inc(count)

    def text(self) -> bytes:
        """All numbers, in Prometheus' text format."""
        return generate_latest(self.registry)
