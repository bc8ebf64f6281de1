"""Networks alone: rows, backends, refusals. Figures are not tested: they are benchmarks."""

import pytest
from networks import fixed_detector, spot_pose

from rtmpose import InputError
from rtmpose.backends import BackendOptions
from rtmpose.benchmark.networks import measure_networks, open_network, run_configs
from rtmpose.errors import BackendError, MissingDependencyError


@pytest.fixture
def files(tmp_path):
    pose = spot_pose(tmp_path / "spot.onnx")
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return pose, detector


def test_rows(files):
    rows = measure_networks(
        files, backends=["onnxruntime"], batches=(1, 3), warm_up=1, iterations=4
    )
    assert [(r.backend, r.precision, r.batch) for r in rows] == [
        ("onnxruntime", "fp32", 1),
        ("onnxruntime", "fp32", 3),
        ("onnxruntime", "fp32", 1),  # the detector's batch is fixed
    ]
    for row in rows:
        assert 0 < row.min_ms <= row.median_ms <= row.max_ms
        assert row.fps == pytest.approx(row.batch * 1000 / row.median_ms)
        assert row.to_dict()["device"] == "cpu"


def test_backends_here(files):
    configs = [(c.backend, c.device, c.precision) for c in run_configs(files[0], device="cpu")]
    assert ("onnxruntime", "cpu", "fp32") in configs
    assert not {"torch", "ncnn"} & {backend for backend, _, _ in configs}
    with pytest.raises(BackendError, match="unknown backend 'tvm'"):
        run_configs(files[0], ["tvm"])
    with pytest.raises(InputError, match=r"nothing here runs spot\.onnx"):
        run_configs(files[0], ["onnxruntime"], "cpu", ["bf16"])
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        run_configs(files[0], precisions=["int4"])
    with pytest.raises((BackendError, MissingDependencyError)):
        run_configs(files[0], ["auto"], "toaster")


def test_auto_is_what_auto_chooses(files):
    (config,) = run_configs(files[0], ["auto"], "cpu", ["auto"])
    network, _ = open_network(files[0], BackendOptions(device="cpu"))
    assert config.backend == network.engine
    assert config.precision == "auto"


def test_formats_of_one_backend(tmp_path):
    pytest.importorskip("torch")
    for backends in (["all"], ["auto"], ["torch"]):
        configs = run_configs(tmp_path / "m.safetensors", backends, "cpu", ["fp32"])
        assert [c.backend for c in configs] == ["torch"]
    with pytest.raises(BackendError, match="that one runs with torch only"):
        run_configs(tmp_path / "m.safetensors", ["onnxruntime"])
    # Among several backends those that run the file are taken.
    configs = run_configs(tmp_path / "m.safetensors", ["onnxruntime", "torch"], "cpu", ["fp32"])
    assert [c.backend for c in configs] == ["torch"]
