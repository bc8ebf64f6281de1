"""A cache folder that cannot be written, or is full, costs only time at the next start."""

import errno
import importlib.util
import json
import logging

import numpy as np
import pytest

from rtmpose import BackendOptions, PoseEstimator
from rtmpose.cli import main
from rtmpose.paths import bundled_folder

PHOTO = bundled_folder().parent / "photos" / "000000541055.jpg"
needs_openvino = pytest.mark.skipif(
    not importlib.util.find_spec("openvino"), reason="needs OpenVINO"
)


def found_people(folder, home, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(home))
    out = folder / "poses.json"
    assert main(["predict", str(PHOTO), "--json", str(out), "--threads", "1"]) == 0
    return json.loads(out.read_text())


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    """Below a file nobody can make a folder, root neither."""
    (tmp_path / "taken").write_text("a file of mine")
    expected = found_people(tmp_path, tmp_path / "home", monkeypatch)
    assert len(expected) == 5
    assert found_people(tmp_path, tmp_path / "taken" / "home", monkeypatch) == expected
    assert (tmp_path / "taken").read_text() == "a file of mine"


@needs_openvino
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_model_is_prepared_and_used_all_the_same(
    rtmpose_s, tmp_path, monkeypatch, caplog, number
):
    from rtmpose.backends import openvino_network, openvino_precision, prepared_files

    if not openvino_network.cpu_has_bf16():
        pytest.skip("this CPU has no bfloat16")
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))

    def refuse(*_, **__):
        raise OSError(number, "not written")

    monkeypatch.setattr(prepared_files, "atomic_binary", refuse)
    monkeypatch.setattr(openvino_precision, "int8_is_fastest", lambda: False)  # saves a minute
    crop = np.random.default_rng(0).integers(0, 255, (256, 192, 3), np.uint8)
    with caplog.at_level(logging.WARNING, "rtmpose"):
        model = PoseEstimator(rtmpose_s, options=BackendOptions("openvino", "cpu", 1))
    assert [r.getMessage() for r in caplog.records if "could not be kept" in r.getMessage()]
    assert model.backend.precision == "bf16"
    poses = model(crop, np.array([[0, 0, 192, 256]], np.float32))
    assert np.isfinite(poses.keypoints).all()
    assert list(tmp_path.rglob("*.npz")) == []
