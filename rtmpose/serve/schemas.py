"""The forms of answers, for the OpenAPI document. The routes make those with many numbers as plain
dictionaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ErrorText:
    """What was wrong."""

    code: str
    message: str


@dataclass(frozen=True)
class ErrorBody:
    """The body of every answer that is an error."""

    error: ErrorText


@dataclass(frozen=True)
class ImageEntry:
    """An image of the request, in its order."""

    id: int
    file_name: str
    width: int
    height: int


@dataclass(frozen=True)
class Annotation:
    """A person, as in COCO; keypoints are x, y, score for each, in image pixels."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int
    score: float
    box_score: float
    num_keypoints: int
    keypoints: list[float | None]


@dataclass(frozen=True)
class Category:
    """The names of the keypoints; ``skeleton`` has pairs counted from 1, as in COCO."""

    id: int
    name: str
    supercategory: str
    keypoints: list[str]
    skeleton: list[list[int]]


@dataclass(frozen=True)
class Timing:
    """Milliseconds; those of several images are summed."""

    decode: float
    wait: float
    detect: float
    pose: float
    total: float


@dataclass(frozen=True)
class ModelNames:
    """The models that were used."""

    pose: str
    detector: str | None
    skeleton: str


@dataclass(frozen=True)
class PosesAnswer:
    """The people of all images of a request."""

    images: list[ImageEntry]
    annotations: list[Annotation]
    categories: list[Category]
    model: ModelNames
    timing_ms: Timing


@dataclass(frozen=True)
class JobEntry:
    """A video and its results; the table of :mod:`rtmpose.serve.job_store` has the same fields."""

    id: str
    state: str
    name: str
    created: float
    started: float | None
    finished: float | None
    bytes: int
    frames: int
    total: int | None
    fps: float
    people: int
    attempts: int
    settings: dict[str, Any]
    error: str | None
    files: list[dict[str, Any]]


@dataclass(frozen=True)
class JobList:
    """Jobs, the newest first."""

    jobs: list[JobEntry]


@dataclass(frozen=True)
class Health:
    """Whether the service is well."""

    status: str


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The request cannot be read."},
    401: {"model": ErrorBody, "description": "The token is missing or wrong."},
    403: {"model": ErrorBody, "description": "The request is of a page from another origin."},
    408: {"model": ErrorBody, "description": "The body comes too slowly."},
    413: {"model": ErrorBody, "description": "The body, an image or a number is too large."},
    415: {"model": ErrorBody, "description": "The content is of another kind."},
    422: {"model": ErrorBody, "description": "The content cannot be used."},
    429: {"model": ErrorBody, "description": "Too much at once: try again after Retry-After."},
    503: {"model": ErrorBody, "description": "The service is stopping or its engine failed."},
}
"""What every route can answer with."""
