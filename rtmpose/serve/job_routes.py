"""``/v1/jobs``: videos in, files with results out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from rtmpose.errors import InputError, OutputError, RtmposeError
from rtmpose.files import AtomicFile
from rtmpose.serve.faults import ServiceError, busy, not_found, too_large, unusable
from rtmpose.serve.images import display_name
from rtmpose.serve.job_files import HEAD_BYTES, check_head, check_video
from rtmpose.serve.job_runner import JobRunner
from rtmpose.serve.job_settings import JobSettings, job_settings, settings_schema
from rtmpose.serve.pose_options import json_value
from rtmpose.serve.pose_request import BYTES, FORM, JSON
from rtmpose.serve.schemas import ERRORS, ErrorBody, JobEntry, JobList
from rtmpose.serve.service import Service
from rtmpose.serve.uploads import FIELD_BYTES, PartStart, form_events, media_type_of

WAIT_S = 30.0
"""After which to try again, where too many videos wait."""

_VIDEO = {"type": "string", "format": "binary"}
MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is no such job or file."},
    **ERRORS,
}
JOB_ID = "^[0-9a-f]{32}$"
JobId = Annotated[str, PathParameter(pattern=JOB_ID)]
SHOWN_STEM = 60
"""Letters of a video's name in the names of its results."""


def job_routes(service: Service, runner: JobRunner) -> APIRouter:
    """The routes."""
    router = APIRouter()
    coming: set[_Upload] = set()
    described = _described()

    @router.post(
        "/v1/jobs",
        status_code=201,
        summary="Send a video",
        responses={201: {"description": "It waits."}, **ERRORS},
        openapi_extra=described,
    )
    async def create(
        request: Request,
        settings: Annotated[str | None, Query(include_in_schema=False)] = None,
        name: Annotated[str | None, Query(description="Of the video, for people")] = None,
    ) -> JobEntry:
        service.check_ready()
        # Those that are still on their way take places too.
        waiting = await service.in_thread(runner.waiting)
        if waiting + len(coming) >= service.settings.max_jobs:
            raise busy(WAIT_S)
        upload = _Upload(service, runner, runner.folders.new_id())
        coming.add(upload)
        try:
            return await _accept(request, upload, settings, name)
        finally:
            coming.remove(upload)

    @router.get("/v1/jobs", summary="The jobs, the newest first", responses=MISSING)
    def jobs(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[
            str | None,
            Query(pattern=JOB_ID, description="Id of a job: those that came before it."),
        ] = None,
    ) -> JobList:
        if before is not None:
            _found(runner, before)
        return JobList(runner.store.newest(limit, before))

    @router.get("/v1/jobs/{job}", summary="A job", responses=MISSING)
    def one(job: JobId) -> JobEntry:
        return _found(runner, job)

    @router.post(
        "/v1/jobs/{job}/cancel",
        summary="Cancel a job; what has ended stays as it is",
        responses=MISSING,
    )
    def cancel(job: JobId) -> JobEntry:
        row = runner.cancel(job)
        if row is None:
            raise not_found("there is no such job")
        return row

    @router.delete(
        "/v1/jobs/{job}",
        status_code=204,
        response_class=Response,
        summary="Cancel a job, and remove it with its files",
        responses=MISSING,
    )
    def remove(job: JobId) -> Response:
        if not runner.remove(job):
            raise not_found("there is no such job")
        return Response(status_code=204)

    @router.get(
        "/v1/jobs/{job}/files/{name}",
        summary="A file of results",
        response_class=FileResponse,
        responses={
            200: {"content": {BYTES: {}}, "description": "The file."},
            206: {"content": {BYTES: {}}, "description": "The part asked for."},
            416: {"description": "There is no such part."},
            **MISSING,
        },
    )
    def file(job: JobId, name: str) -> Response:
        row = _found(runner, job)
        for entry in row.files:
            # The list is ours; the client's name is only compared.
            if entry["name"] == name:
                path = runner.folders.results(row.id) / entry["name"]
                stem = re.sub(r"[^\w.-]+", "-", row.name.rpartition(".")[0] or row.name)
                # Long names of other letters would be too long for file systems.
                shown = f"{stem.strip('-.')[:SHOWN_STEM] or 'video'}-{entry['name']}"
                return FileResponse(path, media_type=entry["media_type"], filename=shown)
        raise not_found("the job has no such file")

    return router


def _described() -> dict[str, Any]:
    """Settings and body, which are JSON in a text and a video, for the OpenAPI document."""
    schema = settings_schema()
    text = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
    form = {
        "type": "object",
        "required": ["video"],
        "additionalProperties": False,
        "properties": {"video": _VIDEO, "settings": text},
    }
    video = {"schema": _VIDEO}
    return {
        "parameters": [
            {
                "name": "settings",
                "in": "query",
                "description": "See docs/serve.md.",
                "content": {JSON: {"schema": schema}},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {FORM: {"schema": form}, "video/mp4": video, BYTES: video},
        },
    }


class _Upload:
    """A video on its way to its place."""

    def __init__(self, service: Service, runner: JobRunner, job: str) -> None:
        self.name = "video"
        self._service = service
        self._runner = runner
        self._job = job
        self._total: int | None = None
        self._head = b""
        self._checked = False
        self._size = 0
        self._file: AtomicFile | None = None
        self._write: Any = None

    async def write(self, chunk: bytes) -> None:
        """Add bytes; the first of them are looked at before any is written."""
        self._size += len(chunk)
        if self._size > self._service.settings.max_upload_bytes:
            raise too_large("the video is too large")
        if not self._checked:
            self._head += chunk
            if len(self._head) < HEAD_BYTES:
                return
            chunk = self._begin()
        await self._service.in_thread(self._put, chunk)

    async def finish(self) -> None:
        """The video is whole: look at it."""
        if not self._checked:
            if not self._head:
                raise unusable("the video is empty (0 bytes)")
            await self._service.in_thread(self._put, self._begin())
        assert self._file is not None
        await self._service.in_thread(self._commit, self._file)
        path = self._runner.folders.source(self._job)
        info = await self._service.in_thread(check_video, path, self._service.settings)
        self._total = info.frames

    async def accept(self, settings: JobSettings) -> JobEntry:
        """It becomes a job."""
        add = self._runner.add
        return await self._service.in_thread(add, self._job, self.name, self._total, settings)

    async def abandon(self) -> None:
        """Nothing of it stays."""
        if self._file is not None:
            await self._service.in_thread(self._file.abandon)
        await self._service.in_thread(self._runner.folders.remove, self._job)

    def _begin(self) -> bytes:
        check_head(self._head)
        self._checked = True
        head = self._head
        self._head = b""
        return head

    def _put(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = AtomicFile(self._runner.folders.source(self._job))
            self._write = self._file.open_binary().write
        try:
            self._write(chunk)
        except OSError as error:
            raise OutputError(f"the video cannot be written: {error.strerror}") from error

    def _commit(self, file: AtomicFile) -> None:
        file.commit()


async def _accept(
    request: Request, upload: _Upload, settings: str | None, name: str | None
) -> JobEntry:
    """Take the body of a request, all of it or nothing."""
    try:
        if media_type_of(request) == FORM:
            given = await _take_form(request, upload, settings)
        else:
            given = _read_settings(settings)
            upload.name = display_name(name, 0) if name else "video"
            async for chunk in request.stream():
                await upload.write(chunk)
        await upload.finish()
        return await upload.accept(given)
    except BaseException as error:
        await upload.abandon()
        if isinstance(error, OutputError):
            text = "there is no room for the video; try again later"
            raise ServiceError(503, "disk", text, WAIT_S) from error
        raise


async def _take_form(request: Request, upload: _Upload, settings: str | None) -> JobSettings:
    """Write the video of a form to its place; its settings."""
    text = bytearray()
    field = ""
    videos = 0
    events: AsyncIterator[PartStart | bytes] = form_events(request)
    async for event in events:
        if isinstance(event, PartStart):
            field = "video" if event.filename is not None else event.name
            if field == "video":
                videos += 1
                upload.name = display_name(event.filename, 0)
            elif field != "settings":
                raise unusable(f"the form has no field {field[:60]!r}: it has video and settings")
        elif field == "video":
            if videos > 1:
                raise unusable("a job has one video")
            await upload.write(event)
        else:
            text += event
            if len(text) > FIELD_BYTES:
                raise too_large("the settings are too long")
    return _read_settings(text.decode("utf-8", "replace") or settings)


def _read_settings(text: str | None) -> JobSettings:
    value = {} if text is None else json_value(text, "settings")
    if not isinstance(value, dict):
        raise unusable("settings must be a JSON object")
    try:
        return job_settings(value)
    except (InputError, RtmposeError) as error:
        raise unusable(str(error)) from error


def _found(runner: JobRunner, job: str) -> JobEntry:
    row = runner.store.get(job)
    if row is None:
        raise not_found("there is no such job")
    return row
