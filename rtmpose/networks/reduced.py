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
from rtmpose.networks.build import build, config_for
from rtmpose.networks.cspnext import REDUCED_SCALE, REDUCED_SUFFIX
from rtmpose.networks.widths import fit_widths


def reduced_card(card: ModelCard) -> ModelCard:
    """The card of the same model for crops of three quarters of the side.

    Raises:
        ModelError: it is not an RTMPose, it is reduced already, or three quarters of its sides are
            not whole pixels.
    """
    # Family, size and the mark of a pruned network, such as "rtmpose-s-pruned".
    family, _, rest = card.architecture.partition("-")
    size, _, pruned = rest.partition("-")
    width, height = (side * REDUCED_SCALE for side in card.input_wh)
    full_size = family == "rtmpose" and REDUCED_SUFFIX not in card.architecture
    if not (full_size and width.is_integer() and height.is_integer()):
        raise ModelError(
            f"{card.id} ({card.architecture}, {card.input_wh[0]}x{card.input_wh[1]}) cannot take"
            " crops of three quarters of the side: that is for an RTMPose of full size"
        )

    # The size in the name changes, and the bins, whose number stays, lie closer.
    input_wh = (int(width), int(height))
    before = f"{card.input_wh[1]}x{card.input_wh[0]}"
    after = f"{input_wh[1]}x{input_wh[0]}"
    return replace(
        card,
        id=card.id.replace(before, after) if before in card.id else f"{card.id}_{after}",
        architecture=f"{family}-{size}{REDUCED_SUFFIX}" + (f"-{pruned}" if pruned else ""),
        input_wh=input_wh,
        codec=replace(card.codec, split_ratio=card.codec.split_ratio / REDUCED_SCALE),
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
    # The same weights fit: only the sizes of maps differ.
    card = reduced_card(card)
    smaller = build(config_for(card))
    state = network.state_dict()
    if card.architecture.endswith("-pruned"):
        fit_widths(smaller, state)
    smaller.load_state_dict(state)
    return smaller.train(network.training), card
