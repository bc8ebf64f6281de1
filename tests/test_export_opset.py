"""Exports with older and newer operators compute the same; what cannot be said is refused."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'rtmpose[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.cli import main  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.exporting.onnx import OnnxOptions, write_onnx  # noqa: E402
from rtmpose.exporting.opset import to_opset  # noqa: E402
from rtmpose.exporting.options import ExportOptions  # noqa: E402
from rtmpose.networks import build, config_for, save_safetensors  # noqa: E402


def run(path, pixels):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels})


def versions_of(model):
    return [i.version for i in model.opset_import]


def graph(nodes, constants=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "columns"])
    made = helper.make_graph(nodes, "g", [x], [y], list(constants))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 20])
def test_axes_move_to_attributes(tmp_path, opset):
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0, noop_with_empty_axes=0),
        helper.make_node("Unsqueeze", ["m", "axes"], ["y"]),
    ]
    model = to_opset(graph(nodes, [axes]), "g", opset)
    assert versions_of(model) == [opset]
    onnx.save(model, tmp_path / "a.onnx")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_allclose(run(tmp_path / "a.onnx", x)[0], x.mean(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([helper.make_node("Shape", ["x"], ["s"], start=1)], "Shape with start=1"),
        (
            [
                helper.make_node("Shape", ["x"], ["s"]),
                helper.make_node("ReduceMean", ["x", "s"], ["y"]),
            ],
            "axes are computed",
        ),
        ([helper.make_node("Mish", ["x"], ["y"])], "opset 12"),
    ],
)
def test_what_cannot_be_said_is_refused(nodes, reason):
    with pytest.raises(ModelError, match=reason):
        to_opset(graph(nodes), "g", 12)


def test_options_are_checked():
    for opset in (5, 99):
        with pytest.raises(InputError, match="opset must be a whole number from 11 to 23"):
            ExportOptions("onnx", opset=opset)
    with pytest.raises(InputError, match="not for ncnn"):
        ExportOptions("ncnn", opset=12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pose", "detector", "decoded"])
def test_networks_compute_the_same_with_older_operators(tmp_path, kind):
    name = "rtmdet-nano" if kind == "detector" else "rtmpose-t_body8_256x192"
    classes = ("a", "b") if kind == "detector" else ()
    side = 96 if kind == "detector" else 64
    card = replace(zoo.find(name), input_wh=(side, side), classes=classes)
    torch.manual_seed(0)
    network = build(config_for(card)).eval()
    options = OnnxOptions(normalize=kind == "decoded", decode=kind == "decoded")
    path = tmp_path / "now.onnx"
    write_onnx(network, card, path, options)

    # The same numbers from each version.
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(1, 3, side, side)).astype(np.float32)
    if kind == "decoded":
        pixels = rng.integers(0, 255, (1, side, side, 3), np.uint8)
    expected = run(path, pixels)
    for opset in (12, 13, 17, 19):
        other = tmp_path / f"{opset}.onnx"
        onnx.save(to_opset(onnx.load(path), card.id, opset), other)
        assert versions_of(onnx.load(other)) == [opset]
        for ours, theirs in zip(expected, run(other, pixels), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_the_command_writes_and_verifies(tmp_path, capsys):
    card = replace(zoo.find("rtmpose-t_body8_256x192"), input_wh=(64, 64), files=(), aliases=())
    path = tmp_path / "a.safetensors"
    save_safetensors(path, build(config_for(card)), card)
    out = tmp_path / "out"
    assert main(["export", str(path), "--opset", "12", "-o", str(out)]) == 0
    assert versions_of(onnx.load(next(out.glob("*.onnx")))) == [12]
