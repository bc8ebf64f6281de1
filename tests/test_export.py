"""Exports: the same model in other files, refusals, the one-graph pipeline, SDK folders."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
onnx = pytest.importorskip("onnx")
pytest.importorskip(
    "onnxscript", reason="onnxscript is not installed: pip install 'rtmpose[export]'"
)

from rtmpose import BackendOptions, Detector, PoseEstimator, zoo  # noqa: E402
from rtmpose.backends import open_backend  # noqa: E402
from rtmpose.backends.sample_images import bundled_photos  # noqa: E402
from rtmpose.backends.torch import TorchBackend  # noqa: E402
from rtmpose.card_io import embedded_card  # noqa: E402
from rtmpose.cli import main  # noqa: E402
from rtmpose.errors import InputError, MissingDependencyError, ModelError, OutputError  # noqa: E402
from rtmpose.exporting import quantize  # noqa: E402
from rtmpose.exporting import verify as verification  # noqa: E402
from rtmpose.exporting.equalize import equalize  # noqa: E402
from rtmpose.exporting.export import ExportOptions, export  # noqa: E402
from rtmpose.exporting.onnx import OnnxOptions, to_half, write_onnx  # noqa: E402
from rtmpose.exporting.pipeline import write_pipeline  # noqa: E402
from rtmpose.exporting.verify import TOLERANCES, compare, run_on, sample_images  # noqa: E402
from rtmpose.model_card import Codec, ModelCard, Normalization  # noqa: E402
from rtmpose.networks import build, load_network, save_safetensors  # noqa: E402
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.fuse import fuse_norms  # noqa: E402
from rtmpose.networks.heatmap import HeatmapConfig  # noqa: E402
from rtmpose.networks.load import to_tensor  # noqa: E402
from rtmpose.networks.rtmdet import RTMDetConfig  # noqa: E402
from rtmpose.networks.rtmpose import RTMPoseConfig  # noqa: E402

BACKBONE = CSPNeXtConfig(0.167, 0.125)
PIXELS = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
POSE_CARD = ModelCard("tiny-pose", "body", "rtmpose-t", (64, 96), PIXELS, Codec("simcc"), "coco17")
MAP_CARD = ModelCard(
    "tiny-map",
    "body",
    "cspnext-tiny",
    (64, 96),
    PIXELS,
    Codec("heatmap", 2, (2.0,), (16, 24)),
    "coco17",
)
BOX_CARD = ModelCard(
    "tiny-box", "person detection", "rtmdet-nano", (64, 64), PIXELS, Codec("rtmdet")
)
CPU = {
    e: BackendOptions(e, "cpu", 1, precision="fp32") for e in ("onnxruntime", "openvino", "torch")
}
CPU["ncnn"] = BackendOptions("ncnn", "cpu", 1)


def lively(network):
    """Norms with statistics, so that folding them matters."""
    torch.manual_seed(1)
    network.train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.randn(4, 3, network.config.input_wh[1], network.config.input_wh[0]))
        for parameter in network.parameters():
            if parameter.ndim > 1 and parameter.std() < 0.02:
                parameter.normal_(0, 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def pose():
    torch.manual_seed(0)
    return lively(build(RTMPoseConfig(BACKBONE, 17, (64, 96))))


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    network = lively(build(RTMDetConfig(BACKBONE, 24, 1, 1, input_wh=(64, 64))))
    for level in network.bbox_head.rtm_cls:
        level.bias.data.fill_(0)
    for level in network.bbox_head.rtm_reg:
        level.bias.data.fill_(1)
    return network


@pytest.fixture(scope="module")
def heat():
    torch.manual_seed(0)
    return lively(build(HeatmapConfig(BACKBONE, 17, (64, 96))))


@pytest.fixture(scope="module")
def files(tmp_path_factory, pose, heat):
    """One file for each engine, from small networks."""
    folder = tmp_path_factory.mktemp("files")
    write_onnx(pose, POSE_CARD, folder / "pose.onnx")
    write_onnx(heat, MAP_CARD, folder / "map.onnx")
    save_safetensors(folder / "pose.safetensors", pose, POSE_CARD)
    return folder


def needs(package):
    return pytest.importorskip(
        package, reason=f"{package} is not installed: pip install 'rtmpose[export]'"
    )


# ---- every engine, one table
# -------------------------------------------------------------------------------


def made(engine, network, card, source, folder):
    """The file that the engine runs."""
    from rtmpose.exporting import engines

    if engine == "onnxruntime":
        return source
    if engine == "openvino":
        needs("openvino")
        engines.write_openvino(source, card, folder / "m.xml")
        return folder / "m.xml"
    needs("ncnn")
    needs("pnnx")
    engines.write_ncnn(network, card, folder / "m.ncnn.param")
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
    limit = TOLERANCES["fp16" if engine == "ncnn" else "fp32"].logits
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


# ---- the whole export
# ----------------------------------------------------------------------------------------


def test_outputs_as_long_as_there_are_boxes_are_compared_by_boxes():
    card = zoo.find("yolox-tiny")

    def runs(*counts):
        rows = [
            np.array([[[10 * i, 5, 10 * i + 40, 90, 0.9] for i in range(n)]], np.float32)
            for n in counts
        ]
        return [(r, np.zeros(r.shape[:2], np.int64)) for r in rows]

    assert verification._largest_difference(runs(2, 3), runs(2, 3)) is None
    assert verification._largest_difference(runs(2, 2), runs(2, 1)) is None
    assert verification._largest_difference(runs(2, 2), runs(2, 2)) == 0
    assert verification._box_difference(card, runs(2, 3), runs(2, 3)) == (1.0, 0.0)


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
        (["--to", "ncnn", "--precision", "int8"], "int8 is made for"),
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


def test_an_unwritable_folder(rtmpose_s, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        export(rtmpose_s, tmp_path / "file" / "out", ExportOptions("onnx"))


def test_calibration_needs_people(tmp_path, monkeypatch):
    import cv2

    with pytest.raises(InputError, match="no photographs"):
        quantize.calibration_images(POSE_CARD, tmp_path)
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((64, 64, 3), 127, np.uint8))

    class Nobody:
        def __call__(self, image):
            from rtmpose import Detections

            return Detections.empty()

    monkeypatch.setattr("rtmpose.detector.Detector", Nobody)
    with pytest.raises(InputError, match="nobody was found"):
        quantize.calibration_images(POSE_CARD, tmp_path)


def test_a_missing_engine_names_its_remedy(pose, tmp_path, monkeypatch):
    import sys

    from rtmpose.exporting import engines

    for package, call in (("pnnx", engines.write_ncnn), ("coremltools", engines.write_coreml)):
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


# ---- SDK folders and the compatible classes
# ------------------------------------------------------------------


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
    known = Detector(rtmdet_nano, score_thr=0.05, options=CPU["onnxruntime"])(image)
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
    import shutil

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


# ---- one graph
# ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_graph(tmp_path_factory, request):
    """The pipeline graph of genuine networks, and the Python pipeline of the same files."""
    from rtmpose import Pipeline

    shared = request.getfixturevalue("shared")
    folder = tmp_path_factory.mktemp("graph")
    pose_file = next((shared / "weights" / "rtmpose").glob("rtmpose-s*.onnx"))
    network, card = load_network(pose_file)
    write_onnx(network, card, folder / "pose.onnx")
    box_card = zoo.find("rtmdet-nano")
    boxes, _ = load_network(
        shared / "weights" / "rtmdet" / "rtmdet-nano_person_320_nms.onnx", card=box_card
    )
    write_onnx(boxes, box_card, folder / "box.onnx")
    write_pipeline(folder / "box.onnx", box_card, folder / "pose.onnx", card, folder / "all.onnx")
    python = Pipeline(folder / "box.onnx", folder / "pose.onnx", backend="onnxruntime", threads=1)
    return folder / "all.onnx", python


def run_graph(path, image, boxes=None):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = np.zeros((0, 4), np.float32) if boxes is None else boxes
    feed = {"image": image, "boxes_in": given, "detect": np.array(boxes is None)}
    return session.run(["boxes", "box_scores", "keypoints", "scores"], feed)


def test_one_graph_equals_the_python_pipeline(one_graph):
    path, python = one_graph
    distances = []
    for image in bundled_photos():
        boxes, scores, keypoints, _ = run_graph(path, image)
        poses = python(image)
        assert len(boxes) == len(poses)
        np.testing.assert_allclose(scores, poses.box_scores, atol=5e-3)
        distances.append(np.linalg.norm(keypoints - poses.keypoints, axis=2)[poses.scores > 0.3])
    distance = np.concatenate(distances)
    assert np.median(distance) < 0.1
    assert np.percentile(distance, 95) < 0.7


@pytest.mark.parametrize("size", [(1, 1), (333, 101), (64, 997), (2160, 3840)])
def test_one_graph_takes_any_size(one_graph, size):
    import cv2

    path, python = one_graph
    image = cv2.resize(bundled_photos()[0], size[::-1])
    boxes, _, keypoints, scores = run_graph(path, image)
    assert len(boxes) == len(keypoints) == len(scores) == len(python(image))


def test_one_graph_without_people_and_with_given_boxes(one_graph):
    path, python = one_graph
    empty = run_graph(path, np.full((480, 640, 3), 127, np.uint8))
    assert [v.shape for v in empty] == [(0, 4), (0,), (0, 26, 2), (0, 26)]
    image = bundled_photos()[0]
    poses = python(image)
    boxes, scores, keypoints, _ = run_graph(path, image, poses.boxes)
    np.testing.assert_array_equal(boxes, poses.boxes)
    np.testing.assert_array_equal(scores, 1)
    assert np.median(np.linalg.norm(keypoints - poses.keypoints, axis=2)) < 0.1
    assert run_graph(path, image, np.zeros((0, 4), np.float32))[2].shape == (0, 26, 2)


def test_one_graph_refuses_what_does_not_fit(files, one_graph, tmp_path):
    box = one_graph[0].with_name("box.onnx")
    with pytest.raises(ModelError, match="dets and labels"):
        write_pipeline(
            files / "pose.onnx", BOX_CARD, files / "pose.onnx", POSE_CARD, tmp_path / "a.onnx"
        )
    with pytest.raises(ModelError, match="no SimCC"):
        write_pipeline(box, BOX_CARD, files / "map.onnx", MAP_CARD, tmp_path / "a.onnx")
