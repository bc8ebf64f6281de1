"""``/v1/web``: what the page needs to run the model in the browser, from a folder that
``scripts/web_assets.py`` fills.

Nothing of it is part of this package: the folder has ``sdk/`` (the JavaScript package), ``ort/``
(ONNX Runtime for browsers) and a model, exported as one graph.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from rtmpose.errors import InputError
from rtmpose.serve.faults import not_found
from rtmpose.serve.schemas import ERRORS

MEDIA_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
SDK = "sdk/web.js"
ENGINES = {"webgpu": "ort/ort.webgpu.bundle.min.mjs", "wasm": "ort/ort.wasm.bundle.min.mjs"}
FOREVER = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class WebAssets:
    """The files of such a folder.

    Attributes:
        version: Changes with any of the files; part of their addresses.
        files: By the names that clients use; only these are served.
        model: Name of the model among them.
    """

    version: str
    files: dict[str, Path]
    model: str

    def as_json(self, prefix: str = "") -> dict[str, Any]:
        """What ``GET /v1/web`` answers; the addresses begin with a prefix."""
        root = f"{prefix}/v1/web/{self.version}/"
        return {
            "version": self.version,
            "root": root,
            "sdk": root + SDK,
            "engines": {kind: root + name for kind, name in ENGINES.items()},
            "model": root + self.model,
            "files": [root + name for name in self.files],
            "bytes": sum(path.stat().st_size for path in self.files.values()),
        }


def read_web_assets(folder: Path) -> WebAssets:
    """The files of a folder that ``scripts/web_assets.py`` filled.

    Raises:
        InputError: something is missing.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: scripts/web_assets.py makes it")
    files: dict[str, Path] = {}
    hashed = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix not in MEDIA_TYPES or path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        files[name] = path
        about = path.stat()
        hashed.update(f"{name} {about.st_size} {about.st_mtime_ns}\n".encode())

    models = [name for name in files if name.endswith(".onnx")]
    missing = [name for name in (SDK, *ENGINES.values()) if name not in files]
    if missing or len(models) != 1:
        wanted = ", ".join(missing) or f"exactly one model; it has {len(models)}"
        raise InputError(f"{folder} lacks {wanted}: fill it with scripts/web_assets.py")
    return WebAssets(hashed.hexdigest()[:16], files, models[0])


def page_assets_routes(assets: WebAssets | None, prefix: str = "") -> APIRouter:
    """The routes; without a folder they answer 404."""
    router = APIRouter()

    @router.get(
        "/v1/web",
        include_in_schema=False,
        summary="Files to run the model in the browser",
        responses=ERRORS,
    )
    def listed() -> dict[str, Any]:
        if assets is None:
            return {"available": False}
        return {"available": True, **assets.as_json(prefix)}

    @router.get("/v1/web/{version}/{name:path}", include_in_schema=False)
    def file(version: str, name: str) -> Response:
        # The client's name is only compared.
        path = assets.files.get(name) if assets and version == assets.version else None
        if path is None:
            raise not_found("there is no such file")
        media_type = MEDIA_TYPES[path.suffix]
        return FileResponse(path, media_type=media_type, headers={"cache-control": FOREVER})

    return router
