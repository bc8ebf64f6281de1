"""Pruning: coupled channels, plain smaller networks that equal the masked ones, the budget, the way
to a file.
"""

import copy
import itertools
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from rtmpose import zoo  # noqa: E402
from rtmpose.cli.prune import parse_budget  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.networks import (  # noqa: E402
    build,
    config_for,
    count_multiply_adds,
    count_parameters,
    load_network,
    save_safetensors,
)
from rtmpose.networks.cspnext import SIZES, CSPNeXtConfig  # noqa: E402
from rtmpose.networks.heatmap import HeatmapConfig  # noqa: E402
from rtmpose.networks.rtmdet import RTMDetConfig  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402
from rtmpose.networks.rtmw import RTMWConfig  # noqa: E402
from rtmpose.pruning.channel_graph import (  # noqa: E402
    channel_groups,
    readers,
    remove_channels,
    saved_multiply_adds,
    saved_parameters,
    trace,
    widths_of,
)
from rtmpose.pruning.compensate import InputMoments, compensate  # noqa: E402
from rtmpose.pruning.importance import MaskGradients, fisher_scores, magnitude_scores  # noqa: E402
from rtmpose.pruning.prune import PruneOptions, choose, prune, pruned_card  # noqa: E402
from rtmpose.training.batch_norm import balance, is_folded  # noqa: E402

WH = (64, 64)
torch.set_num_threads(1)  # these networks are too small to share out
SMALL = CSPNeXtConfig(0.33, 0.125)
CONFIGS = {
    "rtmpose-t": RTMPoseConfig(SIZES["tiny"], 5, WH),
    "rtmpose-s": RTMPoseConfig(SIZES["s"], 5, WH),
    "rtmpose-m": RTMPoseConfig(SIZES["m"], 5, WH),
    "heatmap": HeatmapConfig(SIZES["tiny"], 5, WH),
    "rtmdet-nano": RTMDetConfig(SIZES["nano"], 64, 1, share_conv=False, input_wh=WH),
    "rtmdet-tiny": RTMDetConfig(
        SIZES["tiny"], 96, 1, share_conv=True, exp_on_reg=True, input_wh=WH
    ),
    "rtmw": RTMWConfig(SIZES["s"], 5, WH),
}


def random_network(config, seed=0):
    """Every value random, norms included, so that no channel is zero by chance."""
    torch.manual_seed(seed)
    network = build(config).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.3)
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network


def flat(output):
    """All tensors of an output."""
    if isinstance(output, torch.Tensor):
        return [output]
    return list(itertools.chain.from_iterable(flat(o) for o in output))


def run(network, image):
    with torch.inference_mode():
        return flat(network(image))


def masked(network, cuts):
    """A copy in which the layers that read the cut units see zeros there."""
    network = copy.deepcopy(network)
    masks = {}
    for group, units in cuts:
        for use in readers(network, group):
            layer = network.get_submodule(use.layer)
            mask = masks.setdefault(use.layer, torch.ones(1, layer.in_channels, 1, 1))
            mask[0, use.positions[units].ravel()] = 0
    for name, mask in masks.items():
        network.get_submodule(name).register_forward_pre_hook(
            lambda m, i, mask=mask: (i[0] * mask,)
        )
    return network


def random_cuts(groups, rng, share):
    return [(g, np.flatnonzero(rng.random(len(g)) < share)[: len(g) - 1]) for g in groups]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_smaller_network_equals_the_masked_one(name):
    """Whatever is taken out, and in two goes; in double precision nothing but the order of sums
    differs.
    """
    network = random_network(CONFIGS[name]).double()
    wiring = trace(network, WH)
    image = torch.randn(2, 3, *WH[::-1], dtype=torch.float64)
    rng = np.random.default_rng(len(name))
    full = run(network, image)
    for share in (0.1, 0.4, 0.8):
        small = copy.deepcopy(network)
        groups = channel_groups(small, wiring)
        cuts = random_cuts(groups, rng, share)
        expected = run(masked(small, cuts).double(), image)
        assert any((a - b).abs().max() > 1e-3 for a, b in zip(full, expected, strict=True))
        remove_channels(small, cuts)
        for got, known in zip(run(small, image), expected, strict=True):
            torch.testing.assert_close(
                got, known, rtol=1e-9, atol=1e-9 * max(1.0, float(known.abs().max()))
            )
        # The smaller one is a network like any other: it can be cut again.
        again = channel_groups(small, wiring)
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
    wiring = trace(network, WH)
    assert batch_norm.center(network, [image], lambda net, batch: net(batch)) > 10
    groups = channel_groups(network, wiring)
    remove_channels(network, random_cuts(groups, np.random.default_rng(3), 0.3))
    expected = run(network, image)
    for a, b in zip(run(batch_norm.plain(network), image), expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6 * float(b.abs().max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_multiply_adds_are_exact(name):
    network = random_network(CONFIGS[name])
    wiring = trace(network, WH)
    before = count_multiply_adds(network, WH)
    groups = channel_groups(network, wiring)
    for group in groups[1 :: len(groups) // 3]:
        small, units = copy.deepcopy(network), len(group) // 3 + 1
        remove_channels(small, [(group, range(units))])
        saved = saved_multiply_adds(network, group, units, widths_of(network))
        assert count_multiply_adds(small, WH) == before - saved, group.name
        lighter = saved_parameters(network, group, units, widths_of(network))
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

    watched = sorted({u.layer for g in groups for u in readers(network, g)})
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
            for use in readers(network, group):
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


def batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(4, 3, *WH[::-1], generator=generator)


def loss_to(teacher):
    def loss(network, images):
        with torch.no_grad():
            known = flat(teacher(images))
        return sum(
            (a - b).square().mean() for a, b in zip(flat(network(images)), known, strict=True)
        )

    return loss


def test_a_budget_of_parameters_is_met_where_they_matter_least():
    """The last stage holds most parameters, the first ones most of the arithmetic."""
    network = random_network(RTMPoseConfig(CSPNeXtConfig(0.33, 0.25), 26, WH))
    groups = channel_groups(network, trace(network, WH))
    full = [len(g) for g in groups]
    ones = [np.ones(n) for n in full]
    options = PruneOptions(multiply_adds=1, floor=0.2)
    values = count_parameters(network) // 3
    chosen = choose(network, groups, ones, 0, options, full, values=values)
    last = [len(c) for c, g in zip(chosen, groups, strict=True) if "stage4" in g.name]
    assert sum(last) > 0.5 * sum(map(len, chosen))
    remove_channels(network, zip(groups, chosen, strict=True))
    assert count_parameters(network) <= 3 * values - values + 2
    with pytest.raises(InputError, match="positive"):
        PruneOptions(multiply_adds=1, parameters=0)


def test_what_every_group_keeps_is_whole_chunks():
    """Widths stay multiples of the chunk on the way to their floors and at them."""
    network = random_network(RTMPoseConfig(CSPNeXtConfig(0.33, 0.25), 26, WH))
    groups = channel_groups(network, trace(network, WH))
    full = [len(g) for g in groups]
    options = PruneOptions(multiply_adds=1, floor=0.4, chunk=8)
    with pytest.raises(ModelError, match="down to 40%"):
        choose(network, groups, [np.ones(n) for n in full], 10**12, options, full)
    everything = sum(
        saved_multiply_adds(network, g, len(g) // 2, widths_of(network)) for g in groups
    )
    chosen = choose(network, groups, [np.ones(n) for n in full], everything // 3, options, full)
    left = [n - len(c) for n, c in zip(full, chosen, strict=True)]
    assert any(chosen)
    assert all(
        n % 8 == 0 and n >= 0.4 * before
        for n, before in zip(left, full, strict=True)
        if before % 8 == 0
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"uniform": True, "criterion": "magnitude", "chunk": 1},
        {"per": "multiply-adds", "chunk": 1},
    ],
)
def test_the_budget_is_met(options, tmp_path):
    card = replace(zoo.find("rtmpose-s"), input_wh=WH)
    config = RTMPoseConfig(CSPNeXtConfig(0.33, 0.25), 26, WH)
    network, teacher = random_network(config), random_network(config, seed=1)
    start = count_multiply_adds(network, WH)
    seen = []
    pace = PruneOptions(multiply_adds=int(0.55 * start), rounds=5, steps=2, floor=0.125, **options)
    result = prune(network, WH, batches(), loss_to(teacher), pace, seen.append)
    costs = [r.multiply_adds for r in result.rounds]
    assert seen == list(result.rounds)
    assert costs == sorted(costs, reverse=True)
    assert 0.54 * start < costs[-1] <= 0.55 * start
    assert costs[-1] == count_multiply_adds(network, WH)
    assert costs[1] <= start - 0.45 * start * 2 / 5
    assert result.rounds[-1].parameters == count_parameters(network)
    if options.get("chunk") != 1:
        assert all(after % 4 == 0 for _, after in result.widths.values())
    shares = [after / before for before, after in result.widths.values()]
    assert min(shares) >= 0.125
    if options.get("uniform"):
        assert max(shares) - min(shares) < 0.15
    # The file brings its widths along.
    path = tmp_path / "small.safetensors"
    save_safetensors(path, network, pruned_card(card, network))
    back, known = load_network(path, config=config)
    assert known.architecture == "rtmpose-s-pruned"
    image = next(batches(7))
    for a, b in zip(run(network, image), run(back, image), strict=True):
        assert torch.equal(a, b)


def test_pruning_in_bfloat16():
    # The gradient of a 7x7 kernel on a map of 2x2 cannot be trusted there:
    # devices.settle_precision.
    config = RTMPoseConfig(SMALL, 5, WH, kernel=3)
    network, teacher = random_network(config), random_network(config, seed=1)
    budget = int(0.75 * count_multiply_adds(network, WH))
    result = prune(
        network, WH, batches(), loss_to(teacher), PruneOptions(budget, rounds=3, steps=2, bf16=True)
    )
    assert count_multiply_adds(network, WH) <= budget
    assert all(np.isfinite(r.loss) for r in result.rounds)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_pruning_is_deterministic():
    config = RTMPoseConfig(SMALL, 3, WH)
    states = []
    for _ in range(2):
        network = random_network(config)
        pace = PruneOptions(int(0.7 * count_multiply_adds(network, WH)), rounds=3, steps=2, chunk=2)
        prune(network, WH, batches(), loss_to(random_network(config, seed=1)), pace)
        states.append(network.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_useless_channels_go_first():
    """Channels that nothing listens to have no importance, whatever they cost."""
    network = random_network(RTMPoseConfig(SMALL, 3, WH))
    with torch.no_grad():
        network.backbone.stage3[0].conv.weight[:, 4:12] = (
            0  # what stage 2 makes in its channels 4 to 11
        )
    groups = channel_groups(network, trace(network, WH))
    at = next(i for i, g in enumerate(groups) if g.name == "backbone.stage2.1.final_conv.conv")
    full = [len(g) for g in groups]
    watched = sorted({u.layer for g in groups for u in readers(network, g)})
    with MaskGradients(network, watched) as gradients:
        loss_to(random_network(RTMPoseConfig(SMALL, 3, WH), seed=1))(
            network, next(batches())
        ).backward()
        scores = fisher_scores(network, groups, gradients.take())
    chosen = choose(network, groups, scores, 1, PruneOptions(1, chunk=8), full)
    assert sorted(chosen[at]) == list(range(4, 12))
    assert sum(map(len, chosen)) == 8


def double(network, group, unit, other):
    """Make one unit's channels the same as another's, everywhere they are made."""
    with torch.no_grad():
        for use in group.uses:
            module = network.get_submodule(use.layer)
            if use.side == "out" and hasattr(module, "weight"):
                for name in ("weight", "bias", "running_mean", "running_var"):
                    value = getattr(module, name, None)
                    if value is not None:
                        value[use.positions[other]] = value[use.positions[unit]]


@pytest.mark.parametrize("name", ["rtmpose-s", "rtmdet-nano", "rtmdet-tiny"])
def test_what_stays_makes_up_for_what_goes(name):
    """Of two channels that say the same one is taken; without compensation the outputs change far
    more.
    """
    images = torch.randn(8, 3, *WH[::-1], generator=torch.Generator().manual_seed(5))
    groups = channel_groups(random_network(CONFIGS[name]), trace(random_network(CONFIGS[name]), WH))
    for at in (1, len(groups) // 2, len(groups) - 2):
        group = groups[at]
        network = random_network(CONFIGS[name])
        double(network, group, 0, 2)
        before = run(network, images)
        plain = copy.deepcopy(network)
        dense = [
            u.layer for u in readers(network, group) if network.get_submodule(u.layer).groups == 1
        ]
        with InputMoments(network, dense) as moments, torch.inference_mode():
            network(images)
        changed = compensate(network, [group], [[2]], moments.found)
        assert changed == len(set(dense)) > 0
        errors = []
        for smaller in (network, plain):
            remove_channels(smaller, [(group, [2])])
            pairs = zip(before, run(smaller, images), strict=True)
            errors.append(max(float((a - b).abs().max() / a.std()) for a, b in pairs))
        assert errors[0] < 0.2 * errors[1], group.name


def test_a_constant_channel_becomes_an_offset():
    """A channel that always says the same is taken out for nothing, with a bias or a norm behind."""
    network = random_network(CONFIGS["rtmpose-s"])
    group = next(
        g
        for g in channel_groups(network, trace(network, WH))
        if g.name == "backbone.stage2.1.final_conv.conv"
    )
    with torch.no_grad():
        norm = network.backbone.stage2[1].final_conv.bn
        norm.weight[5], norm.bias[5] = 0, 1.7
    images = next(batches())
    inner = network.backbone.stage3[0].conv
    inner.padding_mode, inner._reversed_padding_repeated_twice = (
        "replicate",
        [1, 1, 1, 1],
    )  # no border of zeros
    before = run(network, images)
    with InputMoments(network, ["backbone.stage3.0.conv"]) as moments, torch.inference_mode():
        network(images)
    inner.padding_mode = "zeros"
    assert compensate(network, [group], [[5]], moments.found) == 1
    inner.padding_mode = "replicate"
    remove_channels(network, [(group, [5])])
    for a, b in zip(before, run(network, images), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(a.std()))


def test_what_does_not_work_is_refused():
    network = random_network(RTMPoseConfig(SMALL, 3, WH))
    cost = count_multiply_adds(network, WH)
    loss = loss_to(random_network(RTMPoseConfig(SMALL, 3, WH), seed=1))
    with pytest.raises(ModelError, match="raise the budget"):
        prune(
            copy.deepcopy(network), WH, batches(), loss, PruneOptions(cost // 50, rounds=1, steps=1)
        )
    with pytest.raises(InputError, match="ran out"):
        prune(copy.deepcopy(network), WH, iter([]), loss, PruneOptions(cost // 2))
    with pytest.raises(ModelError, match="finite"):
        prune(
            copy.deepcopy(network),
            WH,
            batches(),
            lambda n, b: loss(n, b) * float("nan"),
            PruneOptions(cost // 2),
        )
    with pytest.raises(InputError):
        PruneOptions(0)
    with pytest.raises(InputError):
        PruneOptions(1, floor=1.0)
    group = channel_groups(network, trace(network, WH))[0]
    with pytest.raises(ModelError, match="without"):
        remove_channels(network, [(group, range(len(group)))])
    with pytest.raises(ModelError, match="cannot be read back"):
        pruned_card(zoo.find("rtmdet-tiny_humanart_640x640"), network)


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


@pytest.fixture
def small_set(tmp_path):
    """Ten pictures of one person with the 26 points, and a network to prune."""
    rng = np.random.default_rng(0)
    names = list(zoo_skeleton().keypoints)
    folder = tmp_path / "people"
    (folder / "images").mkdir(parents=True)
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    for i in range(1, 11):
        cv2.imwrite(
            str(folder / "images" / f"{i}.jpg"), rng.integers(0, 255, (80, 60, 3), np.uint8)
        )
        points = np.concatenate(
            [rng.uniform(10, 50, (len(names), 2)), np.full((len(names), 1), 2)], axis=1
        )
        content["images"].append({"id": i, "file_name": f"{i}.jpg", "width": 60, "height": 80})
        content["annotations"].append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [5, 5, 50, 70],
                "area": 3500,
                "iscrowd": 0,
                "num_keypoints": len(names),
                "keypoints": points.ravel().tolist(),
            }
        )
    (folder / "person_keypoints.json").write_text(json.dumps(content))
    card = replace(zoo.find("rtmpose-t_body8-halpe26_256x192"), input_wh=WH, files=(), aliases=())
    network = random_network(config_for(card))
    save_safetensors(tmp_path / "whole.safetensors", network, card)
    return folder, tmp_path / "whole.safetensors"


def zoo_skeleton():
    from rtmpose.skeletons import get_skeleton

    return get_skeleton("halpe26")


def test_the_command(small_set, tmp_path, capsys):
    """From files to a file that the runtime runs as it is."""
    from rtmpose.cli import main
    from rtmpose.pose_estimator import PoseEstimator
    from rtmpose.types import Detections

    data, model = small_set
    common = [
        "prune",
        str(model),
        "--data",
        str(data),
        "--threads",
        "1",
        "--set",
        "batch=4",
        "--set",
        "workers=0",
    ]
    out = tmp_path / "out"
    pace = ["--macs", "60%", "--rounds", "2", "--steps", "1", "--out", str(out), "--name", "mine"]
    assert main([*common, "--set", "heldout=0.3", *pace]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    network, card = load_network(out / "pruned.safetensors")
    whole, _ = load_network(model)
    assert (card.id, card.architecture, card.trained_on) == ("mine", "rtmpose-t-pruned", "people")
    assert count_multiply_adds(network, WH) <= 0.6 * count_multiply_adds(whole, WH)
    assert card.gflops == pytest.approx(count_multiply_adds(network, WH) / 1e9, abs=1e-3)
    report = json.loads((out / "pruned.json").read_text())
    assert report["rounds"][-1]["multiply_adds"] == count_multiply_adds(network, WH)
    assert sum(after for _, after in report["widths"].values()) < sum(
        before for before, _ in report["widths"].values()
    )
    estimator = PoseEstimator(out / "pruned.safetensors")
    poses = estimator(np.zeros((80, 60, 3), np.uint8), Detections.from_boxes([[5, 5, 55, 75]]))
    assert poses.keypoints.shape == (1, 26, 2)
    # Pruned again: it stays what it is.
    again = ["--macs", "85%", "--rounds", "1", "--steps", "1", "--out", str(tmp_path / "again")]
    assert main(["prune", str(out / "pruned.safetensors"), *common[2:], *again]) == 0
    assert (
        load_network(tmp_path / "again" / "pruned.safetensors")[1].architecture
        == "rtmpose-t-pruned"
    )
    # What cannot be meant.
    capsys.readouterr()
    for arguments, text in (
        (["--macs", "9G"], "costs"),
        (["--macs", "much"], "0.35G"),
        (["--macs", "50%", "--criterion", "luck"], "fisher"),
        (["--macs", "50%", "--set", "batch"], "FIELD=VALUE"),
    ):
        assert main([*common, *arguments, "--out", str(tmp_path / "no")]) == 1
        assert text in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_pruned_networks_export(small_set, tmp_path, target):
    """The export's own comparison passes, and the file runs."""
    from rtmpose.cli import main
    from rtmpose.exporting.onnx import OnnxOptions, write_onnx
    from rtmpose.pose_estimator import PoseEstimator
    from rtmpose.types import Detections

    pytest.importorskip("onnxscript" if target == "onnx" else "openvino")
    network, card = load_network(small_set[1])
    groups = channel_groups(network, trace(network, WH))
    remove_channels(network, random_cuts(groups, np.random.default_rng(3), 0.4))
    path = tmp_path / "pruned.safetensors"
    save_safetensors(path, network, replace(pruned_card(card, network), id="small"))
    assert main(["export", str(path), "--to", target, "--out", str(tmp_path / "exports")]) == 0
    made = next((tmp_path / "exports").glob("*.onnx" if target == "onnx" else "*.xml"))
    image = np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)
    boxes = Detections.from_boxes([[5, 5, 55, 75]])
    ours, theirs = PoseEstimator(path)(image, boxes), PoseEstimator(made)(image, boxes)
    np.testing.assert_allclose(
        ours.scores, theirs.scores, atol=2e-2 * max(1.0, float(np.abs(ours.scores).max()))
    )
    if (
        target == "onnx"
    ):  # and back, with the weights stored in half precision, as the package keeps its own
        with torch.no_grad():  # factors of 1 are simplified away
            for parameter in [*network.head.gau.parameters(), network.head.mlp[0].g]:
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 0.9))
        write_onnx(network, pruned_card(card, network), made, OnnxOptions(half_weights=True))
        back, _ = load_network(made)
        pixels = torch.randn(1, 3, *WH[::-1])
        with torch.inference_mode():
            for a, b in zip(back(pixels), network.eval()(pixels), strict=True):
                torch.testing.assert_close(a, b, atol=2e-2 * float(b.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.35G", 350_000_000),
        ("350m", 350_000_000),
        ("50%", 500),
        ("1200", 1200),
        (".5G", 5 * 10**8),
    ],
)
def test_budgets(text, value):
    assert parse_budget(text, 1000) == value


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "0.35T", "1e9"])
def test_impossible_budgets(text):
    with pytest.raises(InputError, match="--macs"):
        parse_budget(text, 1000)
