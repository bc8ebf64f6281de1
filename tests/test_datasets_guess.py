"""What unnamed keypoints are taken for: never by their number alone."""

import logging

import numpy as np
import pytest
from annotated import coco_content, person, write

from rtmpose.datasets import convert, read
from rtmpose.datasets.category_skeletons import skeleton_from_category
from rtmpose.datasets.coco import save_coco
from rtmpose.datasets.formats import detect_format
from rtmpose.datasets.keypoint_guess import (
    guess_set,
    mirror_is_known,
    set_with_names,
    spelled,
    unknown_points,
)
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, load_skeleton

COCO_FLIP = get_skeleton("coco17").flip_indices


def unnamed(tmp_path, count, category, names=()):
    """A file with one instance of a class, whose keypoints have no names unless given."""
    content = coco_content(1)
    content["categories"] = [{"id": 1, "name": category, "keypoints": list(names)}]
    content["annotations"][0]["keypoints"] = person(count)
    content["annotations"][0]["num_keypoints"] = count
    return write(tmp_path / "a.json", content)


@pytest.mark.parametrize(
    ("count", "category", "skeleton"),
    [
        (17, "person", "coco17"),
        (17, "Person", "coco17"),
        (17, "dog", "points-17"),
        (17, "0", "points-17"),
        (21, "hand", "hand21"),
        (21, "left_hand", "hand21"),
        (21, "person", "points-21"),
        (21, "chair", "points-21"),
        (26, "pedestrian", "halpe26"),
        (26, "robot", "points-26"),
        (68, "face", "300w68"),
        (68, "cow", "points-68"),
        (106, "face", "lapa106"),
        (106, "car", "points-106"),
        (133, "person", "coco-wholebody133"),
        (133, "horse", "points-133"),
        (136, "human", "halpe136"),
        (136, "horse", "points-136"),
        (98, "leaf", "points-98"),
        (29, "bird", "points-29"),
        (19, "fish", "points-19"),
        (5, "person", "points-5"),
    ],
)
def test_unnamed_points_need_a_class_that_agrees(tmp_path, caplog, count, category, skeleton):
    with caplog.at_level(logging.WARNING):
        dataset = read(unnamed(tmp_path, count, category))
    assert dataset.skeleton.name == skeleton
    assert len(dataset.skeleton) == count
    assert "does not name its" in caplog.text or count == 133
    assert "--skeleton" in caplog.text or count == 133


def test_a_class_with_both_kinds_is_no_person():
    assert guess_set(17, ["person", "dog"]) == (None, "")
    assert guess_set(17, []) == (None, "")


def test_mirror_pairs_speak_for_a_set_or_against_it():
    assert guess_set(17, ["0"], COCO_FLIP)[0] is get_skeleton("coco17")
    assert guess_set(17, ["person"], range(17)) == (None, "")
    assert guess_set(17, ["dog"], COCO_FLIP) == (None, "")


def test_names_count_however_they_are_spelled(tmp_path):
    names = get_skeleton("coco17").keypoints
    for change in (str.title, str.upper, lambda n: n.replace("_", " "), lambda n: f" {n} "):
        assert set_with_names(tuple(map(change, names))) is get_skeleton("coco17")
    assert spelled("leftEye") == spelled("Left-Eye") == "left_eye"
    assert set_with_names(tuple(reversed(names))) is None
    assert set_with_names(unknown_points(68).keypoints) is None
    dataset = read(unnamed(tmp_path, 17, "dog", [n.title() for n in names]))
    assert dataset.keypoint_names == names


def test_one_familiar_name_does_not_make_a_format(tmp_path):
    for names in (
        ["Right Shoulder", "Left Shoulder"],
        ["head_bottom", "tail"],
        ["belly", "back"],
        ["root_of_tail", "snout"],
    ):
        path = unnamed(tmp_path, 2, "cow", names)
        assert detect_format(path).format == "coco"
        assert read(path).keypoint_names == tuple(names)


def test_nested_hands_keep_the_order_that_their_names_say(tmp_path):
    names = list(get_skeleton("hand21").keypoints)
    content = coco_content(1, "hand21")
    content["categories"][0] |= {"name": "hand", "keypoints": names}
    flat = content["annotations"][0]["keypoints"]
    content["annotations"][0]["keypoints"] = np.reshape(flat, (21, 3)).tolist()
    dataset = read(write(tmp_path / "hands.json", content))
    assert dataset.skeleton is get_skeleton("hand21")
    np.testing.assert_allclose(dataset.keypoints(1)[0].ravel(), flat, rtol=1e-6)
    content["info"] = {"description": "RHD"}
    assert read(write(tmp_path / "rhd.json", content)).skeleton is get_skeleton("rhd21")


def test_unnamed_points_stay_unnamed_through_a_file(tmp_path):
    dataset = read(unnamed(tmp_path, 17, "dog"))
    save_coco(dataset, tmp_path / "out.json")
    again = read(tmp_path / "out.json")
    assert again.keypoint_names == dataset.keypoint_names == unknown_points(17).keypoints
    assert len(set(again.skeleton.keypoint_colors)) == 17
    with pytest.raises(InputError, match="does not say what its keypoints are"):
        convert(again, "coco17")


def test_unnamed_points_are_those_of_an_own_set_in_its_order(tmp_path, caplog):
    toml = write(tmp_path / "dog.toml", 'name = "dog"\nkeypoints = ["snout", "ear", "tail"]\n')
    dataset = read(unnamed(tmp_path, 3, "dog"))
    new = convert(dataset, load_skeleton(toml))
    assert new.keypoint_names == ("snout", "ear", "tail")
    np.testing.assert_array_equal(new.keypoints(1), dataset.keypoints(1))
    assert "in the order of dog" in caplog.text
    other = write(tmp_path / "four.toml", 'name = "four"\nkeypoints = ["a", "b", "c", "d"]\n')
    with pytest.raises(InputError, match="does not say"):
        convert(dataset, load_skeleton(other))


def test_mirroring_needs_to_be_known():
    assert mirror_is_known(get_skeleton("hand21"))
    assert not mirror_is_known(unknown_points(4))
    assert mirror_is_known(unknown_points(4), {"categories": [{"flip_idx": [0, 1, 2, 3]}]})
    names = {"name": "mouse", "keypoints": ["snout", "left_ear", "right_ear"]}
    assert mirror_is_known(skeleton_from_category(names, 3))
    told = skeleton_from_category({"keypoints": ["a", "b", "c"], "flip_idx": [0, 2, 1]}, 3)
    assert told.flip_indices == (0, 2, 1)
    assert mirror_is_known(told)
    for wrong in ([0, 1], [0, 2, 2], [1, 2, 0], ["a", 1, 2], 7):
        plain = skeleton_from_category({"keypoints": ["a", "b", "c"], "flip_idx": wrong}, 3)
        assert plain.flip_indices == (0, 1, 2)


def test_unnamed_points_have_one_name_in_data_and_in_models():
    from rtmpose.datasets.keypoint_guess import are_unnamed, unknown_points
    from rtmpose.skeletons import generic_skeleton

    names = unknown_points(3).keypoints
    assert names == generic_skeleton(3).keypoints == ("keypoint_0", "keypoint_1", "keypoint_2")
    # Those of older versions are read too.
    assert are_unnamed(names)
    assert are_unnamed(("kpt_0", "kpt_1", "kpt_2"))
    assert not are_unnamed(("keypoint_0", "nose"))
