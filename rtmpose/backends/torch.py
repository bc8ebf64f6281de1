"""torch: checkpoints as they are, for evaluation and as the reference of exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.backend_table import Precision
from rtmpose.backends.base import BackendOptions, Outputs, TensorSpec
from rtmpose.errors import BackendError
from rtmpose.model_card import ModelCard

if TYPE_CHECKING:
    from torch import Tensor, nn


def devices() -> dict[str, tuple[Precision, ...]]:
    """Devices here and their precisions, the fastest first."""
    import torch

    kinds = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)
    precisions = table.row("torch").devices
    return {kind: precisions[kind] for kind in kinds}


def card_of_file(path: Path) -> ModelCard:
    """What a checkpoint without a card is; see
    :func:`rtmpose.networks.checkpoint_card.checkpoint_card`.
    """
    try:
        from rtmpose.networks.load import find_card
    except ImportError as error:
        raise table.row("torch").missing() from error
    return find_card(path)


class TorchBackend:
    """A network run by torch. See :class:`rtmpose.backends.base.Backend`.

    Args:
        model: A ``.pth``, ``.safetensors`` or ``.onnx`` file of a network of this family; or the
            network itself.
        card: Its description.
        options: ``device`` ``cpu`` or ``cuda[:N]``; ``precision`` ``fp32`` or ``bf16`` (autocast).

    Raises:
        MissingDependencyError: torch is not installed.
        BackendError: the device is not there.
        ModelError: the file does not fit the card.
    """

    engine = "torch"

    def __init__(self, model: Path | nn.Module, card: ModelCard, options: BackendOptions) -> None:
        try:
            import torch
        except ImportError as error:
            raise table.row(self.engine).missing() from error
        from rtmpose.networks.fuse import fuse_norms
        from rtmpose.networks.load import load_network

        # Checked here, because torch's own error comes late and says less.
        if options.device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendError(
                f"device {options.device!r} was asked for, but torch finds no NVIDIA GPU here"
            )
        if options.threads:
            torch.set_num_threads(options.threads)

        # Checkpoints are read into a network; batch norms become part of the convolutions.
        network = load_network(model, card=card)[0] if isinstance(model, Path) else model
        self._network = fuse_norms(network).to(options.device)
        self._normalization = card.normalization
        self.device = options.device
        self.precision = "bf16" if options.precision == "bf16" else "fp32"

        # A network has no shapes: the card knows the input's, a black image shows the rest.
        width, height = card.input_wh
        self.input = TensorSpec("input", (None, 3, height, width))
        self.metadata: Mapping[str, str] = {}
        self.flexible = card.is_detector  # no layer of detectors is tied to a size
        results = self(np.zeros((1, height, width, 3), np.uint8))
        self.outputs = tuple(
            TensorSpec(f"output{i}", (None, *r.shape[1:])) for i, r in enumerate(results)
        )

    def __call__(self, images: NDArray[np.uint8]) -> Outputs:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        import torch

        from rtmpose.networks.load import to_tensor

        # (N, 3, H, W), normalized on the CPU.
        pixels = to_tensor(images, self._normalization).to(self.device)
        kind, _ = table.split_device(self.device)
        with (
            torch.inference_mode(),
            torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            outputs = self._network(pixels)

        # Whatever precision was used inside, float32 comes out.
        return tuple(tensor.float().cpu().numpy() for tensor in _flatten(outputs))


def _flatten(outputs: object) -> Iterator[Tensor]:
    """The tensors of nested lists and tuples, in order."""
    # Heads return a tensor, a pair, or lists per level.
    if isinstance(outputs, list | tuple):
        for part in outputs:
            yield from _flatten(part)
        return
    from torch import Tensor

    assert isinstance(outputs, Tensor)
    yield outputs
