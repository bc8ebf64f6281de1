"""Cameras and streams: frames by the time of their arrival, new connections when they fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator

from rtmpose.errors import InputError
from rtmpose.sources.cameras import camera_images
from rtmpose.sources.items import SourceItem
from rtmpose.types import Frame, Image

log = logging.getLogger(__name__)

RECONNECTS = 5
LONGEST_PAUSE_S = 8.0


def live_frames(item: SourceItem) -> Generator[Frame, None, None]:
    """The frames of a camera or stream. One that fails is opened again a few times, with growing
    pauses.

    Raises:
        InputError: it never gave a frame, or gives none any more.
    """
    index = 0
    failures = 0
    start = time.monotonic()
    while True:
        reason = ""
        images = connection(item)
        try:
            for image in images:
                failures = 0
                # The time of arrival: live sources have no reliable stamps.
                yield Frame(image, index, time.monotonic() - start, item.name)
                index += 1
        except InputError as error:
            # What never worked is a wrong address, or a source that is off.
            if not index:
                raise
            reason = f" ({error})"
        finally:
            close = getattr(images, "close", None)
            if close is not None:
                close()

        # Reconnect with growing pauses, then give up.
        failures += 1
        if failures > RECONNECTS:
            after = f" after {index} frames and {RECONNECTS} new connections"
            raise InputError(
                f"{item.kind} {item.name} gave no frame any more{after}; what came before is kept"
                if index
                else f"{item.kind} {item.name} gave no frame, in {failures} connections"
            )
        pause = min(LONGEST_PAUSE_S, 0.25 * 2**failures)
        log.warning("%s gave no frame%s; opening it again in %.1f s", item.name, reason, pause)
        time.sleep(pause)


def connection(item: SourceItem) -> Iterator[Image]:
    """The images of one connection."""
    if item.kind == "camera":
        return camera_images(item.name, item.camera)

    # FFmpeg takes a moment to load, so only where it is needed.
    from rtmpose.sources.streams import stream_images

    return stream_images(item.url)
