"""CSPNeXt with a linear classifier: the ImageNet pre-training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from rtmpose.networks.cspnext import CSPNeXt, CSPNeXtConfig


@dataclass(frozen=True)
class ClassifierConfig:
    """What shapes a classifier: its backbone, the number of classes, the input size it was trained
    for.
    """

    backbone: CSPNeXtConfig
    classes: int = 1000
    input_wh: tuple[int, int] = (224, 224)


class LinearHead(nn.Module):
    """One linear layer on the global mean."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(config.backbone.stage_channels[-1], config.classes)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to logits ``(N, classes)``."""
        y: Tensor = self.fc(self.pool(x).flatten(1))  # (N, C, H, W) -> (N, C) -> (N, classes)
        return y


class Classifier(nn.Module):
    """The network for one image."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = CSPNeXt(config.backbone)
        self.head = LinearHead(config)

    def forward(self, images: Tensor) -> Tensor:
        """Normalized images ``(N, 3, H, W)`` to logits ``(N, classes)``."""
        y: Tensor = self.head(self.backbone(images)[-1])  # the coarsest map only
        return y
