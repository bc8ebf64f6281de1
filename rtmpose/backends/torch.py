"""torch: checkpoints as they are. For evaluation and as the reference of exports; not the fastest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import BackendOptions, TensorSpec
from rtmpose.errors import BackendError, MissingDependencyError
from rtmpose.model_card import ModelCard


class TorchBackend:
    """A network run by torch. See :class:`rtmpose.backends.base.Backend`.

    Args:
        path: A ``.pth``, ``.safetensors`` or ``.onnx`` file of a network of this family; or the
            network itself.
        card: Its description.
        options: ``device`` ``cpu`` or ``cuda[:N]``; ``precision`` ``fp32`` or ``bf16`` (autocast).

    Raises:
        MissingDependencyError: torch is not installed.
        BackendError: the device is not there.
        ModelError: the file does not fit the card.
    """

    engine = "torch"

    def __init__(self, path: Path | Any, card: ModelCard, options: BackendOptions) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError(
                "checkpoints need torch: pip install 'rtmpose[export]'"
            ) from error
        from rtmpose.networks.fuse import fuse_norms
        from rtmpose.networks.load import load_network, to_tensor

        if options.device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendError(
                f"device {options.device!r} was asked for, but torch finds no NVIDIA GPU here"
            )
        if options.threads:
            torch.set_num_threads(options.threads)
        network = load_network(path, card=card)[0] if isinstance(path, Path) else path
        self._torch, self._to_tensor, self._normalization = torch, to_tensor, card.normalization
        self._network = fuse_norms(network).to(options.device)
        self.device, self.precision = (
            options.device,
            "bf16" if options.precision == "bf16" else "fp32",
        )
        width, height = card.input_wh
        self.input = TensorSpec("input", (None, 3, height, width))
        self.metadata: Mapping[str, str] = {}
        self.flexible = card.is_detector  # no layer of theirs is tied to a size
        self.outputs: tuple[TensorSpec, ...] = ()
        results = self(np.zeros((1, height, width, 3), np.uint8))
        self.outputs = tuple(
            TensorSpec(f"output{i}", (None, *r.shape[1:])) for i, r in enumerate(results)
        )

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        torch = self._torch
        pixels = self._to_tensor(images, self._normalization).to(self.device)
        kind = self.device.partition(":")[0]
        with (
            torch.inference_mode(),
            torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            outputs = self._network(pixels)
        return tuple(o.float().cpu().numpy() for o in _flat(outputs))


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, list | tuple):
        return [tensor for part in outputs for tensor in _flat(part)]
    return [outputs]
