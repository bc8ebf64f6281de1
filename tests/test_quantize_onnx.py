"""int8 in ONNX files: the same function within its rounding, and where its ranges come from."""

from __future__ import annotations

import numpy as np
import pytest

from rtmpose.backends.int8_ranges import LayerRanges
from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.zoo import find, resolve

onnx = pytest.importorskip("onnx", reason="ONNX files are written with onnx")
pytest.importorskip("torch", reason="exports start from torch networks")
pytest.importorskip("openvino", reason="OpenVINO measures ranges")
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import rtmpose.exporting.int8_source as int8_source_module  # noqa: E402
from rtmpose.exporting.int8_source import int8_source  # noqa: E402
from rtmpose.exporting.options import ExportOptions  # noqa: E402
from rtmpose.exporting.quantize_onnx import quantize_onnx  # noqa: E402
from rtmpose.exporting.source import ExportSource  # noqa: E402

PIXELS = Normalization((0, 0, 0), (1, 1, 1), "bgr")
CARD = ModelCard("small", "hand", "other", (8, 8), PIXELS, Codec("simcc"), "coco17")
CHANNELS = 16


@pytest.fixture
def network(tmp_path):
    """Two 1x1 convolutions that read the same map; weights of one are stored as float16."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 4, CHANNELS, 1, 1)).astype(np.float32)
    constants = [
        numpy_helper.from_array(weights[0], "w0"),
        numpy_helper.from_array(weights[1].astype(np.float16), "half"),
        numpy_helper.from_array(np.ones(4, np.float32), "b0"),
    ]
    nodes = [
        helper.make_node("Cast", ["half"], ["w1"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w0", "b0"], ["y0"], name="first"),
        helper.make_node("Conv", ["x", "w1"], ["y1"], name="second"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, 8, 8])
        for name, channels in (("x", CHANNELS), ("y0", 4), ("y1", 4))
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], constants)
    return save(graph, tmp_path / "plain.onnx", 18)


def save(graph, path, opset):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def inputs():
    """Channels with ranges of their own, far from zero."""
    rng = np.random.default_rng(1)
    spread = np.geomspace(0.01, 10, CHANNELS).reshape(1, -1, 1, 1)
    center = np.linspace(-50, 50, CHANNELS).reshape(1, -1, 1, 1)
    return (center + spread * rng.uniform(-1, 1, (2, CHANNELS, 8, 8))).astype(np.float32)


def ranges_of(inputs):
    low, high = inputs.min(axis=(0, 2, 3)), inputs.max(axis=(0, 2, 3))
    center = (low + high) / 2
    scale = (high - low) / 255
    # 128 levels below zero, 127 above.
    layer = LayerRanges(center, scale, -128.0, 127.0, np.full(4, 0.5, np.float32))
    return {"first/WithoutBiases": layer, "second": layer}


def run(path, inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs})


def test_the_function_is_the_same_within_its_rounding(network, inputs, tmp_path):
    out = tmp_path / "int8.onnx"
    assert quantize_onnx(network, CARD, ranges_of(inputs), out) == 2
    for before, after in zip(run(network, inputs), run(out, inputs), strict=True):
        assert np.abs(after - before - 0.5).max() < 0.01 * np.abs(before).max()

    written = onnx.load(str(out))
    kinds = [node.op_type for node in written.graph.node]
    assert kinds.count("QuantizeLinear") == 1  # both read the same map
    assert kinds.count("DequantizeLinear") == 3
    assert "Cast" not in kinds
    assert {entry.key for entry in written.metadata_props} == {"rtmpose.card"}


def test_files_that_cannot_be_quantized_are_refused(network, inputs, tmp_path):
    with pytest.raises(ModelError, match="no convolutions"):
        quantize_onnx(network, CARD, {}, tmp_path / "out.onnx")
    old = save(onnx.load(str(network)).graph, tmp_path / "old.onnx", 11)
    with pytest.raises(InputError, match="--opset 13"):
        quantize_onnx(old, CARD, ranges_of(inputs), tmp_path / "out.onnx")


def write_nothing(options, name):
    raise AssertionError("the published file is taken")


def test_a_prepared_model_keeps_its_ranges():
    card = find("rtmpose-s-finetuned")
    options = ExportOptions("onnx", "int8")
    source = ExportSource(card, None)
    file, ranges = int8_source(card.id, source, options, write_nothing, print)
    assert file == resolve(card)[0]
    assert len(ranges) == 33


def test_other_models_need_images_of_what_they_are_for(network):
    options = ExportOptions("onnx", "int8")
    with pytest.raises(InputError, match="--calibrate"):
        int8_source(network, ExportSource(CARD, None), options, write_nothing, print)


def test_a_changed_model_is_measured_image_by_image(network, tmp_path, monkeypatch):
    batches = []

    def write(options, name):
        batches.append(options.batch)
        return network

    images = np.zeros((1, 8, 8, 3), np.uint8)
    monkeypatch.setattr(int8_source_module, "calibration_images", lambda *_: images)
    monkeypatch.setattr(int8_source_module, "measure_ranges", lambda *_: {"first": None})
    options = ExportOptions("onnx", "int8", batch=4)
    found = int8_source("rtmpose-s-finetuned", ExportSource(CARD, None), options, write, print)
    assert found == (network, {"first": None})
    assert batches == [None, 4]
