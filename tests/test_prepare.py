"""Preparation for bf16: exact in fp32, remembered, and trusted only when it agrees."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from rtmpose.backends import BackendOptions, open_backend
from rtmpose.pose.rtmpose import PoseEstimator

if not importlib.util.find_spec("openvino"):
    pytest.skip("OpenVINO is not installed", allow_module_level=True)

from rtmpose.backends import openvino, prepare


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def needs_bf16():
    if not openvino.cpu_has_bf16():
        pytest.skip("this CPU has no bfloat16")


def test_bundled_crops_leave_the_evaluation_photos_out(rtmpose_s):
    from rtmpose.zoo import find

    crops = prepare.bundled_crops(find("rtmpose-s"))
    assert crops.shape[1:] == (256, 192, 3)
    assert 15 < len(crops) < 40


def test_prepared_network_is_the_same_function_in_fp32(rtmpose_s):
    from rtmpose.zoo import find

    card = find("rtmpose-s")
    crops = prepare.bundled_crops(card)[:4]
    medians = prepare.measure_medians(openvino.read_network(rtmpose_s), card, crops)
    network = openvino.read_network(rtmpose_s)
    assert prepare.subtract_medians(network, medians) == len(medians) > 10
    assert max(np.abs(m).max() for m in medians.values()) > 0.1
    options = BackendOptions("openvino", "cpu", 1, precision="fp32")
    plain = openvino.OpenVinoBackend(rtmpose_s, card.normalisation, options)(crops)
    changed = openvino.OpenVinoBackend(rtmpose_s, card.normalisation, options, network)(crops)
    for a, b in zip(plain, changed, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)


def test_auto_uses_bf16_only_after_preparation(rtmpose_s, cache, monkeypatch):
    needs_bf16()
    options = BackendOptions("openvino", "cpu", 1)
    first = PoseEstimator(rtmpose_s, options=options)
    assert first.backend.precision == "bf16"
    records = list((cache / "prepared").glob("*.npz"))
    assert len(records) == 1

    def fail(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(prepare, "measure_medians", fail)
    assert PoseEstimator(rtmpose_s, options=options).backend.precision == "bf16"
    _, record = prepare.prepare(rtmpose_s, first.card)
    assert record.agreement > record.agreement_raw
    original = prepare.prepare

    def distrusted(*args, **kwargs):
        network, found = original(*args, **kwargs)
        return network, replace(found, trusted=False)

    monkeypatch.setattr(prepare, "prepare", distrusted)
    assert PoseEstimator(rtmpose_s, options=options).backend.precision == "fp32"


def test_fp32_is_never_prepared(rtmpose_s, cache):
    from rtmpose.zoo import find

    backend = open_backend(rtmpose_s, find("rtmpose-s"), BackendOptions("openvino", "cpu", 1, precision="fp32"))
    assert backend.precision == "fp32"
    assert not (cache / "prepared").exists()


def test_bf16_on_a_cpu_without_it_is_an_error(rtmpose_s, monkeypatch):
    from rtmpose.errors import BackendError
    from rtmpose.zoo import find

    monkeypatch.setattr(openvino, "cpu_has_bf16", lambda: False)
    with pytest.raises(BackendError, match="AVX512-BF16"):
        open_backend(rtmpose_s, find("rtmpose-s"), BackendOptions("openvino", "cpu", precision="bf16"))
    auto = open_backend(rtmpose_s, find("rtmpose-s"), BackendOptions("openvino", "cpu", 1))
    assert auto.precision == "fp32"


def test_detector_is_judged_too(rtmdet_nano, cache):
    needs_bf16()
    from rtmpose import Detector

    detector = Detector(rtmdet_nano, options=BackendOptions("openvino", "cpu", 1))
    _, record = prepare.prepare(rtmdet_nano, detector.card)
    assert 0.5 < record.agreement_raw <= record.agreement <= 1
    assert detector.backend.precision == ("bf16" if record.trusted else "fp32")
