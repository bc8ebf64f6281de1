"""Every network equals the original: keys, parameters, multiply-adds, every probed stage and
output.
"""

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")

import seeded  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.errors import ModelError  # noqa: E402
from rtmpose.networks import build, config_for, count_multiply_adds, count_parameters  # noqa: E402
from rtmpose.networks.classifier import ClassifierConfig  # noqa: E402
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.fuse import fuse_norms  # noqa: E402
from rtmpose.networks.heatmap import HeatmapConfig  # noqa: E402
from rtmpose.networks.rtmdet import RTMDet, RTMDetConfig  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402
from rtmpose.networks.rtmw import RTMW, RTMWConfig  # noqa: E402

RECORDS = seeded.records()
QUICK = {
    "cspnext-tiny_8xb256-rsb-a1-600e_in1k",
    "cspnext-tiny_udp_8xb256-210e_coco-256x192",
    "rtmdet_nano_320-8xb32_coco-person",
    "rtmpose-m_8xb64-270e_coco-wholebody-256x192",
    "rtmpose-t_8xb256-420e_coco-256x192",
}
NAMES = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in RECORDS]


def config_of(record):
    """Our config for the original's own settings."""
    b, head = record["arch"]["backbone"], record["arch"]["head"]
    backbone = CSPNeXtConfig(
        b["deepen_factor"], b["widen_factor"], b.get("use_depthwise", False), b["channel_attention"]
    )
    wh = (record["input"][3], record["input"][2])
    if head["type"] == "RTMDetSepBNHead":
        blocks = record["arch"]["neck"]["num_csp_blocks"]
        return RTMDetConfig(
            backbone,
            head["feat_channels"],
            blocks,
            head["num_classes"],
            head["share_conv"],
            head["exp_on_reg"],
            wh,
        )
    if head["type"] == "LinearClsHead":
        return ClassifierConfig(backbone)
    kind = {"RTMCCHead": RTMPoseConfig, "RTMWHead": RTMWConfig, "HeatmapHead": HeatmapConfig}[
        head["type"]
    ]
    return kind(backbone, head["out_channels"], wh)


@functools.lru_cache(maxsize=1)
def seeded_network(name):
    record = RECORDS[name]
    network = build(config_of(record)).eval()
    state = {k: torch.from_numpy(np.asarray(v)) for k, v in seeded.weights(record).items()}
    assert list(network.state_dict()) == list(state)
    network.load_state_dict(state, strict=True)
    return network


def outputs_of(network, image):
    found, handles = {}, []

    def keep(name):
        return network.backbone.get_submodule(name).register_forward_hook(
            lambda m, i, o: found.__setitem__(f"backbone.{name}", o)
        )

    handles += [keep(n) for n in ("stem", "stage1", "stage2", "stage3", "stage4")]
    if hasattr(network, "neck"):
        skip = 1 if isinstance(network, RTMW) else 0

        def keep_neck(module, inputs, output):
            found.update({f"neck.{i}": v for i, v in enumerate(output[skip:])})

        handles.append(network.neck.register_forward_hook(keep_neck))
    with torch.inference_mode():
        result = network(image)
    for handle in handles:
        handle.remove()
    if isinstance(network, RTMDet):
        for part, values in zip(("cls", "bbox"), result, strict=True):
            found.update({f"head.{part}.{i}": v for i, v in enumerate(values)})
    elif isinstance(result, tuple):
        found["head.simcc_x"], found["head.simcc_y"] = result
    else:
        found["head.out"] = result
    return {k: v.numpy() for k, v in found.items()}


def test_there_are_43_references():
    assert len(RECORDS) == 43
    assert set(RECORDS) > QUICK


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_original(name):
    record, network = RECORDS[name], seeded_network(name)
    image = torch.from_numpy(seeded.image(record))
    single = outputs_of(network, image)
    double = outputs_of(network.double(), image.double())
    network.float()
    assert set(single) == set(record["outputs"])
    for key, known in record["outputs"].items():
        assert list(single[key].shape) == known["shape"]
        noise = record["fp32_vs_fp64_max_abs"].get(key, 0.0)
        for values, limit in ((single, max(1e-5, 3 * noise)), (double, max(1e-5, 1.05 * noise))):
            got = values[key].astype(np.float64).ravel()[known["probe_index"]]
            assert np.abs(got - known["probe_value"]).max() <= limit, key


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiply_adds(name):
    record = RECORDS[name]
    network = build(config_of(record))
    assert count_parameters(network) == record["params"]
    wh = (record["input"][3], record["input"][2])
    assert count_multiply_adds(network, wh) / 1e9 == pytest.approx(
        record["gflops_mmengine"], rel=5e-3
    )


@pytest.mark.parametrize("name", sorted(QUICK))
def test_whole_outputs(name):
    record = RECORDS[name]
    found = outputs_of(seeded_network(name), torch.from_numpy(seeded.image(record)))
    stored = np.load(seeded.FOLDER / f"{name}.npz")
    assert stored.files
    for key in stored.files:
        limit = max(1e-5, 3 * record["fp32_vs_fp64_max_abs"].get(key, 0.0))
        assert np.abs(found[key] - stored[key]).max() <= limit, key


@pytest.mark.parametrize(
    "name", ["rtmpose-t_8xb256-420e_coco-256x192", "cspnext-tiny_udp_8xb256-210e_coco-256x192"]
)
def test_folded_norms_change_nothing(name):
    network = seeded_network(name)
    image = torch.from_numpy(seeded.image(RECORDS[name]))
    with torch.inference_mode():
        plain, folded = network(image), fuse_norms(network)(image)
    for a, b in zip(plain, folded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


def test_every_model_of_the_zoo_has_a_network():
    for card in zoo.load_zoo():
        if not card.has_network:
            with pytest.raises(ModelError, match="not a network of this family"):
                config_for(card)
        else:
            assert config_for(card).input_wh == card.input_wh


@pytest.mark.slow
def test_published_table():
    """Parameters as published, to the last digit they gave; multiply-adds within the 3 % their
    counters differ by.
    """
    for card in zoo.load_zoo():
        if not card.published or not card.has_network or card.architecture.endswith("-pruned"):
            continue
        network = build(config_for(card))
        if card.params_m is not None:
            assert count_parameters(network) / 1e6 == pytest.approx(card.params_m, abs=0.0101), (
                card.id
            )
        if card.gflops is not None:
            assert count_multiply_adds(network, card.input_wh) / 1e9 == pytest.approx(
                card.gflops, rel=0.035
            ), card.id


def test_attention_can_be_left_out():
    config = CSPNeXtConfig(0.167, 0.375, attention=False)
    network = build(RTMPoseConfig(config, 5, (64, 64)))
    assert not any("attention" in k for k in network.state_dict())
    x, y = network.eval()(torch.zeros(2, 3, 64, 64))
    assert x.shape == y.shape == (2, 5, 128)


@pytest.mark.slow
def test_table_command(capsys):
    import json

    from rtmpose.cli import main

    assert main(["models", "table", "--json"]) == 0
    rows = {r["id"]: r for r in json.loads(capsys.readouterr().out)}
    assert rows["rtmpose-s_body8_256x192"]["params_m"] == 5.47
    assert rows["rtmpose-s_body8_256x192"]["gflops"] == pytest.approx(0.682, abs=1e-3)
