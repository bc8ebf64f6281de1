"""The whole export, as a call and as a command: verified files, refusals, int8."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
pytest.importorskip("onnx")
pytest.importorskip(
    "onnxscript", reason="onnxscript is not installed: pip install 'rtmpose[export]'"
)

import networks  # noqa: E402
from exportable import POSE_CARD, needs, pose_network  # noqa: E402

from rtmpose import BackendOptions, PoseEstimator, zoo  # noqa: E402
from rtmpose.cli import main  # noqa: E402
from rtmpose.errors import InputError, MissingDependencyError, ModelError, OutputError  # noqa: E402
from rtmpose.exporting import quantize  # noqa: E402
from rtmpose.exporting.coreml import write_coreml  # noqa: E402
from rtmpose.exporting.export import export  # noqa: E402
from rtmpose.exporting.ncnn import write_ncnn  # noqa: E402
from rtmpose.exporting.onnx import write_onnx  # noqa: E402
from rtmpose.exporting.options import ExportOptions  # noqa: E402
from rtmpose.exporting.verify import box_difference, largest_difference  # noqa: E402


def test_outputs_as_long_as_there_are_boxes_are_compared_by_boxes():
    card = zoo.find("yolox-tiny")

    def runs(*counts):
        rows = [
            np.array([[[10 * i, 5, 10 * i + 40, 90, 0.9] for i in range(n)]], np.float32)
            for n in counts
        ]
        return [(r, np.zeros(r.shape[:2], np.int64)) for r in rows]

    assert largest_difference(runs(2, 3), runs(2, 3)) is None
    assert largest_difference(runs(2, 2), runs(2, 1)) is None
    assert largest_difference(runs(2, 2), runs(2, 2)) == 0
    assert box_difference(card, runs(2, 3), runs(2, 3)) == (1.0, 0.0)


def test_a_wrong_export_is_not_written(rtmpose_s, tmp_path, monkeypatch):
    from rtmpose.exporting import export as exporting

    def broken(network, card, path, options=None):
        with torch.no_grad():
            network.head.cls_x.weight.mul_(-1)
        write_onnx(network, card, path, options)

        network.head.cls_x.weight.data.mul_(-1)

    monkeypatch.setattr(exporting, "write_onnx", broken)
    with pytest.raises(ModelError, match="not the same model"):
        export(rtmpose_s, tmp_path / "out", ExportOptions("onnx"))
    assert not (tmp_path / "out").exists()
    place, report = export(rtmpose_s, tmp_path / "out", ExportOptions("onnx", force=True))
    assert report.passed is False
    assert json.loads(Path(f"{place}.verify.json").read_text())["passed"] is False


def test_command_line(rtmpose_s, tmp_path, capsys):
    assert main(["export", str(rtmpose_s), "--to", "onnx", "--out", str(tmp_path)]) == 0
    assert "passed" in capsys.readouterr().out
    file = tmp_path / "rtmpose-s_body8-halpe26_256x192.onnx"
    assert main(["verify", str(rtmpose_s), str(file)]) == 0
    assert PoseEstimator(file).card.id == "rtmpose-s_body8-halpe26_256x192"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "tflite"], "unknown target"),
        (["--to", "ncnn", "--precision", "int8"], "int8 is for onnx"),
        (["--to", "onnx", "--precision", "int4"], "unknown precision"),
        (["--to", "onnx", "--batch", "many"], "--batch takes"),
        (["--to", "onnx", "--input-size", "big"], "--input-size takes"),
        (["--to", "onnx", "--input-size", "320x256"], "one weight per cell"),
        (["--to", "onnx", "--card", "rtmpose-m"], "another network"),
        (["--to", "onnx", "--precision", "int8", "--decode"], "leave out"),
    ],
)
def test_refusals(rtmpose_s, tmp_path, capsys, arguments, message):
    assert main(["export", str(rtmpose_s), "--out", str(tmp_path / "out"), *arguments]) == 1
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("input_wh", "keypoints", "message"),
    [((48, 64), 26, "its input is 64x48, not 256x192"), ((192, 256), 17, "17 keypoints, not 26")],
)
def test_verify_refuses_what_is_no_export_of_the_model(
    rtmpose_s, tmp_path, capsys, input_wh, keypoints, message
):
    other = networks.spot_pose(tmp_path / "other.onnx", input_wh=input_wh, keypoints=keypoints)
    assert main(["verify", str(rtmpose_s), str(other)]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


def test_data_that_is_missing_is_reported_before_the_work(rtmpose_s, tmp_path, monkeypatch):
    monkeypatch.setattr("rtmpose.exporting.export.write_onnx", None)  # would fail if it were called
    with pytest.raises(InputError, match="does not exist"):
        export(rtmpose_s, tmp_path, ExportOptions("onnx", data=tmp_path / "missing"))


def test_an_unwritable_folder(rtmpose_s, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        export(rtmpose_s, tmp_path / "file" / "out", ExportOptions("onnx"))


def test_calibration_needs_people(tmp_path, monkeypatch):
    import cv2

    with pytest.raises(InputError, match="not a folder"):
        quantize.calibration_images(POSE_CARD, tmp_path / "missing")
    with pytest.raises(InputError, match="no images"):
        quantize.calibration_images(POSE_CARD, tmp_path)
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((64, 64, 3), 127, np.uint8))

    class Nobody:
        def __call__(self, image):
            from rtmpose import Detections

            return Detections.empty()

    monkeypatch.setattr(quantize, "Detector", Nobody)
    with pytest.raises(InputError, match="nobody was found"):
        quantize.calibration_images(POSE_CARD, tmp_path)


def test_a_missing_engine_names_its_remedy(tmp_path, monkeypatch):
    pose = pose_network()
    for package, call in (("pnnx", write_ncnn), ("coremltools", write_coreml)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingDependencyError, match="pip install 'rtmpose"):
            call(pose, POSE_CARD, tmp_path / "x.param")


@pytest.mark.slow
def test_int8_for_openvino(rtmpose_s, tmp_path):
    needs("openvino")
    needs("nncf")
    place, report = export(rtmpose_s, tmp_path, ExportOptions("openvino", "int8"))
    assert report.passed
    assert (
        PoseEstimator(place, options=BackendOptions(precision="fp32")).backend.precision == "int8"
    )
