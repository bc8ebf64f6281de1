"""What an export starts from: a torch network, or an ONNX file of another family."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from rtmpose.backends import Backend, BackendOptions
from rtmpose.backends.onnxruntime import OnnxRuntimeBackend
from rtmpose.backends.torch import TorchBackend
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.load import load_network, resized
from rtmpose.zoo import find, model_kind, resolve


@dataclass(frozen=True)
class ExportSource:
    """What an export starts from.

    Attributes:
        card: Its description.
        network: As torch; None for a network that is not of this family.
        onnx: Its ONNX file where there is no torch network.
    """

    card: ModelCard
    network: nn.Module | None
    onnx: Path | None = None

    def torch_network(self, purpose: str) -> nn.Module:
        """The torch network.

        Raises:
            ModelError: there is none; the message names the purpose.
        """
        if self.network is None:
            raise ModelError(
                f"{self.card.id} is available as an ONNX file only; {purpose} needs the torch"
                " network"
            )
        return self.network

    def onnx_file(self) -> Path:
        """The ONNX file of a network that is not of this family."""
        assert self.onnx is not None
        return self.onnx

    def reference(self) -> Backend:
        """The source itself on the CPU, for comparison."""
        if self.network is not None:
            return TorchBackend(self.network, self.card, BackendOptions("torch", "cpu"))
        options = BackendOptions("onnxruntime", "cpu")
        return OnnxRuntimeBackend(self.onnx_file(), self.card, options)


def open_source(
    model: str | Path | ModelCard,
    card: ModelCard | None = None,
    input_wh: tuple[int, int] | None = None,
) -> ExportSource:
    """The torch network of a model, or its ONNX file where the network is not of this family
    (YOLOX).

    Args:
        model: Name from the zoo, its card, or the path of a ``.pth``, ``.safetensors`` or ``.onnx``
            file.
        card: Describes a file without a card inside.
        input_wh: Another input size.

    Raises:
        ModelError: it is not available, or cannot take that input size.
    """
    # What is known of the model: from the caller, the zoo or the file.
    known = card
    if isinstance(model, ModelCard):
        known = known or model
    named = isinstance(model, ModelCard) or model_kind(model) == "name"
    if known is None and named:
        known = find(str(model))
    path: Path | None = None
    if known is None:
        path, known = resolve(model)

    # Networks of other families have no counterpart in torch here.
    if known is not None and not known.has_network:
        if input_wh is not None:
            raise ModelError(
                f"{known.id} is exported from its ONNX file, whose input size is fixed"
            )
        if path is None:
            path, _ = resolve(known if named else model)
        if path.suffix.lower() != ".onnx":
            raise ModelError(
                f"{path} is not an ONNX file: a {known.architecture} is exported from its ONNX file"
            )
        return ExportSource(known, None, path)

    # The usual case: a torch network, at the input size that was asked for.
    network, known = load_network(model, card=card)
    if input_wh is not None:
        known = resized(network, known, input_wh)
    return ExportSource(known, network)
