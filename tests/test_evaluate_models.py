"""Detectors and classifiers, comparing results, and bad input."""

import json

import cv2
import numpy as np
import pytest
from networks import color_classifier, fixed_detector, spot_pose
from scored import Shifted, make_set, stored

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.datasets import read_image_folder
from rtmpose.errors import InputError, ModelError
from rtmpose.evaluation import (
    coco_box_ap,
    coco_keypoint_ap,
    evaluate,
)
from rtmpose.evaluation.bootstrap import (
    category_matches,
    paired_bootstrap,
    read_results,
    weighted_ap,
)
from rtmpose.evaluation.classification import (
    Classifier,
    center_crop,
    evaluate_classifier,
    top_k_accuracy,
)
from rtmpose.evaluation.coco import coco_evaluator
from rtmpose.evaluation.detection import box_results, evaluate_detector
from rtmpose.evaluation.protocols import check_metrics, choose_metrics
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Detections

ORT = BackendOptions("onnxruntime", "cpu", threads=1)


# ---- detectors and classifiers ----


def test_box_ap_of_a_perfect_and_a_blind_detector(tmp_path):
    data = make_set(tmp_path, "coco17")
    everything = iter([Detections.from_boxes(data.boxes(i)) for i in data.images])
    result = evaluate_detector(data, lambda image, box_thr: next(everything))
    assert (result.metrics["AP"], result.metrics["AR100"]) == (1, 1)
    assert evaluate_detector(data, lambda image, box_thr: Detections.empty()).metrics["AP"] == 0


def test_boxes_of_a_model_file(tmp_path):
    data = make_set(tmp_path, "coco17", people=1)
    for a in data.content["annotations"]:
        a["bbox"] = [16, 8, 64, 80]
    # 160 x 120 into 64 x 64: a scale of 0.4.
    model = Detector(
        fixed_detector(tmp_path / "yolox_t.onnx", [[6.4, 3.2, 32, 35.2, 0.9]]), options=ORT
    )
    result = evaluate_detector(data, model)
    assert result.metrics["AP"] == pytest.approx(1)
    assert result.settings["engine"] == "onnxruntime"


def test_top_k_counts():
    scores = np.array([[0.1, 0.7, 0.2, 0, 0, 0], [6, 5, 4, 3, 2, 1]], np.float32)
    labels = np.array([1, 5])
    assert (
        top_k_accuracy(scores, labels, 1),
        top_k_accuracy(scores, labels, 5),
        top_k_accuracy(scores, labels, 6),
    ) == (
        0.5,
        0.5,
        1,
    )


def test_classifier_on_class_folders(tmp_path):
    card, path = color_classifier(tmp_path / "colors.onnx")
    for name, color in (("0_red", (0, 0, 200)), ("1_green", (0, 200, 0)), ("2_blue", (200, 0, 0))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(2):
            cv2.imwrite(
                str(tmp_path / "set" / name / f"{i}.png"),
                np.full((40 + 9 * i, 60, 3), color, np.uint8),
            )
    cv2.imwrite(
        str(tmp_path / "set" / "0_red" / "2.png"), np.full((40, 60, 3), (0, 200, 0), np.uint8)
    )
    (tmp_path / "set" / "0_red" / "3.png").write_bytes(b"no image")
    model = Classifier(path, options=ORT, card=card)
    result = evaluate_classifier(read_image_folder(tmp_path / "set"), model, batch=3)
    assert result.metrics == {"top-1": pytest.approx(6 / 7), "top-5": 1}
    assert (result.images, result.skipped) == (7, 1)
    (tmp_path / "set" / "3_more").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "3_more" / "0.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(InputError, match=r"4 class folders, but .* tells 3 classes apart"):
        evaluate_classifier(read_image_folder(tmp_path / "set"), model)
    with pytest.raises(ModelError, match="not a classifier"):
        Classifier("rtmpose-s")


def test_central_crop_is_that_of_pillow(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for height, width in ((300, 421), (500, 236), (100, 120)):
        image = cv2.resize(rng.integers(0, 256, (20, 30, 3)).astype(np.uint8), (width, height))
        new = (
            (int(236 * width / height + 0.5), 236)
            if height < width
            else (236, int(236 * height / width + 0.5))
        )
        whole = np.asarray(pil.fromarray(image).resize(new, pil.Resampling.BICUBIC))
        left, top = round((new[0] - 224) / 2), round((new[1] - 224) / 2)
        ours = center_crop(image, (224, 224))
        assert np.abs(ours.astype(int) - whole[top : top + 224, left : left + 224]).max() <= 1


# ---- comparing results ----


def test_bootstrap_counts_photos_like_copies(golden):
    """AP with photo i counted n_i times is the AP of a set that holds n_i copies of it."""
    data = stored(golden, "box_ap")
    judge = coco_evaluator(data["gt"], data["predictions"], "bbox")
    classes, recalls = category_matches(judge), judge.params.recThrs
    ids = [i["id"] for i in data["gt"]["images"]]
    assert weighted_ap(classes, recalls, np.ones(len(ids))) == pytest.approx(
        data["stats"]["AP"], abs=1e-12
    )
    times = np.array([i % 3 for i in range(len(ids))], np.float64)
    copies = {"images": [], "annotations": [], "categories": data["gt"]["categories"]}
    predictions = []
    for i, n in zip(ids, times, strict=True):
        for c in range(int(n)):
            new = 1000 * (c + 1) + i
            copies["images"].append({"id": new})
            copies["annotations"] += [
                {**a, "image_id": new} for a in data["gt"]["annotations"] if a["image_id"] == i
            ]
            predictions += [
                {**p, "image_id": new} for p in data["predictions"] if p["image_id"] == i
            ]
    assert weighted_ap(classes, recalls, times) == pytest.approx(
        coco_box_ap(copies, predictions)["AP"], abs=1e-6
    )


def test_bootstrap_of_a_difference(golden):
    data = stored(golden, "crowdpose_ap")
    sigmas = get_skeleton("crowdpose14").sigmas
    kind = {"sigmas": sigmas, "resamples": 60}
    same = paired_bootstrap(data["gt"], data["predictions"], data["predictions"], **kind)
    assert (same.difference, same.standard_error) == (0, 0)
    rng = np.random.default_rng(0)
    worse = [
        {
            **p,
            "keypoints": (
                (np.array(p["keypoints"]) + np.tile([6, 6, 0], 14) * rng.random()).tolist()
            ),
        }
        for p in data["predictions"]
    ]
    found = paired_bootstrap(data["gt"], data["predictions"], worse, **kind)
    assert found.ap == pytest.approx(
        coco_keypoint_ap(data["gt"], data["predictions"], sigmas=sigmas)["AP"], abs=1e-12
    )
    assert found.other_ap == pytest.approx(
        coco_keypoint_ap(data["gt"], worse, sigmas=sigmas)["AP"], abs=1e-12
    )
    assert found.low < found.difference < found.high
    assert 0 < found.standard_error < 0.1
    assert found.better > 0.95
    again = paired_bootstrap(data["gt"], data["predictions"], worse, **kind)
    assert again == found
    assert "against" in str(found)


def test_results_files(tmp_path):
    rows = box_results(Detections.from_boxes([[1, 2, 5, 8]], [0.5]), 7)
    (tmp_path / "r.json").write_text(json.dumps(rows))
    assert read_results(tmp_path / "r.json") == rows
    (tmp_path / "bad.json").write_text(json.dumps([{"image_id": 1}]))
    for name, words in (
        ("bad.json", "does not hold COCO results"),
        ("none.json", "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            read_results(tmp_path / name)


# ---- bad input ----


def test_sets_without_keypoints(tmp_path):
    data = make_set(tmp_path, "coco17")
    model = Shifted(data)
    for a in data.content["annotations"]:
        a["num_keypoints"] = 0
    with pytest.raises(InputError, match="no annotation with keypoints"):
        evaluate(data, model)


def test_nan_in_labels_and_poses(tmp_path):
    data = make_set(tmp_path, "coco17")
    with pytest.raises(ModelError, match=r"NaN or infinite numbers on .*1\.png"):
        evaluate(data, Shifted(data, (np.nan, 0)))
    data.content["annotations"][3]["keypoints"][0] = float("nan")
    with pytest.raises(InputError, match="annotation 4 holds NaN"):
        evaluate(data, Shifted(data))


def test_unreadable_images(tmp_path):
    data = make_set(tmp_path, "coco17")
    model = Shifted(data)
    (tmp_path / "images" / "2.png").write_bytes(b"torn")
    result = evaluate(data, model)
    assert (result.images, result.skipped, result.metrics["AP"]) == (2, 1, 1)
    assert result.image_ids == (1, 3)
    for i in (1, 3):
        (tmp_path / "images" / f"{i}.png").unlink()
    with pytest.raises(InputError, match="none of the 3 images"):
        evaluate(data, model)
    with pytest.raises(InputError, match="none of the 3 images"):
        evaluate_detector(data, lambda image, box_thr: Detections.empty())


def test_metrics_that_do_not_suit(tmp_path):
    data = make_set(tmp_path, "coco17")
    with pytest.raises(InputError, match="unknown metric 'map'"):
        check_metrics(["map"], "gt")
    with pytest.raises(InputError, match="needs --boxes gt"):
        check_metrics(["pck"], "detect")
    with pytest.raises(InputError, match="crowdIndex"):
        evaluate(data, Shifted(data), metrics=["crowdpose-ap"])
    with pytest.raises(InputError, match="the keypoint set it is named after"):
        evaluate(data, Shifted(data), metrics=["wholebody-ap"])
    with pytest.raises(InputError, match="need --boxes gt"):
        choose_metrics(make_set(tmp_path, "hand21"), "detect")
    with pytest.raises(InputError, match="head_size or head_box"):
        evaluate(
            make_set(tmp_path, "hand21"), Shifted(make_set(tmp_path, "hand21")), metrics=["pckh"]
        )


def test_one_pose_per_box(tmp_path):
    data = make_set(tmp_path, "coco17")
    model = Shifted(data)

    class Shy:
        skeleton = data.skeleton

        def __call__(self, image, boxes, *, flip_test=False):
            return model(image, boxes)[:1]

    with pytest.raises(ModelError, match="2 boxes gave 1 poses"):
        evaluate(data, Shy())


def test_results_of_other_images_and_keypoints(golden):
    data = stored(golden, "crowdpose_ap")
    sigmas = get_skeleton("crowdpose14").sigmas
    strange = [{**data["predictions"][0], "image_id": 999}]
    with pytest.raises(InputError, match="image 999"):
        coco_keypoint_ap(data["gt"], strange, sigmas=sigmas)
    with pytest.raises(InputError, match=r"different numbers of keypoints: \[14, 17\]"):
        coco_keypoint_ap(data["gt"], data["predictions"])
    broken = [{**data["predictions"][0], "keypoints": [float("nan")] * 42}]
    with pytest.raises(InputError, match="NaN"):
        coco_keypoint_ap(data["gt"], broken, sigmas=sigmas)


def test_an_annotation_with_id_zero_counts():
    """pycocotools takes a match with id 0 for no match."""
    points = [v for i in range(17) for v in (i, i, 2)]
    person = {
        "id": 0,
        "image_id": 1,
        "category_id": 1,
        "bbox": [0, 0, 20, 20],
        "area": 400.0,
        "iscrowd": 0,
    }
    truth = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    truth["annotations"] = [{**person, "keypoints": points, "num_keypoints": 17}]
    result = {"image_id": 1, "category_id": 1, "keypoints": points, "score": 0.9}
    assert coco_keypoint_ap(truth, [result])["AP"] == pytest.approx(1)


def test_a_real_estimator_fits_the_protocol(tmp_path):
    data = make_set(tmp_path, "coco17")
    model = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=ORT)
    result = evaluate(data, model)
    assert result.settings["engine"] == "onnxruntime"
    assert not result.settings["antialias"]
    smooth = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=ORT, antialias=True)
    assert evaluate(data, smooth).settings["antialias"]
    assert result.pairs is not None
    assert result.pairs.predicted.shape == (6, 17, 2)
