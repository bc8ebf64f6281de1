"""Who may come in: what waits and is worked on is bounded, and no client gets all of it."""

from __future__ import annotations

import threading
import time
from collections import Counter

from rtmpose.serve.faults import busy, draining
from rtmpose.serve.settings import ServeSettings

FIRST_GUESS_S = 0.05
"""Seconds that an image takes, before any was done."""
NEWS = 0.1
"""Weight of the newest image in the mean time."""


class Admission:
    """Counts images in and out. For any thread.

    Args:
        settings: How many there may be.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._idle = threading.Condition()
        self._of_client: Counter[str] = Counter()
        self._pixels = 0
        self._seconds_each = FIRST_GUESS_S
        self._stopping = False

    @property
    def in_work(self) -> int:
        """Images that wait or are worked on."""
        return self._of_client.total()

    @property
    def stopping(self) -> bool:
        """Whether nothing more is taken."""
        return self._stopping

    def admit(self, count: int, pixels: int, client: str) -> None:
        """Count a request in.

        Args:
            count: Its images.
            pixels: Those of all images together.
            client: Whose it is.

        Raises:
            ServiceError: there is no room, or nothing more is taken.
        """
        with self._idle:
            if self._stopping:
                raise draining()
            limits = self._settings
            total = self._of_client.total()
            full = total + count > limits.max_queue
            # A single image of the largest size always fits, where there is nothing else.
            full |= total > 0 and self._pixels + pixels > limits.max_queue_pixels

            # The next client must find room: nobody takes more than a share of the queue.
            others = sum(1 for name in self._of_client if name != client)
            share = max(1, limits.max_queue // (others + 2), min(count, limits.max_queue))
            if full or self._of_client[client] + count > share:
                raise busy(self.retry_after_s())
            self._of_client[client] += count
            self._pixels += pixels

    def leave(self, pixels: int, client: str) -> None:
        """Count an image out."""
        with self._idle:
            self._of_client[client] -= 1
            if self._of_client[client] <= 0:
                del self._of_client[client]
            self._pixels -= pixels
            if not self.in_work:
                self._idle.notify_all()

    def took(self, seconds: float) -> None:
        """Note how long an image took."""
        self._seconds_each += NEWS * (seconds - self._seconds_each)

    def retry_after_s(self) -> float:
        """When a place will probably be free."""
        return min(30.0, max(1.0, self.in_work * self._seconds_each / 2))

    def close(self, timeout_s: float) -> bool:
        """Take no more; whether all was finished within that time."""
        deadline = time.monotonic() + timeout_s
        with self._idle:
            self._stopping = True
            while self.in_work and (left := deadline - time.monotonic()) > 0:
                self._idle.wait(left)
            return not self.in_work
