"""A model's network with its weights, from whatever form the weights are in."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard, Normalization
from rtmpose.networks.build import Config, build, config_for
from rtmpose.networks.checkpoint import CHECKPOINTS, load_state, read_card, read_checkpoint
from rtmpose.networks.checkpoint_card import checkpoint_card
from rtmpose.networks.from_onnx import read_onnx_weights
from rtmpose.networks.widths import apply_masks, fit_widths
from rtmpose.onnx_file import onnx_outputs
from rtmpose.ops import rtmo
from rtmpose.zoo import find, model_kind, resolve


def load_network(
    model: str | os.PathLike[str] | ModelCard,
    *,
    card: ModelCard | None = None,
    config: Config | None = None,
    strict: bool = True,
) -> tuple[nn.Module, ModelCard]:
    """Build a network and load its weights.

    Args:
        model: An id or alias of the zoo, a card, or the path or URL of a ``.pth``, ``.safetensors``
            or ``.onnx`` file. A zoo model is taken from its ONNX file where one is published, else
            from its checkpoint.
        card: Describes a file without a card inside (for a model of the zoo:
            ``zoo.find(...)``).
        config: The network's config where it differs from the card's.
        strict: Refuse a checkpoint with other keys or shapes.

    Returns:
        The network in evaluation mode, and its card.

    Raises:
        ModelError: the model is not available, or the file does not fit.
    """
    # Which file, and what it is.
    if isinstance(model, ModelCard) or model_kind(model) == "name":
        known = model if isinstance(model, ModelCard) else find(os.fspath(model))
        config = config or config_for(known)  # raises before anything is downloaded
        path, _ = resolve(known, format="onnx" if known.file("onnx") else "pth")
        card = card or known
    else:
        path, known_card = resolve(model)
        card = card or read_card(path) or known_card or _card_by_weights(path)
    if card is None:
        raise _unknown_file(path)

    # An ONNX file is read by order or name of its layers, a checkpoint by its keys.
    config = config or config_for(card)
    network = build(config)
    if path.suffix == ".onnx":
        pruned = card.architecture.endswith("-pruned")
        read_onnx_weights(network, path, config.input_wh, pruned=pruned)
    else:
        state = apply_masks(read_checkpoint(path))
        if card.architecture.endswith("-pruned"):
            fit_widths(network, state)
        load_state(network, state, str(path), strict=strict)
    return network.eval(), card


def find_card(model: str | os.PathLike[str]) -> ModelCard:
    """The card of a model, without its weights where they are not needed to know it.

    Args:
        model: As in :func:`load_network`.

    Raises:
        ModelError: there is no such model, or the file does not say which one it is.
    """
    if model_kind(model) == "name":
        return find(os.fspath(model))
    path, known = resolve(model)
    card = read_card(path) or known or _card_by_weights(path)
    if card is None:
        raise _unknown_file(path)
    return card


def _card_by_weights(path: Path) -> ModelCard | None:
    """The card of a checkpoint of the publisher's framework, made from what is in it."""
    return checkpoint_card(path) if path.suffix.lower() in CHECKPOINTS else None


def _unknown_file(path: Path) -> ModelError:
    """What is wrong with a file without a card."""
    if _is_one_stage(path):
        return ModelError(
            f"{path} is a one-stage model, which runs from ONNX and cannot be trained or pruned; to"
            " export it, name the model of the zoo it is: --card rtmo-s"
        )
    return ModelError(
        f"{path} does not say which model it is; name the model of the zoo it belongs to (--card)"
    )


def _is_one_stage(path: Path) -> bool:
    """Whether a file has the outputs of RTMO."""
    if path.suffix != ".onnx":
        return False
    outputs = onnx_outputs(path.read_bytes())
    return rtmo.is_layout([shape for _, shape in outputs], [name for name, _ in outputs])


def resized(network: nn.Module, card: ModelCard, input_wh: tuple[int, int]) -> ModelCard:
    """The card for another input size.

    Raises:
        ModelError: the network is tied to its size (SimCC), or a side is not a multiple of 32.
    """
    if input_wh == card.input_wh:
        return card
    if any(side <= 0 or side % 32 for side in input_wh):
        raise ModelError(
            f"an input of {input_wh[0]}x{input_wh[1]} is not possible: both sides must be"
            " multiples of 32"
        )
    if card.codec.kind == "simcc":
        raise ModelError(
            f"{card.id} has one weight per cell and bin of its"
            f" {card.input_wh[0]}x{card.input_wh[1]} input: another size needs another model or a"
            " training"
        )
    # Maps, and the size in the name, follow.
    codec = card.codec
    if codec.heatmap_wh:
        codec = replace(codec, heatmap_wh=(input_wh[0] // 4, input_wh[1] // 4))
    name = re.sub(r"\d+x\d+$", f"{input_wh[1]}x{input_wh[0]}", card.id)
    return replace(card, id=name, input_wh=input_wh, codec=codec)


def to_tensor(images: NDArray[np.uint8], normalization: Normalization) -> Tensor:
    """BGR uint8 ``(N, H, W, 3)`` to the network's normalized ``(N, 3, H, W)`` float32."""
    # A view, (N, 3, H, W).
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    if normalization.color == "rgb":
        pixels = pixels.flip(1)  # BGR to RGB
    mean, std = (
        torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1)
        for v in (normalization.mean, normalization.std)
    )
    return ((pixels.float() - mean) / std).contiguous()
