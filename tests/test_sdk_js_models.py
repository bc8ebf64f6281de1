"""JavaScript's Detector and PoseDetector against the package, on models made in the test."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="makes models with the onnx package")
from networks import (  # noqa: E402
    fixed_detector,
    fixed_people,
    grid_detector,
    spot_heatmap,
    spot_person,
    spot_pose,
)
from test_sdk_models import BOXES, ORT, photo, random_maps, sdk_folder  # noqa: E402

import rtmpose  # noqa: E402
from rtmpose.cards.io import card_to_json  # noqa: E402
from rtmpose.pose_card import assumed_card  # noqa: E402

SDK = Path(__file__).parents[1] / "sdk" / "js"
PEOPLE = [[4, 4, 24, 60, 0.9], [5, 5, 24, 60, 0.8], [30, 10, 55, 50, 0.6], [0, 0, 9, 9, 0.01]]
DETS = [[4, 4, 24, 60, 0.9], [30, 5, 60, 50, 0.4], [0, 0, 9, 9, 0.2]]


def with_codec(path: Path, **codec) -> Path:
    """The same network with a card next to it that says how its maps are read."""
    card = assumed_card(path)
    codec = replace(card.codec, heatmap_wh=(12, 16), **codec)
    card = replace(card, input_wh=(48, 64), codec=codec)
    Path(f"{path}.card.json").write_text(card_to_json(card), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Name -> kind and file."""
    folder = tmp_path_factory.mktemp("models")
    maps = {
        f"{kind} {sigma}": with_codec(
            random_maps(folder / f"{kind}{sigma}.onnx"), kind=kind, sigma=(sigma,)
        )
        for kind, sigma in (("heatmap", 2.0), ("gaussian", 3.0))
    }
    size = {"input_wh": (192, 256)}
    return {
        "SimCC without a card": ("poses", spot_pose(folder / "pose.onnx", **size)),
        "a fixed batch": ("poses", spot_pose(folder / "batch.onnx", batch=2, **size)),
        "a folder of the deployment SDK": ("poses", sdk_folder(folder / "a folder")),
        "heat maps without a card": ("poses", spot_heatmap(folder / "maps.onnx", **size)),
        **{name: ("poses", path) for name, path in maps.items()},
        "several people": ("people", fixed_people(folder / "people.onnx", PEOPLE)),
        "one person": ("people", spot_person(folder / "spot.onnx")),
        "boxes": ("boxes", fixed_detector(folder / "yolox.onnx", DETS)),
        "cells": ("boxes", grid_detector(folder / "yolox_grid.onnx")),
    }


@pytest.fixture(scope="module")
def found(models, tmp_path_factory):
    """Name -> what JavaScript finds; one process for all."""
    if shutil.which("node") is None or not (SDK / "dist" / "node.js").is_file():
        pytest.skip("the JavaScript package is not built: make sdk")
    if not (SDK / "node_modules" / "onnxruntime-node").is_dir():
        pytest.skip("what the JavaScript package needs is not installed: npm ci")
    folder = tmp_path_factory.mktemp("jobs")
    image = photo()
    image.tofile(folder / "image.bin")
    size = {"width": image.shape[1], "height": image.shape[0]}
    jobs = []
    for kind, path in models.values():
        job = {"kind": kind, "model": str(path), "image": str(folder / "image.bin"), **size}
        if kind == "poses":
            job["boxes"] = BOXES.tolist()
        if kind == "boxes":
            job["boxThr"] = 0.2
        jobs.append(job)
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    script = SDK / "test" / "helpers" / "run_models.mjs"
    result = subprocess.run(
        ["node", str(script), str(folder / "jobs.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return dict(zip(models, json.loads(result.stdout), strict=True))


def test_poses_in_boxes(models, found):
    for name, (kind, path) in models.items():
        if kind != "poses":
            continue
        assert "error" not in found[name], found[name]
        expected = rtmpose.PoseEstimator(path, options=ORT)(photo(), BOXES)
        keypoints = np.reshape(found[name]["keypoints"], expected.keypoints.shape)
        distances = np.linalg.norm(keypoints - expected.keypoints, axis=2)
        assert np.median(distances) < 0.01, name
        assert np.percentile(distances, 95) < 0.5, name
        assert found[name]["scores"] == pytest.approx(expected.scores.ravel(), abs=1e-3), name


def test_people_of_one_stage_networks(models, found):
    for name, (kind, path) in models.items():
        if kind != "people":
            continue
        assert "error" not in found[name], found[name]
        expected = rtmpose.OneStage(path, options=ORT)(photo())
        assert len(expected) > 0
        assert found[name]["boxes"] == pytest.approx(expected.boxes.ravel(), abs=0.01), name
        keypoints = expected.keypoints.ravel()
        assert found[name]["keypoints"] == pytest.approx(keypoints, abs=0.01), name
        assert found[name]["scores"] == pytest.approx(expected.scores.ravel(), abs=1e-4), name


def test_boxes_of_detectors(models, found):
    for name, (kind, path) in models.items():
        if kind != "boxes":
            continue
        assert "error" not in found[name], found[name]
        expected = rtmpose.Detector(path, options=ORT)(photo(), box_thr=0.2)
        assert len(expected.boxes) > 0
        assert found[name]["boxes"] == pytest.approx(expected.boxes.ravel(), abs=0.01), name
        assert found[name]["scores"] == pytest.approx(expected.scores, abs=1e-4), name
