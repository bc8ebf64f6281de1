"""Metrics against the numbers of the originals, and against known answers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scored import Shifted, make_set, stored

from rtmpose.errors import InputError
from rtmpose.evaluation import (
    KeypointDataset,
    coco_box_ap,
    crowdpose_ap,
    evaluate,
    wholebody_ap,
)
from rtmpose.evaluation.protocols import choose_metrics
from rtmpose.evaluation.scoring import keypoint_map
from rtmpose.skeletons import generic_skeleton, get_skeleton

# ---- equality with the originals ----


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
    """A shift to an OKS of about 0.62 for everyone counts at thresholds 0.5, 0.55 and 0.6."""
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


def test_sigmas_of_the_model_count_where_the_data_has_none(tmp_path):
    """A model trained on such data has constants in its card: AP is measured, and they are told."""
    data = make_set(tmp_path, "coco17")
    own = replace(get_skeleton("coco17"), name="mine", sigmas=())
    data = replace(data, skeleton=own)
    model = Shifted(data, skeleton=replace(own, sigmas=(0.05,) * 17))
    result = evaluate(data, model)
    assert result.metrics["AP"] == pytest.approx(1)
    assert result.settings["sigmas"] == "sigmas of the model: 0.05 for every keypoint"

    # Those of the data come first; published ones need no word.
    data = replace(data, skeleton=replace(own, sigmas=(0.02, *(0.04,) * 16)))
    told = evaluate(data, model).settings["sigmas"]
    assert told.startswith("sigmas of the data: 0.02, 0.04, 0.04")
    published = make_set(tmp_path, "coco17")
    assert evaluate(published, Shifted(published)).settings["sigmas"] == ""


def test_keypoints_of_other_things_are_named(tmp_path):
    data = make_set(tmp_path, "coco17")
    names = tuple(f"part {i}" for i in range(9))
    points = replace(generic_skeleton(9), name="mine", keypoints=names)
    with pytest.raises(InputError, match=r"none of the keypoints .*nose.*mine \(part 0, .*train"):
        keypoint_map(data, points)
