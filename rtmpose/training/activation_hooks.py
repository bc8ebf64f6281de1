"""Hooks on the inputs of a network's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

W = TypeVar("W", bound="InputWatch")


class InputWatch:
    """Sees the input of some layers before they run. A context: the layers are watched inside it.

    Args:
        network: Holds the layers.
        layers: Their names.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        self._network = network
        self._layers = layers
        self._handles: list[RemovableHandle] = []

    def __enter__(self: W) -> W:
        # The layer's name is bound as a default argument: a closure would see only
        # the last one of the loop.
        for layer in self._layers:

            def hook(
                _module: nn.Module, inputs: tuple[Tensor, ...], layer: str = layer
            ) -> tuple[Tensor, ...] | None:
                return self.see(layer, inputs[0])

            self._handles.append(self._network.get_submodule(layer).register_forward_pre_hook(hook))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def see(self, layer: str, x: Tensor) -> tuple[Tensor, ...] | None:
        """Called with a layer's name and input; a tuple takes the input's place."""
        raise NotImplementedError
