"""What an engine is asked for, and images on their way through it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from rtmpose.crowds import joined
from rtmpose.serve.fair_queue import Place
from rtmpose.types import Detections, Image, Poses

# ---- what is asked for


@dataclass(frozen=True, eq=False)
class ImageTask:
    """An image to work on.

    Attributes:
        image: BGR uint8 ``(H, W, 3)``.
        boxes: Where the people are; None finds them.
        box_thr: Lowest box score; None for the model's own.
        max_people: At most this many are found.
        person_thr: Lowest person score of those who are found; 0 keeps all.
        boxes_only: Find people, not their keypoints.
    """

    image: Image
    boxes: Detections | None = None
    box_thr: float | None = None
    max_people: int | None = None
    person_thr: float = 0.0
    boxes_only: bool = False


@dataclass(frozen=True, eq=False)
class Estimated:
    """What came of an image.

    Attributes:
        poses: The people; nobody, where only boxes were asked for.
        boxes: Where they were looked for; None for models that need no boxes.
        wait_s: Seconds in the queues.
        detect_s: Seconds of the call that found the boxes.
        pose_s: Seconds of the calls that gave the poses.
    """

    poses: Poses
    boxes: Detections | None
    wait_s: float
    detect_s: float
    pose_s: float


# ---- in the engine


@dataclass(eq=False)
class Ticket:
    """An image on its way. Its people are handed out in parts, in order; several parts may be at
    work at the same time. Not for several threads at once: the engine has a lock for it.
    """

    task: ImageTask
    client: str
    boxes: Detections | None
    future: Future[Estimated] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)
    place: Place | None = None  # in the queue for the pose network
    detect_s: float = 0.0
    pose_s: float = 0.0  # with a part at work
    share_s: float = 0.0  # of calls that are shared with others, the share
    begun: int = 0  # people that were handed out
    failed: bool = False
    _found: dict[int, Poses] = field(default_factory=dict)  # by the first of a part's people
    _done: int = 0
    _at_work: int = 0
    _since: float = 0.0

    @property
    def people(self) -> int:
        """All people of the image."""
        return 1 if self.boxes is None else len(self.boxes)

    @property
    def left(self) -> int:
        """People who were not handed out yet."""
        return self.people - self.begun

    def part(self, most: int) -> Part:
        """The next people, at most so many."""
        part = Part(self, self.begun, min(self.left, most))
        self.begun += part.people
        return part

    def part_begins(self) -> None:
        """A part is at work."""
        if not self._at_work:
            self._since = time.perf_counter()
        self._at_work += 1

    def part_ends(self) -> None:
        """A part is not at work any more."""
        self._at_work -= 1
        if not self._at_work:
            self.pose_s += time.perf_counter() - self._since

    def add(self, part: Part, poses: Poses) -> bool:
        """The poses of a part; whether they were the last ones of a good ticket."""
        self._found[part.start] = poses
        self._done += part.people
        return self._done == self.people and not self.failed

    def poses(self) -> Poses:
        """The people of all parts."""
        return joined([self._found[start] for start in sorted(self._found)])


@dataclass(frozen=True, eq=False)
class Part:
    """Some people of one image in one call.

    Attributes:
        ticket: The image.
        start: The first of them.
        people: How many.
    """

    ticket: Ticket
    start: int
    people: int

    @property
    def whole(self) -> bool:
        """Whether these are all people of the image."""
        boxes = self.ticket.boxes
        return boxes is None or self.people == len(boxes)

    @property
    def boxes(self) -> Detections:
        """Where they are."""
        boxes = self.ticket.boxes
        assert boxes is not None
        return boxes[self.start : self.start + self.people]
