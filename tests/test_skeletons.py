import pytest

from rtmpose.errors import InputError
from rtmpose.skeletons import generic_skeleton, get_skeleton, skeleton_for_count, skeleton_names

COUNTS = {
    "300w68": 68,
    "aflw19": 19,
    "aic14": 14,
    "ap10k17": 17,
    "coco-wholebody133": 133,
    "coco17": 17,
    "cofw29": 29,
    "crowdpose14": 14,
    "halpe136": 136,
    "halpe26": 26,
    "hand21": 21,
    "humanart21": 21,
    "jhmdb15": 15,
    "lapa106": 106,
    "mpii16": 16,
    "posetrack18": 17,
    "rhd21": 21,
    "wflw98": 98,
}
NO_SIGMAS = {"aflw19", "cofw29", "lapa106", "wflw98"}


def test_all_sets_are_there():
    assert set(skeleton_names()) == set(COUNTS)


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_set_is_consistent(name, count):
    s = get_skeleton(name)
    assert (
        len(s)
        == len(set(s.keypoints))
        == len(s.flip_indices)
        == len(s.sides)
        == len(s.keypoint_colors)
        == count
    )
    assert len(s.sigmas) == (0 if name in NO_SIGMAS else count)
    assert all(0 < v < 0.3 for v in s.sigmas)
    assert len(s.links) == len(s.link_colors) > 0
    assert all(0 <= a < count and 0 <= b < count and a != b for a, b in s.links)
    for i, j in enumerate(s.flip_indices):
        assert s.flip_indices[j] == i
        mine, other = s.keypoints[i].lower(), s.keypoints[j].lower()
        if "left" in mine:
            assert other == mine.replace("left", "right")
    connected = {p for link in s.links for p in link}
    assert len(connected) >= 0.8 * count


def test_the_models_orders():
    halpe = get_skeleton("halpe26").keypoints
    assert halpe[:17] == get_skeleton("coco17").keypoints
    assert [halpe[i] for i in (20, 21, 22, 23, 24, 25)] == [
        "left_big_toe",
        "right_big_toe",
        "left_small_toe",
        "right_small_toe",
        "left_heel",
        "right_heel",
    ]
    assert get_skeleton("coco-wholebody133").keypoints[:17] == halpe[:17]


def test_by_count_and_unknown():
    assert skeleton_for_count(26).name == "halpe26"
    assert skeleton_for_count(5) is None
    assert len(generic_skeleton(5)) == 5
    with pytest.raises(InputError, match="coco17"):
        get_skeleton("coco-17")
