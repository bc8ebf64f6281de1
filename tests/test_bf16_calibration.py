"""Calibration for bf16: exact in fp32, remembered, and trusted only when it agrees."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from rtmpose.backends import BackendOptions, open_backend
from rtmpose.pose_estimator import PoseEstimator

if not importlib.util.find_spec("openvino"):
    pytest.skip("OpenVINO is not installed", allow_module_level=True)

from rtmpose.backends import (
    bf16_calibration,
    bf16_graph,
    openvino,
    openvino_network,
    openvino_precision,
    sample_images,
)
from rtmpose.backends.openvino_network import read_network


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def needs_bf16():
    if not openvino_network.cpu_has_bf16():
        pytest.skip("this CPU has no bfloat16")


def without_int8(monkeypatch):
    """As on a processor where 8 bits are not the fastest."""
    monkeypatch.setattr(openvino_precision, "int8_is_fastest", lambda: False)


def test_bundled_crops_leave_the_evaluation_photos_out(rtmpose_s):
    from rtmpose.zoo import find

    crops = sample_images.bundled_crops(find("rtmpose-s"))
    assert crops.shape[1:] == (256, 192, 3)
    assert 15 < len(crops) < 40


def test_calibrated_network_is_the_same_function_in_fp32(rtmpose_s):
    from rtmpose.zoo import find

    card = find("rtmpose-s")
    crops = sample_images.bundled_crops(card)[:4]
    medians = bf16_graph.measure_medians(
        openvino_network.read_network(rtmpose_s), card.normalization, crops
    )
    network = openvino_network.read_network(rtmpose_s)
    assert bf16_graph.subtract_medians(network, medians) == len(medians) > 10
    assert max(np.abs(m).max() for m in medians.values()) > 0.1
    options = BackendOptions("openvino", "cpu", 1, precision="fp32")
    plain = openvino.OpenVinoBackend(rtmpose_s, card, options)(crops)
    changed = openvino.OpenVinoBackend(network, card, options)(crops)
    for a, b in zip(plain, changed, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)


def test_auto_uses_bf16_only_after_calibration(rtmpose_s, cache, monkeypatch):
    needs_bf16()
    without_int8(monkeypatch)
    options = BackendOptions("openvino", "cpu", 1)
    first = PoseEstimator(rtmpose_s, options=options)
    assert first.backend.precision == "bf16"
    records = list((cache / "prepared").glob("*.npz"))
    assert len(records) == 1

    def fail(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(bf16_calibration, "measure_medians", fail)
    assert PoseEstimator(rtmpose_s, options=options).backend.precision == "bf16"
    _, record = bf16_calibration.find_medians(rtmpose_s, read_network(rtmpose_s), first.card)
    assert record.agreement > record.agreement_raw
    original = bf16_calibration.find_medians

    def distrusted(*args, **kwargs):
        medians, found = original(*args, **kwargs)
        return medians, replace(found, trusted=False)

    monkeypatch.setattr(bf16_calibration, "find_medians", distrusted)
    assert PoseEstimator(rtmpose_s, options=options).backend.precision == "fp32"


def test_fp32_is_never_calibrated(rtmpose_s, cache):
    from rtmpose.zoo import find

    backend = open_backend(
        rtmpose_s, find("rtmpose-s"), BackendOptions("openvino", "cpu", 1, precision="fp32")
    )
    assert backend.precision == "fp32"
    assert not (cache / "prepared").exists()


def test_bf16_on_a_cpu_without_it_is_an_error(rtmpose_s, cache, monkeypatch):
    without_int8(monkeypatch)
    from rtmpose.errors import BackendError
    from rtmpose.zoo import find

    monkeypatch.setattr(openvino_network, "cpu_has_bf16", lambda: False)
    with pytest.raises(BackendError, match="AVX512-BF16"):
        open_backend(
            rtmpose_s, find("rtmpose-s"), BackendOptions("openvino", "cpu", precision="bf16")
        )
    auto = open_backend(rtmpose_s, find("rtmpose-s"), BackendOptions("openvino", "cpu", 1))
    assert auto.precision == "fp32"


def test_detector_is_judged_too(rtmdet_nano, cache, monkeypatch):
    needs_bf16()
    without_int8(monkeypatch)
    from rtmpose import Detector

    detector = Detector(rtmdet_nano, options=BackendOptions("openvino", "cpu", 1))
    _, record = bf16_calibration.find_medians(rtmdet_nano, read_network(rtmdet_nano), detector.card)
    assert 0.5 < record.agreement_raw <= record.agreement <= 1
    assert detector.backend.precision == ("bf16" if record.trusted else "fp32")


def biased_network(bias):
    """A depthwise convolution with a large bias, SiLU, and differences of channels."""
    from openvino import Model
    from openvino import opset13 as ops

    generator = np.random.default_rng(0)
    depthwise = generator.normal(0, 1e-4, (16, 1, 1, 5, 5)).astype(np.float32)
    spread, gather = np.ones((16, 3, 1, 1), np.float32) / 3, np.zeros((8, 16, 1, 1), np.float32)
    for i in range(8):
        gather[i, 2 * i : 2 * i + 2, 0, 0] = 1, -1
    image = ops.parameter([-1, 3, 16, 16], np.float32, name="input")
    x = ops.convolution(image, ops.constant(spread), [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.group_convolution(x, ops.constant(depthwise), [1, 1], [2, 2], [2, 2], [1, 1])
    x = ops.swish(ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1))))
    out = ops.convolution(x, ops.constant(gather), [1, 1], [0, 0], [0, 0], [1, 1])
    return Model([out.output(0)], [image], "biased")


def test_medians_of_another_network_do_not_fit():
    network = biased_network(np.zeros(16, np.float32))
    first, last = bf16_graph.pointwise_convolutions(network)
    name = last.get_friendly_name()
    assert bf16_graph.medians_fit(network, {name: np.zeros(16, np.float32)})
    assert bf16_graph.medians_fit(network, {})
    assert not bf16_graph.medians_fit(network, {name: np.zeros(3, np.float32)})
    assert not bf16_graph.medians_fit(network, {"another": np.zeros(16, np.float32)})
    assert bf16_graph.medians_fit(network, {first.get_friendly_name(): np.zeros(3, np.float32)})


def test_a_calibration_that_does_not_fit_is_made_again(tmp_path, cache, monkeypatch):
    import openvino as engine

    from rtmpose.zoo import find

    path = tmp_path / "m.xml"
    engine.save_model(biased_network(np.zeros(16, np.float32)), path)
    digest = bf16_calibration.digest_of(path)
    record = bf16_calibration.Bf16Record(
        "m.xml", digest, bf16_calibration.METHOD_VERSION, 1, 1, 0.9, 0.99, trusted=True
    )
    bf16_calibration._save(digest, {"another": np.zeros(16, np.float32)}, record)
    measured = []
    monkeypatch.setattr(bf16_calibration, "measure_medians", lambda *_: measured.append(1) or {})
    again = replace(record, convolutions=0)
    monkeypatch.setattr(bf16_calibration, "_compare", lambda *_: again)
    for _ in range(2):
        _, found = bf16_calibration.find_medians(path, read_network(path), find("rtmpose-s"))
        assert found == again
    assert measured == [1]


def test_biases_are_not_rounded():
    """A bias of 11.71 is 11.69 in bf16: harmless by itself, not where it should cancel."""
    from rtmpose.model_card import Codec, ModelCard, Normalization

    bias = np.full(16, 11.7076, np.float32)
    bias[1::2] = 11.63
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), np.uint8)
    center = (bias / (1 + np.exp(-bias))).astype(np.float32)

    def run(precision, medians=False, biases=False):
        network = biased_network(bias)
        last = bf16_graph.pointwise_convolutions(network)[-1]
        if medians:
            assert bf16_graph.subtract_medians(network, {last.get_friendly_name(): center}) == 1
        if biases:
            # Of the depthwise convolution only: the medians lie where rounding changes no bias.
            assert bf16_graph.keep_biases(network) == 1
        options = BackendOptions("openvino", "cpu", 1, precision=precision)
        scaling = Normalization((0, 0, 0), (1, 1, 1), "bgr")
        card = ModelCard("biased", "a test", "none", (16, 16), scaling, Codec("simcc"))
        return openvino.OpenVinoBackend(network, card, options)(pixels)[0]

    exact = run("fp32")
    np.testing.assert_allclose(run("fp32", medians=True, biases=True), exact, atol=2e-5)
    needs_bf16()
    rounded = np.abs(run("bf16", medians=True) - exact).max()
    kept = np.abs(run("bf16", medians=True, biases=True) - exact).max()
    assert kept < 0.004  # 0.017 where the engine rounds biases; another one may not
    assert kept <= rounded


def test_rounding_to_bf16():
    values = np.array([0, 1, -1, 11.7076, 1 + 2**-8, 1 + 3 * 2**-8, 3e38], np.float32)
    exact = np.float32([0, 1, -1, 11.6875, 1, 1 + 2**-6, 3e38])
    found = bf16_graph.round_to_bf16(values)
    np.testing.assert_array_equal(found[:-1], exact[:-1])
    assert not (found.view(np.uint32) & 0xFFFF).any()


@pytest.mark.parametrize(("outputs", "clamped"), [(16, 0), (32, 1)])
def test_medians_are_moved_to_where_biases_need_no_rounding(outputs, clamped):
    """With more outputs than inputs there is no such place, and the bias is kept in fp32."""
    from openvino import Model
    from openvino import opset13 as ops

    generator = np.random.default_rng(2)
    weights = generator.normal(size=(outputs, 16, 1, 1)).astype(np.float32)
    bias = generator.normal(size=(1, outputs, 1, 1)).astype(np.float32)
    median = generator.normal(size=16).astype(np.float32)
    image = ops.parameter([1, 16, 4, 4], np.float32)
    convolution = ops.convolution(image, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    network = Model([ops.add(convolution, ops.constant(bias))], [image])
    name = convolution.get_friendly_name()
    assert bf16_graph.subtract_medians(network, {name: median}) == 1
    assert bf16_graph.keep_biases(network) == clamped

    # The bias is added once, with what the median makes of it.
    kinds = [node.get_type_name() for node in network.get_ordered_ops()]
    assert kinds.count("Add") == 1
    (center,) = (
        node.input_value(1).get_node().data.reshape(-1)
        for node in network.get_ordered_ops()
        if node.get_type_name() == "Subtract"
    )
    np.testing.assert_allclose(center, median, atol=0.1)
    (total,) = (
        node.input_value(1).get_node().data.reshape(-1)
        for node in network.get_ordered_ops()
        if node.get_type_name() == "Add"
    )
    expected = weights[:, :, 0, 0] @ center + bias.reshape(-1)
    np.testing.assert_allclose(total, expected, atol=1e-5)


def test_other_readers_of_a_convolution_keep_its_values():
    from openvino import Core, Model
    from openvino import opset13 as ops

    generator = np.random.default_rng(3)
    weights = generator.normal(size=(8, 8, 1, 1)).astype(np.float32)
    bias = generator.normal(size=(1, 8, 1, 1)).astype(np.float32)
    image = ops.parameter([1, 8, 4, 4], np.float32)
    convolution = ops.convolution(image, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    outputs = [ops.add(convolution, ops.constant(bias)), ops.relu(convolution)]
    network = Model(outputs, [image])

    def run():
        compiled = Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        values = np.linspace(-1, 1, 128, dtype=np.float32).reshape(1, 8, 4, 4)
        return [np.array(v) for v in compiled([values]).values()]

    before = run()
    medians = {convolution.get_friendly_name(): np.full(8, 2, np.float32)}
    assert bf16_graph.subtract_medians(network, medians) == 1
    for a, b in zip(before, run(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_auto_takes_no_bf16_where_it_is_slower(cache, monkeypatch):
    """As by Intel without AMX; a trial may still find it the fastest."""
    from rtmpose.paths import bundled_folder
    from rtmpose.zoo import find

    needs_bf16()
    without_int8(monkeypatch)
    for module in (bf16_calibration, openvino_precision):
        monkeypatch.setattr(module, "bf16_is_slow", lambda: True)
    path = bundled_folder() / "rtmpose-s-pruned_finetuned-halpe26_192x144.onnx"
    card = find("rtmpose-s-pruned")
    options = BackendOptions("openvino", "cpu", 1)
    opened = openvino_precision.network_to_compile(path, card, options)
    assert (opened.precision, opened.bf16) == ("fp32", False)
    in_int8 = openvino_precision.network_to_compile(path, card, replace(options, precision="int8"))
    assert (in_int8.precision, in_int8.bf16) == ("int8", False)
    asked_for = openvino_precision.network_to_compile(
        path, card, replace(options, precision="bf16")
    )
    assert (asked_for.precision, asked_for.bf16) == ("bf16", True)
    assert openvino_precision.trusted_precisions(path, card, 1) == ("fp32", "bf16", "int8")


@pytest.mark.parametrize(
    ("kind", "precision", "sizes"),
    [
        ("amx", "bf16", [4, 2, 1]),
        ("amx", "fp32", [2, 2, 2, 1]),
        ("vnni", "bf16", [2, 2, 2, 1]),
    ],
)
def test_amx_has_larger_batches(monkeypatch, kind, precision, sizes):
    from rtmpose.backends import cpu
    from rtmpose.model_card import Codec, ModelCard, Normalization

    monkeypatch.setattr(openvino, "this_cpu", lambda: cpu.Cpu("A CPU", frozenset(), kind))
    monkeypatch.setattr(openvino_network, "cpu_has_bf16", lambda: True)
    scaling = Normalization((0, 0, 0), (1, 1, 1), "bgr")
    card = ModelCard("biased", "a test", "none", (16, 16), scaling, Codec("simcc"))
    options = BackendOptions("openvino", "cpu", 1, precision=precision)
    backend = openvino.OpenVinoBackend(biased_network(np.zeros(16, np.float32)), card, options)
    backend(np.zeros((2, 16, 16, 3), np.uint8))  # the first one is run one by one
    called = []

    def record(images, batch):
        called.append(batch)
        return (images[:, 0, 0, 0],)

    monkeypatch.setattr(backend, "_call", record)
    backend(np.zeros((7, 16, 16, 3), np.uint8))
    assert called == sizes
