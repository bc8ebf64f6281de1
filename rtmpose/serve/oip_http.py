"""The Open Inference Protocol (version 2) over HTTP, with binary tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rtmpose.errors import InputError
from rtmpose.serve.faults import bad_request
from rtmpose.serve.model_routes import plain_json
from rtmpose.serve.models import ALIAS
from rtmpose.serve.oip_model import VERSION, ProtocolModel
from rtmpose.serve.oip_tensors import (
    Array,
    InferRequest,
    InputTensor,
    check_shape,
    datatype_of,
    from_json,
    from_raw,
    to_raw,
)
from rtmpose.serve.service import Service, client_name
from rtmpose.text_files import parse_json, to_json

HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
MOST_TENSORS = 16
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
_ERROR = {"application/json": {"schema": _ERROR_SCHEMA}}
_WORDS = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong.",
    403: "The request is of a page from another origin.",
    404: "There is no such model.",
    408: "The body comes too slowly.",
    413: "It is too large.",
    415: "The content is of another kind.",
    422: "The content cannot be used.",
    429: "Too much at once: try again after Retry-After.",
    503: "The service is stopping or its engine failed.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _ERROR} for status, text in _WORDS.items()
}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
}
REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "inputs": {"type": "array", "items": _TENSOR},
                    "outputs": {"type": "array", "items": {"type": "object"}},
                    "parameters": {"type": "object"},
                },
            }
        }
    },
}


def oip_routes(service: Service, model: ProtocolModel) -> APIRouter:
    """The routes."""
    router = APIRouter(responses=ERRORS)
    _add_health(router, service, model)
    _add_models(router, model)

    names = _names(model)

    async def infer(request: Request, name: str = names, version: str = "") -> Response:
        model.check(name, version)
        body = await request.body()
        found, wanted = await service.in_thread(read_request, body, request.headers.get(HEADER))
        outputs = await model.infer(found, client_name(request))
        return await service.in_thread(answer, model.name, found.id, outputs, wanted)

    for path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
        router.add_api_route(
            path,
            infer,
            methods=["POST"],
            summary="Inference",
            response_class=Response,
            responses={
                200: {
                    "description": "The outputs.",
                    "content": {"application/json": {}, BINARY: {}},
                },
            },
            openapi_extra={"requestBody": REQUEST_BODY},
        )
    return router


def _add_health(router: APIRouter, service: Service, model: ProtocolModel) -> None:
    @router.get("/v2", summary="The server")
    def server() -> dict[str, Any]:
        return model.server()

    @router.get("/v2/health/live", summary="Whether the process works")
    def live() -> dict[str, Any]:
        return {"live": True}

    @router.get("/v2/health/ready", summary="Whether requests are taken")
    def ready() -> Any:
        reason = service.not_ready
        if reason is None:
            return {"ready": True}
        return JSONResponse({"error": reason}, status_code=503)

    names = _names(model)

    def model_ready(name: str = names, version: str = "") -> dict[str, Any]:
        model.check(name, version)
        service.check_ready()
        return {"name": name, "ready": True}

    _add(router, "/ready", model_ready, "Whether the model takes requests")


def _add_models(router: APIRouter, model: ProtocolModel) -> None:
    names = _names(model)

    def metadata(name: str = names, version: str = "") -> dict[str, Any]:
        model.check(name, version)
        return model.metadata()

    def configuration(name: str = names, version: str = "") -> dict[str, Any]:
        model.check(name, version)
        return model.configuration()

    @router.post("/v2/repository/index", summary="The models")
    def index() -> list[dict[str, str]]:
        return model.repository()

    _add(router, "", metadata, "Inputs and outputs of the model")
    _add(router, "/config", configuration, "The configuration in Triton's form")


def _names(model: ProtocolModel) -> Any:
    """The names that a path may have, for the document; others are answered by 404."""
    return PathParameter(max_length=200, json_schema_extra={"enum": [ALIAS, model.name]})


def _add(router: APIRouter, end: str, route: Any, summary: str) -> None:
    """A route with and without a version."""
    for path in (f"/v2/models/{{name}}{end}", f"/v2/models/{{name}}/versions/{{version}}{end}"):
        router.add_api_route(path, route, methods=["GET"], summary=summary)


# ---- reading


def read_request(body: bytes, header: str | None) -> tuple[InferRequest, dict[str, bool]]:
    """A body as a request.

    Args:
        body: JSON, with the raw bytes of tensors behind it.
        header: The length of the JSON, where there are raw bytes.

    Returns:
        The request, and which outputs are wanted as raw bytes; that of the name "" is for those
        not named.

    Raises:
        ServiceError: it cannot be read.
    """
    raw = b""
    if header is not None:
        if not header.isdecimal() or len(header) > 12 or int(header) > len(body):
            raise bad_request(f"{HEADER} is not the length of the JSON")
        raw = body[int(header) :]
        body = body[: int(header)]
    try:
        value = parse_json(body, "the request")
    except InputError as error:
        raise bad_request(str(error)) from error
    if not isinstance(value, dict):
        raise bad_request("the request is not a JSON object")
    parameters = _parameters(value)
    inputs = _inputs(value.get("inputs"), raw)
    names, binary = _wanted(value.get("outputs"))
    binary[""] = parameters.get("binary_data_output") is True
    request_id = value.get("id", "")
    if not isinstance(request_id, str):
        raise bad_request("id must be a text")
    return InferRequest(request_id, inputs, names, parameters), binary


def _inputs(entries: object, raw: bytes) -> dict[str, InputTensor]:
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_TENSORS:
        raise bad_request("inputs must be a list of tensors")
    found: dict[str, InputTensor] = {}
    at = 0
    for entry in entries:
        if not isinstance(entry, dict):
            raise bad_request("an input is not an object")
        name, datatype = entry.get("name"), entry.get("datatype")
        if not isinstance(name, str) or not isinstance(datatype, str) or name in found:
            raise bad_request("an input needs a name of its own, and a datatype")
        shape = check_shape(name, entry.get("shape"))
        size = _parameters(entry).get("binary_data_size")
        if size is None:
            found[name] = from_json(name, datatype, shape, entry.get("data"))
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(raw) - at:
            raise bad_request(f"binary_data_size of {name} is more than there is")
        found[name] = from_raw(name, datatype, shape, raw[at : at + size])
        at += size
    if at != len(raw):
        raise bad_request("there are bytes behind the last tensor")
    return found


def _wanted(entries: object) -> tuple[tuple[str, ...], dict[str, bool]]:
    if entries is None:
        return (), {}
    if not isinstance(entries, list) or len(entries) > MOST_TENSORS:
        raise bad_request("outputs must be a list")
    binary: dict[str, bool] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise bad_request("an output needs a name")
        wanted = _parameters(entry).get("binary_data")
        if wanted is not None:
            binary[entry["name"]] = wanted is True
        else:
            binary.setdefault(entry["name"], False)
    return tuple(binary), binary


def _parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    parameters = entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise bad_request("parameters must be an object")
    return parameters


# ---- answering


def answer(
    name: str, request_id: str, outputs: dict[str, Array], binary: Mapping[str, bool]
) -> Response:
    """The outputs as JSON, with raw bytes behind it where they are wanted."""
    entries: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for output, array in outputs.items():
        entry: dict[str, Any] = {
            "name": output,
            "datatype": datatype_of(array),
            "shape": list(array.shape),
        }
        if binary.get(output, binary.get("", False)):
            raw.append(to_raw(array))
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = array.reshape(-1).tolist()
        entries.append(entry)
    head = {"model_name": name, "model_version": VERSION, "outputs": entries}
    if request_id:
        head["id"] = request_id
    if not raw:
        return plain_json(head)
    text = to_json(head, separators=(",", ":")).encode()
    headers = {HEADER: str(len(text))}
    return Response(b"".join([text, *raw]), media_type=BINARY, headers=headers)
