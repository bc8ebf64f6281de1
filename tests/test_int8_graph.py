"""Networks in 8 bits: which convolutions, and the same function but for rounding."""

import importlib.util
from collections import Counter

import numpy as np
import pytest

from rtmpose import BackendOptions
from rtmpose.model_card import Codec, ModelCard, Normalization

if not importlib.util.find_spec("openvino"):
    pytest.skip("OpenVINO is not installed", allow_module_level=True)

from rtmpose.backends import bf16_graph, int8_graph, int8_preparation, int8_ranges
from rtmpose.backends.openvino import OpenVinoBackend
from rtmpose.backends.openvino_network import read_network

SCALING = Normalization((0, 0, 0), (255, 255, 255), "bgr")
CARD = ModelCard("small", "a test", "none", (16, 16), SCALING, Codec("simcc"))
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 3), np.uint8)


class Builder:
    """Makes a network layer by layer; each convolution has a bias and SiLU, as those of the zoo."""

    def __init__(self):
        from openvino import opset13

        self.ops = opset13
        self.generator = np.random.default_rng(0)
        self.image = opset13.parameter([-1, 3, 16, 16], np.float32, name="input")

    def convolve(self, x, weights_shape, name, *, groups=False):
        pads = [weights_shape[-1] // 2] * 2
        fan_in = np.prod(weights_shape[2 if groups else 1 :])
        weights = self.generator.normal(0, fan_in**-0.5, weights_shape).astype(np.float32)
        make = self.ops.group_convolution if groups else self.ops.convolution
        node = make(x, self.ops.constant(weights), [1, 1], pads, pads, [1, 1])
        node.set_friendly_name(name)
        channels = weights_shape[0] * (weights_shape[1] if groups else 1)
        bias = self.generator.normal(0, 0.5, (1, channels, 1, 1)).astype(np.float32)
        return self.ops.swish(self.ops.add(node, self.ops.constant(bias)))

    def saved(self, path, *outputs):
        import openvino

        network = openvino.Model([x.output(0) for x in outputs], [self.image], "small")
        openvino.save_model(network, path, compress_to_fp16=False)
        return path


def stem_only(path):
    """A first convolution, and one that reads its 16 channels."""
    builder = Builder()
    x = builder.convolve(builder.image, (16, 3, 3, 3), "pixels")
    return builder.saved(path, builder.convolve(x, (16, 16, 3, 3), "stem"))


def all_kinds(path):
    """One convolution of each kind."""
    builder = Builder()
    ops = builder.ops
    x = builder.convolve(builder.image, (16, 3, 3, 3), "pixels")
    x = builder.convolve(x, (32, 16, 3, 3), "stem")
    x = builder.convolve(x, (32, 1, 1, 5, 5), "depthwise", groups=True)
    x = builder.convolve(x, (2, 16, 16, 3, 3), "groups", groups=True)
    x = builder.convolve(x, (32, 32, 7, 7), "large")
    x = builder.convolve(x, (32, 32, 9, 9), "too large")
    gate = ops.reduce_mean(x, ops.constant(np.array([2, 3])), True)
    x = ops.multiply(x, builder.convolve(gate, (32, 32, 1, 1), "gate"))
    return builder.saved(path, builder.convolve(x, (8, 32, 1, 1), "pointwise"))


def two_readers(path):
    """Two convolutions that read the same map."""
    builder = Builder()
    x = builder.convolve(builder.image, (32, 3, 1, 1), "pixels")
    one = builder.convolve(x, (8, 32, 1, 1), "one")
    return builder.saved(path, one, builder.convolve(x, (16, 32, 1, 1), "other"))


def run(network):
    return OpenVinoBackend(network, CARD, BackendOptions("openvino", "cpu", 1, precision="fp32"))(
        PIXELS
    )


def error(path):
    """Root mean square error of the network in 8 bits, as a share of the spread of its values."""
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    network = read_network(path)
    assert int8_graph.quantize(network, ranges) == len(ranges)
    exact = run(read_network(path))
    return max(
        np.sqrt(np.square(a - b).mean()) / b.std() for a, b in zip(run(network), exact, strict=True)
    )


def test_which_convolutions(tmp_path):
    """Not those of pixels, of single points, and of grouped channels."""
    network = read_network(all_kinds(tmp_path / "kinds.xml"))
    found = [n.get_friendly_name() for n in int8_ranges.dense_convolutions(network)]
    assert found == ["stem", "large", "pointwise"]


@pytest.mark.parametrize("make", [stem_only, all_kinds, two_readers])
def test_the_function_stays_the_same_but_for_rounding(tmp_path, make):
    assert 0 < error(make(tmp_path / "network.xml")) < 0.02


def test_readers_of_one_map_share_its_quantizer(tmp_path):
    """It is quantized once, so that the engine can do it where the map is computed."""
    path = two_readers(tmp_path / "two.xml")
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    np.testing.assert_array_equal(ranges["one"].scale, ranges["other"].scale)
    network = read_network(path)
    int8_graph.quantize(network, ranges)
    kinds = Counter(node.get_type_name() for node in network.get_ops())
    assert kinds["FakeQuantize"] == 1 + 2  # the map, and the weights of both


def test_biases_are_changed_in_place(tmp_path):
    """An addition more would be another step of the engine."""
    path = two_readers(tmp_path / "two.xml")
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    assert all(layer.center.any() for layer in ranges.values())
    network = read_network(path)
    before = Counter(node.get_type_name() for node in network.get_ops())
    int8_graph.quantize(network, ranges)
    bf16_graph.keep_biases(network)
    after = Counter(node.get_type_name() for node in network.get_ops())
    assert after["Add"] == before["Add"]
    assert after["Clamp"] == 1  # of the convolution that stays as it is


def hard_swish_by_hand(path, slope=1 / 6):
    """``x * HardSigmoid(x)`` behind a convolution, and a gate of other values that is none."""
    from openvino import opset13 as ops

    builder = Builder()
    x = builder.convolve(builder.image, (16, 3, 3, 3), "pixels")
    gate = ops.hard_sigmoid(x, np.float32(slope), np.float32(0.5))
    attention = ops.hard_sigmoid(
        ops.reduce_mean(x, [2, 3], True), np.float32(1 / 6), np.float32(0.5)
    )
    return builder.saved(path, ops.multiply(ops.multiply(gate, x), attention))


@pytest.mark.parametrize(("slope", "joined"), [(1 / 6, 1), (0.2, 0)])
def test_a_product_that_is_hard_swish_becomes_it(tmp_path, slope, joined):
    from openvino import Core

    path = hard_swish_by_hand(tmp_path / "net.xml", slope)
    before = Core().read_model(path)
    network = read_network(path)
    kinds = Counter(node.get_type_name() for node in network.get_ops())
    assert (kinds["HSwish"], kinds["HardSigmoid"]) == (joined, 2 - joined)

    # The same function.
    image = np.random.default_rng(2).normal(0, 3, (2, 3, 16, 16)).astype(np.float32)
    fp32 = {"INFERENCE_PRECISION_HINT": "f32"}
    runs = [Core().compile_model(n, "CPU", fp32)(image)[0] for n in (before, network)]
    assert np.allclose(*runs, atol=1e-5)
