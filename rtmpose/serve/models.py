"""What the service says of its models, and their files for clients that run them themselves."""

from __future__ import annotations

import re
from typing import Any

from rtmpose.backends import Backend
from rtmpose.cards.io import card_to_json
from rtmpose.detector import Detector
from rtmpose.families import Network, OneStage, PoseModel
from rtmpose.pose_estimator import PoseEstimator
from rtmpose.serve.job_settings import installed_formats
from rtmpose.serve.results import skeleton_json
from rtmpose.serve.settings import ServeSettings
from rtmpose.text_files import parse_json

Json = dict[str, Any]
ROLES = ("pose", "detector")
ALIAS = "rtmpose"
"""A name that the model has in every service."""


def network_of(model: PoseModel, role: str) -> Network | None:
    """The network of a role; None where there is none of this package."""
    found = model.pose if role == "pose" else model.detector
    return found if isinstance(found, Detector | PoseEstimator | OneStage) else None


def model_names(model: PoseModel) -> dict[str, str | None]:
    """The ids of the networks, and the keypoint set."""
    described = model.describe()
    detector = described.get("detector")
    return {
        "pose": str(described.get("pose") or "unknown"),
        "detector": None if detector is None else str(detector),
        "skeleton": model.skeleton.name,
    }


def protocol_name(model: PoseModel) -> str:
    """The name of the model in the inference protocol: that of the pose network, in the letters
    that paths may have.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(model_names(model)["pose"])) or ALIAS


def models_json(model: PoseModel, settings: ServeSettings, *, with_jobs: bool) -> Json:
    """What ``GET /v1/models`` answers: the model, its networks, defaults, limits, formats."""
    networks: Json = {}
    for role in ROLES:
        network = network_of(model, role)
        networks[role] = None if network is None else _network_json(network, role, settings)
    return {
        "models": [
            {
                "id": protocol_name(model),
                **model_names(model),
                "keypoint_set": skeleton_json(model.skeleton),
                "needs_boxes": model.needs_boxes and not model.finds_people,
                "takes_boxes": model.needs_boxes,
                "networks": networks,
                "defaults": {
                    "box_thr": settings.box_thr,
                    "person_thr": settings.person_thr,
                    "kpt_thr": 0.3,
                },
            }
        ],
        "limits": {
            "body_bytes": settings.max_body_bytes,
            "pixels": settings.max_pixels,
            "images": settings.max_images,
            "people": settings.max_people,
            "upload_bytes": settings.max_upload_bytes,
            "seconds": settings.max_seconds,
            "frames": settings.max_frames,
        },
        "jobs": with_jobs,
        "job_formats": installed_formats(),
    }


def has_file(network: Network | None) -> bool:
    """Whether the file of a network can be fetched: an ONNX file."""
    return network is not None and network.path.suffix == ".onnx" and network.path.is_file()


def card_json(network: Network) -> Json:
    """The card of a network."""
    card: Json = parse_json(card_to_json(network.card), "the card")
    return card


def _network_json(network: Network, role: str, settings: ServeSettings) -> Json:
    backend: Backend = network.backend
    shared = settings.share_models and has_file(network)
    return {
        "id": network.card.id,
        "input_wh": list(network.card.input_wh),
        "engine": backend.engine,
        "device": backend.device,
        "precision": backend.precision,
        "file": f"{settings.root_path}/v1/models/{role}.onnx" if shared else None,
        "card": f"{settings.root_path}/v1/models/{role}.card.json",
    }
