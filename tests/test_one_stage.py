"""One-stage models of RTMO's layout: decoding, and the members all model families have."""

import importlib.util

import numpy as np
import onnx
import pytest
from networks import fixed_detector, fixed_people, spot_person, spot_pose
from spots import CPU, black, spot

import rtmpose
from rtmpose import BackendOptions, Detector, OneStage, Pipeline, PoseEstimator, PoseTracker
from rtmpose.errors import InputError, ModelError
from rtmpose.families import TopDown
from rtmpose.model_card import OUTPUTS, Codec, ModelCard
from rtmpose.one_stage import RAW_PIXELS
from rtmpose.ops import rtmo
from rtmpose.ops.decoders import DECODERS, BoxDecoder, ClassDecoder, KeypointDecoder, PeopleDecoder
from rtmpose.ops.letterbox import letterbox_centered, unletterbox_centered

ENGINES = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed"
        ),
    ),
]


@pytest.fixture(params=ENGINES)
def options(request):
    return BackendOptions(request.param, "cpu", 1)


# ---- decoding


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (640, 90), (90, 640), (64, 64), (20, 33)])
def test_people_land_on_the_spot_whatever_the_shape_of_the_frame(tmp_path, options, size):
    model = OneStage(spot_person(tmp_path / "spot.onnx"), options=options)
    width, height = size
    for x, y in ((0.5, 0.5), (0.25, 0.4), (0.7, 0.75)):
        poses = model(spot(x * width, y * height, size))
        scale = max(width, height) / 64  # image pixels per input pixel
        assert len(poses) == 1
        np.testing.assert_allclose(
            poses.keypoints[0], [[x * width, y * height]] * 17, atol=1.5 * scale
        )
        center = (poses.boxes[0, :2] + poses.boxes[0, 2:]) / 2
        np.testing.assert_allclose(center, poses.keypoints[0, 0], atol=1e-3 * scale)
        np.testing.assert_allclose(poses.boxes[0, 2:] - poses.boxes[0, :2], 16 * scale, rtol=1e-5)
        assert poses.keypoints.dtype == poses.boxes.dtype == poses.scores.dtype == np.float32


def test_the_network_sees_bgr_values_as_they_are(tmp_path):
    model = OneStage(spot_person(tmp_path / "spot.onnx"), options=CPU, box_thr=0.1)
    assert model(np.full((64, 64, 3), (0, 0, 185), np.uint8)).box_scores == pytest.approx([0.5])
    assert len(model(np.full((64, 64, 3), (185, 0, 0), np.uint8))) == 0


@pytest.mark.parametrize("size", [(320, 240), (240, 321), (17, 900), (64, 64)])
def test_centered_letterbox_round_trip(size):
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    canvas, ratio, offset = letterbox_centered(image, (96, 64))
    assert canvas.shape == (64, 96, 3)
    assert ratio == min(96 / size[0], 64 / size[1])
    corners = np.array([[0, 0], [size[0], size[1]], [3.5, 8.25]], np.float32)
    there = corners * ratio + np.array(offset)
    np.testing.assert_allclose(there[:2].mean(axis=0), [48, 32], atol=1e-4)  # in the middle
    np.testing.assert_allclose(unletterbox_centered(there, ratio, offset), corners, atol=1e-3)
    # Gray 114 on both sides, or above and below; the image between.
    middle = canvas[32, 48]
    assert (middle == 200).all()
    if offset[0] >= 2:
        assert (canvas[:, 0] == 114).all()
        assert (canvas[:, -1] == 114).all()
    if offset[1] >= 2:
        assert (canvas[0] == 114).all()
        assert (canvas[-1] == 114).all()


def test_thresholds_padding_and_duplicates(tmp_path):
    people = [
        [4, 4, 24, 60, 0.9],
        [30, 4, 50, 60, 0.4],
        [31, 4, 51, 60, 0.35],  # IoU 0.9 with the one before: the same person
        [0, 0, 0, 0, 0.8],  # no box
        [40, 40, 30, 60, 0.7],  # corners the wrong way round
        [4, 30, 60, 62, 0.12],
        [4, 4, 24, 60, 0.9],  # a repeated row, as batches leave it
        [0, 0, 9, 9, 0.01],  # padding
    ]
    model = OneStage(fixed_people(tmp_path / "p.onnx", people), options=CPU)
    assert model(black()).box_scores.tolist() == pytest.approx([0.9, 0.4])
    assert model(black(), box_thr=0.5).box_scores.tolist() == pytest.approx([0.9])
    assert model(black(), box_thr=0.1).box_scores.tolist() == pytest.approx([0.9, 0.4, 0.12])
    assert len(model(black(), box_thr=0.0)) == 3  # padding never counts
    assert len(model(black(), box_thr=0.95)) == 0
    found = model.detect(black())
    assert found.labels.tolist() == [0, 0]
    np.testing.assert_allclose(found.boxes[0], [4, 4, 24, 60], atol=1e-4)


def test_another_layout_needs_no_more_than_a_row_of_decoders(tmp_path, monkeypatch):
    """Boxes and keypoints in one output ``(1, N, 5 + 3K)``."""
    path = fixed_people(tmp_path / "p.onnx", [[4, 4, 24, 60, 0.9], [0, 0, 9, 9, 0.01]])
    model = onnx.load(path)
    dets, points = model.graph.output
    flat = onnx.numpy_helper.from_array(np.array([1, 2, -1], np.int64), "flat")
    model.graph.initializer.append(flat)
    model.graph.node.append(
        onnx.helper.make_node("Reshape", [points.name, "flat"], ["flat_points"])
    )
    joined = onnx.helper.make_node("Concat", [dets.name, "flat_points"], ["rows"], axis=2)
    model.graph.node.append(joined)
    del model.graph.output[:]
    rows = onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, [1, 2, 56])
    model.graph.output.append(rows)
    onnx.save(model, path)

    def decode(outputs, score_thr, name):
        (rows,) = outputs
        return rtmo.decode(
            (rows[..., :5], rows[..., 5:].reshape(1, len(rows[0]), -1, 3)), score_thr, name
        )

    monkeypatch.setitem(DECODERS, "rtmo", PeopleDecoder(decode, centered=False))
    card = ModelCard("joined", "body", "joined", (64, 64), RAW_PIXELS, Codec("rtmo"))
    poses = OneStage(path, card=card, options=CPU)(black())
    assert poses.skeleton.name == "coco17"
    np.testing.assert_allclose(poses.boxes, [[4, 4, 24, 60]], atol=1e-4)
    assert poses.keypoints.shape == (1, 17, 2)


def test_two_poses_of_one_person_are_one(tmp_path):
    """Their boxes overlap too little for the suppression of boxes."""
    dets = np.array([[[0, 0, 40, 40, 0.9], [0, 0, 40, 60, 0.8]]], np.float32)
    points = np.zeros((1, 2, 17, 3), np.float32)
    points[..., :2] = np.linspace(5, 35, 17)[:, None]
    points[..., 2] = 0.9
    people = rtmo.decode((dets, points), 0.3, "made up")
    assert len(people) == 2 or rtmo.INSIDE_IOU_THR < 40 / 60
    model = OneStage(fixed_people(tmp_path / "p.onnx", [[0, 0, 9, 9, 0.9]]), options=CPU)
    dets[0, 1] = [0, 0, 40, 64, 0.8]  # IoU 0.625
    assert len(rtmo.decode((dets, points), 0.3, "made up")) == 2
    assert model.decode((dets, points), (1.0, (0.0, 0.0))).box_scores.tolist() == pytest.approx(
        [0.9]
    )


def test_nobody(tmp_path, options):
    model = OneStage(fixed_people(tmp_path / "p.onnx", [[0, 0, 9, 9, 0.02]]), options=options)
    poses = model(black(100, 30))
    assert len(poses) == 0
    assert poses.keypoints.shape == (0, 17, 2)
    assert poses.to_coco(1) == []
    pipeline = Pipeline(None, model)
    assert len(pipeline(black())) == len(pipeline.detect(black())) == 0


@pytest.mark.parametrize("batch", [1, 2, "batch"])
def test_batch_sizes_of_the_file(tmp_path, options, batch):
    path = fixed_people(tmp_path / "p.onnx", [[4, 4, 24, 60, 0.9]], batch=batch)
    model = OneStage(path, options=options)
    for poses in model.estimate([black(), black(128, 64)]):
        assert poses.box_scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("count", [14, 17, 5])
def test_any_number_of_keypoints(tmp_path, count):
    path = fixed_people(tmp_path / "p.onnx", [[4, 4, 24, 60, 0.9]], keypoints=count)
    model = OneStage(path, options=CPU)
    assert len(model.skeleton) == count
    assert model(black()).keypoints.shape == (1, count, 2)
    with pytest.raises(ModelError, match=f"{count} keypoints, but halpe26 has 26"):
        OneStage(path, options=CPU, skeleton=rtmpose.get_skeleton("halpe26"))


def test_wrong_layouts(tmp_path):
    pose = spot_pose(tmp_path / "spot.onnx")
    detector = fixed_detector(tmp_path / "yolox.onnx", [[0, 0, 9, 9, 0.9]])
    people = fixed_people(tmp_path / "p.onnx", [[0, 0, 9, 9, 0.9]])
    for path in (pose, detector):
        with pytest.raises(ModelError, match="not a one-stage model of a known form"):
            OneStage(path, options=CPU)
    with pytest.raises(ModelError, match=r"one-stage model.*Pipeline\(pose=\.\.\.\)"):
        PoseEstimator(people, options=CPU)
    with pytest.raises(ModelError, match="give it as the pose model"):
        Detector(people, options=CPU)
    card = rtmpose.zoo.find("rtmo-s")
    with pytest.raises(ModelError, match="one-stage model"):
        PoseEstimator(people, card=card, options=CPU)
    with pytest.raises(ModelError, match="not a detector"):
        Detector(people, card=card, options=CPU)
    with pytest.raises(ModelError, match="not a one-stage model"):
        OneStage(people, card=rtmpose.zoo.find("rtmpose-s"), options=CPU)


def test_every_kind_of_codec_has_a_decoder():
    rows = {
        "keypoints": KeypointDecoder,
        "boxes": BoxDecoder,
        "people": PeopleDecoder,
        "classes": ClassDecoder,
    }
    assert DECODERS.keys() == OUTPUTS.keys()
    for kind, row in DECODERS.items():
        assert isinstance(row, rows[OUTPUTS[kind]])


# ---- one seam


def test_the_families_have_the_members_of_the_seam(tmp_path):
    one = OneStage(spot_person(tmp_path / "p.onnx"), options=CPU)
    pose = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=CPU)
    top = TopDown(None, pose, whole_image=True)
    assert (one.needs_boxes, top.needs_boxes) == (False, True)
    assert (one.finds_people, top.finds_people) == (True, False)
    for model in (one, top):
        image = spot(30, 30, (64, 64))
        poses = model.estimate([image, image])
        assert [len(p) for p in poses] == [1, 1]
        assert model.describe().keys() >= {"pose", "detector", "engine", "device", "precision"}
        calls = []

        def counted(network, calls=calls):
            calls.append(network.card.id)
            return network.backend

        again = model.with_backends(counted)
        assert len(calls) == 1
        np.testing.assert_array_equal(again.estimate([image])[0].keypoints, poses[0].keypoints)


def test_boxes_and_flip_test_are_refused(tmp_path):
    model = OneStage(spot_person(tmp_path / "p.onnx"), options=CPU)
    pipeline = Pipeline(pose=model)
    with pytest.raises(InputError, match="takes no boxes"):
        pipeline(black(), [[0, 0, 9, 9]])
    with pytest.raises(InputError, match="no flip test"):
        model.estimate([black()], flip_test=True)
    with pytest.raises(InputError, match="takes no boxes"):
        PoseTracker(None, model)(black(), boxes=[[0, 0, 9, 9]])
    with pytest.raises(InputError, match="uint8"):
        pipeline(black().astype(np.float32))


def test_a_detector_beside_it_is_not_opened(tmp_path, caplog):
    path = spot_person(tmp_path / "p.onnx")
    assert Pipeline(pose=path).detector is None
    assert "the detector is not used" not in caplog.text
    pipeline = Pipeline("no-such-detector", path)
    assert pipeline.detector is None
    assert "the detector is not used" in caplog.text


def test_pipeline_limits(tmp_path):
    people = [[4, 4, 24, 60, 0.9], [30, 4, 50, 60, 0.6], [4, 30, 60, 62, 0.35]]
    path = fixed_people(tmp_path / "p.onnx", people)
    assert len(Pipeline(pose=path, person_thr=0)(black())) == 3
    assert len(Pipeline(pose=path)(black())) == 2  # box times keypoints: 0.11
    assert len(Pipeline(pose=path, person_thr=0.1)(black())) == 3
    assert len(Pipeline(pose=path, box_thr=0.5)(black())) == 2
    poses = Pipeline(pose=path, max_people=1)(black())
    assert poses.box_scores.tolist() == pytest.approx([0.9])
