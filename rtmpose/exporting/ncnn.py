"""From a torch network to ncnn's files, through pnnx."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from rtmpose.cards.io import write_sidecar_card
from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.exporting.silence import no_output
from rtmpose.exporting.tracing import trace_network
from rtmpose.model_card import ModelCard


def write_ncnn(network: nn.Module, card: ModelCard, out: Path, *, half: bool = True) -> None:
    """Write ncnn's ``.param`` and ``.bin``, with ``.param.card.json`` next to them.

    Args:
        network: From :func:`rtmpose.networks.load_network`.
        card: Its description.
        out: Name of the ``.param`` file.
        half: Store the weights as float16.

    Raises:
        MissingDependencyError: pnnx is not installed.
        ModelError: pnnx failed.
    """
    # pnnx is optional.
    try:
        import pnnx
    except ImportError as error:
        raise MissingDependencyError("this needs pnnx: pip install 'rtmpose[export]'") from error
    width, height = card.input_wh
    with tempfile.TemporaryDirectory() as folder:
        # pnnx reads and writes files, all next to its input.
        script = Path(folder) / "network.pt"
        traced = trace_network(network, card.input_wh)
        with warnings.catch_warnings():
            # TorchScript is what pnnx reads; torch says at every use that it will go one day.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(traced, str(script))
        with no_output():
            # By an example, as pnnx forgets the precision where it is given shapes.
            pnnx.convert(str(script), inputs=[torch.zeros(1, 3, height, width)], fp16=half)
        converted = script.with_suffix(".ncnn.param")
        if not converted.is_file():
            raise ModelError(f"pnnx could not convert {card.id} to ncnn")
        weights = out.with_suffix(".bin")
        shutil.copyfile(converted, out)
        shutil.copyfile(script.with_suffix(".ncnn.bin"), weights)

    # The format has no place for a card. ncnn does not check files: what they are is recorded.
    write_sidecar_card(out, card, recorded=(out, weights))
