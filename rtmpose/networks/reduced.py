"""RTMPose for smaller crops, with the last stage and the head of the full size.

Three quarters of the side hold all that RTMPose-s uses: crops made smaller and enlarged again cost
it no accuracy (see docs/own-models.md). So crops come in at three quarters of the side, stem and
stages 1 to 3 work on maps that much smaller, and the map of stage 3 is enlarged to the size that
stage 4 and the head were trained for. The bins of the outputs keep their number, so that they lie
closer: 8/3 per pixel in place of 2. Every weight keeps its meaning, and the network is a good start
for a short distillation from the one it was.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard

SUFFIX = "-reduced"
"""In the architecture of a card, before ``-pruned``."""

_SHARE = 0.75
_STRIDE = 16
"""Of stage 3."""


def enlarged_map(input_wh: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the map that stage 4 of a reduced network sees, for crops of
    ``input_wh``.
    """
    return round(input_wh[1] / _SHARE) // _STRIDE, round(input_wh[0] / _SHARE) // _STRIDE


def reduced_card(card: ModelCard) -> ModelCard:
    """The card of the same model for crops of three quarters of the side.

    Raises:
        ModelError: it is no RTMPose, it is reduced already, or three quarters of its sides are no
            whole pixels.
    """
    family, _, rest = card.architecture.partition("-")
    size, _, pruned = rest.partition("-")
    width, height = (side * _SHARE for side in card.input_wh)
    if (
        family != "rtmpose"
        or SUFFIX in card.architecture
        or not (width.is_integer() and height.is_integer())
    ):
        raise ModelError(
            f"{card.id} ({card.architecture}, {card.input_wh[0]}x{card.input_wh[1]}) cannot take"
            " crops of three quarters of the side: that is for an RTMPose of full size"
        )
    before, after = (f"{h}x{w}" for w, h in (card.input_wh, (int(width), int(height))))
    return replace(
        card,
        id=card.id.replace(before, after) if before in card.id else f"{card.id}_{after}",
        architecture=f"{family}-{size}{SUFFIX}" + (f"-{pruned}" if pruned else ""),
        input_wh=(int(width), int(height)),
        codec=replace(card.codec, split_ratio=card.codec.split_ratio / _SHARE),
        aliases=(),
        files=(),
        published={},
        calibration=None,
    )


def reduce_input(network: nn.Module, card: ModelCard) -> tuple[nn.Module, ModelCard]:
    """A network with the same weights for crops of three quarters of the side, and its card.

    Args:
        network: From :func:`rtmpose.networks.load_network`; left as it is.
        card: Its card.

    Raises:
        ModelError: as :func:`reduced_card`.
    """
    from rtmpose.networks.build import build, config_for
    from rtmpose.networks.widths import fit_widths

    card = reduced_card(card)
    smaller = build(config_for(card))
    state = network.state_dict()
    if card.architecture.endswith("-pruned"):
        fit_widths(smaller, state)
    smaller.load_state_dict(state)
    return smaller.train(network.training), card
