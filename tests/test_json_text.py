"""No bare NaN or Infinity in any JSON that is written."""

import ast
import json
import math
from pathlib import Path

import numpy as np
import pytest
from results import CONTEXT, poses, record

import rtmpose
from rtmpose.text_files import to_json
from rtmpose.types import Poses
from rtmpose.writers import format_named

ROOT = Path(rtmpose.__file__).parent


def strict(text):
    """The data of a text, by a reader that takes what JSON has and no more."""

    def refuse(name):
        raise AssertionError(f"a bare {name}")

    return json.loads(text, parse_constant=refuse)


def test_nan_and_infinity_become_null():
    value = {"a": math.nan, "b": [1.5, (math.inf, {"c": -math.inf})], "d": "NaN", "e": None}
    expected = {"a": None, "b": [1.5, [None, {"c": None}]], "d": "NaN", "e": None}
    for options in ({}, {"indent": 2}, {"separators": (",", ":")}, {"sort_keys": True}):
        assert strict(to_json(value, **options)) == expected
    assert to_json({"b": 1, "a": 2.5}) == json.dumps({"b": 1, "a": 2.5})


def plain_dumps(path):
    """Lines of a file that write JSON in Python's own way, NaN and all."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = node.func
        refuses = any(k.arg == "allow_nan" for k in node.keywords)
        writes = called.attr in ("dump", "dumps") and getattr(called.value, "id", "") == "json"
        if writes and not refuses:
            yield f"{path}:{node.lineno}: use rtmpose.text_files.to_json"


def test_all_json_is_written_without_nan():
    assert [line for path in ROOT.rglob("*.py") for line in plain_dumps(path)] == []


@pytest.mark.parametrize("name", ["json", "jsonl", "openpose"])
def test_results_with_unknown_keypoints(name, tmp_path):
    people = poses(2)
    keypoints = people.keypoints.copy()
    keypoints[0, 3] = (math.nan, math.inf)
    people = Poses(people.boxes, people.box_scores, keypoints, people.scores, people.skeleton)
    writer = format_named(name).writer(tmp_path / "out", CONTEXT)
    writer.write(record("clip.mp4", 0, people))
    writer.close()
    files = [tmp_path / "out"]
    if files[0].is_dir():
        files = [p for p in files[0].iterdir() if p.suffix == ".json"]
    for file in files:
        for text in file.read_text().splitlines() if name == "jsonl" else [file.read_text()]:
            strict(text)


def test_coco_results_and_plain_data_hold_no_nan():
    people = poses(1)
    unknown = np.full_like(people.keypoints, math.nan)
    people = Poses(people.boxes, people.box_scores, unknown, people.scores, people.skeleton)
    assert people.to_coco()[0]["keypoints"][:3] == [None, None, 0.8]
    assert people.to_dict()["people"][0]["keypoints"]["nose"][:2] == [None, None]
    json.dumps(people.to_coco(), allow_nan=False)
    json.dumps(people.to_dict(), allow_nan=False)
