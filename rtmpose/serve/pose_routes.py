"""``POST /v1/poses``: images in, people out, as COCO-style JSON or as a picture."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from rtmpose.serve.faults import ServiceError, unusable
from rtmpose.serve.images import MEDIA_TYPES
from rtmpose.serve.models import model_names
from rtmpose.serve.pose_options import PoseOptions, check_boxes, query_options
from rtmpose.serve.pose_request import Upload, read_pose_request
from rtmpose.serve.results import (
    annotations_json,
    category_json,
    check_drawn_size,
    drawn,
    milliseconds,
)
from rtmpose.serve.schemas import ERRORS, PosesAnswer
from rtmpose.serve.service import Service, client_name
from rtmpose.serve.tickets import Estimated, ImageTask
from rtmpose.text_files import to_json
from rtmpose.types import Image

JSON_TYPE = "application/json"
PICTURES = ("image/jpeg", "image/png")

_IMAGE = {"type": "string", "format": "binary"}
_BOXES = {
    "type": "array",
    "items": {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 4,
        "maxItems": 4,
    },
}
_ENTRY = {
    "type": "object",
    "required": ["data"],
    "additionalProperties": False,
    "properties": {
        "data": {"type": "string", "format": "byte", "minLength": 4},
        "name": {"type": "string"},
        "boxes": _BOXES,
    },
}
_OPTIONS: dict[str, Any] = {
    "box_thr": {"type": "number", "minimum": 0, "maximum": 1},
    "person_thr": {"type": "number", "minimum": 0, "maximum": 1},
    "kpt_thr": {"type": "number", "minimum": 0, "maximum": 100},
    "max_people": {"type": "integer", "minimum": 1, "maximum": 1000},
    "background": {"enum": ["image", "black"]},
    "color": {"enum": ["side", "person", "id"]},
    "draw_boxes": {"type": "boolean"},
    "draw_scores": {"type": "boolean"},
    "output_size": {"type": "integer", "minimum": 16, "maximum": 16384},
}


def pose_routes(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter()
    pictures = {name: {"schema": _IMAGE} for name in PICTURES}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": PosesAnswer, "description": "The people.", "content": pictures},
        406: {**ERRORS[400], "description": "Neither JSON nor a picture is accepted."},
        **ERRORS,
    }

    @router.post(
        "/v1/poses",
        summary="People and their keypoints in images",
        responses=answers,
        response_class=Response,
        openapi_extra=_described(service.settings.max_images),
    )
    async def poses(
        request: Request,
        options: Annotated[PoseOptions, Depends(query_options)],
        boxes: Annotated[str | None, Query(include_in_schema=False)] = None,
    ) -> Response:
        started = time.perf_counter()
        service.check_ready()
        wanted = accepted_type(request.headers.get("accept", ""))
        found = await read_pose_request(request, options, boxes, service.settings)
        if wanted != JSON_TYPE and len(found.uploads) != 1:
            raise unusable("a picture is drawn of one image: send one, or accept application/json")
        style = found.options.style()

        # All images first, so that a bad one costs no network call.
        begun = time.perf_counter()
        images = [await service.decode(upload.data, upload.name) for upload in found.uploads]
        if wanted != JSON_TYPE:
            check_drawn_size(images[0], style, service.settings.max_pixels)
        decode_s = time.perf_counter() - begun
        tasks = [
            _task(service, image, upload, found.options)
            for image, upload in zip(images, found.uploads, strict=True)
        ]
        results = await service.estimate(tasks, client_name(request), request)

        if wanted != JSON_TYPE:
            picture = await service.in_thread(drawn, images[0], results[0].poses, style, wanted)
            return Response(picture, media_type=wanted)
        timing = _timing(results, decode_s, time.perf_counter() - started)
        answer = _answer(service, images, found.uploads, results, found.options.kpt_thr, timing)
        return Response(to_json(answer, separators=(",", ":")), media_type=JSON_TYPE)

    return router


def _described(most: int) -> dict[str, Any]:
    """Boxes and body, which are JSON in a text and images, for the OpenAPI document."""
    rows = {"description": "Rows x1, y1, x2, y2 of a single image.", **_BOXES}
    boxes = {
        "type": "string",
        "contentMediaType": JSON_TYPE,
        "description": "Rows of a single image, or a list with the rows of each.",
    }
    form = {
        "type": "object",
        "required": ["image"],
        "additionalProperties": False,
        "properties": {
            "image": {"type": "array", "items": _IMAGE, "minItems": 1, "maxItems": most},
            "boxes": boxes,
            **_OPTIONS,
        },
    }
    of_json = {
        "type": "object",
        "required": ["images"],
        "additionalProperties": False,
        "properties": {
            "images": {"type": "array", "items": _ENTRY, "minItems": 1, "maxItems": most},
            **_OPTIONS,
        },
    }
    return {
        "parameters": [{"name": "boxes", "in": "query", "content": {JSON_TYPE: {"schema": rows}}}],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                JSON_TYPE: {"schema": of_json},
                **{name: {"schema": _IMAGE} for name in MEDIA_TYPES},
            },
        },
    }


def accepted_type(accept: str) -> str:
    """The kind of answer that is wanted most, of those that there are.

    Raises:
        ServiceError: there is none of them (406).
    """
    for kind in _by_weight(accept or "*/*"):
        if kind in ("", "*/*", "application/*", JSON_TYPE):
            return JSON_TYPE
        if kind == "image/*":
            return PICTURES[0]
        if kind in PICTURES:
            return kind
    raise ServiceError(
        406, "accept", "answers are application/json, image/jpeg or image/png: see Accept"
    )


def _by_weight(accept: str) -> list[str]:
    """The kinds of an ``Accept``, those with the largest ``q`` first, without those of 0."""
    weights = []
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights.append((kind, float(weight)))
        except ValueError:
            weights.append((kind, 1.0))
    ordered = sorted(weights, key=lambda one: -one[1])
    return [kind for kind, weight in ordered if weight > 0]


def _task(service: Service, image: Image, upload: Upload, options: PoseOptions) -> ImageTask:
    settings = service.settings
    if upload.boxes is not None and not service.engine.model.needs_boxes:
        raise unusable("this model finds people by itself: it takes no boxes")
    if upload.boxes is not None:
        check_boxes(upload.boxes, image)
    box_thr = settings.box_thr if options.box_thr is None else options.box_thr
    person_thr = settings.person_thr if options.person_thr is None else options.person_thr
    return ImageTask(
        image,
        upload.boxes,
        box_thr=box_thr,
        max_people=min(options.max_people or settings.max_people, settings.max_people),
        person_thr=person_thr,
    )


def _timing(results: list[Estimated], decode_s: float, total_s: float) -> dict[str, float]:
    return {
        "decode": milliseconds(decode_s),
        "wait": milliseconds(sum(result.wait_s for result in results)),
        "detect": milliseconds(sum(result.detect_s for result in results)),
        "pose": milliseconds(sum(result.pose_s for result in results)),
        "total": milliseconds(total_s),
    }


def _answer(
    service: Service,
    images: list[Image],
    uploads: tuple[Upload, ...],
    results: list[Estimated],
    kpt_thr: float,
    timing: dict[str, float],
) -> dict[str, Any]:
    entries = []
    annotations: list[dict[str, Any]] = []
    for number, (image, upload, result) in enumerate(zip(images, uploads, results, strict=True)):
        height, width = image.shape[:2]
        entry = {"id": number, "file_name": upload.name, "width": width, "height": height}
        entries.append(entry)
        annotations += annotations_json(result.poses, number, len(annotations), kpt_thr)
    return {
        "images": entries,
        "annotations": annotations,
        "categories": [category_json(service.engine.skeleton)],
        "model": model_names(service.engine.model),
        "timing_ms": timing,
    }
