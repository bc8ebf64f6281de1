"""From raw scores to probabilities: the fit, its test, and the way of the numbers into cards and
poses.
"""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from networks import spot_pose

from rtmpose import BackendOptions, PoseEstimator
from rtmpose.cards.io import (
    card_from_json,
    card_to_json,
    embedded_card,
    sidecar_card_path,
    write_card,
)
from rtmpose.errors import InputError, ModelError, OutputError
from rtmpose.evaluation.calibration import (
    KeypointScores,
    calibrate,
    cross_validated,
    ece,
    fit_calibration,
    fit_logistic,
    keypoint_scores,
    probabilities_of,
)
from rtmpose.evaluation.protocols import MatchedPoses
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Calibration, Poses
from rtmpose.zoo import find

ORT = BackendOptions("onnxruntime", "cpu", threads=1)


def drawn(slope, offset, *, points=20000, keypoints=17, photos=200, seed=0):
    """Scores 0 to 1.25 whose points are right with the probability of a known logistic."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, keypoints, points)
    scores = rng.uniform(0, 1.25, points).astype(np.float32)
    p = 1 / (
        1
        + np.exp(
            -(
                np.broadcast_to(slope, keypoints)[which] * scores
                + np.broadcast_to(offset, keypoints)[which]
            )
        )
    )
    return KeypointScores(scores, rng.random(points) < p, which, rng.integers(0, photos, points))


# ---- the fit ----


@pytest.mark.parametrize(("slope", "offset"), [(8.5, -1.8), (3.0, 0.5), (0.0, 1.0), (20.0, -12.0)])
def test_a_known_logistic_is_found(slope, offset):
    joints = drawn(slope, offset)
    a, b = fit_logistic(joints.scores, joints.correct)
    assert a == pytest.approx(slope, abs=0.3 + 0.05 * slope)
    assert b == pytest.approx(offset, abs=0.3)


def test_report_on_a_known_logistic():
    report = calibrate(drawn(8.5, -1.8), data="made up")
    assert report.ece_raw > 0.1
    assert report.ece_fitted < 0.01
    assert report.ece_cross_validated < 0.01
    assert (report.points, report.images) == (20000, 200)
    assert report.calibration.ece == pytest.approx(report.ece_cross_validated, abs=1e-5)
    assert report.calibration.data == "made up"
    assert json.dumps(report.to_dict())


def test_a_wrong_shape_is_not_hidden():
    """Where the truth is no logistic (a plateau), cross-validation says so."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1.25, 8000).astype(np.float32)
    right = rng.random(8000) < np.where(scores < 0.9, 0.5, 0.99)
    report = calibrate(
        KeypointScores(scores, right, np.zeros(8000, np.int64), np.arange(8000) % 100)
    )
    assert report.ece_cross_validated > 0.04


def test_each_keypoint_of_its_own():
    offset = np.where(np.arange(17) < 8, -6.0, 0.0)
    joints = drawn(8.0, offset, points=10000)
    one, each = calibrate(joints), calibrate(joints, keypoints=17)
    assert each.ece_per_keypoint < 0.05 < one.ece_per_keypoint
    assert each.calibration.offset == pytest.approx(tuple(offset), abs=2)
    few = joints[joints.keypoints != 3]
    assert fit_calibration(few, 17).slope[3] == fit_calibration(few).slope[0]


def test_halves_are_photos():
    """No point is judged by a fit that saw its image: with images that contradict each other
    the error shows.
    """
    joints = drawn(8.0, -2.0, photos=2)
    fits = []

    def fit(part):
        fits.append(set(part.images.tolist()))
        return fit_calibration(part)

    values = cross_validated(joints, fit)
    assert sorted(map(len, fits)) == [1, 1]
    assert fits[0] | fits[1] == {0, 1}
    first = joints.images == next(iter(fits[0]))
    np.testing.assert_allclose(
        values[~first], probabilities_of(fit_calibration(joints[first]), joints[~first])
    )


def test_ece_by_hand():
    p = np.array([0.05, 0.05, 0.95, 0.95], np.float32)
    assert ece(p, np.array([False, False, True, True])) == pytest.approx(0.05)
    assert ece(p, np.array([True, False, True, False])) == pytest.approx(0.45)
    assert ece(np.ones(3, np.float32), np.ones(3, bool)) == 0
    assert ece(np.zeros(0, np.float32), np.zeros(0, bool)) == 0


def test_separable_scores_have_an_answer():
    scores = np.linspace(0, 1, 100, dtype=np.float32)
    slope, offset = fit_logistic(scores, scores > 0.5)
    assert 5 < slope <= 100
    assert np.isfinite(offset)
    p = Calibration((slope,), (offset,)).probabilities(scores[None])
    assert (p[0, :40] < 0.2).all()
    assert (p[0, 60:] > 0.8).all()


@pytest.mark.parametrize("right", [0, 5, 100])
def test_too_few_of_a_kind(right):
    with pytest.raises(InputError, match="10 correct and 10 wrong"):
        fit_logistic(np.linspace(0, 1, 100, dtype=np.float32), np.arange(100) < right)


def test_one_photo_is_too_few():
    with pytest.raises(InputError, match="two images"):
        calibrate(drawn(8, -2, photos=1))


def test_right_means_near_in_units_of_the_joint():
    """A nose may be 2.355 x 0.026 of the root of the area away, a hip four times as far; unlabeled
    points are out.
    """
    sigmas = get_skeleton("coco17").sigmas
    true = np.full((1, 17, 3), 2, np.float32)
    true[0, 5, 2] = 0
    predicted = true[..., :2].copy()
    predicted[0, :, 0] += 100 * np.float32(2.355 * 0.05)
    pairs = MatchedPoses(
        predicted,
        np.ones((1, 17), np.float32),
        true,
        np.zeros((1, 4), np.float32),
        (1,),
        ({"area": 1e4},),
        (),
    )
    joints = keypoint_scores(pairs, sigmas)
    assert joints.keypoints.tolist() == [k for k in range(17) if k != 5]
    assert joints.correct.tolist() == [sigmas[k] > 0.05 for k in range(17) if k != 5]
    with pytest.raises(InputError, match="17 keypoints need as many sigmas"):
        keypoint_scores(pairs, sigmas[:5])


# ---- cards and poses ----


def calibrated():
    return replace(
        find("rtmpose-s"), calibration=Calibration((8.5,), (-1.8,), data="here", ece=0.007)
    )


def test_probabilities_of_poses():
    skeleton = get_skeleton("coco17")
    scores = np.linspace(-2, 1.25, 34, dtype=np.float32).reshape(2, 17)
    given = (
        np.zeros((2, 4), np.float32),
        np.ones(2, np.float32),
        np.zeros((2, 17, 2), np.float32),
        scores,
        skeleton,
    )
    assert Poses(*given).probabilities is None
    poses = Poses(*given, calibration=Calibration((8.5,), (-1.8,)))
    np.testing.assert_allclose(
        poses.probabilities, 1 / (1 + np.exp(-(8.5 * scores - 1.8))), rtol=1e-5
    )
    assert poses.probabilities.dtype == np.float32
    assert poses[1].probabilities.shape == (1, 17)
    assert Poses.empty(skeleton, poses.calibration).probabilities.shape == (0, 17)
    each = Poses(*given, calibration=Calibration(tuple(range(17)), (0.0,) * 17))
    assert each.probabilities[0, 0] == 0.5
    with pytest.raises(InputError, match="of 3 keypoints does not fit 17"):
        _ = Poses(*given, calibration=Calibration((1, 2, 3), (1, 2, 3))).probabilities
    far = Calibration((100.0,), (0.0,)).probabilities(np.array([[-1e6, 1e6]], np.float32))
    assert far.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("slope", "offset"), [((), ()), ((1.0,), (1.0, 2.0)), ((float("nan"),), (0.0,))]
)
def test_bad_calibrations(slope, offset):
    with pytest.raises(InputError, match=r"as many slopes as offsets|slope must be a number"):
        Calibration(slope, offset)


def test_cards_carry_it_as_text():
    card = calibrated()
    assert card_from_json(card_to_json(card)).calibration == card.calibration
    assert card_from_json(card_to_json(find("rtmdet-nano"))).calibration is None
    broken = json.loads(card_to_json(card))
    broken["calibration"] = {"slope": [1]}
    with pytest.raises(ValueError, match="not a model card"):
        card_from_json(json.dumps(broken))


def test_the_zoo_ships_it():
    calibration = find("rtmpose-s").calibration
    assert calibration is not None
    assert calibration.ece < 0.01
    p = calibration.probabilities(np.array([[0.0, 0.3, 0.6, 1.0]], np.float32))[0]
    assert (np.diff(p) > 0).all()
    assert p[0] < 0.25
    assert p[3] > 0.98


def test_a_card_into_onnx(tmp_path):
    model = spot_pose(tmp_path / "spot.onnx")
    card = replace(calibrated(), id="spot", input_wh=(48, 64), skeleton="coco17")
    first = write_card(model, card, tmp_path / "a.onnx")
    again = write_card(
        first, replace(card, calibration=Calibration((1.0,), (2.0,))), tmp_path / "b.onnx"
    )
    assert embedded_card(model) is None
    assert embedded_card(first).calibration == card.calibration
    assert embedded_card(again).calibration == Calibration((1.0,), (2.0,))
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 20:40] = (0, 0, 255)
    poses = PoseEstimator(again, options=ORT)(image, [[10, 10, 50, 50]])
    np.testing.assert_allclose(
        poses.probabilities, 1 / (1 + np.exp(-(poses.scores + 2))), rtol=1e-5
    )
    assert PoseEstimator(model, options=ORT)(image, [[10, 10, 50, 50]]).probabilities is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "b.onnx", "spot.onnx"]


def test_a_sidecar_card_path_goes_first(tmp_path):
    model = spot_pose(tmp_path / "spot.onnx")
    card = replace(calibrated(), id="inside", input_wh=(48, 64), skeleton="coco17")
    made = write_card(model, card, tmp_path / "a.onnx")
    sidecar = write_card(made, replace(card, id="sidecar"))
    assert sidecar == sidecar_card_path(made)
    assert PoseEstimator(made, options=ORT).card.id == "sidecar"


def test_a_card_into_safetensors_without_torch(tmp_path):
    """The header is rewritten, the tensors stay where they are relative to its end."""
    tensors = np.arange(6, dtype=np.float32).tobytes()
    header = {
        "__metadata__": {
            "format": "pt",
            "rtmpose.card": card_to_json(find("rtmpose-s")),
            "note": "kept",
        },
        "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    }
    packed = json.dumps(header).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + tensors)
    assert embedded_card(tmp_path / "m.safetensors").id == find("rtmpose-s").id
    made = write_card(tmp_path / "m.safetensors", calibrated(), tmp_path / "n.safetensors")
    assert embedded_card(made).calibration == calibrated().calibration
    content = made.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    new = json.loads(content[8 : 8 + size])
    assert (8 + size) % 8 == 0
    assert content[8 + size :] == tensors
    assert new["w"] == header["w"]
    assert new["__metadata__"]["note"] == "kept"


def test_cards_that_cannot_be_written(tmp_path):
    model = spot_pose(tmp_path / "spot.onnx")
    with pytest.raises(InputError, match=r"not of spot\.onnx into spot\.safetensors"):
        write_card(model, calibrated(), tmp_path / "spot.safetensors")
    (tmp_path / "torn.onnx").write_bytes(model.read_bytes()[:-9])
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 20)
    for name in ("torn.onnx", "torn.safetensors"):
        with pytest.raises(ModelError, match="could not be read"):
            write_card(tmp_path / name, calibrated(), tmp_path / f"out{name[4:]}")
    with pytest.raises(OutputError):
        write_card(model, calibrated(), tmp_path / "spot.onnx" / "out.onnx")
    assert not list(tmp_path.glob(".*"))
    assert embedded_card(tmp_path / "torn.safetensors") is None


def test_calibration_of_other_keypoints_is_refused(tmp_path):
    model = spot_pose(tmp_path / "spot.onnx")
    card = replace(
        calibrated(),
        input_wh=(48, 64),
        skeleton="coco17",
        calibration=Calibration((1.0,) * 3, (0.0,) * 3),
    )
    with pytest.raises(ModelError, match="is of 3 keypoints, not 17"):
        PoseEstimator(model, options=ORT, card=card)
