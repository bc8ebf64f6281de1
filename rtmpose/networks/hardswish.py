"""Networks with a cheaper activation: hard swish in place of SiLU.

SiLU needs an exponential for every value of every map. With dense convolutions in 8 bits that is a
sixth of the time of RTMPose-s, and most of it is spent on the maps of stem and stage 1. There
``x * clip(x + 3, 0, 6) / 6`` (Howard et al., ICCV 2019) takes its place, which follows SiLU to
within 0.15 and costs a few cheap instructions. Weights keep their meaning: untrained, RTMPose-s
loses 2.4 AP, and a short distillation from the network it was brings them back. Further stages are
left alone: their channels sit near the floor of SiLU, which hard swish moves.

An RTMDet has it everywhere. The convolutions of the nano are so cheap that SiLU takes a quarter of
its time with OpenVINO in float32, and four tenths in bfloat16; the price is a longer distillation.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.cspnext import HARDSWISH_SUFFIX, REDUCED_SUFFIX, set_hardswish
from rtmpose.networks.layers import replace_silu
from rtmpose.networks.rtmdet import RTMDet


def with_hardswish(network: nn.Module, card: ModelCard) -> tuple[nn.Module, ModelCard]:
    """The same network with the other activation, changed in place, and its card.

    Raises:
        ModelError: it is neither an RTMPose nor an RTMDet, or has hard swish already.
    """
    base = card.architecture.removesuffix("-pruned")
    pruned = card.architecture.removeprefix(base)
    is_detector = isinstance(network, RTMDet)
    family = "rtmdet-" if is_detector else "rtmpose-"
    variant = base.endswith("-humanart")
    if not base.startswith(family) or HARDSWISH_SUFFIX in base or variant:
        raise ModelError(
            f"{card.id} ({card.architecture}) cannot be given hard swish: that is for an RTMPose"
            " or RTMDet with SiLU"
        )

    # An id names family and size, here with the mark.
    size = base.removesuffix(REDUCED_SUFFIX)
    marked = f"{size}{HARDSWISH_SUFFIX}"
    if is_detector:
        replace_silu(network)
    else:
        set_hardswish(network.get_submodule("backbone"))
    card = replace(
        card,
        id=card.id.replace(size, marked, 1) if size in card.id else f"{card.id}{HARDSWISH_SUFFIX}",
        architecture=f"{base}{HARDSWISH_SUFFIX}{pruned}",
        aliases=(),
        files=(),
        published={},
        calibration=None,
    )
    return network, card
