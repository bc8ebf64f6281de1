"""Exported files: every engine computes the same, options of ONNX files, half precision."""

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
onnx = pytest.importorskip("onnx")
pytest.importorskip(
    "onnxscript", reason="onnxscript is not installed: pip install 'rtmpose[export]'"
)

from exportable import (  # noqa: E402
    BACKBONE,
    BOX_CARD,
    CPU,
    MAP_CARD,
    PIXELS,
    POSE_CARD,
    detector_network,
    heatmap_network,
    lively,
    needs,
    pose_network,
)

from rtmpose import Detector, PoseEstimator  # noqa: E402
from rtmpose.backends import open_backend  # noqa: E402
from rtmpose.backends.sample_images import bundled_photos  # noqa: E402
from rtmpose.backends.torch import TorchBackend  # noqa: E402
from rtmpose.cards.io import embedded_card  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.exporting.equalize import equalize  # noqa: E402
from rtmpose.exporting.ncnn import write_ncnn  # noqa: E402
from rtmpose.exporting.onnx import OnnxOptions, to_half, write_onnx  # noqa: E402
from rtmpose.exporting.openvino import write_openvino  # noqa: E402
from rtmpose.exporting.verify import TOLERANCES, compare, run_on, sample_images  # noqa: E402
from rtmpose.networks import build  # noqa: E402
from rtmpose.networks.fuse import fuse_norms  # noqa: E402
from rtmpose.networks.load import to_tensor  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402


@pytest.fixture(scope="module")
def pose():
    return pose_network()


@pytest.fixture(scope="module")
def detector():
    return detector_network()


@pytest.fixture(scope="module")
def heat():
    return heatmap_network()


@pytest.fixture(scope="module")
def files(tmp_path_factory, pose, heat):
    """One file for each engine, from small networks."""
    folder = tmp_path_factory.mktemp("files")
    write_onnx(pose, POSE_CARD, folder / "pose.onnx")
    write_onnx(heat, MAP_CARD, folder / "map.onnx")
    return folder


def made(engine, network, card, source, folder):
    """The file that the engine runs."""
    if engine == "onnxruntime":
        return source
    if engine == "openvino":
        needs("openvino")
        write_openvino(source, card, folder / "m.xml")
        return folder / "m.xml"
    needs("ncnn")
    needs("pnnx")
    write_ncnn(network, card, folder / "m.ncnn.param")
    return folder / "m.ncnn.param"


@pytest.mark.parametrize(
    "engine", ["onnxruntime", "openvino", pytest.param("ncnn", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("what", ["pose", "map"])
def test_every_engine_computes_the_same(engine, what, pose, heat, files, tmp_path):
    network, card = (pose, POSE_CARD) if what == "pose" else (heat, MAP_CARD)
    path = made(engine, network, card, files / f"{what}.onnx", tmp_path)
    images = sample_images(card)[:3]
    reference = run_on(TorchBackend(network, card, CPU["torch"]), images)
    backend = open_backend(path, card, CPU[engine])
    runs = run_on(backend, images)
    limit = TOLERANCES["fp16" if engine == "ncnn" else "fp32"].max_difference
    for ours, theirs in zip(reference, runs, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            assert np.abs(a - b).max() <= limit * np.abs(a).max()
    assert embedded_card(path).id == card.id


def test_dynamic_and_fixed_batch(pose, files, tmp_path):
    images = sample_images(POSE_CARD)[:5]
    session = open_backend(files / "pose.onnx", POSE_CARD, CPU["onnxruntime"])
    assert session.input.shape == (None, 3, 96, 64)
    together = session(images)
    for i, image in enumerate(images):
        for a, b in zip(together, session(image[None]), strict=True):
            np.testing.assert_allclose(a[i : i + 1], b, atol=1e-4)
    write_onnx(pose, POSE_CARD, tmp_path / "b2.onnx", OnnxOptions(batch=2))
    fixed = PoseEstimator(tmp_path / "b2.onnx", options=CPU["onnxruntime"])
    assert fixed.backend.input.shape[0] == 2
    assert fixed.infer(images)[0].shape[0] == 5


def test_normalization_and_decoding_inside(pose, files, tmp_path):
    write_onnx(pose, POSE_CARD, tmp_path / "all.onnx", OnnxOptions(normalize=True, decode=True))
    image = bundled_photos()[0]
    boxes = np.array([[50, 50, 200, 300], [10, 20, 90, 200]], np.float32)
    plain = PoseEstimator(files / "pose.onnx", options=CPU["onnxruntime"])(image, boxes)
    for engine in ("onnxruntime", "openvino"):
        if engine == "openvino":
            needs("openvino")
        inside = PoseEstimator(tmp_path / "all.onnx", options=CPU[engine])
        poses = inside(image, boxes)
        assert inside.card.id == "tiny-pose"
        assert (np.abs(poses.keypoints - plain.keypoints).max(axis=2) < 1e-2).mean() > 0.95
        np.testing.assert_allclose(poses.scores, plain.scores, rtol=1e-3, atol=1e-4)
        with pytest.raises(InputError, match="flip test"):
            inside(image, boxes, flip_test=True)
    model = onnx.load(tmp_path / "all.onnx")
    assert model.opset_import[0].version >= 17
    assert not [n for n in model.graph.node if n.op_type in ("BatchNormalization", "Identity")]


def test_heat_maps_do_not_decode_inside(heat, tmp_path):
    with pytest.raises(InputError, match="SimCC"):
        write_onnx(heat, MAP_CARD, tmp_path / "a.onnx", OnnxOptions(decode=True))


def test_detector_with_suppression_inside_equals_ours(detector, tmp_path):
    write_onnx(detector, BOX_CARD, tmp_path / "nms.onnx")
    inside = Detector(tmp_path / "nms.onnx", options=CPU["onnxruntime"])
    image = bundled_photos()[0]
    canvas, _ = inside.letterbox(image)
    maps = TorchBackend(detector, BOX_CARD, CPU["torch"])(canvas)
    from rtmpose.ops.detector_outputs import read_outputs

    ours = read_outputs(maps, 0.05, "maps")
    theirs = read_outputs(inside.infer(canvas), 0.05, "nms")
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-2)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    with pytest.raises(InputError, match="one image at a time"):
        write_onnx(detector, BOX_CARD, tmp_path / "a.onnx", OnnxOptions(batch=4))


def test_candidates_of_a_file_without_suppression(detector, tmp_path):
    from rtmpose.ops import rtmdet
    from rtmpose.ops.detector_outputs import read_outputs

    write_onnx(
        detector,
        replace(BOX_CARD, input_fit="rectangular"),
        tmp_path / "d.onnx",
        OnnxOptions(nms=False),
    )
    backend = open_backend(tmp_path / "d.onnx", BOX_CARD, CPU["onnxruntime"])
    for height, width in ((64, 64), (64, 96)):
        canvas = np.random.default_rng(0).integers(0, 255, (1, height, width, 3), np.uint8)
        outputs = backend(canvas)
        with torch.inference_mode():
            logits, sides = detector(to_tensor(canvas, BOX_CARD.normalization))
        found = read_outputs(outputs, 0.05, "candidates")
        wanted = rtmdet.decode([m[0].numpy() for m in logits], [m[0].numpy() for m in sides])
        assert len(found) == len(wanted) > 0
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
        rows = [b[np.lexsort(b.round(1).T)] for b in (found.boxes, wanted.boxes)]  # scores may tie
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-2)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_weights_stored_in_half_precision_are_computed_with_in_single(
    engine, pose, files, tmp_path
):
    write_onnx(pose, POSE_CARD, tmp_path / "half.onnx", OnnxOptions(half_weights=True))
    whole, small = (p.stat().st_size for p in (files / "pose.onnx", tmp_path / "half.onnx"))
    assert small < 0.65 * whole
    images = np.random.default_rng(0).integers(0, 255, (3, 96, 64, 3), np.uint8)
    with torch.inference_mode():
        exact = pose(to_tensor(images, PIXELS))
        rounded = copy.deepcopy(fuse_norms(pose))
        for parameter in rounded.parameters():
            if parameter.numel() >= 512:
                parameter.copy_(parameter.half().float())
        wanted = rounded(to_tensor(images, PIXELS))
    for a, b, c in zip(
        open_backend(tmp_path / "half.onnx", POSE_CARD, CPU[engine])(images),
        wanted,
        exact,
        strict=True,
    ):
        scale = float(c.abs().max())
        np.testing.assert_allclose(a, b.numpy(), atol=2e-4 * scale)
        assert float((b - c).abs().max()) > 1e-6 * scale


def test_half_precision_file(files, tmp_path):
    to_half(files / "pose.onnx", tmp_path / "half.onnx", POSE_CARD)
    assert (tmp_path / "half.onnx").stat().st_size < 0.75 * (files / "pose.onnx").stat().st_size
    images = sample_images(POSE_CARD)[:2]
    a = run_on(open_backend(files / "pose.onnx", POSE_CARD, CPU["onnxruntime"]), images)
    b = run_on(open_backend(tmp_path / "half.onnx", POSE_CARD, CPU["onnxruntime"]), images)
    assert np.abs(a[0][0] - b[0][0]).max() <= 0.05 * np.abs(a[0][0]).max()


def test_equalized_network_is_the_same_function(pose):
    images = sample_images(POSE_CARD)[:6]
    other = equalize(pose, POSE_CARD, images)
    plain = TorchBackend(pose, POSE_CARD, CPU["torch"])(images)
    equal = TorchBackend(other, POSE_CARD, CPU["torch"])(images)
    for a, b in zip(plain, equal, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4 * np.abs(a).max())


def test_verification_fails_a_wrong_file(pose, files):
    images = sample_images(POSE_CARD)[:4]
    torch.manual_seed(5)
    wrong = lively(build(RTMPoseConfig(BACKBONE, 17, (64, 96))))
    reference = run_on(TorchBackend(wrong, POSE_CARD, CPU["torch"]), images)
    backend = open_backend(files / "pose.onnx", POSE_CARD, CPU["onnxruntime"])
    assert compare(POSE_CARD, reference, backend, images, "x", "fp32").passed is False
    right = run_on(TorchBackend(pose, POSE_CARD, CPU["torch"]), images)
    assert compare(POSE_CARD, right, backend, images, "x", "fp32").passed is True
