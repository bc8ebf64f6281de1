"""What pose training reads: bad annotations and images, the part held out, the order of samples."""

import gc
import json
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from pose_recipe import RECIPE  # noqa: E402

from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.skeletons import get_skeleton  # noqa: E402
from rtmpose.sources import read_image  # noqa: E402
from rtmpose.training import override  # noqa: E402
from rtmpose.training.data.images import image_key, read_image_or_none, validation_mask  # noqa: E402
from rtmpose.training.data.pose_samples import match_keypoints, read_samples  # noqa: E402
from rtmpose.training.data.prefetch import PrefetchLoader  # noqa: E402
from rtmpose.training.pose.task import PoseTask  # noqa: E402


def damaged(folder, change):
    trainable.write_set(folder)
    content = json.loads((folder / "keypoints.json").read_text())
    change(content)
    (folder / "keypoints.json").write_text(json.dumps(content))
    return KeypointDataset.load(folder)


def test_bad_annotations_are_left_out_with_a_warning(tmp_path, caplog):
    def change(content):
        rows = content["annotations"]
        rows[0]["bbox"] = [10, 10, 0, 20]
        rows[1]["bbox"] = [float("nan"), 0, 10, 10]
        rows[2]["keypoints"][0] = float("nan")
        rows[3]["keypoints"], rows[3]["num_keypoints"] = [0] * 9, 0
        rows[4]["iscrowd"] = 1

    whole = damaged(tmp_path / "set", lambda _: None)
    content = json.loads((tmp_path / "set" / "keypoints.json").read_text())
    change(content)
    rows = {i: [a for a in content["annotations"] if a["image_id"] == i] for i in whole.images}
    dataset = KeypointDataset(whole.path, content, whole.images, rows, trainable.NAMES)
    samples, keys = read_samples(dataset, trainable.SKELETON)
    assert len(samples) == len(keys) == 24 - 5
    assert "left out" in caplog.text
    assert all(np.isfinite(s.points).all() and np.isfinite(s.box).all() for s in samples)
    # As the reader hands it over, perhaps repaired.
    samples, _ = read_samples(damaged(tmp_path / "read", change), trainable.SKELETON)
    assert len(samples) >= 24 - 5
    assert all(np.isfinite(s.points).all() and (s.box[2:] > s.box[:2]).all() for s in samples)


def test_few_missing_images_are_a_warning_many_an_error(tmp_path, caplog):
    dataset = damaged(tmp_path / "set", lambda _: None)
    dataset.images[1].unlink()
    assert len(read_samples(dataset, trainable.SKELETON)[0]) == 23
    assert "1 of 24 images are missing" in caplog.text
    for i in range(2, 6):
        dataset.images[i].unlink()
    with pytest.raises(InputError, match="5 of 24 images are missing"):
        read_samples(dataset, trainable.SKELETON)


def test_corrupt_images_do_not_count(tmp_path, caplog):
    folder = trainable.write_set(tmp_path / "set")
    (folder / "images" / "3.png").write_bytes(b"not an image")
    (folder / "images" / "4.png").write_bytes(b"")
    task = trainable.task(folder, override(RECIPE, val_fraction=0, batch_size=24))
    (batch,) = list(task.batches(0, 0, 0, 1))
    assert int((batch["points"][..., 2].sum(dim=1) == 0).sum()) == 2
    assert "missing or damaged" in caplog.text
    assert torch.isfinite(task.losses(task.network, batch)["labels"])


def test_when_most_images_are_corrupt_training_stops(tmp_path):
    folder = trainable.write_set(tmp_path / "set")
    for i in range(1, 16):
        (folder / "images" / f"{i}.png").write_bytes(b"x")
    task = trainable.task(folder, override(RECIPE, val_fraction=0, batch_size=24, workers=2))
    with pytest.raises(InputError, match="cannot be read"):
        list(task.batches(0, 0, 0, 1))


@pytest.mark.parametrize("kind", ["deep.png", "flat.png", "a.gif", "a.tiff", "a.webp"])
def test_images_are_read_as_everywhere_else(tmp_path, kind):
    """Trainings see the pixels that `eval` and `predict` see."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    path = tmp_path / kind
    if kind == "deep.png":  # 12 bits in 16, as microscopes and depth cameras write them
        cv2.imwrite(str(path), pixels.astype(np.uint16) * 16)
    else:
        Image.fromarray(pixels).save(path)
    ours = read_image_or_none(path)
    np.testing.assert_array_equal(ours, read_image(path))
    assert ours.mean() > 100


def test_sets_without_a_common_point_or_too_small(dots, tmp_path):
    dataset = damaged(
        tmp_path / "a", lambda c: c["categories"][0].update(keypoints=["elbow_of_nobody", "x", "y"])
    )
    with pytest.raises(InputError, match="none of its keypoints"):
        read_samples(dataset, trainable.SKELETON)
    dataset = damaged(
        tmp_path / "b", lambda c: [a.update(num_keypoints=0) for a in c["annotations"]]
    )
    with pytest.raises(InputError, match="no annotation with keypoints"):
        read_samples(dataset, trainable.SKELETON)
    with pytest.raises(InputError, match="do not fill one batch"):
        trainable.task(dots, override(RECIPE, batch_size=200))


def test_a_class_of_one_image(tmp_path):
    folder = trainable.write_set(tmp_path / "set", n=1)
    task = trainable.task(folder, override(RECIPE, val_fraction=0, batch_size=1))
    assert len(list(task.batches(0, 0, 0, 1))) == 1
    assert task.evaluate(task.network.eval()) == {}


def test_names_match_across_sets():
    pairs = match_keypoints(("nose", "head_top", "unknown", "hip_center"), get_skeleton("halpe26"))
    assert pairs == [(0, 0), (17, 1), (19, 3)]


def test_the_split_is_by_image_and_fixed():
    keys = [f"image{i // 2}" for i in range(400)]
    out = validation_mask(keys, 0.1)
    assert (out[::2] == out[1::2]).all()
    assert 0.03 < out.mean() < 0.2
    assert (validation_mask(keys, 0.2) >= out).all()


def test_an_image_is_kept_out_of_all_sets_that_have_it():
    same = [
        {"file_name": "000000000139.jpg"},
        {"file_name": "val2017/000000000139.jpg"},
        {"file_name": "val_139_0.jpg", "coco_image_id": 139},
    ]
    assert {image_key(image) for image in same} == {"coco_image_id:139"}
    assert image_key({"file_name": "139.jpg"}) == "139.jpg"
    assert image_key({"file_name": "a.jpg", "source_image": "b.jpg"}) == "source_image:b.jpg"


def test_ranks_share_the_batches_of_one_process(dots):
    recipe = override(RECIPE, val_fraction=0)
    alone = trainable.task(dots, override(recipe, batch_size=8))
    whole = [b["images"] for b in alone.batches(3, 5, 0, 1)]
    parts = []
    for rank in range(2):
        task = trainable.task(dots, recipe)
        parts.append([b["images"] for b in task.batches(3, 5, rank, 2)])
    assert len(whole) == len(parts[0]) == len(parts[1]) == 3
    for a, b, c in zip(whole, *parts, strict=True):
        assert torch.equal(a, torch.cat([b, c]))


def test_shares_of_a_mixture(dots):
    recipe = override(RECIPE, val_fraction=0)
    dataset = KeypointDataset.load(dots)

    task = PoseTask(
        trainable.network(),
        trainable.card(),
        trainable.SKELETON,
        [dataset, dataset],
        recipe,
        shares=(1.5, 0.25),
    )
    order = task._order(0)
    assert (order < 24).sum() == 36
    assert (order >= 24).sum() == 6
    assert set(order[order < 24]) == set(range(24))
    assert not np.array_equal(np.sort(order), np.sort(task._order(1)))


def test_skipping_batches_gives_the_same_ones(dots):
    task = trainable.task(dots, override(RECIPE, workers=2))
    every = [b["points"] for b in task.batches(1, 0, 0, 1)]
    some = task.batches(1, 0, 0, 1)
    some.skip(2)
    rest = [b["points"] for b in some]
    assert len(rest) == len(every) - 2
    assert all(torch.equal(a, b) for a, b in zip(every[2:], rest, strict=True))


def test_what_was_left_half_way_may_be_cleared_away_by_its_own_thread():
    """The garbage collector runs in whatever thread it likes."""
    dropped, collected = threading.Event(), threading.Event()

    def make(number):
        if number == 1:
            dropped.wait(10)
            gc.collect()
            collected.set()
        return number

    holder = {"iterator": iter(PrefetchLoader(make, 20, 1))}
    holder["itself"] = holder
    assert next(holder["iterator"]) == 0
    del holder
    dropped.set()
    assert collected.wait(10)
