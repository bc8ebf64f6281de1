"""From a torch network to a Core ML package."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from rtmpose.cards.io import KEY, card_to_json
from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.exporting.silence import no_logging, no_output
from rtmpose.exporting.tracing import trace_network
from rtmpose.model_card import ModelCard


def write_coreml(network: nn.Module, card: ModelCard, out: Path, *, half: bool = True) -> None:
    """Write a Core ML package. It can only be run, and so checked, on a Mac.

    Args:
        network: From :func:`rtmpose.networks.load_network`.
        card: Its description, embedded.
        out: Name of the ``.mlpackage``.
        half: Compute in float16.

    Raises:
        MissingDependencyError: coremltools is not installed.
        ModelError: coremltools failed.
    """
    # The converter prints while it is imported, too.
    try:
        with no_output():
            import coremltools
    except ImportError as error:
        raise MissingDependencyError(
            "this needs coremltools: pip install 'rtmpose[coreml]'"
        ) from error
    width, height = card.input_wh
    precision = coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32

    # The input is one image of a fixed size.
    try:
        with torch.inference_mode(), no_logging(), no_output():
            package = coremltools.convert(
                trace_network(network, card.input_wh),
                inputs=[coremltools.TensorType("input", shape=(1, 3, height, width))],
                convert_to="mlprogram",
                compute_precision=precision,
                minimum_deployment_target=coremltools.target.iOS16,
            )
            package.user_defined_metadata[KEY] = card_to_json(card)
            package.save(str(out))
    except Exception as error:
        raise ModelError(
            f"coremltools could not convert {card.id}: {str(error).strip().splitlines()[-1]}"
        ) from error
