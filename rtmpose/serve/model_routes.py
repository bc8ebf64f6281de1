"""``GET /v1/models`` and the files of the models."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.responses import FileResponse, Response

from rtmpose.serve.faults import not_found
from rtmpose.serve.models import ROLES, card_json, has_file, models_json, network_of
from rtmpose.serve.schemas import ERRORS, ErrorBody
from rtmpose.serve.service import Service
from rtmpose.text_files import to_json

JSON_TYPE = "application/json"
Role = Annotated[str, PathParameter(json_schema_extra={"enum": list(ROLES)})]
MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is none of that name."},
    **ERRORS,
}


def model_routes(service: Service, *, with_jobs: bool) -> APIRouter:
    """The routes."""
    router = APIRouter()
    model = service.engine.model

    @router.get(
        "/v1/models", summary="The model, its keypoints, limits and formats", responses=ERRORS
    )
    def models() -> dict[str, Any]:
        return models_json(model, service.settings, with_jobs=with_jobs)

    @router.get(
        "/v1/models/{role}.onnx",
        summary="The file of a network (pose or detector)",
        response_class=FileResponse,
        responses={
            200: {"content": {"application/octet-stream": {}}, "description": "The file."},
            **MISSING,
        },
    )
    def file(role: Role) -> Response:
        network = network_of(model, role) if role in ROLES else None
        if network is None or not has_file(network) or not service.settings.share_models:
            raise not_found("there is no such file of a model")
        # Names in answers are our own; whoever has it need not fetch it again.
        return FileResponse(
            network.path,
            media_type="application/octet-stream",
            filename=f"{role}.onnx",
            headers={"cache-control": "private, max-age=0, must-revalidate"},
        )

    @router.get(
        "/v1/models/{role}.card.json",
        summary="What a network is (pose or detector)",
        responses={200: {"description": "The card."}, **MISSING},
    )
    def card(role: Role) -> dict[str, Any]:
        network = network_of(model, role) if role in ROLES else None
        if network is None:
            raise not_found("there is no such network")
        return card_json(network)

    return router


def plain_json(value: object) -> Response:
    """A value that is JSON already, without a second look at each number."""
    return Response(to_json(value, separators=(",", ":")), media_type=JSON_TYPE)
