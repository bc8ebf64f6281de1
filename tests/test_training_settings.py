"""Learning rates, groups of parameters, precision, and settings as text."""

import itertools

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402

from rtmpose.errors import InputError  # noqa: E402
from rtmpose.training import Distillation, Recipe, override, with_settings  # noqa: E402
from rtmpose.training.data.augment import Augmentation  # noqa: E402
from rtmpose.training.devices import choose_precision, resolve_precision  # noqa: E402
from rtmpose.training.optim import learning_rate, parameter_groups, rate_factor  # noqa: E402


def test_learning_rate_and_its_course():
    recipe = override(
        Recipe("r"),
        lr=4e-3,
        base_batch_size=1024,
        warmup_steps=10,
        warmup_start_factor=1e-5,
        flat_fraction=0.5,
        final_lr_factor=0.05,
    )
    assert learning_rate(recipe, 2048) == pytest.approx(8e-3)
    assert learning_rate(override(recipe, lr_scaling="sqrt"), 4096) == pytest.approx(8e-3)
    assert learning_rate(override(recipe, lr_scaling="none"), 64) == 4e-3
    course = [rate_factor(recipe, s, 100) for s in range(100)]
    assert course[0] == pytest.approx(1e-5)
    assert course[9:51] == [1.0] * 42
    assert all(a > b for a, b in itertools.pairwise(course[51:]))
    assert course[75] == pytest.approx(0.05 + 0.95 * 0.5)
    assert rate_factor(recipe, 100, 100) == pytest.approx(0.05)


def test_no_decay_on_norms_and_biases():
    network = trainable.network()
    groups = parameter_groups(network, 0.05, 1e-3, head_lr_factor=2.0)
    names = {id(p): n for n, p in network.named_parameters()}
    bare = {names[id(p)] for g in groups if g["weight_decay"] == 0 for p in g["params"]}
    assert all(n.endswith(".bias") or ".bn." in n for n in bare)
    assert {n for n in names.values() if ".bn." in n or n.endswith(".bias")} == bare
    assert sum(len(g["params"]) for g in groups) == len(names)
    assert {g["lr"] for g in groups} == {1e-3, 2e-3}


def test_rates_by_size():
    network = trainable.network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.3)
        next(network.parameters()).zero_()
    groups = parameter_groups(network, 0.05, 1e-3, head_lr_factor=2.0, by_rms=True)
    names = {id(p): n for n, p in network.named_parameters()}
    assert sum(len(g["params"]) for g in groups) == len(names)
    for group in groups:
        for parameter in group["params"]:
            name, size = names[id(parameter)], float(parameter.detach().square().mean().sqrt())
            weight = parameter.ndim > 1 and size > 0
            share = (size / 0.1 if weight else 1) * (1 if name.startswith("backbone.") else 2)
            assert group["lr"] == pytest.approx(1e-3 * share, rel=1e-5), name


def test_settings_as_text():
    recipe = with_settings(
        Recipe("r"),
        {"lr": "1e-4", "augment.rotate": "40", "augment.scale": "0.5,1.5", "distill.logits": "2"},
    )
    assert recipe.optimizer.lr == 1e-4
    assert recipe.augment == Augmentation(rotate=40, scale=(0.5, 1.5))
    assert recipe.distill == Distillation(logits=2)
    assert with_settings(recipe, {"distill": "none"}).distill is None
    wrong = (
        {"learning": "1"},
        {"lr": "fast"},
        {"precision": "int8"},
        {"augment": "1"},
        {"augment.scale": "1"},
    )
    for bad in (*wrong, {"distill.stages": "0"}, {"distill.stages": "5"}):
        with pytest.raises(InputError):
            with_settings(recipe, bad)


def test_precision():
    recipe = Recipe("small")
    assert resolve_precision(recipe, (64, 64)).precision == "fp32"
    assert resolve_precision(recipe, (192, 256)) is recipe
    assert resolve_precision(override(recipe, precision="bf16"), (64, 64)).precision == "bf16"
    assert choose_precision("fp32", "cpu") == "fp32"
    assert choose_precision("auto", "cpu") in ("fp32", "bf16")
    with pytest.raises(InputError, match="CUDA"):
        choose_precision("fp16", "cpu")
