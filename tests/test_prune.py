"""Selecting channels, meeting a budget, compensating for what is removed."""

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from prunable import CONFIGS, SMALL, WH, batches, loss_to, random_network, run  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.networks import (  # noqa: E402
    count_multiply_adds,
    count_parameters,
    load_network,
    save_safetensors,
)
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402
from rtmpose.pruning.channel_cost import layer_widths, saved_multiply_adds  # noqa: E402
from rtmpose.pruning.channel_graph import channel_groups, reading_uses, trace  # noqa: E402
from rtmpose.pruning.compensate import InputMoments, compensate  # noqa: E402
from rtmpose.pruning.importance import MaskGradients, fisher_scores  # noqa: E402
from rtmpose.pruning.options import PruneOptions  # noqa: E402
from rtmpose.pruning.prune import prune, pruned_card  # noqa: E402
from rtmpose.pruning.removal import remove_channels  # noqa: E402
from rtmpose.pruning.selection import select_units  # noqa: E402


def test_a_budget_of_parameters_is_met_where_they_matter_least():
    """The last stage holds most parameters, the first ones most of the arithmetic."""
    network = random_network(RTMPoseConfig(CSPNeXtConfig(0.33, 0.25), 26, WH))
    groups = channel_groups(network, trace(network, WH))
    full = [len(g) for g in groups]
    ones = [np.ones(n) for n in full]
    options = PruneOptions(max_multiply_adds=1, min_fraction=0.2)
    values = count_parameters(network) // 3
    chosen = select_units(
        network, groups, ones, options, full, excess_multiply_adds=0, excess_parameters=values
    )
    last = [len(c) for c, g in zip(chosen, groups, strict=True) if "stage4" in g.name]
    assert sum(last) > 0.5 * sum(map(len, chosen))
    remove_channels(network, zip(groups, chosen, strict=True))
    assert count_parameters(network) <= 3 * values - values + 2
    with pytest.raises(InputError, match="max_parameters"):
        PruneOptions(max_multiply_adds=1, max_parameters=0)


def test_what_every_group_keeps_is_whole_chunks():
    """Widths stay multiples of the chunk on the way to their floors and at them."""
    network = random_network(RTMPoseConfig(CSPNeXtConfig(0.33, 0.25), 26, WH))
    groups = channel_groups(network, trace(network, WH))
    full = [len(g) for g in groups]
    options = PruneOptions(max_multiply_adds=1, min_fraction=0.4, chunk=8)
    with pytest.raises(ModelError, match="down to 40%"):
        select_units(
            network,
            groups,
            [np.ones(n) for n in full],
            options,
            full,
            excess_multiply_adds=10**12,
        )
    everything = sum(
        saved_multiply_adds(network, g, len(g) // 2, layer_widths(network)) for g in groups
    )
    chosen = select_units(
        network,
        groups,
        [np.ones(n) for n in full],
        options,
        full,
        excess_multiply_adds=everything // 3,
    )
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
        {"normalize_by": "multiply-adds", "chunk": 1},
    ],
)
def test_the_budget_is_met(options, tmp_path):
    card = replace(zoo.find("rtmpose-s"), input_wh=WH)
    config = RTMPoseConfig(CSPNeXtConfig(0.33, 0.25), 26, WH)
    network, teacher = random_network(config), random_network(config, seed=1)
    start = count_multiply_adds(network, WH)
    seen = []
    pace = PruneOptions(
        max_multiply_adds=int(0.55 * start),
        rounds=5,
        steps_per_round=2,
        min_fraction=0.125,
        **options,
    )
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
        network,
        WH,
        batches(),
        loss_to(teacher),
        PruneOptions(budget, rounds=3, steps_per_round=2, bf16=True),
    )
    assert count_multiply_adds(network, WH) <= budget
    assert all(np.isfinite(r.loss) for r in result.rounds)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_pruning_is_deterministic():
    config = RTMPoseConfig(SMALL, 3, WH)
    states = []
    for _ in range(2):
        network = random_network(config)
        pace = PruneOptions(
            int(0.7 * count_multiply_adds(network, WH)), rounds=3, steps_per_round=2, chunk=2
        )
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
    watched = sorted({u.layer for g in groups for u in reading_uses(network, g)})
    with MaskGradients(network, watched) as gradients:
        loss_to(random_network(RTMPoseConfig(SMALL, 3, WH), seed=1))(
            network, next(batches())
        ).backward()
        scores = fisher_scores(network, groups, gradients.take())
    chosen = select_units(
        network, groups, scores, PruneOptions(1, chunk=8), full, excess_multiply_adds=1
    )
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
            u.layer
            for u in reading_uses(network, group)
            if network.get_submodule(u.layer).groups == 1
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
    """A channel that never changes is removed at no cost, with a bias or a norm behind."""
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
            copy.deepcopy(network),
            WH,
            batches(),
            loss,
            PruneOptions(cost // 50, rounds=1, steps_per_round=1),
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
        PruneOptions(1, min_fraction=1.0)
    group = channel_groups(network, trace(network, WH))[0]
    with pytest.raises(ModelError, match="without"):
        remove_channels(network, [(group, range(len(group)))])
    with pytest.raises(ModelError, match="cannot be read back"):
        pruned_card(zoo.find("rtmdet-tiny_humanart_640x640"), network)
