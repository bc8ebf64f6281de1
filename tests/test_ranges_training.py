"""Every number of a recipe and of pruning has a range."""

from dataclasses import is_dataclass

import pytest
from numeric_fields import numeric_fields, refuse_wrong_numbers

pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from rtmpose.errors import InputError
from rtmpose.exporting.onnx import OnnxOptions
from rtmpose.pruning.options import PruneOptions
from rtmpose.training.data.augment import Augmentation
from rtmpose.training.data.mosaic import MosaicConfig
from rtmpose.training.recipes import recipe as recipes

SETTINGS = [
    OnnxOptions(),
    PruneOptions(1000),
    Augmentation(),
    MosaicConfig(),
    recipes.Recipe("mine"),
    recipes.Schedule(),
    recipes.Optimizer(),
    recipes.Ema(),
    recipes.BatchNormSettings(),
    recipes.Loss(),
    recipes.Data(),
    recipes.Distillation(),
    recipes.DetectorSettings(),
]


def test_every_part_of_a_recipe_is_tried():
    parts = {
        name
        for name, part in vars(recipes).items()
        if is_dataclass(part) and part.__module__ == recipes.__name__
    }
    assert parts <= {type(s).__name__ for s in SETTINGS}


@pytest.mark.parametrize(("settings", "name", "optional"), numeric_fields(SETTINGS))
def test_every_number_of_every_setting_has_a_range(settings, name, optional):
    refuse_wrong_numbers(settings, name, optional)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Augmentation(scale=(2, 1)), "smaller number first"),
        (lambda: MosaicConfig(scale=(0.5,)), "smaller number first"),
        (lambda: MosaicConfig(cover="no"), "cover must be True or False"),
        (lambda: recipes.Loss(half_weight_keypoints=(5, 2)), "smaller number first"),
        (lambda: recipes.DetectorSettings(long_side_range=(640, 320)), "smaller number first"),
        (lambda: recipes.Ema(gamma=0), "ema.gamma must be"),
        (lambda: PruneOptions(1000, criterion="mean"), "criterion must be fisher or magnitude"),
        (lambda: PruneOptions(1000, compensate=1), "compensate must be True or False"),
        (lambda: PruneOptions(1.5), "max_multiply_adds must be a whole number"),
    ],
)
def test_what_is_no_range_is_refused_too(make, words):
    with pytest.raises(InputError, match=words):
        make()
