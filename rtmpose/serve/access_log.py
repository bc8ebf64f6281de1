"""Logs of the service: a line for each request, as text or as JSON. Never a query, a header or a
token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from rtmpose.text_files import to_json

log = logging.getLogger("rtmpose.serve.access")

RequestSeen = Callable[[str, str, int, float], None]
"""Told of every request: method, path of the route, status, seconds."""

FIELDS = ("method", "path", "status", "ms", "bytes", "client", "request")
OTHER_PATH = "other"
PROBES = ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")
"""Asked every few seconds by what watches over the service: logged where they fail."""
LONGEST_PATH = 200


@dataclass(eq=False)
class Entry:
    """A request that is not answered yet."""

    scope: MutableMapping[str, Any]
    method: str
    client: str
    request_id: str
    started: float = field(default_factory=time.perf_counter)


class AccessLog:
    """Notes every request.

    Args:
        on_request: Told of every request too.
    """

    def __init__(self, on_request: RequestSeen | None = None) -> None:
        self._on_request = on_request

    def begin(self, scope: MutableMapping[str, Any], client: str, request_id: str) -> Entry:
        """A request has come."""
        return Entry(scope, str(scope.get("method", "WS")), client, request_id)

    def end(self, entry: Entry, status: int, sent_bytes: int) -> None:
        """It was answered; status 0 if it was not."""
        seconds = time.perf_counter() - entry.started
        scope = entry.scope
        method = entry.method
        # The pattern, not the path: ids would make a line of metrics of every job.
        route = getattr(scope.get("route"), "path", OTHER_PATH)
        if self._on_request is not None:
            self._on_request(method if method.isalpha() else "?", route, status, seconds)
        values = (
            method[:16],
            str(scope["path"])[:LONGEST_PATH],
            status,
            round(seconds * 1000, 1),
            sent_bytes,
            entry.client,
            entry.request_id,
        )
        fields = dict(zip(FIELDS, values, strict=True))
        is_usual = scope["path"] in PROBES and 0 < status < 400
        log.log(
            logging.DEBUG if is_usual else logging.INFO,
            "%(method)s %(path)r %(status)s in %(ms)s ms from %(client)s (%(request)s)",
            fields,
            extra={"fields": fields},
        )


class JsonLines(logging.Formatter):
    """A JSON object for each line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return to_json(line, separators=(",", ":"))


def set_up_logs(*, as_json: bool, level: int, own: int) -> None:
    """Send lines to standard error, in one of the two forms.

    Args:
        as_json: One JSON object a line.
        level: Of other packages.
        own: Of this package; the lines of requests are of ``INFO``, those of probes of ``DEBUG``.
    """
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLines() if as_json else plain)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("rtmpose").setLevel(own)
