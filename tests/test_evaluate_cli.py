"""The commands ``rtmpose eval pose``, ``detector`` and ``classifier``."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from networks import color_classifier, fixed_detector, spot_pose
from scored import make_set

from rtmpose import BackendOptions, PoseEstimator
from rtmpose.cards.io import embedded_card, write_card
from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.evaluation import evaluate
from rtmpose.evaluation.calibration import calibrate_model
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Poses

ORT = BackendOptions("onnxruntime", "cpu", threads=1)


class Guess:
    """A pose model that is right as often as its scores say by a known logistic."""

    def __init__(self, dataset, skeleton):
        self.dataset, self.skeleton = dataset, skeleton
        self.rng = np.random.default_rng(0)
        self.queue = iter(list(dataset.images))

    def __call__(self, image, boxes, *, flip_test=False):
        found = self.dataset.keypoints(next(self.queue))[..., :2].copy()
        scores = self.rng.uniform(0, 1.25, found.shape[:2]).astype(np.float32)
        wrong = self.rng.random(scores.shape) > 1 / (1 + np.exp(-(8.5 * scores - 1.8)))
        found[wrong] += 80
        return Poses(boxes.boxes, boxes.scores, found, scores, self.skeleton)


def test_from_evaluation_to_calibration(tmp_path):
    data = make_set(tmp_path, "coco17", images=120)
    result = evaluate(data, Guess(data, data.skeleton))
    report = calibrate_model(data, data.skeleton, result, data="x")
    assert report.calibration.slope[0] == pytest.approx(8.5, abs=1)
    assert report.ece_cross_validated < 0.02 < report.ece_raw
    each = calibrate_model(data, data.skeleton, result, per_keypoint=True)
    assert len(each.calibration.slope) == 17
    with pytest.raises(InputError, match="labels 17 of the model's 26"):
        calibrate_model(data, get_skeleton("halpe26"), result, per_keypoint=True)
    with pytest.raises(InputError, match="annotated boxes"):
        calibrate_model(data, data.skeleton, replace(result, pairs=None))


@pytest.fixture
def spots(tmp_path):
    """A set on which the spot model is right about half of the time: the label is at the spot, or
    far from it.
    """
    data = make_set(tmp_path, "coco17", images=40, people=1)
    rng = np.random.default_rng(0)
    for a in data.content["annotations"]:
        image = np.zeros((120, 160, 3), np.uint8)
        level = rng.integers(60, 255)
        x, y = 30, 50
        image[y - 4 : y + 5, x - 4 : x + 5, 2] = level
        cv2.imwrite(str(data.images[a["image_id"]]), image)
        right = rng.random(17) < (level - 60) / 195
        a["bbox"] = [10, 20, 40, 60]
        a["keypoints"] = [v for r in right for v in ((x, y, 2) if r else (x + 60, y, 2))]
    (tmp_path / "set.json").write_text(json.dumps(dict(data.content)))
    return tmp_path / "set.json"


def test_the_command_fits_and_writes(tmp_path, spots, capsys):
    model = spot_pose(tmp_path / "spot.onnx")
    out, report = tmp_path / "new" / "calibrated.onnx", tmp_path / "r.json"
    common = [
        "eval",
        "pose",
        str(spots),
        "--pose",
        str(model),
        "--backend",
        "onnxruntime",
        "--threads",
        "1",
    ]
    assert (
        main([*common, "--calibrate", "--out", str(out), "--write-card", "--json", str(report)])
        == 0
    )
    text = capsys.readouterr().out
    assert "expected calibration error" in text
    assert f"wrote {out}" in text
    found = json.loads(report.read_text())["calibration"]
    card = embedded_card(out)
    assert card.calibration.slope == tuple(found["slope"])
    assert card.skeleton == "coco17"
    assert embedded_card(model).calibration == card.calibration
    image = cv2.imread(str(tmp_path / "images" / "1.png"))
    assert PoseEstimator(out, options=ORT)(image, [[10, 20, 50, 80]]).probabilities.shape == (1, 17)


def test_what_does_not_go_together(tmp_path, spots, capsys):
    model = spot_pose(tmp_path / "spot.onnx")
    common = [
        "eval",
        "pose",
        str(spots),
        "--pose",
        str(model),
        "--backend",
        "onnxruntime",
        "--threads",
        "1",
    ]
    for extra, words in (
        (["--calibrate", "--boxes", "detect"], "annotated boxes"),
        (["--write-card"], "go with --calibrate"),
        (["--calibrate", "--out", str(tmp_path / "x.xml")], "must end in .onnx"),
        (["--metric", "box-ap,pck"], "box-ap is a metric of a detector"),
        (["--metric", "top-k"], "use `rtmpose eval classifier`"),
        (["--metric", "pck", "--boxes", "detect"], "needs --boxes gt"),
        (["--nme-points", "nose"], "two keypoints"),
        (["--against", str(tmp_path / "none.json")], "cannot be read"),
    ):
        assert main([*common, *extra]) == 1, extra
        assert words in capsys.readouterr().err, extra


def test_the_command_scores_detectors_and_compares(tmp_path, spots, capsys):
    rows = [[4, 8, 20, 32, 0.9]]  # 160 x 120 into 64 x 64: a scale of 0.4
    model = fixed_detector(tmp_path / "yolox_t.onnx", rows)
    worse = fixed_detector(tmp_path / "yolox_w.onnx", [[4, 8, 20, 36, 0.9]])
    common = ["eval", "detector", str(spots), "--backend", "onnxruntime", "--threads", "1"]
    results = tmp_path / "r.json"
    assert main([*common, "--detector", str(worse), "--results", str(results)]) == 0
    assert len(json.loads(results.read_text())) == 40
    report = tmp_path / "j.json"
    extra = ["--against", str(results), "--json", str(report)]
    assert main([*common, "--detector", str(model), *extra]) == 0
    found = json.loads(report.read_text())
    assert found["metrics"]["AP"] == pytest.approx(1)
    assert found["against"]["difference"] == pytest.approx(1 - found["against"]["other_ap"])
    assert "against" in capsys.readouterr().out


ENGINE = ["--backend", "onnxruntime", "--threads", "1"]


def test_eval_of_a_path_is_eval_pose(tmp_path, spots, monkeypatch):
    """The form that commands had before there were three of them, options first or last."""
    model = str(spot_pose(tmp_path / "spot.onnx"))
    reports = []
    for number, arguments in enumerate(
        (
            ["eval", "pose", str(spots), "--pose", model],
            ["eval", str(spots), "--pose", model],
            ["eval", "--pose", model, str(spots)],
        )
    ):
        report = tmp_path / f"{number}.json"
        assert main([*arguments, "--limit", "5", "--json", str(report), *ENGINE]) == 0
        reports.append(json.loads(report.read_text())["metrics"])
    assert reports[0] == reports[1] == reports[2]
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "set.json", "--pose", model, "--limit", "5", *ENGINE]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "detectors"], "scores pose, detector or classifier"),
        (["eval", "no/such.json"], "does not exist"),
        (["eval", "such.json"], "does not exist"),
        (["eval", ".", "--classifier", "mine.onnx"], "rtmpose eval classifier"),
        (["eval", ".", "--classifier=mine.onnx"], "rtmpose eval classifier"),
        (["eval", ".", "--detector", "mine.onnx"], "rtmpose eval detector DATA"),
        (["eval", "pose", ".", "--calibrate", "--boxes", "detect"], "needs annotated boxes"),
    ],
)
def test_what_is_scored_must_be_clear(arguments, words, capsys):
    assert main(arguments) == 1
    assert words in capsys.readouterr().err


def test_eval_alone_names_the_commands(capsys):
    main(["eval"])
    text = capsys.readouterr()
    for kind in ("pose", "detector", "classifier"):
        assert kind in text.out + text.err
    assert main(["eval", "classifier", "."]) == 2
    assert "--classifier" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["pose", "detector", "classifier"])
def test_help_teaches_with_examples(kind, capsys):
    assert main(["eval", kind, "--help"]) == 0
    assert f"rtmpose eval {kind}" in capsys.readouterr().out


def test_a_detector_that_is_not_used_is_pointed_out(tmp_path, spots, caplog):
    model = spot_pose(tmp_path / "spot.onnx")
    arguments = ["eval", "pose", str(spots), "--pose", str(model), "--limit", "2", *ENGINE]
    assert main([*arguments, "--detector", "rtmdet-nano"]) == 0
    assert "the detector is not used" in caplog.text


def test_lowest_score_of_boxes(tmp_path, spots):
    rows = [[4, 8, 20, 32, 0.9], [40, 8, 60, 32, 0.2]]
    model = fixed_detector(tmp_path / "yolox_t.onnx", rows)
    report = tmp_path / "r.json"
    arguments = ["eval", "detector", str(spots), "--detector", str(model), "--json", str(report)]
    for threshold, boxes in (("0.001", 2), ("0.5", 1)):
        assert main([*arguments, "--box-thr", threshold, *ENGINE]) == 0
        found = json.loads(report.read_text())
        assert found["people_per_image"] == boxes
        assert found["settings"]["box_thr"] == float(threshold)


def test_the_command_scores_classifiers(tmp_path, capsys):
    card, path = color_classifier(tmp_path / "colors.onnx")
    write_card(path, card)
    for name, color in (("0_red", (0, 0, 200)), ("1_green", (0, 200, 0)), ("2_blue", (200, 0, 0))):
        (tmp_path / "set" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / name / "0.png"), np.full((40, 60, 3), color, np.uint8))
    report = tmp_path / "r.json"
    arguments = ["eval", "classifier", str(tmp_path / "set"), "--classifier", str(path)]
    assert main([*arguments, "--json", str(report), *ENGINE]) == 0
    assert json.loads(report.read_text())["metrics"]["top-1"] == 1
    assert "3 images (0 skipped)" in capsys.readouterr().out
    assert main(["eval", "classifier", str(tmp_path / "none"), "--classifier", str(path)]) == 1
    assert "is not a folder" in capsys.readouterr().err
