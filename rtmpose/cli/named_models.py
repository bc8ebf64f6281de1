"""Keypoint sets, cards and models that options name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtmpose.cli.options import ModelOptions
    from rtmpose.model_card import ModelCard
    from rtmpose.types import Skeleton


def named_skeleton(name: str | None) -> Skeleton | None:
    """A keypoint set by its name or TOML file; None for None.

    Raises:
        InputError: there is no such set or file.
        ModelError: the file is not a keypoint set.
    """
    if name is None:
        return None
    from rtmpose.skeletons import get_skeleton, load_skeleton

    return load_skeleton(name) if name.endswith(".toml") else get_skeleton(name)


def named_card(name: str | None) -> ModelCard | None:
    """A card by the name of a model or by its JSON file; None for None.

    Raises:
        InputError: the file is not there, or is not a card.
        ModelError: there is no model of that name.
    """
    if name is None:
        return None
    if name.lower().endswith(".json"):
        from rtmpose.cards.io import read_card_file

        return read_card_file(Path(name))
    from rtmpose.zoo import find

    return find(name)


def settings_of_models(models: ModelOptions, boxes: Path | None) -> dict[str, object]:
    """What a resumed job must have the same: models and boxes as they were named.

    Args:
        models: The options of the command.
        boxes: The file of ``--boxes``.
    """
    settings: dict[str, object] = {
        "models": [models.pose, models.detector],
        "boxes": str(boxes or ""),
        "skeleton": models.skeleton or "",
        "card": models.card or "",
    }
    # Journals of before these options lack them.
    if models.det_label:
        settings["det_label"] = models.det_label
    if models.detector_card:
        settings["detector_card"] = models.detector_card
    return settings
