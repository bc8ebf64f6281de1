"""Metrics against the numbers of the originals, against known answers, and what happens with bad
input.
"""

import gzip
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from networks import color_classifier, fixed_detector, spot_pose

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.datasets import read_image_folder
from rtmpose.errors import InputError, ModelError
from rtmpose.evaluation import (
    KeypointDataset,
    coco_box_ap,
    coco_keypoint_ap,
    crowdpose_ap,
    evaluate,
    wholebody_ap,
)
from rtmpose.evaluation.bootstrap import _ap, _classes, paired_bootstrap, read_results
from rtmpose.evaluation.classification import Classifier, central_crop, evaluate_classifier, top_k
from rtmpose.evaluation.coco import judged
from rtmpose.evaluation.detection import box_results, evaluate_boxes
from rtmpose.evaluation.protocols import check_metrics, choose_metrics
from rtmpose.evaluation.scoring import keypoint_map
from rtmpose.skeletons import generic_skeleton, get_skeleton
from rtmpose.types import Detections, Poses

ORT = BackendOptions("onnxruntime", "cpu", threads=1)


# ---- equality with the originals ----


def stored(golden, name):
    return json.loads(gzip.decompress((golden / "ops" / f"{name}.json.gz").read_bytes()))


def test_wholebody_ap_equals_the_original(golden):
    data = stored(golden, "wholebody_ap")
    found = wholebody_ap(
        data["gt"], data["predictions"], sigmas=get_skeleton("coco-wholebody133").sigmas
    )
    for part, numbers in data["stats"].items():
        for name, value in numbers.items():
            key = name if part == "wholebody" else f"{part} {name}"
            assert found[key] == pytest.approx(value, abs=1e-12), key
    assert next(iter(found)) == "AP"


def test_crowdpose_ap_equals_the_original(golden):
    data = stored(golden, "crowdpose_ap")
    found = crowdpose_ap(data["gt"], data["predictions"], sigmas=get_skeleton("crowdpose14").sigmas)
    assert found.keys() == data["stats"].keys()
    for name, value in data["stats"].items():
        # The original rounds the three levels to four digits.
        assert found[name] == pytest.approx(
            value, abs=6e-5 if name[3:] in ("easy", "medium", "hard") else 1e-12
        ), name


def test_box_ap_equals_the_original(golden):
    data = stored(golden, "box_ap")
    assert coco_box_ap(data["gt"], data["predictions"]) == pytest.approx(data["stats"], abs=1e-12)


# ---- known answers ----


class Shifted:
    """A pose model that finds everybody's annotated points, shifted."""

    def __init__(self, dataset, by=(0.0, 0.0), skeleton=None, score=0.9):
        self.skeleton = skeleton or dataset.skeleton
        self.points = {
            tuple(b): k
            for i in dataset.images
            for b, k in zip(dataset.boxes(i), dataset.keypoints(i), strict=True)
        }
        self.by, self.score = np.array(by, np.float32), score

    def __call__(self, image, boxes, *, flip_test=False):
        k = len(self.skeleton)
        found = np.array(
            [self.points[tuple(b)][:, :2] + self.by for b in boxes.boxes], np.float32
        ).reshape(-1, k, 2)
        return Poses(
            boxes.boxes,
            boxes.scores,
            found,
            np.full(found.shape[:2], self.score, np.float32),
            self.skeleton,
        )


def make_set(tmp_path, name, *, images=3, people=2, extra=None, image_extra=None, seed=0):
    """A set of gray pictures with random people; every point is labeled."""
    skeleton = get_skeleton(name)
    rng = np.random.default_rng(seed)
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}],
    }
    for i in range(1, images + 1):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((120, 160, 3), 90, np.uint8))
        content["images"].append(
            {"id": i, "file_name": f"{i}.png", "width": 160, "height": 120, **(image_extra or {})}
        )
        for p in range(people):
            x, y = 10 + 70 * p, 10 + i
            points = rng.uniform((x, y), (x + 50, y + 80), (len(skeleton), 2)).round(1)
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": i,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": [x, y, 50, 80],
                    "area": 2400.0,
                    "keypoints": [v for q in points.tolist() for v in (*q, 2)],
                    "num_keypoints": len(skeleton),
                    **(extra or {}),
                }
            )
    return KeypointDataset.from_content(content, folder, tmp_path / "set.json", skeleton)


def test_exact_poses_are_perfect(tmp_path):
    data = make_set(tmp_path, "coco17")
    result = evaluate(data, Shifted(data), metrics=["coco-ap", "pck", "auc", "epe", "tpck", "nme"])
    assert result.metrics["AP"] == result.metrics["AR"] == result.metrics["PCK@0.05"] == 1
    assert result.metrics["tPCK@0.2"] == 1
    assert result.metrics["EPE"] == pytest.approx(0, abs=1e-5)
    assert result.metrics["NME"] == pytest.approx(0, abs=1e-6)
    # Of the 20 thresholds the first is 0, and nothing is nearer than that.
    assert result.metrics["AUC"] == pytest.approx(19 / 20)
    assert (result.images, result.skipped, result.people_per_image) == (3, 0, 2)
    assert result.settings["pose"] is None
    assert json.loads(json.dumps(result.to_dict()))["metrics"]["AP"] == 1


def test_a_known_shift(tmp_path):
    data = make_set(tmp_path, "coco17")
    result = evaluate(data, Shifted(data, (6, 8)), metrics=["pck", "epe", "nme", "auc"])
    assert result.metrics["EPE"] == pytest.approx(10, abs=1e-4)
    assert result.metrics["NME"] == pytest.approx(10 / np.sqrt(50 * 80), abs=1e-6)
    # 10 pixels are an eighth of the longer side.
    assert result.metrics["PCK@0.2"] == 1
    assert result.metrics["PCK@0.1"] == 0
    # 10 pixels are a third of 30: thresholds 7/20 to 19/20 are above it.
    assert result.metrics["AUC"] == pytest.approx(13 / 20)


def test_oks_of_a_known_shift(tmp_path):
    """A shift that makes the OKS of every person about 0.62 counts at thresholds 0.5 to 0.6."""
    data = make_set(tmp_path, "coco17")
    variances = (2 * np.array(get_skeleton("coco17").sigmas)) ** 2
    shift = next(
        d for d in np.arange(1, 30, 0.1) if np.exp(-(d**2) / variances / 2400 / 2).mean() < 0.62
    )
    result = evaluate(data, Shifted(data, (shift, 0)), metrics=["coco-ap"])
    assert result.metrics["AP"] == pytest.approx(0.3)
    assert (result.metrics["AP50"], result.metrics["AP75"]) == (1, 0)


def test_pckh_units(tmp_path):
    box = {"head_box": [0, 0, 30, 40]}  # 0.6 of a diagonal of 50: 30 pixels
    data = make_set(tmp_path, "mpii16", extra=box)
    assert choose_metrics(data, "gt") == ("pckh",)
    assert evaluate(data, Shifted(data, (14.9, 0))).metrics == {"PCKh@0.5": 1, "PCKh@0.1": 0}
    assert evaluate(data, Shifted(data, (15.1, 0))).metrics["PCKh@0.5"] == 0
    given = make_set(tmp_path, "mpii16", extra={"head_size": 60.0, **box})
    assert evaluate(given, Shifted(given, (29.9, 0))).metrics["PCKh@0.5"] == 1


def test_pckh_without_boxes_takes_head_and_neck(tmp_path, caplog):
    data = make_set(tmp_path, "mpii16")
    top, neck = (data.skeleton.keypoints.index(n) for n in ("head_top", "upper_neck"))
    for a in data.content["annotations"]:
        a["keypoints"][3 * top : 3 * top + 2] = [20, 20]
        a["keypoints"][3 * neck : 3 * neck + 2] = [20, 40]
    assert evaluate(data, Shifted(data, (9.9, 0))).metrics["PCKh@0.5"] == 1
    assert evaluate(data, Shifted(data, (10.1, 0))).metrics["PCKh@0.5"] == 0
    assert "6 of 6 people have no head box" in caplog.text


def test_pelvis_and_thorax_are_left_out_of_pckh(tmp_path):
    data = make_set(tmp_path, "mpii16", extra={"head_size": 10.0})
    model = Shifted(data)
    for points in model.points.values():
        points[data.skeleton.keypoints.index("pelvis")] += 100
    assert evaluate(data, model).metrics["PCKh@0.5"] == 1


def test_torso_pck(tmp_path):
    data = make_set(tmp_path, "jhmdb15")
    shoulder, hip = (data.skeleton.keypoints.index(n) for n in ("left_shoulder", "right_hip"))
    for a in data.content["annotations"]:
        a["keypoints"][3 * shoulder : 3 * shoulder + 2] = [20, 20]
        a["keypoints"][3 * hip : 3 * hip + 2] = [20, 70]
    assert choose_metrics(data, "gt") == ("pck", "tpck")
    assert evaluate(data, Shifted(data, (9.9, 0))).metrics["tPCK@0.2"] == 1
    assert evaluate(data, Shifted(data, (10.1, 0))).metrics["tPCK@0.2"] == 0


def test_nme_in_eye_distances(tmp_path):
    data = make_set(tmp_path, "wflw98")
    for a in data.content["annotations"]:
        a["keypoints"][3 * 60 : 3 * 60 + 2] = [20, 30]
        a["keypoints"][3 * 72 : 3 * 72 + 2] = [60, 60]
    assert choose_metrics(data, "gt") == ("nme",)
    assert evaluate(data, Shifted(data, (5, 0))).metrics["NME"] == pytest.approx(0.1, abs=1e-6)
    chosen = evaluate(data, Shifted(data, (5, 0)), nme_points=("60", "kpt-72"))
    assert chosen.metrics["NME"] == pytest.approx(0.1, abs=1e-6)
    with pytest.raises(InputError, match="neither a keypoint's name nor a number below 98"):
        evaluate(data, Shifted(data), nme_points=("60", "nose"))


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("coco17", ("coco-ap", "pck")),
        ("halpe26", ("coco-ap", "pck")),
        ("ap10k17", ("coco-ap", "pck")),
        ("coco-wholebody133", ("wholebody-ap",)),
        ("hand21", ("pck", "auc", "epe")),
        ("lapa106", ("nme",)),
    ],
)
def test_published_metrics_are_chosen(tmp_path, name, metrics):
    assert choose_metrics(make_set(tmp_path, name, images=1), "gt") == metrics


def test_crowds_are_recognized_by_their_index(tmp_path):
    data = make_set(tmp_path, "crowdpose14", image_extra={"crowdIndex": 0.9})
    result = evaluate(data, Shifted(data))
    assert (result.metrics["AP"], result.metrics["AP hard"]) == (1, 1)
    assert result.metrics["AP easy"] == result.metrics["AP medium"] == -1
    assert choose_metrics(make_set(tmp_path, "crowdpose14"), "gt") == ("coco-ap", "pck")


def test_wholebody_in_both_forms(tmp_path):
    data = make_set(tmp_path, "coco-wholebody133")
    assert set(evaluate(data, Shifted(data)).metrics.values()) == {1}
    cut = {
        "foot_kpts": (17, 23),
        "face_kpts": (23, 91),
        "lefthand_kpts": (91, 112),
        "righthand_kpts": (112, 133),
    }
    rows = []
    for a in data.content["annotations"]:
        parts = {k: a["keypoints"][3 * f : 3 * t] for k, (f, t) in cut.items()}
        rows.append({**a, "keypoints": a["keypoints"][: 3 * 17], "num_keypoints": 17, **parts})
    raw = KeypointDataset.from_content(
        {**data.content, "annotations": rows},
        tmp_path / "images",
        data.path,
        get_skeleton("coco17"),
    )
    assert evaluate(raw, Shifted(data)).metrics["lefthand AP"] == 1


def test_categories_are_averaged(tmp_path):
    """AP-10K has one category per species: a species found badly counts as much as one with many
    animals.
    """
    data = make_set(tmp_path, "ap10k17", images=4)
    content = dict(data.content)
    content["categories"] = [{**content["categories"][0], "id": i} for i in (1, 2)]
    rows = [{**a, "category_id": 2 if a["id"] == 1 else 1} for a in content["annotations"]]
    both = KeypointDataset.from_content(
        {**content, "annotations": rows}, tmp_path / "images", data.path, data.skeleton
    )
    model = Shifted(both)
    model.points[tuple(both.boxes(1)[0])] += 500
    assert evaluate(both, model, metrics=["coco-ap"]).metrics["AP"] == pytest.approx(0.5)


def test_a_model_with_other_keypoints_is_converted(tmp_path):
    """A Halpe 26 model on MPII: by the conversion table, not by number."""
    data = make_set(tmp_path, "mpii16", extra={"head_size": 10.0})
    halpe = get_skeleton("halpe26")
    points = dict(keypoint_map(data, halpe))
    assert points[data.skeleton.keypoints.index("left_wrist")] == (
        halpe.keypoints.index("left_wrist"),
    )
    faces = make_set(tmp_path, "300w68", images=1)
    with pytest.raises(InputError, match="no conversion from halpe26"):
        keypoint_map(faces, halpe)


def test_sets_without_names_go_by_number(tmp_path):
    named = make_set(tmp_path, "coco17")
    content = {**named.content, "categories": [{"id": 1, "name": "person"}]}
    data = KeypointDataset.from_content(content, tmp_path / "images", named.path)
    assert keypoint_map(data, get_skeleton("halpe26")) == tuple((i, (i,)) for i in range(17))
    with pytest.raises(InputError, match="nothing says which of them belong together"):
        keypoint_map(data, generic_skeleton(20))


def test_own_keypoints_are_scored(tmp_path):
    data = make_set(tmp_path, "coco17")
    own = replace(get_skeleton("coco17"), name="mine", sigmas=())
    data = replace(data, skeleton=own)
    assert choose_metrics(data, "gt") == ("pck", "auc", "epe")
    assert evaluate(data, Shifted(data)).metrics["PCK@0.2"] == 1


# ---- detectors and classifiers ----


def test_box_ap_of_a_perfect_and_a_blind_detector(tmp_path):
    data = make_set(tmp_path, "coco17")
    everything = iter([Detections.from_boxes(data.boxes(i)) for i in data.images])
    result = evaluate_boxes(data, lambda image, box_thr: next(everything))
    assert (result.metrics["AP"], result.metrics["AR100"]) == (1, 1)
    assert evaluate_boxes(data, lambda image, box_thr: Detections.empty()).metrics["AP"] == 0


def test_boxes_of_a_model_file(tmp_path):
    data = make_set(tmp_path, "coco17", people=1)
    for a in data.content["annotations"]:
        a["bbox"] = [16, 8, 64, 80]
    # 160 x 120 into 64 x 64: a scale of 0.4.
    model = Detector(
        fixed_detector(tmp_path / "yolox_t.onnx", [[6.4, 3.2, 32, 35.2, 0.9]]), options=ORT
    )
    result = evaluate_boxes(data, model)
    assert result.metrics["AP"] == pytest.approx(1)
    assert result.settings["engine"] == "onnxruntime"


def test_top_k_counts():
    scores = np.array([[0.1, 0.7, 0.2, 0, 0, 0], [6, 5, 4, 3, 2, 1]], np.float32)
    labels = np.array([1, 5])
    assert (top_k(scores, labels, 1), top_k(scores, labels, 5), top_k(scores, labels, 6)) == (
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
    (tmp_path / "set" / "0_red" / "3.png").write_bytes(b"no picture")
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
        ours = central_crop(image, (224, 224))
        assert np.abs(ours.astype(int) - whole[top : top + 224, left : left + 224]).max() <= 1


# ---- comparing results ----


def test_bootstrap_counts_photos_like_copies(golden):
    """AP with photo i counted n_i times is the AP of a set that holds n_i copies of it."""
    data = stored(golden, "box_ap")
    judge = judged(data["gt"], data["predictions"], "bbox")
    classes, recalls = _classes(judge), judge.params.recThrs
    ids = [i["id"] for i in data["gt"]["images"]]
    assert _ap(classes, recalls, np.ones(len(ids))) == pytest.approx(data["stats"]["AP"], abs=1e-12)
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
    assert _ap(classes, recalls, times) == pytest.approx(
        coco_box_ap(copies, predictions)["AP"], abs=1e-6
    )


def test_bootstrap_of_a_difference(golden):
    data = stored(golden, "crowdpose_ap")
    sigmas = get_skeleton("crowdpose14").sigmas
    kind = {"sigmas": sigmas, "draws": 60}
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
    assert found.other == pytest.approx(
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
        evaluate_boxes(data, lambda image, box_thr: Detections.empty())


def test_metrics_that_do_not_suit(tmp_path):
    data = make_set(tmp_path, "coco17")
    with pytest.raises(InputError, match="unknown metric 'map'"):
        check_metrics(["map"], "gt")
    with pytest.raises(InputError, match="needs --boxes gt"):
        check_metrics(["pck"], "detect")
    with pytest.raises(InputError, match="crowdIndex"):
        evaluate(data, Shifted(data), metrics=["crowdpose-ap"])
    with pytest.raises(InputError, match="its own keypoint set"):
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
