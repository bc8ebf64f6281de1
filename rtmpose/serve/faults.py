"""What a request can be refused for, with the status that the client gets."""

from __future__ import annotations

import math

from rtmpose.errors import RtmposeError


class ServiceError(RtmposeError):
    """A request that is refused. The client gets the status, the code and the text.

    Attributes:
        status: HTTP status.
        code: One word for programs, such as ``too_large``.
        retry_after_s: Seconds after which to try again; None where that helps nothing.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers: dict[str, str] = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 426:
            headers["Upgrade"] = "websocket"
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def busy(retry_after_s: float) -> ServiceError:
    """The queue is full, or the client has its share of it."""
    return ServiceError(429, "busy", "too many requests are waiting; try again", retry_after_s)


def draining() -> ServiceError:
    """The service is going down."""
    return ServiceError(503, "stopping", "the service is stopping; try again", 5.0)


def too_large(message: str) -> ServiceError:
    """A body, image or number over its limit."""
    return ServiceError(413, "too_large", message)


def bad_request(message: str) -> ServiceError:
    """A request that cannot be read."""
    return ServiceError(400, "bad_request", message)


def unusable(message: str) -> ServiceError:
    """A request that can be read, with content that cannot be used."""
    return ServiceError(422, "unusable", message)


def not_found(message: str) -> ServiceError:
    """A name that does not exist."""
    return ServiceError(404, "not_found", message)
