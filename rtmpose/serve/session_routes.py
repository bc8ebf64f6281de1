"""``/v1/session``: a cookie instead of the token, for pages.

Elements such as ``<video>`` and links to files cannot send a header. Only pages of this origin send
the cookie (``SameSite=Strict``), and no script can read it.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rtmpose.serve.guard import COOKIE, session_value
from rtmpose.serve.schemas import ERRORS
from rtmpose.serve.settings import ServeSettings

LASTS_S = 12 * 3600


def session_routes(settings: ServeSettings) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.post(
        "/v1/session",
        status_code=204,
        response_class=Response,
        summary="Show the token once: a cookie takes its place",
        responses=ERRORS,
    )
    def begin(request: Request) -> Response:
        answer = Response(status_code=204)
        forwarded = request.headers.get("x-forwarded-proto", "") if settings.trust_proxy else ""
        scheme = forwarded or request.url.scheme
        if settings.token is not None:
            answer.set_cookie(
                COOKIE,
                session_value(settings),
                max_age=LASTS_S,
                path=settings.root_path or "/",
                httponly=True,
                samesite="strict",
                secure=scheme == "https",
            )
        return answer

    @router.delete(
        "/v1/session",
        status_code=204,
        response_class=Response,
        summary="Forget the cookie",
        responses=ERRORS,
    )
    def end() -> Response:
        answer = Response(status_code=204)
        path = settings.root_path or "/"
        answer.delete_cookie(COOKIE, path=path, httponly=True, samesite="strict")
        return answer

    return router
