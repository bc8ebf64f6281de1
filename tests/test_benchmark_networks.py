"""The profiler: rows, engines, refusals, the command. Figures are not tested: they are benchmarks."""

import json

import pytest
from networks import fixed_detector, spot_pose

from rtmpose import InputError
from rtmpose.benchmark.networks import engines, profile_networks
from rtmpose.cli import main


@pytest.fixture
def files(tmp_path):
    pose = spot_pose(tmp_path / "spot.onnx")
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return pose, detector


def test_rows(files):
    rows = profile_networks(files, backend="onnxruntime", batches=(1, 3), warm_up=1, iterations=4)
    assert [(r.engine, r.precision, r.batch) for r in rows] == [
        ("onnxruntime", "fp32", 1),
        ("onnxruntime", "fp32", 3),
        ("onnxruntime", "fp32", 1),  # the detector's batch is fixed
    ]
    for row in rows:
        assert 0 < row.min_ms <= row.median_ms <= row.max_ms
        assert row.fps == pytest.approx(row.batch * 1000 / row.median_ms)


def test_engines_here():
    assert ("onnxruntime", "fp32") in engines()
    with pytest.raises(InputError, match="is not here"):
        engines("tvm")


def test_command(files, tmp_path, capsys):
    out = tmp_path / "p.json"
    few = ["--warmup", "0", "--iterations", "2", "--backend", "onnxruntime"]
    assert main(["profile", str(files[0]), *few, "--batch", "1,2", "--json", str(out)]) == 0
    assert [r["batch"] for r in json.loads(out.read_text())] == [1, 2]
    models = ["--pose", str(files[0]), "--detector", str(files[1])]
    capsys.readouterr()
    assert main(["profile", "--pipeline", *models, *few, "--markdown"]) == 0
    assert capsys.readouterr().out.count("| onnxruntime |") == 3
    assert main(["profile", "--batch", "many"]) == 1
