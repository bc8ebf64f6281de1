"""Preparation for int8: the same function but for rounding, remembered, trusted if it agrees."""

import gc
import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from rtmpose import BackendOptions
from rtmpose.backends import automatic, open_backend, selection
from rtmpose.backends.cpu import Cpu
from rtmpose.errors import BackendError
from rtmpose.model_card import Codec, ModelCard, ModelFile, Normalization

if not importlib.util.find_spec("openvino"):
    pytest.skip("OpenVINO is not installed", allow_module_level=True)

from networks import spot_pose

from rtmpose.backends import int8_graph, int8_preparation, openvino_network, openvino_precision
from rtmpose.backends.openvino import OpenVinoBackend

SCALING = Normalization((0, 0, 0), (255, 255, 255), "bgr")
CARD = ModelCard("small", "a test", "none", (16, 16), SCALING, Codec("simcc"))
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 3), np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def small_network(spread=1.0):
    """Pixels, a 1x1 convolution with channels of very different ranges, and one with padding."""
    from openvino import Model
    from openvino import opset13 as ops

    generator = np.random.default_rng(0)
    first = generator.normal(0, 1, (32, 3, 1, 1)).astype(np.float32)
    sizes = np.geomspace(1 / spread, spread, 32).astype(np.float32).reshape(1, -1, 1, 1)
    shift = np.linspace(-3, 3, 32, dtype=np.float32).reshape(1, -1, 1, 1)
    image = ops.parameter([-1, 3, 16, 16], np.float32, name="input")
    x = ops.convolution(image, ops.constant(first), [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.multiply(ops.add(x, ops.constant(shift)), ops.constant(sizes))
    second = (generator.normal(0, 0.5, (32, 32, 1, 1)) / sizes).astype(np.float32)
    x = ops.convolution(x, ops.constant(second), [1, 1], [0, 0], [0, 0], [1, 1])
    third = generator.normal(0, 0.1, (4, 32, 3, 3)).astype(np.float32)
    x = ops.convolution(ops.swish(x), ops.constant(third), [1, 1], [1, 1], [1, 1], [1, 1])
    return Model([x.output(0)], [image], "small")


def saved(tmp_path, spread=1.0):
    import openvino

    path = tmp_path / "small.xml"
    openvino.save_model(small_network(spread), path, compress_to_fp16=False)
    return path


def run(network, precision="fp32"):
    options = BackendOptions("openvino", "cpu", 1, precision=precision)
    return OpenVinoBackend(network, CARD, options)(PIXELS)[0]


def error(path, ranges):
    """Largest error of the network in 8 bits, as a share of the spread of its values."""
    network = openvino_network.read_network(path)
    assert int8_graph.quantize(network, ranges) == len(ranges)
    exact = run(openvino_network.read_network(path))
    return np.abs(run(network) - exact).max() / exact.std()


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_the_function_stays_the_same_but_for_rounding(tmp_path, spread):
    """Channels of other ranges than their neighbors lose nothing."""
    path = saved(tmp_path, spread)
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    assert len(ranges) == 2  # not the first one, which reads pixels
    assert 0 < error(path, ranges) < 0.15


def test_padding_is_exact(tmp_path):
    """Zero is one of the levels, and convolutions that pad have no centers."""
    path = saved(tmp_path)
    one, padded = int8_preparation.measure_ranges(path, CARD, PIXELS).values()
    assert np.abs(one.center).max() > 0.1
    assert not padded.center.any()
    for layer in (one, padded):
        step = (layer.high - layer.low) / 255
        assert layer.low / step == pytest.approx(round(layer.low / step), abs=1e-4)
        assert layer.low <= 0 < layer.high


def test_biases_are_corrected(tmp_path):
    path = saved(tmp_path)
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    plain = {
        name: replace(layer, correction=np.zeros_like(layer.correction))
        for name, layer in ranges.items()
    }

    def mean_error(used):
        network = openvino_network.read_network(path)
        int8_graph.quantize(network, used)
        difference = run(network) - run(openvino_network.read_network(path))
        return np.abs(difference.mean(axis=(0, 2, 3))).max()

    assert mean_error(ranges) < mean_error(plain)


def test_ranges_of_another_network_do_not_fit(tmp_path):
    path = saved(tmp_path)
    network = openvino_network.read_network(path)
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    assert int8_graph.ranges_fit(network, ranges)
    name, layer = next(iter(ranges.items()))
    assert not int8_graph.ranges_fit(network, {"another": layer})
    assert not int8_graph.ranges_fit(network, {name: replace(layer, scale=layer.scale[1:])})
    assert not int8_graph.ranges_fit(network, {name: replace(layer, center=layer.center[1:])})
    assert not int8_graph.ranges_fit(network, {name: replace(layer, correction=layer.center[1:])})


# ---- kept


@pytest.fixture
def kept(tmp_path):
    """A network, and the file of its preparation."""
    path = saved(tmp_path)
    ranges = int8_preparation.measure_ranges(path, CARD, PIXELS)
    digest = int8_preparation.digest_of(path)
    record = int8_preparation.Int8Record(
        path.name, digest, int8_preparation.METHOD_VERSION, 2, 6, 0.99, trusted=True
    )
    file = int8_preparation.prepared_file(digest, int8_preparation.ENDING)
    int8_preparation.keep_ranges(file, ranges, record)
    return path, file, ranges, record


def test_a_preparation_is_made_once(kept, monkeypatch):
    path, _, ranges, record = kept
    monkeypatch.setattr(int8_preparation, "measure_ranges", None)  # not called
    monkeypatch.setattr(openvino_network, "cpu_has_bf16", lambda: False)
    stored, found = int8_preparation.find_ranges(path, openvino_network.read_network(path), CARD)
    assert found == record
    assert stored.keys() == ranges.keys()
    quantized = openvino_network.read_network(path)
    int8_graph.quantize(quantized, ranges)
    opened = OpenVinoBackend(path, CARD, BackendOptions("openvino", "cpu", 1, precision="int8"))
    np.testing.assert_allclose(opened(PIXELS)[0], run(quantized), atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"method": 99},
        {"sha256": "ab" * 32},
        {"trusted": "yes"},
        {"convolutions": 3},
        {"more": 1},
    ],
)
def test_a_preparation_of_something_else(kept, change):
    path, file, ranges, record = kept
    content = dict(vars(record)) | change
    arrays = {
        f"{field}/{name}": np.asarray(getattr(layer, field), np.float32)
        for name, layer in ranges.items()
        for field in ("center", "scale", "low", "high", "correction")
    }
    int8_preparation.keep_prepared(file, content, arrays)
    assert int8_preparation.stored_ranges(path, openvino_network.read_network(path)) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scale", np.zeros(32, np.float32)),
        ("scale", np.full(32, np.nan, np.float32)),
        ("center", np.zeros((32, 2), np.float32)),
        ("center", np.zeros(3, np.float32)),
        ("high", -5.0),
        ("low", np.inf),
    ],
)
def test_damaged_ranges_are_not_used(kept, field, value):
    path, file, ranges, record = kept
    name = next(iter(ranges))
    damaged = {**ranges, name: replace(ranges[name], **{field: value})}
    int8_preparation.keep_ranges(file, damaged, record)
    assert int8_preparation.stored_ranges(path, openvino_network.read_network(path)) is None


# ---- chosen


def precision_of(path, precision):
    options = BackendOptions("openvino", "cpu", 1, precision=precision)
    return OpenVinoBackend(path, CARD, options).precision


@pytest.mark.parametrize(
    ("kind", "default", "others"),
    [
        ("avx2-intel", "int8", ("int8", "fp32")),
        ("avx2-amd", "int8", ("int8", "fp32")),
        ("vnni", "int8", ("int8", "fp32")),
        ("avx512-bf16", "int8", ("int8", "fp32")),
        ("amx", "fp32", ("fp32", "int8")),  # not measured yet: a trial decides
        ("other", "fp32", ("fp32", "int8")),
    ],
)
def test_int8_is_the_default_where_it_is_fast(kept, monkeypatch, kind, default, others):
    path, file, ranges, record = kept
    on_processor(monkeypatch, kind)
    assert precision_of(path, "auto") == default
    assert precision_of(path, "int8") == "int8"
    assert precision_of(path, "fp32") == "fp32"
    assert openvino_precision.trusted_precisions(path, CARD, 1) == others

    # What does not agree is never taken without being asked for.
    int8_preparation.keep_ranges(file, ranges, replace(record, trusted=False))
    assert precision_of(path, "auto") == "fp32"
    assert precision_of(path, "int8") == "int8"
    assert openvino_precision.trusted_precisions(path, CARD, 1) == ("fp32",)
    assert not int8_preparation.is_trusted_int8(path)


def on_processor(monkeypatch, kind):
    """Pretend to have a processor of that kind, without bf16."""
    monkeypatch.setattr(openvino_network, "cpu_has_bf16", lambda: False)
    found = Cpu("A CPU", frozenset(), kind)
    for module in (automatic, openvino_precision, selection):
        monkeypatch.setattr(module, "this_cpu", lambda: found)


def test_the_engine_in_8_bits_goes_first(kept, monkeypatch):
    """Also where another engine is faster in fp32."""
    path = kept[0].rename(kept[0].with_suffix(".onnx"))  # a file for several engines
    monkeypatch.setattr(automatic, "_is_trusted", lambda _: True)
    on_processor(monkeypatch, "avx2-amd")
    for asked, expected in (
        ({}, ("openvino", "int8")),
        ({"precision": "fp32"}, ("onnxruntime", "fp32")),
        ({"backend": "onnxruntime"}, ("onnxruntime", "auto")),
        ({"backend": "openvino", "precision": "fp32"}, ("openvino", "fp32")),
    ):
        chosen, _ = automatic.resolve_auto(path, BackendOptions(**asked))
        assert (chosen.backend, chosen.precision) == expected
    monkeypatch.setattr(automatic, "_is_trusted", lambda _: False)
    assert automatic.resolve_auto(path, BackendOptions())[0].backend == "onnxruntime"


# ---- prepared without being asked


PUBLISHED = replace(
    CARD, task="body", gflops=0.5, files=(ModelFile("onnx", "small.onnx", (), "ab" * 32),)
)


@pytest.mark.parametrize(
    ("card", "writable", "prepared"),
    [
        (PUBLISHED, True, True),
        (PUBLISHED, False, False),  # it would be made at every start
        (replace(PUBLISHED, gflops=2.0), True, False),  # takes too long
        (replace(PUBLISHED, task="hand"), True, False),  # the photographs show people
        (CARD, True, False),  # somebody's own
    ],
)
def test_small_networks_of_the_zoo_are_prepared_once(
    tmp_path, monkeypatch, card, writable, prepared
):
    path = saved(tmp_path)
    asked = []

    def find_ranges(path, network, card, *, threads=0):
        asked.append(path)
        record = int8_preparation.Int8Record("small", "", 1, 2, 6, 0.99, trusted=True)
        return int8_preparation.measure_ranges(path, card, PIXELS), record

    monkeypatch.setattr(openvino_precision, "find_ranges", find_ranges)
    monkeypatch.setattr(openvino_precision, "can_be_calibrated", lambda *_: True)
    monkeypatch.setattr(openvino_precision, "cache_is_writable", lambda: writable)
    on_processor(monkeypatch, "vnni")
    opened = OpenVinoBackend(path, card, BackendOptions("openvino", "cpu", 1))
    assert opened.precision == ("int8" if prepared else "fp32")
    assert asked == ([path] if prepared else [])


def test_calls_at_once_share_the_network(kept):
    """Its weights are in memory once, as long as one of them is open."""
    path = kept[0]
    single = OpenVinoBackend(path, CARD, BackendOptions("openvino", "cpu", 1, precision="fp32"))
    several = BackendOptions("openvino", "cpu", 2, precision="fp32", num_streams=2)
    parallel = OpenVinoBackend(path, CARD, several)
    assert parallel._opened is single._opened
    np.testing.assert_array_equal(parallel(PIXELS)[0], single(PIXELS)[0])
    del single, parallel
    gc.collect()
    assert not [k for k in openvino_precision._opened if k[0] == path]


def test_weights_of_half_precision_are_unpacked(tmp_path):
    import openvino

    path = tmp_path / "half.xml"
    openvino.save_model(small_network(), path, compress_to_fp16=True)
    network = openvino_network.read_network(path)
    exact = run(network.clone())
    openvino_network.unpack_weights(network)
    assert "Convert" not in {node.get_type_name() for node in network.get_ops()}
    np.testing.assert_array_equal(run(network), exact)


def test_a_network_that_cannot_be_judged(tmp_path):
    card = replace(CARD, codec=Codec("classifier"))
    options = BackendOptions("openvino", "cpu", 1, precision="int8")
    with pytest.raises(BackendError, match=r"small\.xml cannot be prepared for int8"):
        OpenVinoBackend(saved(tmp_path), card, options)


def test_a_network_without_convolutions_has_nothing_to_gain(tmp_path):
    """It is prepared, but never trusted: nothing of it is in 8 bits."""
    card = ModelCard("spot", "pose estimation", "spot", (48, 64), SCALING, Codec("simcc"))
    path = spot_pose(tmp_path / "spot.onnx")
    _, record = int8_preparation.find_ranges(path, openvino_network.read_network(path), card)
    assert (record.convolutions, record.trusted) == (0, False)
    assert open_backend(path, card, BackendOptions("openvino", "cpu", 1)).precision == "fp32"
