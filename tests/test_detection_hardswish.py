"""Detectors with hard swish: layers fitted in closed form, maps learned from the network before."""

import copy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from detectable import CARD, SMALL, write_set  # noqa: E402
from torch import nn  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.networks import build, config_for, save_safetensors  # noqa: E402
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.layers import replace_silu  # noqa: E402
from rtmpose.networks.rtmdet import RTMDet, RTMDetConfig  # noqa: E402
from rtmpose.training.detection.distill import DetectorTeacher, MapDistillation  # noqa: E402
from rtmpose.training.detection.setup import start_detector  # noqa: E402
from rtmpose.training.detection.task import DetectorTask  # noqa: E402
from rtmpose.training.layer_fit import fit_layers  # noqa: E402
from rtmpose.training.pose.distill import normalize  # noqa: E402
from rtmpose.training.recipes import find_recipe, override  # noqa: E402
from rtmpose.training.recipes.overrides import with_settings  # noqa: E402


def small(*, share_conv=False, channels=32):
    torch.manual_seed(5)
    backbone = CSPNeXtConfig(0.167, 0.125, depthwise=not share_conv)
    network = RTMDet(RTMDetConfig(backbone, channels, 1, share_conv=share_conv)).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # statistics that are not those of a new norm
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.3, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    return network


def outputs(network, images):
    with torch.inference_mode():
        logits, distances = network(images)
    return torch.cat([m.flatten() for m in logits + distances])


def distance(network, teacher, images):
    return (outputs(network, images) - outputs(teacher, images)).square().mean().item()


# --- layers in closed form


def test_fitted_layers_give_what_the_network_before_gave():
    before = small()
    network = copy.deepcopy(before)
    replace_silu(network)
    seen, new = torch.randn(12, 3, 96, 96), torch.randn(4, 3, 96, 96)
    state = copy.deepcopy(before.state_dict())
    raw = distance(network, before, new)
    fit_layers(network, before, seen)
    assert distance(network, before, new) < 0.3 * raw
    for name, value in before.state_dict().items():  # the teacher is left alone
        assert torch.equal(value, state[name]), name
    assert not network.training


def test_the_same_network_fits_itself():
    before = small()
    network = copy.deepcopy(before)
    images = torch.randn(4, 3, 96, 64)
    wanted = outputs(before, images)
    fit_layers(network, before, images)
    assert torch.allclose(outputs(network, images), wanted, atol=1e-3 * wanted.abs().max().item())


def test_layers_of_another_shape_and_shared_ones_are_refused():
    images = torch.randn(2, 3, 64, 64)
    with pytest.raises(InputError, match="same shape"):
        fit_layers(small(), small(channels=16), images)
    with pytest.raises(InputError, match="share"):
        fit_layers(small(share_conv=True), small(share_conv=True), images)


# --- maps of a teacher


def test_maps_of_the_same_network_cost_nothing_and_others_have_a_gradient():
    network, before = small(), small()
    teacher = DetectorTeacher(before, CARD, square=False)
    maps = MapDistillation(network, teacher)
    images = torch.randint(0, 256, (2, 96, 64, 3), dtype=torch.uint8)
    pixels = normalize(images, CARD)
    # The mirror image is seen too, but its maps are not those that are compared.
    teacher(images)
    with torch.no_grad():
        network(pixels)
    assert maps.loss().item() == pytest.approx(0, abs=1e-9)
    replace_silu(network)
    network(pixels)
    loss = maps.loss()
    assert loss.item() > 1e-5
    loss.backward()
    assert network.backbone.stem[0].conv.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in before.parameters())


def test_teachers_whose_maps_cannot_be_compared_are_told():
    with pytest.raises(InputError, match="torch runs it"):
        MapDistillation(small(), DetectorTeacher(small(), CARD, square=True))
    with pytest.raises(InputError, match="another network"):
        MapDistillation(small(), DetectorTeacher(small(channels=16), CARD, square=False))


def test_a_training_learns_the_maps(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set", n=8))
    detector = replace(SMALL.detector, distill_maps=2.0, flip_average=False)
    recipe = override(SMALL, detector=detector)
    with pytest.raises(InputError, match="teacher"):
        DetectorTask(small(), CARD, [dataset], recipe)
    network, before = small(), small()
    replace_silu(network)
    task = DetectorTask(
        network, CARD, [dataset], recipe, teacher=DetectorTeacher(before, CARD, square=False)
    )
    losses = task.losses(network, next(iter(task.batches(0, 1, 0, 1))))
    assert losses["maps"].item() > 1e-5
    assert losses["soft"].item() == losses["soft_box"].item() == 0


# --- from a recipe


def start(folder, init, **settings):
    recipe = with_settings(
        find_recipe("person-detector"),
        {
            "detector.pseudo_label_model": "none",
            "detector.category": "blob",
            "detector.distill_scores": "0",
            "detector.distill_boxes": "0",
            "batch_size": "2",
            **settings,
        },
    )
    dataset = KeypointDataset.load(folder)
    return start_detector(recipe, [dataset], str(init), None, None, torch.device("cpu"), None)


def activations(network):
    return {type(m) for m in network.modules() if isinstance(m, nn.SiLU | nn.Hardswish)}


def test_the_setting_swaps_the_activation_and_fits_the_layers(tmp_path):
    card = zoo.find("rtmdet-nano")
    torch.manual_seed(0)
    before = build(config_for(card)).eval()
    save_safetensors(tmp_path / "before.safetensors", before, card)
    folder = write_set(tmp_path / "set", n=4)
    task = start(folder, tmp_path / "before.safetensors", hardswish="true")
    assert activations(task.network) == {nn.Hardswish}
    assert task.card.architecture == "rtmdet-nano-hardswish"
    stem = task.network.get_submodule("backbone.stem.1.conv").weight
    assert not torch.equal(stem, before.get_submodule("backbone.stem.1.conv").weight)

    # A training that starts from the result goes on with its activation, also for other classes.
    save_safetensors(tmp_path / "after.safetensors", task.network, task.card)
    for category in ("blob", "all"):
        again = start(folder, tmp_path / "after.safetensors", **{"detector.category": category})
        assert activations(again.network) == {nn.Hardswish}
        assert again.card.architecture == "rtmdet-nano-hardswish"
        weight = again.network.get_submodule("backbone.stem.1.conv").weight
        assert torch.allclose(weight, task.network.get_submodule("backbone.stem.1.conv").weight)
