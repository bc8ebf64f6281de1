"""A model repository for Triton."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from rtmpose.errors import ModelError  # noqa: E402


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.fixture
def graph(tmp_path):
    """A file with the inputs of the one-graph export."""
    node = helper.make_node("Identity", ["boxes_in"], ["boxes"])
    inputs = [
        value("image", TensorProto.UINT8, ["height", "width", 3]),
        value("boxes_in", TensorProto.FLOAT, ["given", 4]),
        value("detect", TensorProto.BOOL, []),
    ]
    outputs = [value("boxes", TensorProto.FLOAT, ["people", 4])]
    model = helper.make_model(helper.make_graph([node], "g", inputs, outputs))
    onnx.save(model, tmp_path / "all.onnx")
    return tmp_path / "all.onnx"


def write(graph, out):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
    from rtmpose.exporting.triton import write_triton

    return write_triton(graph, out)


def test_the_folder_of_a_model(graph, tmp_path):
    folder = write(graph, tmp_path / "my-model")
    assert (folder / "1" / "model.onnx").read_bytes() == graph.read_bytes()
    text = (folder / "config.pbtxt").read_text()
    assert 'name: "my-model"' in text
    # A number without a dimension comes as an array of one.
    assert "reshape { shape: [ ] }" in text.split('name: "detect"')[1]


def test_the_configuration_is_read_by_the_parser_of_protobuf(graph, tmp_path):
    text_format = pytest.importorskip("google.protobuf.text_format")
    reason = "needs tritonclient (tests/serve_clients.txt)"
    forms = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason=reason)
    text = (write(graph, tmp_path / "my-model") / "config.pbtxt").read_text()
    config = text_format.Parse(text, forms.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("my-model", "onnxruntime", 0)
    inputs = {tensor.name: tensor for tensor in config.input}
    assert list(inputs["image"].dims) == [-1, -1, 3]
    assert inputs["image"].data_type == forms.TYPE_UINT8
    assert list(inputs["boxes_in"].dims) == [-1, 4]
    assert list(inputs["detect"].dims) == [1]
    assert inputs["detect"].HasField("reshape")
    assert not inputs["detect"].reshape.shape
    assert [(tensor.name, list(tensor.dims)) for tensor in config.output] == [("boxes", [-1, 4])]


def test_tensors_that_triton_does_not_know(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
    from rtmpose.exporting.triton import config_text

    with pytest.raises(ModelError, match="kind"):
        config_text("m", [value("x", TensorProto.COMPLEX64, [1])], [])


@pytest.mark.slow
def test_the_command_writes_a_repository(tmp_path, capsys):
    for package in ("torch", "onnxscript"):
        pytest.importorskip(package, reason="needs the extra export")
    import onnxruntime

    from rtmpose.cli import main

    line = ["export", "rtmpose-s-finetuned", "--to", "triton", "-o", str(tmp_path)]
    assert main(line) == 0
    (config,) = tmp_path.glob("*/config.pbtxt")
    network = config.parent / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    feed = {
        "image": np.zeros((40, 40, 3), np.uint8),
        "boxes_in": np.array([[0, 0, 20, 40]], np.float32),
        "detect": np.array(False),
    }
    assert session.run(["keypoints"], feed)[0].shape == (1, 26, 2)
    assert (tmp_path / f"{config.parent.name}.verify.json").is_file()
