"""Coupled channels, smaller networks that equal the masked ones, what is saved, importance."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from prunable import CONFIGS, SMALL, WH, flat, masked, random_cuts, random_network, run  # noqa: E402

from rtmpose.networks import build, count_multiply_adds, count_parameters  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402
from rtmpose.pruning.channel_cost import layer_widths, saved_multiply_adds, saved_parameters  # noqa: E402
from rtmpose.pruning.channel_graph import channel_groups, reading_uses, trace  # noqa: E402
from rtmpose.pruning.importance import MaskGradients, fisher_scores, magnitude_scores  # noqa: E402
from rtmpose.pruning.removal import remove_channels  # noqa: E402
from rtmpose.training.batch_norm import balance, is_folded  # noqa: E402


@pytest.mark.parametrize("name", CONFIGS)
def test_the_smaller_network_equals_the_masked_one(name):
    """Whatever is taken out, and in two goes; in double precision nothing but the order of sums
    differs.
    """
    network = random_network(CONFIGS[name]).double()
    graph = trace(network, WH)
    image = torch.randn(2, 3, *WH[::-1], dtype=torch.float64)
    rng = np.random.default_rng(len(name))
    full = run(network, image)
    for share in (0.1, 0.4, 0.8):
        small = copy.deepcopy(network)
        groups = channel_groups(small, graph)
        cuts = random_cuts(groups, rng, share)
        expected = run(masked(small, cuts).double(), image)
        assert any((a - b).abs().max() > 1e-3 for a, b in zip(full, expected, strict=True))
        remove_channels(small, cuts)
        for got, known in zip(run(small, image), expected, strict=True):
            torch.testing.assert_close(
                got, known, rtol=1e-9, atol=1e-9 * max(1.0, float(known.abs().max()))
            )
        # The smaller one is a network like any other: it can be cut again.
        again = channel_groups(small, graph)
        assert [len(g) for g in again] == [len(g) - len(u) for g, u in cuts]
        cuts = random_cuts(again, rng, 0.2)
        expected = run(masked(small, cuts), image)
        remove_channels(small, cuts)
        for got, known in zip(run(small, image), expected, strict=True):
            torch.testing.assert_close(
                got, known, rtol=1e-9, atol=1e-9 * max(1.0, float(known.abs().max()))
            )


@pytest.mark.parametrize("name", CONFIGS)
def test_centered_convolutions_lose_their_centers_too(name):
    """Depthwise ones included: the smaller centered network is the plain network that comes out of
    it.
    """
    from rtmpose.training import batch_norm

    network = random_network(CONFIGS[name]).double()
    image = torch.randn(2, 3, *WH, dtype=torch.float64)
    graph = trace(network, WH)
    assert batch_norm.center(network, [image], lambda net, batch: net(batch)) > 10
    groups = channel_groups(network, graph)
    remove_channels(network, random_cuts(groups, np.random.default_rng(3), 0.3))
    expected = run(network, image)
    for a, b in zip(run(batch_norm.plain(network), image), expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6 * float(b.abs().max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_multiply_adds_are_exact(name):
    network = random_network(CONFIGS[name])
    graph = trace(network, WH)
    before = count_multiply_adds(network, WH)
    groups = channel_groups(network, graph)
    for group in groups[1 :: len(groups) // 3]:
        small, units = copy.deepcopy(network), len(group) // 3 + 1
        remove_channels(small, [(group, range(units))])
        saved = saved_multiply_adds(network, group, units, layer_widths(network))
        assert count_multiply_adds(small, WH) == before - saved, group.name
        lighter = saved_parameters(network, group, units, layer_widths(network))
        assert count_parameters(small) == count_parameters(network) - lighter, group.name


def test_groups_of_rtmpose_s():
    network = build(CONFIGS["rtmpose-s"])
    groups = {g.name: g for g in channel_groups(network, trace(network, WH))}
    places = {
        name: {(u.layer, u.side): u.positions.shape[1] for u in g.uses if ".bn" not in u.layer}
        for name, g in groups.items()
    }
    # A stage with shortcuts: what the blocks add to stays together with what comes out of them, and
    # the attention.
    main = places["backbone.stage2.1.main_conv.conv"]
    for block in (0, 1):
        assert main[f"backbone.stage2.1.blocks.{block}.conv1.conv", "in"] == 1
        assert main[f"backbone.stage2.1.blocks.{block}.conv2.pointwise_conv.conv", "out"] == 1
    assert (
        main["backbone.stage2.1.attention.fc", "in"]
        == main["backbone.stage2.1.attention.fc", "out"]
        == 1
    )
    assert main["backbone.stage2.1.final_conv.conv", "in"] == 1
    # The joined halves: the second half of what the final convolution reads.
    short = groups["backbone.stage2.1.short_conv.conv"]
    final = next(u for u in short.uses if u.layer.endswith("final_conv.conv"))
    assert final.positions.ravel().tolist() == list(range(64, 128))
    # Without shortcuts the input and the output of a block are free of each other.
    assert "backbone.stage4.2.blocks.0.conv2.pointwise_conv.conv" in groups
    # Depthwise convolutions hang on the convolution before.
    inner = places["backbone.stage2.1.blocks.0.conv1.conv"]
    assert inner["backbone.stage2.1.blocks.0.conv2.depthwise_conv.conv", "out"] == 1
    # Four pooled copies.
    assert places["backbone.stage4.1.conv1.conv"]["backbone.stage4.1.conv2.conv", "in"] == 4
    # The head's convolution reads what may go; the keypoints and all behind them stay.
    assert places["backbone.stage4.2.final_conv.conv"]["head.final_layer", "in"] == 1
    assert not any(
        u.layer.startswith("head") and u.side == "out" for g in groups.values() for u in g.uses
    )
    assert len(groups) == 28
    assert sum(map(len, groups.values())) == 4640


def test_shared_convolutions_of_a_detector():
    """The head's levels share convolutions, not norms: a channel goes from all of them at once."""
    network = random_network(CONFIGS["rtmdet-tiny"])
    group = next(
        g
        for g in channel_groups(network, trace(network, WH))
        if g.name.startswith("bbox_head.cls_convs.0.0")
    )
    assert {u.layer for u in group.uses} >= {f"bbox_head.cls_convs.{i}.0.bn" for i in range(3)}
    remove_channels(network, [(group, [3, 4])])
    shapes = {network.bbox_head.cls_convs[i][0].conv.weight.shape[0] for i in range(3)}
    assert shapes == {94}
    assert network.bbox_head.cls_convs[2][0].conv is network.bbox_head.cls_convs[0][0].conv


def test_mask_gradients_are_those_of_real_masks():
    """Against autograd through explicit masks, image by image."""
    network = random_network(RTMPoseConfig(SMALL, 3, WH)).double()
    groups = channel_groups(network, trace(network, WH))
    image = torch.randn(3, 3, *WH[::-1], dtype=torch.float64)

    def loss(output):
        return sum(o.square().sum() for o in flat(output))

    watched = sorted({u.layer for g in groups for u in reading_uses(network, g)})
    with MaskGradients(network, watched) as gradients:
        loss(network(image)).backward()
        scores = fisher_scores(network, groups, gradients.take())
        assert gradients.take() == {}
    plain = run(network, image)  # the hooks are gone and change nothing
    for i in (0, 4, 5, len(groups) // 2, len(groups) - 1):
        group = groups[i]
        squares = torch.zeros(len(group), dtype=torch.float64)
        for n in range(len(image)):
            mask = torch.ones(len(group), dtype=torch.float64, requires_grad=True)
            copied, handles = network, []
            for use in reading_uses(network, group):
                layer = copied.get_submodule(use.layer)

                def hook(module, inputs, use=use, mask=mask, layer=layer):
                    index = torch.from_numpy(use.positions)
                    whole = torch.ones(layer.in_channels, dtype=torch.float64)
                    whole = whole.index_put((index,), mask[:, None].expand(index.shape))
                    return (inputs[0] * whole.view(1, -1, 1, 1),)

                handles.append(layer.register_forward_pre_hook(hook))
            (gradient,) = torch.autograd.grad(loss(copied(image[n : n + 1])), mask)
            squares += gradient.square()
            for handle in handles:
                handle.remove()
        np.testing.assert_allclose(
            scores[i], squares.numpy(), rtol=1e-4, atol=1e-6 * squares.max(), err_msg=group.name
        )
    for a, b in zip(plain, run(network, image), strict=True):
        assert torch.equal(a, b)


def test_the_optimizer_goes_on_with_what_is_left():
    network = random_network(RTMPoseConfig(SMALL, 3, WH))
    optimizer = torch.optim.Adam(network.parameters())
    sum(o.square().sum() for o in run_with_gradient(network)).backward()
    optimizer.step()
    weight = network.backbone.stem[1].conv.weight
    moments = optimizer.state[weight]["exp_avg"].clone()
    group = channel_groups(network, trace(network, WH))[0]
    remove_channels(network, [(group, [1])], optimizer)
    assert network.backbone.stem[1].conv.weight is weight
    keep = [i for i in range(len(group)) if i != 1]
    assert torch.equal(optimizer.state[weight]["exp_avg"], moments[:, keep])
    optimizer.zero_grad()
    sum(o.square().sum() for o in run_with_gradient(network)).backward()
    optimizer.step()


def run_with_gradient(network):
    return flat(network(torch.randn(1, 3, *WH[::-1])))


def test_magnitudes_follow_the_weights():
    network = random_network(RTMPoseConfig(SMALL, 3, WH))
    with torch.no_grad():
        network.backbone.stem[0].conv.weight[2] *= 1e-3
    groups = channel_groups(network, trace(network, WH))
    assert np.argmin(magnitude_scores(network, groups)[0]) == 2


@pytest.mark.parametrize("name", ["rtmpose-t", "rtmdet-tiny"])
def test_balancing_changes_no_output(name):
    """Filters of very different sizes get one; the norms' gains make up for it, also where levels
    share filters.
    """
    network = random_network(CONFIGS[name]).double()
    assert balance(network) == 0  # live statistics: nothing to do
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.zero_()
                module.running_var.fill_(1 - module.eps)
        spread = 10 ** torch.linspace(
            -3, 1, network.backbone.stem[1].conv.out_channels, dtype=torch.float64
        )
        network.backbone.stem[1].conv.weight.mul_(spread.view(-1, 1, 1, 1))
        network.backbone.stem[1].conv.weight[3] = 0
    image = torch.randn(1, 3, *WH[::-1], dtype=torch.float64)
    before = run(network, image)
    groups = channel_groups(network, trace(network, WH))
    magnitudes = magnitude_scores(network, groups)
    assert balance(network) == sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    for a, b in zip(run(network, image), before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8 * max(1.0, float(b.abs().max())))
    sizes = network.backbone.stem[1].conv.weight.flatten(1).norm(dim=1)
    assert sizes[3] == 0
    torch.testing.assert_close(sizes[4:], torch.ones_like(sizes[4:]))
    assert is_folded(network)
    for a, b in zip(magnitude_scores(network, groups), magnitudes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
