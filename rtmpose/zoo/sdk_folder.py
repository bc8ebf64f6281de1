"""Model folders of the original's deployment SDK: ``deploy.json``, ``pipeline.json`` and the
network next to them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rtmpose.cards.check import check_card
from rtmpose.cards.io import embedded_card
from rtmpose.errors import ModelError
from rtmpose.model_card import Codec, ColorOrder, ModelCard, Normalization
from rtmpose.onnx_file import onnx_outputs
from rtmpose.ops import rtmo
from rtmpose.text_files import read_json

LONGEST_NAME = 255
"""Bytes that file systems allow a name."""


def is_sdk_folder(path: Path) -> bool:
    """Whether the folder was written for the deployment SDK."""
    return path.is_dir() and (path / "deploy.json").is_file() and (path / "pipeline.json").is_file()


def read_sdk(folder: Path) -> tuple[Path, ModelCard | None]:
    """The network file of a folder and a card made of its ``pipeline.json``; None for one-stage
    models, whose outputs say enough.

    Raises:
        ModelError: a file is missing or says something this package does not know.
    """
    try:
        deploy = read_json(folder / "deploy.json")
        tasks = read_json(folder / "pipeline.json")["pipeline"]["tasks"]
        # The first model is the network.
        model = deploy["models"][0]
        network = _inside(folder, model["net"])
        if network.is_file() and _is_one_stage(network):
            return network, embedded_card(network)

        # Preprocessing and decoding are tasks of the pipeline.
        transforms = {t["type"]: t for task in tasks for t in task.get("transforms", ())}
        decode: Any = next((t for t in tasks if t.get("component")), {})
        pixels = transforms["Normalize"]
        mean = tuple(map(float, pixels["mean"]))
        std = tuple(map(float, pixels["std"]))
        color: ColorOrder = "rgb" if pixels.get("to_rgb", True) else "bgr"
        normalization = Normalization(mean, std, color)  # type: ignore[arg-type]
        card = check_card(_card(folder.name, model, transforms, decode, normalization))
    except RecursionError as error:
        raise ModelError(
            f"{folder} is not a complete deployment SDK folder: a file is nested too deeply"
        ) from error
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise ModelError(f"{folder} is not a complete deployment SDK folder: {error!r}") from error
    if not network.is_file():
        raise ModelError(f"{folder} names {model['net']}, which is not there")
    return network, embedded_card(network) or card


def _inside(folder: Path, name: object) -> Path:
    """The network's file, which must lie in the folder: the folder may come from anybody.

    Raises:
        ModelError: the name leads elsewhere, itself or through a link.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ModelError(f"{folder / 'deploy.json'} does not name the network's file")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ModelError(
            f"{folder / 'deploy.json'} gives the network's file a name of {len(name)} characters"
        )
    path = folder / name
    try:
        stays = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be followed: {error}") from error
    if not stays:
        raise ModelError(
            f"{folder / 'deploy.json'} names {name} as the network, which lies outside of the"
            " folder; put the file into the folder"
        )
    return path


def _is_one_stage(network: Path) -> bool:
    outputs = onnx_outputs(network.read_bytes()) if network.suffix == ".onnx" else []
    return rtmo.is_layout([shape for _, shape in outputs], [name for name, _ in outputs])


def _card(
    name: str, model: Any, transforms: dict[str, Any], decode: Any, normalization: Normalization
) -> ModelCard:
    component = decode.get("component")
    params = decode.get("params", {})

    # Detectors: size, normalization, and which of the two families.
    if component == "ResizeBBox":
        size = transforms.get("Pad", {}).get("size") or transforms["Resize"]["size"]
        width, height = (size, size) if isinstance(size, int) else size
        # YOLOX takes plain pixels; RTMDet normalizes.
        plain = normalization.std == (1.0, 1.0, 1.0)
        codec = Codec(
            "yolox" if plain or "yolox" in str(model.get("name", "")).lower() else "rtmdet"
        )
        return ModelCard(name, "detection", codec.kind, (width, height), normalization, codec)

    # Pose networks: their crop, and how positions are decoded.
    width, height = transforms["TopDownAffine"]["image_size"]
    if component == "SimCCLabelDecode":
        sigma = params.get("sigma", ())
        spread = tuple(sigma) if isinstance(sigma, list) else (float(sigma or 0),)
        codec = Codec("simcc", float(params.get("simcc_split_ratio", 2.0)), spread)
    elif params.get("type") == "UDPHeatmap" or transforms["TopDownAffine"].get("use_udp"):
        codec = Codec(
            "heatmap", sigma=(float(params.get("sigma", 2)),), heatmap_wh=(width // 4, height // 4)
        )
    else:
        raise ValueError(f"the decoder {component!r} is not one this package has")
    return ModelCard(name, "pose estimation", "unknown", (width, height), normalization, codec)
