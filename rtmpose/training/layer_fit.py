"""Fitting a network's layers to those of the network it was made from, one after the other.

A network that has another activation computes other maps. Before any training most of that is put
right in closed form: in the order of execution each convolution gets, by least squares, the weights
with which its inputs of today give the outputs of its counterpart. The errors that earlier layers
left are in the inputs, so they do not add up.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.errors import InputError
from rtmpose.networks.fuse import fuse_norms

RIDGE = 1e-3
"""Pull towards the weights of before, over the mean square of the inputs: where the images say
nothing, layers stay as they are.
"""

BIAS_RIDGE = 1e-6
SMALLEST = 1e-9
"""Keeps inputs that are always zero from making the equations singular."""


@torch.no_grad()
def fit_layers(student: nn.Module, teacher: nn.Module, images: Tensor) -> None:
    """Fit the convolutions of a student to a teacher of the same shape.

    Convolutions of channel attention, which see one value per channel and image, are left alone.

    Args:
        student: Changed in place, left in evaluation mode: norms that follow a convolution take its
            offset.
        teacher: Not changed.
        images: Normalized ``(N, 3, H, W)``; some dozens, as both networks' maps are kept.

    Raises:
        InputError: they are of other shapes.
    """
    if _shapes(student) != _shapes(teacher):
        raise InputError("layers are fitted to those of a network of the same shape")
    fused = fuse_norms(student)
    layers = _layers(fused)
    shared = len(_layers(student)) < len(layers)
    if shared:
        raise InputError("layers that several levels share cannot be fitted to each of them")
    wanted = _outputs(fuse_norms(teacher), images)

    # While the student runs, each layer is fitted just before its turn.
    handles = [
        layer.register_forward_pre_hook(_fit_to(wanted[name])) for name, layer in layers.items()
    ]
    try:
        fused(images)
    finally:
        for handle in handles:
            handle.remove()

    # The norm behind a fitted convolution only adds the offset.
    for name, layer in layers.items():
        conv = student.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        assert layer.bias is not None
        conv.weight.copy_(layer.weight)
        if conv.bias is not None:
            conv.bias.copy_(layer.bias)
        else:
            norm = student.get_submodule(f"{name.rpartition('.')[0]}.bn")
            assert isinstance(norm, nn.BatchNorm2d)
            _make_offset(norm, layer.bias)
    student.eval()


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in network.named_parameters()}


def _layers(network: nn.Module) -> dict[str, nn.Conv2d]:
    """The convolutions that are fitted, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "attention" not in name
    }


def _outputs(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What each convolution gives, before its activation."""
    outputs: dict[str, Tensor] = {}

    # A copy: activations work in place.
    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _module, _inputs, output: outputs.update({name: output.clone()})

    handles = [m.register_forward_hook(keep(name)) for name, m in _layers(network).items()]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _fit_to(wanted: Tensor) -> Callable[[nn.Module, tuple[Tensor]], None]:
    """A hook that fits a convolution to outputs ``(N, O, H, W)`` for the inputs it is about to
    see.
    """

    def fit(module: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(module, nn.Conv2d)
        assert module.bias is not None  # the norm is folded in
        groups = module.groups
        weight = module.weight.double().reshape(groups, module.out_channels // groups, -1)
        offset = module.bias.double().reshape(groups, -1, 1)
        before = torch.cat([weight, offset], dim=2).transpose(1, 2)  # (G, taps + 1, O / G)

        # Normal equations, image by image: products of taps, and of taps and outputs.
        size = before.shape[1]
        products = before.new_zeros(groups, size, size)
        targets = torch.zeros_like(before)
        for image, output in zip(inputs[0], wanted, strict=True):
            taps = _taps(image, module)
            aims = output.reshape(groups, before.shape[2], -1).transpose(1, 2)
            products += (taps @ taps.transpose(1, 2)).double()
            targets += (taps @ aims).double()

        # Towards the weights of before, the offset hardly.
        diagonal = products.diagonal(dim1=1, dim2=2)
        ridge = (RIDGE * diagonal[:, :-1].mean(dim=1, keepdim=True)).expand(-1, size).clone()
        ridge[:, -1] = BIAS_RIDGE * diagonal[:, -1]
        ridge += SMALLEST * diagonal[:, -1:]
        pull = torch.diag_embed(ridge)
        after = torch.linalg.solve(products + pull, targets + pull @ before)
        module.weight.copy_(after[:, :-1].transpose(1, 2).reshape(module.weight.shape))
        module.bias.copy_(after[:, -1].reshape(module.bias.shape))

    return fit


def _taps(image: Tensor, conv: nn.Conv2d) -> Tensor:
    """What a convolution multiplies, and ones for its offset: ``(G, taps + 1, positions)``."""
    assert isinstance(conv.padding, tuple)
    columns = functional.unfold(image[None], conv.kernel_size, 1, conv.padding, conv.stride)[0]
    taps = columns.reshape(conv.groups, -1, columns.shape[1])
    return torch.cat([taps, torch.ones_like(taps[:, :1])], dim=1)


def _make_offset(norm: nn.BatchNorm2d, offset: Tensor) -> None:
    """Let a norm in evaluation mode only add an offset."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.weight.fill_(1)
    norm.bias.copy_(offset)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
