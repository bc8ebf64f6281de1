"""Folders for the deployment SDK, and the classes compatible with it."""

import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
onnx = pytest.importorskip("onnx")
pytest.importorskip(
    "onnxscript", reason="onnxscript is not installed: pip install 'rtmpose[export]'"
)

from exportable import CPU  # noqa: E402

from rtmpose import Detector, PoseEstimator, zoo  # noqa: E402
from rtmpose.backends.sample_images import bundled_photos  # noqa: E402
from rtmpose.errors import ModelError  # noqa: E402
from rtmpose.exporting.export import export  # noqa: E402
from rtmpose.exporting.options import ExportOptions  # noqa: E402


@pytest.fixture(scope="module")
def sdk_folders(tmp_path_factory, request):
    shared = request.getfixturevalue("shared")
    folder = tmp_path_factory.mktemp("sdk")
    pose_file = next((shared / "weights" / "rtmpose").glob("rtmpose-s*.onnx"))
    pose_folder, _ = export(pose_file, folder, ExportOptions("sdk"))
    box_file = shared / "weights" / "rtmdet" / "rtmdet-nano_person_320_nms.onnx"
    box_folder, _ = export(box_file, folder, ExportOptions("sdk"), card=zoo.find("rtmdet-nano"))
    return box_folder, pose_folder


def test_sdk_folders_are_read_back(sdk_folders, rtmpose_s, rtmdet_nano):
    from rtmpose.compat.mmdeploy_runtime import Detector as TheirDetector
    from rtmpose.compat.mmdeploy_runtime import PoseDetector

    image = bundled_photos()[0]
    boxes, labels, masks = TheirDetector(str(sdk_folders[0]), "cpu", 0)(image)
    known = Detector(rtmdet_nano, box_thr=0.05, options=CPU["onnxruntime"])(image)
    assert boxes.shape == (len(known), 5)
    assert labels.dtype == np.int32
    assert masks == []
    np.testing.assert_allclose(boxes[:, :4], known.boxes, atol=0.05)
    estimator = PoseDetector(str(sdk_folders[1]), "cpu")
    people = estimator(image, boxes[:2, :4])
    expected = PoseEstimator(rtmpose_s, options=CPU["onnxruntime"])(image, boxes[:2, :4])
    assert people.shape == (2, 26, 3)
    np.testing.assert_allclose(people[..., :2], expected.keypoints, atol=1.0)
    assert estimator(image).shape == (1, 26, 3)
    assert [p.shape for p in estimator.batch([image, image], [boxes[:1, :4], boxes[:0, :4]])] == [
        (1, 26, 3),
        (0, 26, 3),
    ]


def test_a_foreign_sdk_folder_without_our_card(sdk_folders, tmp_path):
    """Folders of others have no card inside the network: pipeline.json must do."""
    for folder, kind in zip(sdk_folders, ("rtmdet", "simcc"), strict=True):
        other = tmp_path / kind
        shutil.copytree(folder, other)
        model = onnx.load(other / "end2end.onnx")
        del model.metadata_props[:]
        onnx.save(model, other / "end2end.onnx")
        _, card = zoo.resolve(other)
        assert card.codec.kind == kind
        assert card.normalization.color == ("bgr" if kind == "rtmdet" else "rgb")
        assert card.input_wh == ((320, 320) if kind == "rtmdet" else (192, 256))
    (tmp_path / "simcc" / "pipeline.json").write_text("{}")
    with pytest.raises(ModelError, match="not a complete"):
        zoo.resolve(tmp_path / "simcc")
