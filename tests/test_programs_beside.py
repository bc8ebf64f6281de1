"""Benchmarks, scripts and the SDK's programs in Python take from the package what it has."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(
    path
    for folder in ("benchmarks", "scripts", "examples", "sdk/conformance", "sdk/core/tools")
    for path in (ROOT / folder).rglob("*.py")
)


def names_taken(path):
    """Modules of the package, and the names that a program imports from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rtmpose":
            for alias in node.names:
                yield node.module, alias.name


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_imported_names_are_there(path):
    for module_name, name in names_taken(path):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("rtmpose"):
                raise
            continue  # an optional package is not installed
        below = f"{module_name}.{name}"
        assert hasattr(module, name) or importlib.util.find_spec(below), f"{below} is not there"
