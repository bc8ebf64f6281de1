"""The plain install holds what the package imports: nothing comes by chance with another one."""

import ast
import re
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rtmpose"
PYPROJECT = PACKAGE.parent / "pyproject.toml"
WITH_TORCH = {"networks", "training", "pruning", "exporting"}
MODULES = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "grpcio": "grpc",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
    "python-multipart": "python_multipart",
}
"""Packages whose modules have another name."""
ON_WINDOWS = {"msvcrt"}
OF_AN_EXTRA = {"backends/torch.py": {"torch"}}
"""Modules that are imported only where the engine is asked for."""
FOLDERS_OF_EXTRAS = {"serve": "serve"}
"""Folder to the extra that brings what it imports."""
BROUGHT = {"starlette"}
"""What the packages of those extras are built on, and hand out objects of (FastAPI)."""


def declared(group: str = "dependencies") -> set[str]:
    """The modules of the core dependencies, or of an extra."""
    text = PYPROJECT.read_text(encoding="utf-8")
    listed = re.search(rf"^{group} = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert listed is not None
    names = re.findall(r'^  "([A-Za-z0-9_-]+)', listed[1], re.MULTILINE)
    return {MODULES.get(name, name) for name in names}


def imported_at_once(body: list[ast.stmt]) -> set[str]:
    """Modules that are imported together with this one, without those of functions and types."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            found |= imported_at_once(node.body) | imported_at_once(node.orelse)
        elif isinstance(node, ast.ClassDef):
            found |= imported_at_once(node.body)
    return found


RUNTIME = sorted(
    path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in WITH_TORCH
)


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_is_imported_is_installed(path):
    # tomllib is of Python 3.11; tomli stands in for it before.
    allowed = declared() | set(sys.stdlib_module_names) | ON_WINDOWS | {"rtmpose", "tomllib"}
    allowed |= OF_AN_EXTRA.get(path.relative_to(PACKAGE).as_posix(), set())
    extra = FOLDERS_OF_EXTRAS.get(path.relative_to(PACKAGE).parts[0])
    if extra is not None:
        allowed |= declared(extra) | BROUGHT
    imported = imported_at_once(ast.parse(path.read_text(encoding="utf-8")).body)
    assert imported - allowed == set()
