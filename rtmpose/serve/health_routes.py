"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from rtmpose.serve.metrics import CONTENT_TYPE
from rtmpose.serve.schemas import ERRORS, Health
from rtmpose.serve.service import Service

_DOWN: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "It is not."}}


def health_routes(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/healthz", summary="Whether the process works", responses=_DOWN)
    def healthz() -> Health:
        alive = service.engine.alive or service.engine.stopping
        return _health(alive, "ok", "a thread of the engine has ended")

    @router.get("/readyz", summary="Whether requests are taken", responses=_DOWN)
    def readyz() -> Health:
        reason = service.not_ready
        return _health(reason is None, "ready", reason or "")

    @router.get(
        "/metrics",
        summary="Numbers for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "The numbers."}, **ERRORS},
    )
    def metrics() -> Response:
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})

    return router


def _health(good: bool, yes: str, no: str) -> Any:
    return Health(yes) if good else JSONResponse({"status": no}, status_code=503)
