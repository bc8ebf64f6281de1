"""Round trips, and genuine samples of the published sets."""

import numpy as np
import pytest
from annotated import coco_content, coco_folder, write

from rtmpose.datasets import FORMATS, read
from rtmpose.datasets.coco import save_coco
from rtmpose.datasets.formats import detect_format
from rtmpose.skeletons import get_skeleton


@pytest.mark.parametrize("skeleton", ["coco17", "jhmdb15", "rhd21", "wflw98", "humanart21"])
def test_what_is_written_is_read_again(tmp_path, skeleton):
    """Also where the format has its own conventions: pixels from 1, boxes from center and scale."""
    content = coco_content(2, skeleton)
    content["annotations"][0] |= {"center": [30.5, 20.0], "scale": 0.2}
    first = read(write(tmp_path / "a.json", content))
    save_coco(first, tmp_path / "deep" / "out.json")
    again = read(tmp_path / "deep" / "out.json")
    assert again.skeleton is first.skeleton is get_skeleton(skeleton)
    for i in first.images:
        np.testing.assert_array_equal(again.keypoints(i), first.keypoints(i))
        np.testing.assert_array_equal(again.boxes(i), first.boxes(i))
        assert again.images[i].name == first.images[i].name


def test_written_file_names_lead_to_the_pictures(tmp_path):
    dataset = read(coco_folder(tmp_path / "set"))
    save_coco(dataset, tmp_path / "elsewhere" / "out.json")
    text = (tmp_path / "elsewhere" / "out.json").read_text()
    assert str(tmp_path) not in text
    assert all(p.is_file() for p in read(tmp_path / "elsewhere" / "out.json").images.values())


# File, format, keypoint set, instances with keypoints, images that are there.
SAMPLES = [
    ("wholebody/coco/test_coco.json", "coco", "coco17", 12, 4),
    ("wholebody/coco/test_coco_wholebody.json", "coco-wholebody", "coco-wholebody133", 12, 4),
    (
        "wholebody/coco/test_keypoint_partition_metric.json",
        "coco-wholebody",
        "coco-wholebody133",
        12,
        4,
    ),
    (
        "wholebody/coco_wholebody_example/coco_wholebody.json",
        "coco-wholebody",
        "coco-wholebody133",
        24,
        5,
    ),
    ("body_other/halpe/test_halpe.json", "halpe", "halpe136", 12, 0),
    ("body_other/aic/test_aic.json", "aic", "aic14", 9, 3),
    ("body_other/crowdpose/test_crowdpose.json", "crowdpose", "crowdpose14", 4, 2),
    ("body_other/mpii/test_mpii.json", "mpii", "mpii16", 5, 5),
    ("body_other/jhmdb/test_jhmdb_sub1.json", "jhmdb", "jhmdb15", 3, 3),
    (
        "body_other/posetrack18/annotations/test_posetrack18_val.json",
        "posetrack18",
        "posetrack18",
        14,
        3,
    ),
    ("body_other/ochuman/test_ochuman.json", "coco", "coco17", 5, 3),
    ("body_other/humanart/test_humanart.json", "humanart", "coco17", 4, 1),
    ("animal/ap10k/test_ap10k.json", "ap10k", "ap10k17", 2, 2),
    ("animal/openfield_mouse/keypoints.json", "coco", "mouse", 116, 116),
    ("face/lapa/test_lapa.json", "lapa", "lapa106", 2, 2),
    ("face/wflw/test_wflw.json", "wflw", "wflw98", 4, 2),
    ("face/300w/test_300w.json", "300w", "300w68", 2, 2),
    ("face/cofw/test_cofw.json", "cofw", "cofw29", 2, 2),
    ("face/aflw/test_aflw.json", "aflw", "aflw19", 2, 2),
    ("hand/freihand/test_freihand.json", "freihand", "hand21", 8, 8),
    ("hand/onehand10k/test_onehand10k.json", "coco", "hand21", 4, 4),
    ("hand/panoptic/test_panoptic.json", "coco", "hand21", 4, 4),
    ("hand/rhd/test_rhd.json", "rhd", "rhd21", 3, 3),
]


@pytest.fixture(scope="session")
def tasks(shared):
    folder = shared / "data" / "tasks"
    if not folder.is_dir():
        pytest.skip("needs the samples of other tasks")
    return folder


@pytest.mark.parametrize(("file", "format", "skeleton", "labeled", "images"), SAMPLES)
def test_genuine_sample(tasks, file, format, skeleton, labeled, images):
    assert detect_format(tasks / file).format == format
    dataset = read(tasks / file)
    assert dataset.skeleton is not None
    assert dataset.skeleton.name == skeleton
    assert sum(p.is_file() for p in dataset.images.values()) == images
    assert sum(len(dataset.labeled(i)) for i in dataset.images) == labeled
    for i in dataset.images:
        points, boxes = dataset.keypoints(i), dataset.boxes(i)
        assert points.shape[1:] == (len(dataset.skeleton), 3) or not len(points)
        for row, box in zip(points, boxes, strict=True):
            seen = row[row[:, 2] > 0, :2]
            inside = (
                (seen >= box[:2] - 0.3 * np.ptp(box)) & (seen <= box[2:] + 0.3 * np.ptp(box))
            ).all(axis=1)
            assert inside.mean() > 0.9


def test_genuine_numbers(tasks):
    """A few values, read off the files."""

    def points(file, **options):
        dataset = read(tasks / file, **options)
        return dataset.annotations, dataset

    jhmdb, _ = points("body_other/jhmdb/test_jhmdb_sub1.json")
    np.testing.assert_allclose(jhmdb[2280001][0]["keypoints"][:3], [97.851746, 91.59851, 2])
    assert jhmdb[2280001][0]["bbox"] == [78, 61, 54, 159]
    mpii, dataset = points("body_other/mpii/test_mpii.json")
    assert mpii[1][0]["keypoints"][:3] == [803, 710, 2]
    side = 200 * 4.718488
    np.testing.assert_allclose(
        mpii[1][0]["bbox"], [965 - side / 2, 339 + 15 * 4.718488 - side / 2, side, side], atol=1e-3
    )
    assert dataset.images[1].name == "005808361.jpg"
    wflw, _ = points("face/wflw/test_wflw.json")
    assert wflw[2][0]["bbox"] == [440, 122, 85, 85]
    freihand, _ = points("hand/freihand/test_freihand.json")
    assert freihand[17620][0]["bbox"] == [0, 0, 224, 224]
    rhd, dataset = points("hand/rhd/test_rhd.json")
    assert dataset.keypoint_names[1] == "thumb4"
    assert rhd[111][0]["keypoints"][:3] == pytest.approx([245.8, 73.98, 1], abs=0.01)
    aic, _ = points("body_other/aic/test_aic.json")
    assert aic[1][0]["keypoints"][:6] == [313, 201, 2, 312, 313, 1]
    halpe, _ = points("body_other/halpe/test_halpe.json")
    assert halpe[785][0]["num_keypoints"] == 17  # as the file says
    onehand, dataset = points("hand/onehand10k/test_onehand10k.json")
    assert onehand[9][0]["keypoints"][:6] == [0, 0, 0, 81, 251, 1]


def test_posetrack_folder_of_the_publisher(tasks):
    dataset = read(tasks / "body_other" / "posetrack18" / "annotations" / "val")
    one = read(tasks / "body_other" / "posetrack18" / "annotations" / "test_posetrack18_val.json")
    assert set(dataset.images) == set(one.images)
    assert all(p.is_file() for p in dataset.images.values())
    for i in one.images:
        np.testing.assert_array_equal(dataset.keypoints(i), one.keypoints(i))


def test_formats_are_described():
    assert all(text and not text.endswith(".") for text in FORMATS.values())
