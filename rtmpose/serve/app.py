"""The application: all routes around one engine, without anything global.

The same application runs under uvicorn (:mod:`rtmpose.serve.server`) and in other servers for ASGI.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

import rtmpose
from rtmpose.errors import RtmposeError
from rtmpose.serve.access_log import AccessLog
from rtmpose.serve.engine import ImageEngine
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.guard import PAGE_FILES, Guard, error_json, path_of
from rtmpose.serve.health_routes import health_routes
from rtmpose.serve.job_routes import job_routes
from rtmpose.serve.job_runner import JobRunner
from rtmpose.serve.metrics import Metrics
from rtmpose.serve.model_routes import model_routes
from rtmpose.serve.oip_http import oip_routes
from rtmpose.serve.oip_model import ProtocolModel
from rtmpose.serve.page_assets import page_assets_routes, read_web_assets
from rtmpose.serve.pose_routes import pose_routes
from rtmpose.serve.query_names import check_query
from rtmpose.serve.service import CLIENT_GONE, Service, fault_of
from rtmpose.serve.session_routes import session_routes
from rtmpose.serve.settings import ServeSettings
from rtmpose.serve.stream_routes import stream_routes

log = logging.getLogger(__name__)

PATHS = "all paths are in /v1/openapi.json, and end without a slash"
LONGEST_PATH = 100
STATIC = Path(__file__).parent / "static"
DESCRIPTION = """Keypoints of people in images, streams and videos.

Coordinates are pixels of the image as sent, upright. Scores of keypoints are about 0 to 1.25,
higher is better. Errors are `{"error": {"code", "message"}}`."""


def create_app(settings: ServeSettings, engine: ImageEngine) -> FastAPI:
    """The application.

    Args:
        settings: Limits, token, folder of the jobs.
        engine: Opened models; the caller closes it, after the application has ended.

    Returns:
        The application; its :class:`Service` is ``app.state.service``.
    """
    assets = None if settings.web_assets is None else read_web_assets(settings.web_assets)
    metrics = Metrics(rtmpose.__version__)
    metrics.watch(engine)
    service = Service(settings, engine, metrics)
    protocol_model = ProtocolModel(service)
    runner = None
    if settings.data is not None:
        runner = JobRunner(engine, settings, metrics.job_counts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if runner is not None:
            runner.start()
        yield
        if runner is not None:
            await asyncio.to_thread(runner.stop, settings.drain_s)
        protocol_model.close()
        service.close()

    app = FastAPI(
        title="rtmpose",
        version=rtmpose.__version__,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(check_query)],
    )
    app.state.service = service
    app.state.protocol_model = protocol_model
    app.include_router(health_routes(service))
    app.include_router(session_routes(settings))
    app.include_router(model_routes(service, with_jobs=runner is not None))
    app.include_router(page_assets_routes(assets, settings.root_path))
    app.include_router(pose_routes(service))
    app.include_router(stream_routes(service))
    app.include_router(oip_routes(service, protocol_model))
    if runner is not None:
        app.include_router(job_routes(service, runner))
    _add_page(app, settings.root_path)
    _add_errors(app)
    app.add_middleware(Guard, settings=settings, log=AccessLog(metrics.request))
    return app


def _add_page(app: FastAPI, prefix: str) -> None:
    """The page, where it is part of this installation; its addresses begin with a prefix."""
    if not (STATIC / "index.html").is_file():
        return
    page = (STATIC / "index.html").read_bytes().replace(b'"/static/', f'"{prefix}/static/'.encode())

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return Response(page, media_type="text/html")

    for path in PAGE_FILES:
        if (STATIC / path[1:]).is_file():
            _add_file(app, path)

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _add_file(app: FastAPI, path: str) -> None:
    @app.get(path, include_in_schema=False)
    def file() -> Response:
        return FileResponse(STATIC / path[1:])


def _add_errors(app: FastAPI) -> None:
    """Every error in the same form."""

    def answer(request: Request, error: ServiceError) -> Response:
        body = error_json(path_of(request.scope), error.code, str(error))
        return JSONResponse(body, status_code=error.status, headers=error.headers)

    @app.exception_handler(RtmposeError)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RtmposeError)
        return answer(request, fault_of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, ServiceError(422, "invalid", _first_of(error.errors())))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = path_of(request.scope)
        code, text = "refused", str(error.detail)
        if error.status_code == 404:
            code, text = "not_found", f"there is no {path[:LONGEST_PATH]}; {PATHS}"
        elif error.status_code == 405:
            allowed = (error.headers or {}).get("allow") or (error.headers or {}).get("Allow")
            code, text = "method", f"{request.method} does not work here: use {allowed}"
        body = error_json(path, code, text)
        return JSONResponse(body, status_code=error.status_code, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: Exception) -> Response:
        # Nobody reads it: the status is for the log.
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        # What nobody thought of: told to the log, not to the client.
        path = path_of(request.scope)
        log.error("an error in %s", path, exc_info=error)
        body = error_json(path, "internal", "an error of the service; see its log")
        return JSONResponse(body, status_code=503)


def _first_of(errors: Any) -> str:
    first = errors[0] if errors else {}
    place = ".".join(str(part) for part in first.get("loc", ()))
    return f"{place}: {first.get('msg', 'it cannot be used')}"
