"""Checkpoints: the publisher's layout, refusals, our own format, pruned shapes, and genuine weights
from ONNX.
"""

import os
import pickle
import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
pytest.importorskip(
    "safetensors", reason="safetensors is not installed: pip install 'rtmpose[export]'"
)

from rtmpose import zoo  # noqa: E402
from rtmpose.backends import sample_images  # noqa: E402
from rtmpose.errors import ModelError, OutputError  # noqa: E402
from rtmpose.networks import (  # noqa: E402
    build,
    count_parameters,
    load_network,
    read_checkpoint,
    save_safetensors,
)
from rtmpose.networks.checkpoint import load_state, read_card  # noqa: E402
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.load import resized, to_tensor  # noqa: E402
from rtmpose.networks.rtmdet import RTMDetBoxes, RTMDetConfig  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402
from rtmpose.networks.widths import apply_masks, fit_widths  # noqa: E402
from rtmpose.paths import bundled_folder  # noqa: E402

TINY = RTMPoseConfig(CSPNeXtConfig(0.167, 0.125), 17, (64, 64))
CARD = zoo.find("rtmpose-t_body8_256x192")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build(TINY).eval()


def same(a, b):
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def publisher_file(path, state, monkeypatch):
    """Meta data, message hub with history buffers, optimizer state: as the original's training
    writes them.
    """
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self):
            self._max_length = 10
            self._log_history = np.arange(3.0)

        def mean(self):
            return 0.0

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    content = {
        "meta": {
            "epoch": 420,
            "cfg": "model = dict()",
            "dataset_meta": {"sigmas": np.ones(17, np.float32)},
            "seed": 1,
        },
        "message_hub": {
            "log_scalars": {"train/loss": HistoryBuffer()},
            "runtime_info": {"iter": 5},
        },
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.004}]},
        "param_schedulers": [{"last_step": np.float64(3.0)}],
        "ema_state_dict": {
            "steps": torch.tensor(4),
            **{f"module.{k}": v + 1 for k, v in state.items()},
        },
        "state_dict": state,
    }
    torch.save(content, path)
    for name in list(sys.modules):
        if name.startswith("mmengine"):
            monkeypatch.delitem(sys.modules, name)
    return path


def test_the_publishers_layout(network, tmp_path, monkeypatch):
    path = publisher_file(tmp_path / "a.pth", network.state_dict(), monkeypatch)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)  # not readable without knowing what may be skipped
    other = build(TINY)
    assert not load_state(other, read_checkpoint(path), "a.pth")
    assert same(network, other)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "architecture.", "module.architecture.", "student."]
)
def test_wrappers_come_off(network, tmp_path, prefix):
    state = {f"{prefix}{k}": v for k, v in network.state_dict().items()}
    state["data_preprocessor.mean" if not prefix else "teacher.backbone.x"] = torch.zeros(3)
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    load_state(build(TINY), read_checkpoint(tmp_path / "a.pth"), "a.pth")


def test_averaged_weights_alone(network, tmp_path):
    state = {
        "steps": torch.tensor(1),
        **{f"module.{k}": v for k, v in network.state_dict().items()},
    }
    torch.save({"ema_state_dict": state}, tmp_path / "a.pth")
    load_state(build(TINY), read_checkpoint(tmp_path / "a.pth"), "a.pth")


class Malicious:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_nothing_is_executed(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": network.state_dict(), "meta": Malicious()}, "a.pth")
    with pytest.raises(ModelError, match="could run foreign"):
        read_checkpoint(tmp_path / "a.pth")
    assert not (tmp_path / "pwned").exists()


def test_getattr_in_a_file_is_inert(tmp_path):
    class Sly:
        def __reduce__(self):
            return getattr, ("text", "no_such_attribute")  # would raise if it were called

    torch.save({"state_dict": {"a": torch.ones(1)}, "meta": Sly()}, tmp_path / "a.pth")
    assert list(read_checkpoint(tmp_path / "a.pth")) == ["a"]


def test_damaged_files(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"cut\.pth"):
        read_checkpoint(tmp_path / "cut.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ModelError, match="safetensors"):
        read_checkpoint(tmp_path / "cut.safetensors")
    torch.save({"meta": 1}, tmp_path / "empty.pth")
    with pytest.raises(ModelError, match="no weights"):
        read_checkpoint(tmp_path / "empty.pth")
    with pytest.raises(ModelError, match="does not exist"):
        read_checkpoint(tmp_path / "missing.pth")


def test_readable_difference(network):
    state = dict(network.state_dict())
    state.pop("head.cls_x.weight")
    state["head.extra"] = torch.zeros(2)
    state["head.final_layer.bias"] = torch.zeros(3)
    with pytest.raises(ModelError) as error:
        load_state(network, state, "a.pth")
    text = str(error.value)
    assert "1 missing: head.cls_x.weight" in text
    assert "1 unexpected: head.extra" in text
    assert "head.final_layer.bias 17 in the network, 3 in the file" in text
    assert load_state(network, state, "a.pth", strict=False)


def test_a_checkpoint_of_another_model(tmp_path):
    other = build(RTMDetConfig(CSPNeXtConfig(0.33, 0.25, depthwise=True), 64, 1, share_conv=False))
    torch.save(other.state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match="not a checkpoint of this network"):
        load_network(tmp_path / "a.pth", card=CARD)
    # Without a card it is what its weights show.
    assert load_network(tmp_path / "a.pth")[1].architecture == "rtmdet-nano"
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="which model it is"):
        load_network(tmp_path / "a.pth")


def test_own_format(tmp_path):
    path = tmp_path / "a.safetensors"
    torch.manual_seed(0)
    config = RTMDetConfig(CSPNeXtConfig(0.167, 0.125), 32, 1)
    network = build(config).eval()
    card = zoo.find("rtmdet-m")
    save_safetensors(path, network, card, origin="a test")
    back, known = load_network(path, config=config)
    assert same(network, back)
    assert known.id == card.id == read_card(path).id
    assert known.normalization == card.normalization
    # Shared head convolutions are stored once and shared again.
    assert path.stat().st_size < 4.2 * count_parameters(network) + 60_000
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_safetensors(tmp_path / "file" / "a.safetensors", network, card)


def test_own_format_takes_paths_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = zoo.find("rtmdet-m")
    config = RTMDetConfig(CSPNeXtConfig(0.167, 0.125), 32, 1)
    network = build(config).eval()
    save_safetensors("a.safetensors", network, card)
    assert read_card("a.safetensors").id == card.id
    assert set(read_checkpoint("a.safetensors")) == set(network.state_dict())
    with pytest.raises(ModelError, match=r"missing\.pth does not exist"):
        read_checkpoint("missing.pth")


def test_pruned_shapes_and_masks(network):
    """Masks on the inner channels of the first block cut the same network as pruned shapes."""
    state = dict(network.state_dict())
    block = "backbone.stage1.1.blocks.0"
    keep = torch.tensor([1, 0] * 4, dtype=torch.bool)
    assert state[f"{block}.conv1.conv.weight"].shape[0] == len(keep)
    masks = {
        f"{block}.conv1.conv.mutable_attrs.out_channels.mask": keep,
        f"{block}.conv1.bn.mutable_attrs.out_channels.mask": keep,
        f"{block}.conv2.depthwise_conv.conv.mutable_attrs.in_channels.mask": keep,
        f"{block}.conv2.depthwise_conv.conv.mutable_attrs.out_channels.mask": keep,
        f"{block}.conv2.depthwise_conv.bn.mutable_attrs.out_channels.mask": keep,
        f"{block}.conv2.pointwise_conv.conv.mutable_attrs.in_channels.mask": keep,
    }
    pruned = apply_masks({**state, **masks})
    assert pruned[f"{block}.conv2.pointwise_conv.conv.weight"].shape[1] == 4
    small = build(TINY)
    fit_widths(small, pruned)
    load_state(small, pruned, "pruned")
    assert count_parameters(small) < count_parameters(network)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        x, _ = small.eval()(image)
        # The same as the full network with those channels set to zero.
        for name in ("conv1.bn", "conv2.depthwise_conv.bn"):
            norm = network.get_submodule(f"{block}.{name}")
            norm.weight[~keep] = 0
            norm.bias[~keep] = 0
        expected, _ = network(image)
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="mask"):
        apply_masks({**state, f"{block}.conv1.conv.out_mask": torch.ones(3)})


def test_a_pruned_file_of_the_zoo(tmp_path):
    card = zoo.find("rtmpose-s-pruned_aic-coco_256x192")
    full = build(RTMPoseConfig(CSPNeXtConfig(0.33, 0.5), 17))
    state = dict(full.state_dict())
    for key in ("weight",):
        state[f"backbone.stem.0.conv.{key}"] = state[f"backbone.stem.0.conv.{key}"][:10]
    for key in ("weight", "bias", "running_mean", "running_var"):
        state[f"backbone.stem.0.bn.{key}"] = state[f"backbone.stem.0.bn.{key}"][:10]
    state["backbone.stem.1.conv.weight"] = state["backbone.stem.1.conv.weight"][:, :10]
    torch.save(
        {"state_dict": {f"architecture.{k}": v for k, v in state.items()}}, tmp_path / "a.pth"
    )
    network, _ = load_network(tmp_path / "a.pth", card=card)
    assert network.backbone.stem[0].conv.out_channels == 10
    assert network(torch.zeros(1, 3, 256, 192))[0].shape == (1, 17, 384)


# ---- genuine weights, from ONNX back
# ------------------------------------------------------------------------


def test_genuine_pose_weights(rtmpose_s):
    import onnxruntime

    pytest.importorskip("onnx")
    network, card = load_network(rtmpose_s)
    assert count_parameters(network) == 5_699_052
    crops = to_tensor(sample_images.bundled_crops(card), card.normalization)
    session = onnxruntime.InferenceSession(str(rtmpose_s), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        ours = network(crops)
    for a, b in zip(session.run(None, {"input": crops.numpy()}), ours, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-4)


def test_genuine_detector_weights(rtmdet_nano, rtmdet_nano_raw):
    import onnxruntime

    pytest.importorskip("onnx")
    card = zoo.find("rtmdet-nano")
    network, _ = load_network(rtmdet_nano_raw, card=card)
    assert same(network, load_network(rtmdet_nano, card=card)[0])
    frames = to_tensor(sample_images.bundled_frames(card), card.normalization)
    session = onnxruntime.InferenceSession(str(rtmdet_nano_raw), providers=["CPUExecutionProvider"])
    for frame in frames[:, None]:
        with torch.inference_mode():
            logits, sides = network(frame)
        for theirs, a, b in zip(
            session.run(None, {"images": frame.numpy()}), logits, sides, strict=True
        ):
            ours = torch.cat([a, b], 1).permute(0, 2, 3, 1).numpy()
            # Of 123 layers in float32 the noise depends on the CPU; only differences of scores
            # matter. Distances are in pixels, up to hundreds: their noise is relative.
            np.testing.assert_allclose(ours[..., 0], theirs[..., 0], rtol=5e-4, atol=5e-3)
            np.testing.assert_allclose(
                1 / (1 + np.exp(-ours[..., 0])), 1 / (1 + np.exp(-theirs[..., 0])), atol=1e-4
            )
            np.testing.assert_allclose(ours[..., 1:], theirs[..., 1:], rtol=2e-4, atol=5e-3)


def test_a_detector_exported_here_is_read_back():
    """Its nodes are not in the order of execution, but its weights have their names."""
    import onnxruntime

    pytest.importorskip("onnx")
    path = bundled_folder() / "rtmdet-nano_finetuned_320x320.onnx"
    network, card = load_network(path)
    frames = to_tensor(sample_images.bundled_frames(card)[:2], card.normalization)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for frame in frames[:, None]:
        with torch.inference_mode():
            boxes, scores = RTMDetBoxes(network)(frame)
        theirs = session.run(None, {"input": frame.numpy()})
        np.testing.assert_allclose(boxes.numpy(), theirs[0], rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(scores.numpy(), theirs[1], atol=1e-4)


def test_an_onnx_file_of_another_network(rtmpose_s, rtmdet_nano):
    pytest.importorskip("onnx")
    with pytest.raises(ModelError, match="another network"):
        load_network(rtmdet_nano, card=zoo.find("rtmpose-s"))
    with pytest.raises(ModelError, match="another network"):
        load_network(rtmpose_s, card=zoo.find("rtmpose-m"))


def test_other_input_sizes():
    network = build(TINY)
    with pytest.raises(ModelError, match="multiples of 32"):
        resized(network, zoo.find("rtmdet-nano"), (320, 100))
    with pytest.raises(ModelError, match="one weight per cell"):
        resized(network, CARD, (288, 384))
    assert resized(network, zoo.find("rtmdet-nano"), (320, 192)).id == "rtmdet-nano_person_192x320"
