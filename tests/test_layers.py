"""Imports point one way: the ground floor knows nothing above it, and folders form no circles."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import rtmpose

ROOT = Path(rtmpose.__file__).parent
RUNTIME = {"backends", "ops", "skeletons", "sources", "tracking", "writers", "zoo"}


def parts_imported(path):
    """The parts of the package (files at its top, or folders) that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "rtmpose":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rtmpose."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name.split(".")[1] for name in names if name.startswith("rtmpose.")}
    return found


def graph():
    """Part -> the parts it imports."""
    edges = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if part not in ("__init__", "__main__"):
            edges[part] |= parts_imported(path) - {part}
    return edges


@pytest.mark.parametrize(
    ("part", "below"),
    [
        ("errors", set()),
        ("ranges", {"errors"}),
        ("array_checks", {"errors"}),
        ("pose_tables", {"errors"}),
        ("types", {"errors", "ranges", "array_checks", "pose_tables", "value_types"}),
        ("model_card", {"errors", "ranges", "types"}),
        ("ops", {"errors", "model_card", "types"}),
        ("onnx_file", set()),
        ("keywords", {"errors"}),
    ],
)
def test_the_ground_floor(part, below):
    assert graph()[part] <= below


def test_backends_know_nothing_of_models():
    above = {"detector", "pose_estimator", "one_stage", "families", "pipeline", "tracking"}
    assert not graph()["backends"] & above


def test_nothing_but_its_command_knows_of_the_service():
    for part, parts in graph().items():
        assert part in ("serve", "cli") or "serve" not in parts, part


def test_no_circle_goes_through_the_runtime():
    edges = graph()
    reachable = {}

    def reach(part, seen):
        for other in edges.get(part, ()):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen

    for part in edges:
        reachable[part] = reach(part, set())
    circles = {part for part in edges if part in reachable[part]}
    assert not circles & (RUNTIME | {p.stem for p in ROOT.glob("*.py")})
