"""One engine for all requests: people of different clients share the calls of the pose network.

    submit -> [queue] -> people in images of many requests in one call (a thread)
           -> [queue] -> poses of many requests in one call (another thread)

On a CPU the detector takes one image after the other, and a call of the pose network is short: an
image with many people takes several, between which those with few people come. Both queues are fair
to clients, and what is in them is bounded: whoever comes when they are full is told to come again.
Every device has its own model, and threads that take from the same queues; on a CPU several calls
run at the same time, each with a share of the cores.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from rtmpose.families import PoseModel
from rtmpose.people import people_of
from rtmpose.serve.admission import Admission
from rtmpose.serve.call_size import CallSize
from rtmpose.serve.engine_calls import calibration_of, pixels_of, poses_of, takes_any
from rtmpose.serve.fair_queue import FairQueue
from rtmpose.serve.parallel_model import calls_of, for_calls
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.shared_detection import SharedDetection
from rtmpose.serve.tickets import Estimated, ImageTask, Part, Ticket
from rtmpose.serve.warm_up import seconds_of_calls, warm_up
from rtmpose.types import Poses, Skeleton, check_image

log = logging.getLogger(__name__)

MANY_WAITING = 2
"""Images that wait, for each call at a time: from then on work is shared so that it costs least."""

BatchSeen = Callable[[str, int, float], None]
"""Told of every network call: the stage, people (or images) in it, and its seconds."""


# ---- the engine


class ImageEngine(Protocol):
    """What works on images of many clients: :class:`Engine`, or machines of a cluster."""

    on_batch: BatchSeen | None

    @property
    def model(self) -> PoseModel:
        """What the models are."""

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""

    @property
    def in_work(self) -> int:
        """Images that wait or are worked on."""

    @property
    def waiting(self) -> tuple[int, int]:
        """Images that wait for the detector, and for the pose network."""

    @property
    def stopping(self) -> bool:
        """Whether nothing more is taken."""

    @property
    def alive(self) -> bool:
        """Whether it works."""

    def submit(self, tasks: Sequence[ImageTask], client: str) -> list[Future[Estimated]]:
        """Take the images of a request, all or none; see :meth:`Engine.submit`."""

    def answer(self, task: ImageTask, client: str) -> Estimated:
        """Take an image and wait for its result; see :meth:`Engine.answer`."""

    def warm_up(self) -> None:
        """Make the models ready for likely images; ends early where nothing more is taken."""

    def close(self, timeout_s: float = 30.0) -> bool:
        """Take no more, finish what was taken; whether all was finished in that time."""


class Engine:
    """Works on images of many clients.

    Args:
        models: An opened model for each device, all of the same kind.
        settings: Sizes of batches and queues.
        on_batch: Told of every network call.
    """

    def __init__(
        self,
        models: Sequence[PoseModel],
        settings: ServeSettings | None = None,
        on_batch: BatchSeen | None = None,
    ) -> None:
        self.settings = settings or ServeSettings()
        self._model = models[0]
        self.on_batch = on_batch
        self._to_detect: FairQueue[Ticket] = FairQueue()
        self._to_estimate: FairQueue[Ticket] = FairQueue()
        self._lock = threading.Lock()
        self._admission = Admission(self.settings)
        self._finding = 0
        # For an image that is the only one: the model with all cores.
        self._alone: tuple[PoseModel, SharedDetection, CallSize] | None = None

        self._threads: list[threading.Thread] = []
        self._opened: list[PoseModel] = []  # all, those for several calls at once too
        self._beside: list[tuple[PoseModel, CallSize]] = []  # the latter
        self._estimating = 0  # threads
        for number, model in enumerate(models):
            self._start_model(number, model)

    @property
    def model(self) -> PoseModel:
        """The first of the models."""
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
        """Images that wait for the detector, and for the pose network."""
        return len(self._to_detect), len(self._to_estimate)

    @property
    def stopping(self) -> bool:
        """Whether nothing more is taken."""
        return self._admission.stopping

    @property
    def alive(self) -> bool:
        """Whether all threads are at work."""
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, tasks: Sequence[ImageTask], client: str) -> list[Future[Estimated]]:
        """Take the images of a request, all or none.

        Args:
            tasks: The images; no more than half of ``max_queue``.
            client: Whose they are; who had much lately waits for the others.

        Returns:
            As many futures. Cancel those that nobody waits for.

        Raises:
            ServiceError: the queue is full, or the engine is stopping.
            InputError: an image is not usable.
        """
        tickets = self._admit(tasks, client)
        for ticket in tickets:
            self._put(ticket)
        return [ticket.future for ticket in tickets]

    def answer(self, task: ImageTask, client: str) -> Estimated:
        """Take an image and wait for its result. If it is the only one, and needs a single call,
        the calling thread makes it: handing it to another one takes a while.

        Args:
            task: The image.
            client: Whose it is.

        Raises:
            ServiceError: the queue is full, or the engine is stopping.
            InputError: the image is not usable.
        """
        (ticket,) = self._admit([task], client)
        if self._alone is None or self.in_work > 1 or not self._work_alone(ticket, *self._alone):
            self._put(ticket)
        return ticket.future.result()

    def _work_alone(
        self, ticket: Ticket, model: PoseModel, detection: SharedDetection, size: CallSize
    ) -> bool:
        """Make the only call that an image needs; False where it needs several."""
        if self._needs_detection(ticket):
            if not ticket.task.boxes_only:
                return False
            ticket.future.set_running_or_notify_cancel()
            self._to_detect.charge(ticket.client, 1)
            self._detect(model, detection, [ticket])
            return True
        if ticket.people > size.people:
            return False
        ticket.future.set_running_or_notify_cancel()
        self._estimate(model, [self._part(ticket, size.people)], size)
        return True

    def _admit(self, tasks: Sequence[ImageTask], client: str) -> list[Ticket]:
        for task in tasks:
            check_image(task.image)
        pixels = [pixels_of(task.image) for task in tasks]
        self._admission.admit(len(tasks), sum(pixels), client)
        tickets = [Ticket(task, client, task.boxes) for task in tasks]
        for ticket, size in zip(tickets, pixels, strict=True):
            # Called once, when it is done, failed or canceled. It must not know the ticket: a
            # future keeps its callbacks, and images in such a circle stay in memory until the
            # garbage collector looks at objects of their age.
            ticket.future.add_done_callback(partial(self._leave, size, client))
        return tickets

    def warm_up(self) -> None:
        """Make the calls of likely images once; see :mod:`rtmpose.serve.warm_up`. Requests that
        come meanwhile are worked on. It ends early where nothing more is taken.
        """
        for model in self._opened:
            try:
                warm_up(model, lambda: not self.stopping)
            except Exception:  # a request for such an image will be told
                log.exception("a model could not be made ready for likely images")
        for model, size in self._beside:
            size.measured(self._seconds_of_calls(model))

    def _seconds_of_calls(self, model: PoseModel) -> dict[int, float]:
        try:
            return seconds_of_calls(model, lambda: not self.stopping)
        except Exception:  # a request for such people will be told
            log.exception("calls of a model could not be measured")
            return {}

    def close(self, timeout_s: float = 30.0) -> bool:
        """Take no more, finish what was taken, end the threads.

        Returns:
            Whether all was finished in that time.
        """
        deadline = time.monotonic() + timeout_s
        finished = self._admission.close(timeout_s)
        self._to_detect.close()
        self._to_estimate.close()
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        return finished

    def _leave(self, pixels: int, client: str, _: Future[Estimated]) -> None:
        self._admission.leave(pixels, client)

    def _put(self, ticket: Ticket) -> None:
        if not self._needs_detection(ticket):
            self._put_to_estimate(ticket)
            return
        with self._lock:
            self._finding += 1
        self._to_detect.put(ticket.client, ticket)

    def _needs_detection(self, ticket: Ticket) -> bool:
        return ticket.boxes is None and self.model.needs_boxes

    def _put_to_estimate(self, ticket: Ticket) -> None:
        # What is left of a crowd keeps the place that it had.
        if ticket.place is None:
            ticket.place = self._to_estimate.place(ticket.left)
        self._to_estimate.put(ticket.client, ticket, ticket.left, ticket.place)

    # ---- the threads

    def _start_model(self, number: int, model: PoseModel) -> None:
        """The threads of a device. Models that find people by themselves need no detector's."""
        calls = calls_of(model)
        beside = for_calls(model, calls)
        self._opened += [model] if beside is model else [model, beside]
        longest_s = self.settings.max_call_ms / 1000
        size = CallSize(self.settings.max_batch, longest_s if takes_any(model) else math.inf)
        if calls > 1 and number == 0:
            self._alone = model, SharedDetection(model, self.settings.detector_batch), size
        # A file of one batch size computes all of it in any case.
        if calls > 1 and model.needs_boxes and takes_any(model):
            self._beside.append((beside, size))
        self._estimating += calls
        # Of calls beside others nobody waits for company: it gains little on a CPU.
        wait_s = self.settings.max_wait_ms / 1000 if calls == 1 else 0.0
        for call in range(calls):
            name = f"rtmpose-estimate-{number}.{call}"
            self._start(name, self._estimate_loop, model, beside, size, wait_s)
        for call in range(max(1, calls // 2) if model.needs_boxes else 0):
            batch = self.settings.detector_batch
            detections = SharedDetection(model, batch), SharedDetection(beside, batch)
            self._start(f"rtmpose-detect-{number}.{call}", self._detect_loop, model, *detections)

    def _start(self, name: str, loop: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=loop, args=arguments, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _detect_loop(
        self, model: PoseModel, alone: SharedDetection, beside: SharedDetection
    ) -> None:
        while (first := self._to_detect.take()) is not None:
            # Those that wait already; nobody waits for others.
            self._to_detect.charge(first.client, 1)
            tickets = [first]
            # An image that is the only one has all cores.
            detection = alone if self.in_work == 1 else beside
            while len(tickets) < detection.images:
                more = self._to_detect.take(0.0)
                if more is None:
                    break
                self._to_detect.charge(more.client, 1)
                tickets.append(more)
            wanted = [t for t in tickets if t.future.set_running_or_notify_cancel()]
            if wanted:
                self._detect(model, detection, wanted)
            # The pose network need not wait for people who were not found.
            with self._lock:
                self._finding -= len(tickets)
            self._to_estimate.wake()

    def _detect(self, model: PoseModel, detection: SharedDetection, tickets: list[Ticket]) -> None:
        started = time.perf_counter()
        try:
            found = detection([ticket.task for ticket in tickets])
        except Exception as error:  # noqa: BLE001 (handed to who asked)
            # One bad image must not fail those it shared a call with.
            if len(tickets) > 1:
                for ticket in tickets:
                    self._detect(model, detection, [ticket])
            else:
                tickets[0].future.set_exception(error)
            return
        seconds = time.perf_counter() - started
        self._seen("detect", len(tickets), seconds)
        for ticket, boxes in zip(tickets, found, strict=True):
            ticket.boxes = boxes
            ticket.detect_s = seconds
            if ticket.task.boxes_only or not len(boxes):
                self._finish(ticket, Poses.empty(model.skeleton, calibration_of(model)))
            else:
                self._put_to_estimate(ticket)

    def _estimate_loop(
        self, alone: PoseModel, beside: PoseModel, size: CallSize, wait_s: float
    ) -> None:
        while (first := self._to_estimate.take()) is not None:
            many = len(self._to_estimate) >= MANY_WAITING * self._estimating
            call = self._call(first, size.people_for(many=many), wait_s)
            parts = [part for part in call if self._is_wanted(part.ticket)]
            # So have the people of an image that is the only one, if a single call takes them.
            only = self.in_work == 1 and len(parts) == 1 and parts[0].whole
            if parts:
                self._estimate(alone if only else beside, parts, size)

    def _call(self, first: Ticket, most: int, wait_s: float) -> list[Part]:
        """What shares a call of that many people: of the first image as many as there is room for,
        and all of others, as many as there are or come within the longest wait.
        """
        parts = [self._part(first, most)]
        people = parts[0].people
        deadline = time.monotonic() + wait_s
        while people < most:
            more = self._to_estimate.take(
                max(0.0, deadline - time.monotonic()),
                room=most - people,
                hopeless=lambda: self._finding == 0,
            )
            if more is None:
                break
            parts.append(self._part(more, most - people))
            people += parts[-1].people
        return parts

    def _part(self, ticket: Ticket, most: int) -> Part:
        part = ticket.part(most)
        self._to_estimate.charge(ticket.client, part.people)
        # The others wait for the next call, or are taken by another thread.
        if ticket.left:
            self._put_to_estimate(ticket)
        return part

    def _is_wanted(self, ticket: Ticket) -> bool:
        # Those that were detected, or begun, are running already.
        future = ticket.future
        with self._lock:
            if future.done():
                return False
            return future.running() or future.set_running_or_notify_cancel()

    def _estimate(self, model: PoseModel, parts: list[Part], size: CallSize) -> None:
        with self._lock:
            for part in parts:
                part.ticket.part_begins()
        started = time.perf_counter()
        poses: list[Poses] = []
        failure: Exception | None = None
        try:
            poses = poses_of(model, parts)
        except Exception as error:  # noqa: BLE001 (handed to who asked)
            failure = error
        seconds = time.perf_counter() - started
        with self._lock:
            for part in parts:
                part.ticket.part_ends()
                part.ticket.share_s += seconds / len(parts)
        if failure is not None:
            self._try_alone(model, parts, size, failure)
            return
        people = sum(part.people for part in parts)
        size.took(people, seconds)
        self._seen("pose", people, seconds)
        for part, found in zip(parts, poses, strict=True):
            with self._lock:
                whole = part.ticket.add(part, found)
            if whole:
                self._finish_people(model, part.ticket)

    def _try_alone(
        self, model: PoseModel, parts: list[Part], size: CallSize, failure: Exception
    ) -> None:
        """One bad request must not fail those it shared a call with."""
        if len(parts) > 1:
            for part in parts:
                self._estimate(model, [part], size)
            return
        ticket = parts[0].ticket
        with self._lock:
            first = not ticket.failed
            ticket.failed = True
        if first:
            ticket.future.set_exception(failure)

    def _finish_people(self, model: PoseModel, ticket: Ticket) -> None:
        given = ticket.task.boxes is not None or model.whole_image
        thr = 0.0 if given else ticket.task.person_thr
        self._finish(ticket, people_of(ticket.poses(), thr))
        self._admission.took(ticket.share_s + ticket.detect_s)

    def _finish(self, ticket: Ticket, poses: Poses) -> None:
        total = time.perf_counter() - ticket.submitted
        wait = max(0.0, total - ticket.detect_s - ticket.pose_s)
        ticket.future.set_result(
            Estimated(poses, ticket.boxes, wait, ticket.detect_s, ticket.pose_s)
        )

    def _seen(self, stage: str, count: int, seconds: float) -> None:
        if self.on_batch is not None:
            self.on_batch(stage, count, seconds)
