"""Networks with hard swish on their large maps: same weights, another activation."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from torch import nn  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.errors import ModelError  # noqa: E402
from rtmpose.networks import build, config_for, load_network, save_safetensors  # noqa: E402
from rtmpose.networks.hardswish import with_hardswish  # noqa: E402
from rtmpose.networks.reduced import reduce_input, reduced_card  # noqa: E402
from rtmpose.pruning.prune import pruned_card  # noqa: E402

CARD = zoo.find("rtmpose-t_body8-halpe26_256x192")


def tiny():
    torch.manual_seed(0)
    return build(config_for(CARD)).eval()


def kinds(network, name=""):
    part = network.get_submodule(name)
    return {type(m) for m in part.modules() if isinstance(m, nn.SiLU | nn.Hardswish)}


def test_stem_and_stage_1_have_it_and_the_card_says_so():
    network, card = with_hardswish(tiny(), CARD)
    assert card.id == "rtmpose-t-hardswish_body8-halpe26_256x192"
    assert card.architecture == "rtmpose-t-hardswish"
    assert not card.published
    for part in ("stem", "stage1"):
        assert kinds(network, f"backbone.{part}") == {nn.Hardswish}
    for part in ("stage2", "stage3", "stage4"):
        assert kinds(network, f"backbone.{part}") == {nn.SiLU}


def test_it_goes_with_the_other_marks():
    small, card = reduce_input(tiny(), CARD)
    network, card = with_hardswish(small, card)
    assert card.architecture == "rtmpose-t-reduced-hardswish"
    assert card.id == "rtmpose-t-hardswish_body8-halpe26_192x144"
    assert kinds(build(config_for(card)), "backbone.stem") == {nn.Hardswish}
    pruned = pruned_card(card, network)
    assert pruned.id == "rtmpose-t-hardswish-pruned_body8-halpe26_192x144"
    assert pruned.architecture == "rtmpose-t-reduced-hardswish-pruned"
    # The other way round.
    _, card = with_hardswish(tiny(), CARD)
    assert reduced_card(card).architecture == "rtmpose-t-reduced-hardswish"


def test_other_networks_are_refused():
    _, card = with_hardswish(tiny(), CARD)
    for other in (card, zoo.find("rtmdet-nano"), zoo.find("rtmw-l")):
        with pytest.raises(ModelError, match="cannot be given hard swish"):
            with_hardswish(tiny(), other)


def test_it_is_kept_in_files(tmp_path):
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    from rtmpose.exporting.onnx import write_onnx

    silu = tiny()
    with torch.no_grad():
        for p in silu.parameters():  # a gain of 1 is left out of an export
            p.add_(0.02 * torch.randn_like(p))
    image = torch.randn(2, 3, 256, 192)
    with torch.inference_mode():
        before = silu.backbone(image)[0]
    network, card = with_hardswish(silu, CARD)
    with torch.inference_mode():
        ours = network(image)[0]
        assert not torch.equal(network.backbone(image)[0], before)

    # A checkpoint and an export.
    save_safetensors(tmp_path / "net.safetensors", network, card)
    write_onnx(network, card, tmp_path / "net.onnx")
    session = ort.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    exported = session.run(None, {"input": image.numpy()})[0]
    near = 1e-4 * ours.abs().max().item()
    assert np.allclose(exported, ours.numpy(), atol=near)
    for name in ("net.safetensors", "net.onnx"):
        again, known = load_network(tmp_path / name)
        assert known.architecture == "rtmpose-t-hardswish"
        with torch.inference_mode():
            assert torch.allclose(again(image)[0], ours, atol=near)


def test_a_detector_has_it_everywhere_and_files_keep_it(tmp_path):
    card = zoo.find("rtmdet-nano")
    torch.manual_seed(0)
    silu = build(config_for(card)).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        before = silu(image)[1][0]
    network, card = with_hardswish(silu, card)
    assert card.architecture == "rtmdet-nano-hardswish"
    assert card.id == "rtmdet-nano-hardswish_person_320x320"
    assert kinds(network) == {nn.Hardswish}
    with torch.inference_mode():
        ours = network(image)[1][0]
    assert not torch.equal(ours, before)

    save_safetensors(tmp_path / "net.safetensors", network, card)
    again, known = load_network(tmp_path / "net.safetensors")
    assert known.architecture == "rtmdet-nano-hardswish"
    assert kinds(again) == {nn.Hardswish}
    with torch.inference_mode():
        assert torch.allclose(again(image)[1][0], ours, atol=1e-5)
    with pytest.raises(ModelError, match="cannot be given hard swish"):
        with_hardswish(again, known)
