"""Smaller heads: fewer taps, fewer gated units."""

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

import trainable  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.networks import build, config_for, count_parameters, load_network, save_safetensors  # noqa: E402
from rtmpose.pruning.head_pruning import prune_attention, prune_head, prune_kernel  # noqa: E402
from rtmpose.pruning.prune import pruned_card  # noqa: E402


def crops(n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(8, 3, *trainable.WH, generator=generator) for _ in range(n)]


def run(network, batch):
    with torch.inference_mode():
        return network(batch)


@pytest.fixture
def network():
    found = trainable.network().eval()
    with torch.no_grad():
        for p in found.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return found


def test_taps_that_never_reach_the_map_go_unnoticed(network):
    """On a map of 2x2 only the middle 3x3 of 7x7 taps see anything but the border."""
    (image,) = crops(1)
    before = run(network, image)
    prune_kernel(network, 3, crops(), run)
    assert network.head.final_layer.weight.shape[2:] == (3, 3)
    for a, b in zip(run(network, image), before, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


def test_what_the_lost_taps_said_on_average_stays(network):
    maps = []
    handle = network.head.final_layer.register_forward_hook(
        lambda _m, _i, output: maps.append(output.mean((0, 2, 3)))
    )
    batches = crops()
    for batch in batches:
        run(network, batch)
    prune_kernel(network, 1, batches, run)
    del maps[3:]
    for batch in batches:
        run(network, batch)
    handle.remove()
    before, after = torch.stack(maps[:3]).mean(0), torch.stack(maps[3:]).mean(0)
    assert torch.allclose(before, after, atol=1e-4)


def test_a_unit_that_says_what_another_says_is_not_missed(network):
    gau = network.head.gau
    units = gau.o.in_features
    with torch.no_grad():
        for start in (0, units):  # the second half repeats the first
            gau.uv.weight[start + units // 2 : start + units] = gau.uv.weight[
                start : start + units // 2
            ]
        gau.o.weight[:, units // 2 :] *= 0.02  # and is heard little, so that it is the one to go
    (image,) = crops(1)
    before = run(network, image)
    small, without = copy.deepcopy(network), copy.deepcopy(network)
    prune_attention(small, units // 2, crops(), run)
    with torch.no_grad():
        without.head.gau.o.weight[:, units // 2 :] = 0
    assert small.head.gau.o.in_features == units // 2
    assert count_parameters(small) < count_parameters(network)
    errors = [
        max((a - b).abs().max() for a, b in zip(run(n, image), before, strict=True))
        for n in (small, without)
    ]
    assert errors[0] < 0.4 * errors[1]


def test_pruned_heads_are_written_and_read(tmp_path):
    torch.manual_seed(0)
    card = zoo.find("rtmpose-t_body8-halpe26_256x192")
    network = build(config_for(card)).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.02 * torch.randn_like(p))
    batches = [torch.randn(4, 3, 256, 192)]
    prune_kernel(network, 5, batches, run)
    prune_attention(network, 200, batches, run)
    card = pruned_card(card, network)
    assert pruned_card(card, network).id == card.id
    path, image = tmp_path / "small.safetensors", torch.randn(1, 3, 256, 192)
    save_safetensors(path, network, card)
    again, known = load_network(path)
    assert known.params_m == round(count_parameters(again) / 1e6, 2) == card.params_m
    for a, b in zip(run(again, image), run(network, image), strict=True):
        assert torch.equal(a, b)
    pytest.importorskip("onnxscript")
    from rtmpose.exporting.onnx import write_onnx

    exported = tmp_path / "small.onnx"
    write_onnx(network, card, exported)
    again, _ = load_network(exported)
    for a, b in zip(run(again, image), run(network, image), strict=True):
        assert np.allclose(a, b, atol=1e-4 * b.abs().max().item())


def test_what_cannot_be_pruned(network):
    for size in (0, 2, 9):
        with pytest.raises(InputError, match="kernel"):
            prune_kernel(network, size, [], run)
    units = network.head.gau.o.in_features
    for number in (0, units + 1):
        with pytest.raises(InputError, match="units"):
            prune_attention(network, number, [], run)
    with pytest.raises(ModelError, match="HeatmapPose"):
        prune_kernel(trainable.network("heatmap"), 3, [], run)
    before = copy.deepcopy(network.state_dict())
    prune_kernel(network, 7, [], run)
    prune_attention(network, units, [], run)
    prune_head(replace, None, None)  # nothing wanted: nothing looked at
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
