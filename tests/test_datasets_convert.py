import json

import numpy as np
import pytest
from annotated import coco_content, coco_folder, person, write, write_image

from rtmpose.datasets import (
    MIXTURES,
    KeypointDataset,
    conversion,
    convert,
    load_mixture,
    merge,
    open_mixture,
    read,
)
from rtmpose.datasets.conversion_table import ALIASES, PEOPLE, conversions
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, load_skeleton, skeleton_names

# The mappings of the published body8, face6 and hand5 configurations (source, target), as plain
# numbers.
SEVENTEEN = [(i, i) for i in range(17)]
AIC = [
    (0, 6),
    (1, 8),
    (2, 10),
    (3, 5),
    (4, 7),
    (5, 9),
    (6, 12),
    (7, 14),
    (8, 16),
    (9, 11),
    (10, 13),
    (11, 15),
]
CROWDPOSE = [(i, i + 5) for i in range(12)]
MPII = [
    (0, 16),
    (1, 14),
    (2, 12),
    (3, 11),
    (4, 13),
    (5, 15),
    (10, 10),
    (11, 8),
    (12, 6),
    (13, 5),
    (14, 7),
    (15, 9),
]
JHMDB = [
    (3, 6),
    (4, 5),
    (5, 12),
    (6, 11),
    (7, 8),
    (8, 7),
    (9, 14),
    (10, 13),
    (11, 10),
    (12, 9),
    (13, 16),
    (14, 15),
]
POSETRACK = [(0, 0), *((i, i) for i in range(3, 17))]
JAW_68 = [(i, 2 * i) for i in range(17)]
BROWS_68 = [*((17 + i, 33 + i) for i in range(5)), *((22 + i, 42 + i) for i in range(5))]
NOSE_68 = [*((27 + i, 51 + i) for i in range(4)), *((31 + i, 58 + i) for i in range(5))]
EYES_68 = [
    (36, 66),
    (39, 70),
    ((37, 38), 68),
    ((40, 41), 72),
    (42, 75),
    (45, 79),
    ((43, 44), 77),
    ((46, 47), 81),
]
FACE_68 = [*JAW_68, *BROWS_68, *NOSE_68, *EYES_68, *((48 + i, 84 + i) for i in range(20))]
WFLW = [
    *((i, i) for i in range(55)),
    *((55 + i, 58 + i) for i in range(5)),
    *((60 + i, 66 + i) for i in range(8)),
    *((68 + i, 75 + i) for i in range(8)),
    *((76 + i, 84 + i) for i in range(20)),
    (96, 104),
    (97, 105),
]
COFW_BUT_EYES = [
    *((0, 33), (2, 38), (4, 35), (5, 40), (1, 46), (3, 50), (6, 44), (7, 48)),
    *(
        (18, 57),
        (19, 63),
        (20, 54),
        (21, 60),
        (22, 84),
        (23, 90),
        (24, 87),
        (25, 98),
        (26, 102),
        (27, 93),
        (28, 16),
    ),
]
RHD = [(0, 0), *((4 * f + i, 4 * f + 5 - i) for f in range(5) for i in range(1, 5))]
PUBLISHED = {
    ("aic14", "coco17"): AIC,
    ("crowdpose14", "coco17"): CROWDPOSE,
    ("mpii16", "coco17"): MPII,
    ("jhmdb15", "coco17"): JHMDB,
    ("halpe136", "coco17"): SEVENTEEN,
    ("ochuman", "coco17"): SEVENTEEN,
    ("posetrack18", "coco17"): POSETRACK,
    ("humanart21", "coco17"): SEVENTEEN,
    ("coco-wholebody133", "halpe26"): [
        *SEVENTEEN,
        (17, 20),
        (18, 22),
        (19, 24),
        (20, 21),
        (21, 23),
        (22, 25),
    ],
    ("aic14", "halpe26"): [*AIC, (12, 17), (13, 18)],
    ("crowdpose14", "halpe26"): [*CROWDPOSE, (12, 17), (13, 18)],
    ("mpii16", "halpe26"): [*MPII, (8, 18), (9, 17)],
    ("jhmdb15", "halpe26"): [*JHMDB, (0, 18), (2, 17)],
    ("halpe136", "halpe26"): [(i, i) for i in range(26)],
    ("ochuman", "halpe26"): SEVENTEEN,
    ("posetrack18", "halpe26"): [*POSETRACK, (2, 17)],
    ("300w68", "lapa106"): FACE_68,
    ("coco-wholebody133", "lapa106"): [
        ((s + 23 if isinstance(s, int) else (s[0] + 23, s[1] + 23)), t) for s, t in FACE_68
    ],
    ("halpe136", "lapa106"): [
        ((s + 26 if isinstance(s, int) else (s[0] + 26, s[1] + 26)), t) for s, t in FACE_68
    ],
    ("wflw98", "lapa106"): WFLW,
    ("rhd21", "hand21"): RHD,
}


def _pairs(published):
    return tuple(sorted((t, s if isinstance(s, tuple) else (s,)) for s, t in published))


@pytest.mark.parametrize("sets", PUBLISHED, ids="-".join)
def test_conversion_is_the_published_one(sets):
    assert conversion(*sets) == _pairs(PUBLISHED[sets])


def test_cofw_is_the_published_one_but_for_the_eyes():
    """The published configuration sends the eyes to numbers of WFLW: on the nose in LaPa."""
    found = conversion("cofw29", "lapa106")
    eyes = tuple((t, s) for t, s in found if 8 <= s[0] <= 17)
    assert tuple(p for p in found if p not in eyes) == _pairs(COFW_BUT_EYES)
    # Corners and lids of the eyes of LaPa, and the pupils.
    assert sorted(t for t, _ in eyes) == [66, 68, 70, 72, 75, 77, 79, 81, 104, 105]
    via_wflw = {s[0]: t for t, s in conversion("wflw98", "lapa106")}
    wflw_of_cofw = {8: 60, 10: 64, 12: 62, 13: 66, 9: 72, 11: 68, 14: 70, 15: 74, 16: 96, 17: 97}
    assert {s[0]: t for t, s in eyes} == {c: via_wflw[w] for c, w in wflw_of_cofw.items()}


@pytest.mark.parametrize("source", skeleton_names())
@pytest.mark.parametrize("target", skeleton_names())
def test_every_conversion_respects_left_and_right(source, target):
    """Mirroring and then converting is the same as converting and then mirroring."""
    try:
        found = conversions(source, target)
    except InputError:
        return
    a, b = get_skeleton(source), get_skeleton(target)
    by_part = {c.part: dict(c.indices(a.keypoints, b.keypoints)) for c in found}
    opposite = {"lefthand": "righthand", "righthand": "lefthand"}
    for part, pairs in by_part.items():
        mirrored = by_part[opposite.get(part, part)]
        assert len(pairs) == len(set(pairs))
        for t, sources in pairs.items():
            other = mirrored[b.flip_indices[t]]
            assert sorted(other) == sorted(a.flip_indices[s] for s in sources)


@pytest.mark.parametrize("source", PEOPLE)
def test_all_sets_of_people_reach_the_targets(source):
    assert len(conversion(source, "coco17")) >= 12
    assert len(conversion(source, "halpe26")) >= 12


def test_what_cannot_be_converted():
    for sets in (
        ("ap10k17", "coco17"),
        ("hand21", "coco17"),
        ("coco17", "hand21"),
        ("lapa106", "wflw98"),
    ):
        with pytest.raises(InputError, match="no conversion from"):
            conversion(*sets)
    with pytest.raises(InputError, match="holds 2 instances of hand21"):
        conversion("halpe136", "hand21")
    with pytest.raises(InputError, match="no keypoint set named"):
        conversion("coco18", "coco17")


def test_aliases_are_sets():
    assert set(ALIASES.values()) <= set(skeleton_names())
    assert not set(ALIASES) & set(skeleton_names())


def test_own_names_are_matched():
    assert conversion(("tail", "nose", "left_eye"), "coco17") == ((0, (1,)), (1, (2,)))
    with pytest.raises(InputError, match="points named tail, paw"):
        conversion(("tail", "paw"), "coco17")


def test_convert_keeps_what_it_does_not_change():
    content = coco_content(2, "mpii16")
    content["annotations"][0]["keypoints"][2] = 0
    content["annotations"][0]["extra"] = "kept"
    content["annotations"].append(
        {**content["annotations"][1], "id": 99, "keypoints": [], "num_keypoints": 0}
    )
    old = KeypointDataset.from_content(content, None, "a.json")
    new = convert(old, "halpe26")
    a = new.annotations[1][0]
    assert new.skeleton is get_skeleton("halpe26")
    assert new.content["categories"][0]["keypoints"] == list(get_skeleton("halpe26").keypoints)
    assert (a["id"], a["bbox"], a["extra"]) == (10, [5.0, 4.0, 30.0, 36.0], "kept")
    points, source = new.keypoints(1)[0], old.keypoints(1)[0]
    np.testing.assert_array_equal(points[16], 0)  # right ankle, not labeled
    np.testing.assert_array_equal(points[14], source[1])
    np.testing.assert_array_equal(points[[0, 1, 2, 19, 20]], 0)
    assert a["num_keypoints"] == 13
    assert [a["id"] for a in new.annotations[2]] == [20, 99]
    assert len(new.labeled(2)) == 1
    assert old.keypoint_names == get_skeleton("mpii16").keypoints


def test_middle_of_two_points_needs_both():
    content = coco_content(2, "300w68")
    content["categories"][0]["keypoints"] = list(get_skeleton("300w68").keypoints)
    first = content["annotations"][0]["keypoints"]
    first[3 * 37 : 3 * 39] = [10, 20, 2, 30, 50, 1]
    content["annotations"][1]["keypoints"][3 * 38 + 2] = 0
    new = convert(KeypointDataset.from_content(content, None, "a.json"), "lapa106")
    np.testing.assert_array_equal(new.keypoints(1)[0, 68], [20, 35, 1])
    np.testing.assert_array_equal(new.keypoints(2)[0, 68], 0)


def test_hands_and_faces_become_instances_of_their_own(tmp_path):
    content = coco_content(2, "coco-wholebody133")
    a, b = content["annotations"]
    a |= {"lefthand_box": [1, 2, 3, 4], "lefthand_valid": True, "face_box": [0, 0, 0, 0]}
    a["keypoints"][3 * 112 :] = [0] * 63
    for i in range(23, 91):
        b["keypoints"][3 * i + 2] = 0
    dataset = KeypointDataset.from_content(content, None, "a.json")
    hands = convert(dataset, "hand21")
    assert [len(hands.labeled(i)) for i in (1, 2)] == [1, 2]
    left = hands.annotations[1][0]
    assert (left["bbox"], left["hand_type"], left["source_id"]) == ([1, 2, 3, 4], "left", 10)
    np.testing.assert_array_equal(hands.keypoints(1)[0], dataset.keypoints(1)[0, 91:112])
    assert [x["id"] for i in (1, 2) for x in hands.annotations[i]] == [1, 2, 3]
    right = next(x for x in hands.annotations[2] if x["hand_type"] == "right")
    points = np.reshape(right["keypoints"], (21, 3))
    np.testing.assert_allclose(
        right["bbox"], [*points[:, :2].min(axis=0), *np.ptp(points[:, :2], axis=0)]
    )
    faces = convert(dataset, "lapa106")
    assert [len(faces.labeled(i)) for i in (1, 2)] == [1, 0]
    assert faces.annotations[1][0]["bbox"] != [0, 0, 0, 0]
    assert "face_box" not in faces.annotations[1][0]


def test_convert_to_own_points(tmp_path):
    toml = write(
        tmp_path / "arms.toml", 'name = "arms"\nkeypoints = ["right_wrist", "left_wrist", "tip"]\n'
    )
    dataset = KeypointDataset.from_content(coco_content(1), None, "a.json")
    new = convert(dataset, load_skeleton(toml))
    assert new.keypoint_names == ("right_wrist", "left_wrist", "tip")
    np.testing.assert_array_equal(new.keypoints(1)[0, :2], dataset.keypoints(1)[0, [10, 9]])
    np.testing.assert_array_equal(new.keypoints(1)[0, 2], 0)
    other = write(tmp_path / "paws.toml", 'name = "paws"\nkeypoints = ["paw"]\n')
    with pytest.raises(InputError, match="none of the points of paws"):
        convert(dataset, load_skeleton(other))
    content = coco_content(1)
    content["categories"][0]["keypoints"] = []
    with pytest.raises(InputError, match="does not say what its keypoints are"):
        convert(KeypointDataset.from_content(content, None, "a.json"), "halpe26")


# ---- mixtures
# ----------------------------------------------------------------------------------------------


def test_published_mixtures_are_complete():
    names = {m.name: [p.name for p in m.parts if not p.test_only] for m in MIXTURES.values()}
    assert set(names) == {"body8", "body8-halpe26", "face6", "hand5"}
    assert len(names["body8"]) == 7
    assert [p.name for p in MIXTURES["body8"].parts if p.test_only] == ["ochuman"]
    assert set(names["face6"]) == {"lapa", "coco-wholebody", "wflw", "300w", "cofw", "halpe"}
    assert set(names["hand5"]) == {"coco-wholebody", "onehand10k", "freihand", "rhd", "halpe"}
    assert all(p.weight == 1 for m in MIXTURES.values() for p in m.parts)


def test_mixtures_of_genuine_samples(shared):
    tasks = shared / "data" / "tasks"
    if not tasks.is_dir():
        pytest.skip("needs the samples of other tasks")
    body = tasks / "body_other"
    whole = tasks / "wholebody" / "coco" / "test_coco_wholebody.json"
    paths = {
        "coco": tasks / "wholebody" / "coco" / "test_coco.json",
        "coco-wholebody": whole,
        "halpe": body / "halpe" / "test_halpe.json",
        "posetrack18": body / "posetrack18" / "annotations" / "test_posetrack18_val.json",
        "jhmdb": body / "jhmdb" / "test_jhmdb_sub1.json",
        **{n: body / n / f"test_{n}.json" for n in ("aic", "crowdpose", "mpii", "ochuman")},
        **{n: tasks / "face" / n / f"test_{n}.json" for n in ("lapa", "wflw", "300w", "cofw")},
        **{n: tasks / "hand" / n / f"test_{n}.json" for n in ("onehand10k", "freihand", "rhd")},
    }
    for name, instances in (("body8", 59), ("body8-halpe26", 59)):
        assert len(open_mixture(name, tasks, paths=paths, training=False)) == 8
        parts = open_mixture(name, tasks, paths=paths)
        assert [w for _, w in parts] == [1.0] * 7
        merged = merge([d for d, _ in parts])
        assert sum(len(merged.labeled(i)) for i in merged.images) == instances
        assert merged.skeleton is get_skeleton(MIXTURES[name].target)
    faces = merge([d for d, _ in open_mixture("face6", tasks, paths=paths)])
    hands = merge([d for d, _ in open_mixture("hand5", tasks, paths=paths)])
    for dataset, k in ((faces, 106), (hands, 21)):
        points = np.concatenate([dataset.keypoints(i) for i in dataset.images])
        assert len(points) > 20
        assert points.shape[1] == k
        ids = [a["id"] for rows in dataset.annotations.values() for a in rows]
        assert len(set(ids)) == len(ids)


def test_own_mixture(tmp_path):
    coco_folder(tmp_path / "first", 2)
    coco_folder(tmp_path / "second", 3, "mpii16", seed=7)
    for image in (tmp_path / "second" / "annotations.json",):
        content = json.loads(image.read_text())
        content["info"] = {"rtmpose_keypoint_set": "mpii16"}
        write(image, content)
    text = """
        target = "halpe26"
        [[data]]
        path = "first"
        [[data]]
        path = "second/annotations.json"
        weight = 0.5
        name = "mpii"
    """
    mixture, folder = load_mixture(write(tmp_path / "mix.toml", text))
    parts = open_mixture(mixture, folder)
    assert [(len(d.images), w) for d, w in parts] == [(2, 1.0), (3, 0.5)]
    merged = merge([d for d, _ in parts])
    assert list(merged.images) == [1, 2, 3, 4, 5]
    assert all(p.is_file() for p in merged.images.values())
    assert [a["id"] for i in merged.images for a in merged.labeled(i)] == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(merged.keypoints(3), parts[1][0].keypoints(1))


def test_mixtures_that_do_not_work(tmp_path):
    with pytest.raises(InputError, match="'target' is missing"):
        load_mixture(write(tmp_path / "a.toml", "[[data]]\npath = 'x'"))
    with pytest.raises(InputError, match="no wieght"):
        load_mixture(
            write(tmp_path / "b.toml", "target = 'coco17'\n[[data]]\npath = 'x'\nwieght = 2")
        )
    with pytest.raises(InputError, match="above 0"):
        load_mixture(
            write(tmp_path / "c.toml", "target = 'coco17'\n[[data]]\npath = 'x'\nweight = 0")
        )
    with pytest.raises(InputError, match="no mixture 'body9'"):
        open_mixture("body9", tmp_path)
    with pytest.raises(InputError, match="none of the sets of body8"):
        open_mixture("body8", tmp_path, skip_missing=True)
    with pytest.raises(InputError, match="does not exist"):
        open_mixture("body8", tmp_path)
    with pytest.raises(InputError, match="nothing to merge"):
        merge([])
    one, two = (
        KeypointDataset.from_content(coco_content(1, s), None, "a.json")
        for s in ("coco17", "mpii16")
    )
    with pytest.raises(InputError, match="convert them first"):
        merge([one, two])


def test_reading_a_converted_set_again(tmp_path):
    write_image(tmp_path / "images" / "1.png")
    content = coco_content(1, "jhmdb15")
    content["annotations"][0]["keypoints"] = person(15, seed=4)
    dataset = read(write(tmp_path / "a.json", content))
    again = convert(convert(dataset, "halpe26"), "jhmdb15")
    np.testing.assert_allclose(again.keypoints(1)[0, 3:], dataset.keypoints(1)[0, 3:], rtol=1e-6)
