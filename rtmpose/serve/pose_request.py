"""The images of a request for poses, out of a form, a plain body or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from rtmpose.serve.faults import ServiceError, bad_request, too_large, unusable
from rtmpose.serve.images import display_name
from rtmpose.serve.pose_options import (
    NAMES,
    PoseOptions,
    json_value,
    read_boxes,
    with_options,
)
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.uploads import (
    FIELD_BYTES,
    PartStart,
    form_events,
    from_base64,
    json_body,
    media_type_of,
)
from rtmpose.types import Detections

FORM = "multipart/form-data"
JSON = "application/json"
BYTES = "application/octet-stream"
CURL = "application/x-www-form-urlencoded"
"""What ``curl --data-binary`` says of every body."""
POSTED_FIELDS = (b"image=", b"images=", b"file=", b"data=")
STRIPPED = b"\0\r\n"
"""Bytes that ``curl -d @FILE`` leaves out."""
STRIPPED_BYTES = 2048
LONGEST_PATH = 1024


@dataclass(frozen=True, eq=False)
class Upload:
    """An image that was sent, not decoded yet."""

    name: str
    data: bytes
    boxes: Detections | None = None


@dataclass(frozen=True, eq=False)
class PoseRequest:
    """The images of a request, and what is asked."""

    uploads: tuple[Upload, ...]
    options: PoseOptions


async def read_pose_request(
    request: Request, options: PoseOptions, boxes: str | None, settings: ServeSettings
) -> PoseRequest:
    """Read the body.

    Args:
        request: The request.
        options: Those of its query.
        boxes: The boxes in its query, as JSON.
        settings: The limits.

    Raises:
        ServiceError: it cannot be read, or has too many images.
    """
    media_type = media_type_of(request)
    if media_type == FORM:
        found = await _read_form(request, options, boxes, settings)
    elif media_type == JSON:
        found = _read_json(await json_body(request), options, settings)
    elif media_type.startswith("image/") or media_type in ("", BYTES, CURL):
        body = await request.body()
        if media_type == CURL:
            _check_posted(body)
        given = None if boxes is None else read_boxes(boxes, settings)
        found = PoseRequest((Upload("the image", body, given),), options)
    else:
        raise ServiceError(
            415, "media_type", f"the body is neither {FORM}, {JSON} nor an image: {media_type!r}"
        )
    if not found.uploads:
        raise unusable("there is no image in the request")
    return found


async def _read_form(
    request: Request, options: PoseOptions, boxes: str | None, settings: ServeSettings
) -> PoseRequest:
    files: list[tuple[str, bytearray]] = []
    plain: list[bytearray] = []  # those of them without a name of a file
    fields: dict[str, bytearray] = {}
    target = bytearray()
    limit = settings.max_body_bytes
    async for event in form_events(request):
        if isinstance(event, PartStart):
            target = bytearray()
            if event.filename is None and event.name != "image":
                limit = FIELD_BYTES
                if event.name in fields:
                    raise unusable(f"{event.name[:60]} comes twice in the form")
                fields[event.name] = target
            else:
                limit = settings.max_body_bytes
                _check_count(len(files) + 1, settings)
                files.append((display_name(event.filename, len(files)), target))
                if event.filename is None:
                    plain.append(target)
            continue
        target += event
        if len(target) > limit:
            raise too_large(f"a field of the form has more than {limit} bytes")

    for text in plain:
        _check_is_file(text)
    texts = {name: _text(name, value) for name, value in fields.items()}
    given = _boxes_of_images(texts.pop("boxes", boxes), len(files), settings)
    uploads = [
        Upload(name, bytes(data), found) for (name, data), found in zip(files, given, strict=True)
    ]
    return PoseRequest(tuple(uploads), with_options(options, texts))


def _check_posted(body: bytes) -> None:
    """Refuse what ``curl -d`` and forms without files make of an image.

    Raises:
        ServiceError: with what to write instead.
    """
    if body.startswith(POSTED_FIELDS):
        raise ServiceError(
            415,
            "no_image",
            "the body is a form without files: a form with files is multipart/form-data, and base64"
            ' is sent as JSON, {"image": BASE64}',
        )
    # Compressed pictures of that size have all of these bytes.
    if len(body) > STRIPPED_BYTES and not any(letter in body for letter in STRIPPED):
        raise unusable(
            "the image has lost its line ends and zeros, as with curl -d: use --data-binary @FILE"
        )


def _check_is_file(data: bytearray) -> None:
    """Refuse the name of a file in place of the file.

    Raises:
        ServiceError: with what to write instead.
    """
    is_name = 0 < len(data) < LONGEST_PATH and data.isascii() and data.decode().isprintable()
    if is_name:
        raise unusable("image is a text, not a file: curl sends files with an @, -F image=@FILE")


def _read_json(body: dict[str, Any], options: PoseOptions, settings: ServeSettings) -> PoseRequest:
    """``{"images": [{"data": base64, "name": ..., "boxes": [...]}], options ...}``."""
    entries = body.pop("images", None)
    if entries is not None and "image" in body:
        raise bad_request('the JSON has either "images" or "image"')
    # A single image may stand alone.
    if entries is None and "image" in body:
        entry = {"data": body.pop("image")}
        entry |= {name: body.pop(name) for name in ("name", "boxes") if name in body}
        entries = [entry]
    if "boxes" in body:
        raise bad_request('boxes stand beside the data of each image, in "images"')
    if not isinstance(entries, list):
        raise bad_request(
            'the JSON needs "images", a list of {"data": base64}, or "image" with the base64 of one'
        )
    _check_count(len(entries), settings)
    uploads = []
    for number, entry in enumerate(entries):
        entry = {"data": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not set(entry) <= {"data", "name", "boxes"}:
            raise bad_request(f'images[{number}] may have "data", "name" and "boxes" only')
        name = entry.get("name")
        if name is not None and not isinstance(name, str):
            raise bad_request(f"images[{number}].name is not a text")
        data = from_base64(entry.get("data"), f"images[{number}].data")
        rows = entry.get("boxes")
        boxes = None if rows is None else read_boxes(rows, settings, f"images[{number}].boxes")
        uploads.append(Upload(display_name(name, number), data, boxes))
    return PoseRequest(tuple(uploads), with_options(options, body))


def _boxes_of_images(value: object, count: int, settings: ServeSettings) -> list[Detections | None]:
    """Boxes of a form: rows for a single image, or a list with the rows of each."""
    if value is None:
        return [None] * count
    rows = json_value(value, "boxes")
    if not isinstance(rows, list):
        raise unusable("boxes must be a list")
    if count == 1 and (not rows or not _is_list_of_rows(rows)):
        return [read_boxes(rows, settings)]
    if len(rows) != count:
        raise unusable(f"boxes must have a list for each of the {count} images")
    return [
        None if of_image is None else read_boxes(of_image, settings, f"boxes[{number}]")
        for number, of_image in enumerate(rows)
    ]


def _is_list_of_rows(rows: list[object]) -> bool:
    first = rows[0]
    return first is None or (isinstance(first, list) and (not first or isinstance(first[0], list)))


def _check_count(count: int, settings: ServeSettings) -> None:
    if count > settings.max_images:
        raise too_large(f"a request has at most {settings.max_images} images")


def _text(name: str, value: bytearray) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        known = name if name in NAMES else "a field of the form"
        raise bad_request(f"{known} is not text") from error
