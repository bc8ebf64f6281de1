"""Targets, losses, augmentation, distillation and data of pose training."""

import gc
import json
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402

from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.model_card import Codec  # noqa: E402
from rtmpose.networks.load import to_tensor  # noqa: E402
from rtmpose.ops import heatmap, simcc  # noqa: E402
from rtmpose.skeletons import get_skeleton  # noqa: E402
from rtmpose.training import Distillation, Recipe, override  # noqa: E402
from rtmpose.training.data.augment import (  # noqa: E402
    NO_AUGMENTATION,
    Augmentation,
    BodyHalves,
    change_pixels,
    crop_transform,
    transform_points,
)
from rtmpose.training.data.images import image_key, validation_mask  # noqa: E402
from rtmpose.training.data.pose_samples import match_keypoints, read_samples  # noqa: E402
from rtmpose.training.data.prefetch import PrefetchLoader  # noqa: E402
from rtmpose.training.ema import MovingAverage  # noqa: E402
from rtmpose.training.optim import make_optimizer  # noqa: E402
from rtmpose.training.pose import losses as loss  # noqa: E402
from rtmpose.training.pose.distill import TorchTeacher, flip_averaged, normalize  # noqa: E402
from rtmpose.training.pose.feature_distill import FeatureLoss  # noqa: E402
from rtmpose.training.pose.metrics import average_precision  # noqa: E402
from rtmpose.training.pose.task import PoseTask  # noqa: E402

RECIPE = override(
    Recipe("r"),
    epochs=1,
    batch_size=4,
    precision="fp32",
    val_fraction=0.2,
    reference_batch_size=4,
    workers=0,
    bn_mode="frozen",
)


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    return trainable.write_set(tmp_path_factory.mktemp("dots") / "set")


@pytest.fixture(scope="module")
def ops(golden):
    return lambda name: np.load(golden / "ops" / f"{name}.npz")


def tensor(array):
    return torch.from_numpy(np.asarray(array))


# --- equality with the originals


@pytest.mark.parametrize(
    ("name", "beta", "softmax"),
    [("kl_rtmpose", 10.0, True), ("kl_plain", 1.0, False)],
    ids=["rtmpose", "plain"],
)
def test_simcc_loss_and_gradient_are_the_originals(ops, name, beta, softmax):
    z = ops("losses")
    x, y = tensor(z["pred_x"]).requires_grad_(), tensor(z["pred_y"])
    weight = tensor(z["weight"]) if softmax else None
    value = loss.kl_discrete(
        (x, y), (tensor(z["gt_x"]), tensor(z["gt_y"])), weight, beta=beta, label_softmax=softmax
    )
    value.backward()
    assert value.item() == pytest.approx(float(z[name]), rel=1e-5)
    np.testing.assert_allclose(x.grad[:1].numpy(), z[f"{name}_grad_x"], atol=1e-7)


def test_masked_simcc_loss_is_the_original(ops):
    """RTMW's: beta 1, some points (here the first five) count half."""
    z = ops("losses")
    x = tensor(z["pred_x"]).requires_grad_()
    weight = tensor(z["weight"]) * torch.where(torch.arange(17) < 5, 0.5, 1.0)
    value = loss.kl_discrete(
        (x, tensor(z["pred_y"])), (tensor(z["gt_x"]), tensor(z["gt_y"])), weight, beta=1.0
    )
    value.backward()
    assert value.item() == pytest.approx(float(z["kl_masked"]), rel=1e-5)
    np.testing.assert_allclose(x.grad[:1].numpy(), z["kl_masked_grad_x"], atol=1e-7)


def test_half_points_of_the_recipe(dots):
    task = trainable.task(dots, override(RECIPE, half_weight_keypoints=(1, 3)))
    batch = next(iter(task.batches(0, 0, 0, 1)))
    halved = task.losses(task.network.eval(), batch)["labels"].item()
    batch["points"][:, 1:3, 2] /= 2
    task.recipe = RECIPE
    assert task.losses(task.network, batch)["labels"].item() == pytest.approx(halved, rel=1e-5)


def test_heatmap_loss_is_the_original(ops):
    z = ops("losses")

    def rng(text, shape):
        import zlib

        return np.random.default_rng(zlib.crc32(text.encode())).random(shape).astype(np.float32)

    if "rng(" not in str(z["mse_seed_note"]):
        pytest.skip("the note on the inputs has changed")
    p, g, w = (
        tensor(rng(f"mse:{k}", s))
        for k, s in (("p", (2, 17, 64, 48)), ("g", (2, 17, 64, 48)), ("w", (2, 17)))
    )
    assert loss.keypoint_mse(p, g, None).item() == pytest.approx(float(z["mse_plain"]), rel=1e-5)
    assert loss.keypoint_mse(p, g, w).item() == pytest.approx(float(z["mse_weighted"]), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "wh"), [("coco", (192, 256)), ("sq", (256, 256)), ("big", (288, 384))]
)
def test_simcc_targets_are_the_originals(ops, golden, name, wh):
    z = ops("simcc")
    note = json.loads((golden / "ops" / "index.json").read_text())["simcc"]["note"][name]
    codec = Codec("simcc", note["simcc_split_ratio"], tuple(note["sigma"]))
    (x, y), weights = loss.simcc_targets(
        tensor(z[f"{name}/keypoints"]), tensor(z[f"{name}/visible"]), codec, wh
    )
    np.testing.assert_allclose(x.numpy(), z[f"{name}/x"], atol=1e-5)
    np.testing.assert_allclose(y.numpy(), z[f"{name}/y"], atol=1e-5)
    np.testing.assert_array_equal(weights.numpy(), z[f"{name}/weights"])


def test_heatmap_targets_are_the_originals(ops):
    z = ops("udp")
    codec = Codec("heatmap", sigma=(2.0,), heatmap_wh=(48, 64))
    maps, weights = loss.heatmap_targets(
        tensor(z["keypoints"]), tensor(z["visible"]), codec, (192, 256)
    )
    np.testing.assert_allclose(maps[0].numpy(), z["gauss/heatmaps"], atol=1e-5)
    np.testing.assert_array_equal(weights.numpy(), z["gauss/weights"])


def test_targets_on_the_device_are_those_of_the_runtime():
    rng = np.random.default_rng(0)
    points = rng.uniform(-60, 300, (8, 5, 2)).astype(np.float32)
    visible = (rng.random((8, 5)) < 0.7).astype(np.float32)
    codec = Codec("simcc", 2.0, (4.9, 5.66))
    (x, y), weights = loss.simcc_targets(tensor(points), tensor(visible), codec, (192, 256))
    for ours, theirs in zip(
        (x, y, weights), simcc.encode(points, visible, (192, 256)), strict=True
    ):
        seen = weights.numpy() > 0
        np.testing.assert_allclose(ours.numpy()[seen], theirs[seen], atol=1e-5)
    udp = Codec("heatmap", sigma=(2.0,), heatmap_wh=(48, 64))
    maps, kept = loss.heatmap_targets(tensor(points), tensor(visible), udp, (192, 256))
    theirs, weights = heatmap.encode(points, visible, (192, 256), (48, 64))
    np.testing.assert_allclose(maps.numpy(), theirs, atol=1e-5)
    np.testing.assert_array_equal(kept.numpy(), weights)


def test_one_step_is_the_optimizer_written_out(dots):
    """Loss, gradient, clipping, decoupled decay and averaging against the papers' formulas."""
    recipe = override(RECIPE, weight_decay=0.05, lr=1e-3)
    task = trainable.task(dots, recipe)
    network = task.network.eval()
    average = MovingAverage(network, 2e-4, 2000)
    average.update(network)
    optimizer = make_optimizer([network], recipe, 1e-3)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    batch = next(iter(task.batches(0, 0, 0, 1)))
    task.losses(network, batch)["labels"].backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 35)
    grads = {n: p.grad.double() for n, p in network.named_parameters()}
    assert norm.item() == pytest.approx(
        sum((p.grad**2).sum().item() for p in network.parameters()) ** 0.5, rel=1e-3
    )
    optimizer.step()
    average.update(network)
    share = (1 - 2e-4) * np.exp(-2 / 2000) + 2e-4
    means = dict(average.network.named_parameters())
    for name, parameter in network.named_parameters():
        decay = 0.0 if name.endswith(".bias") or ".bn." in name else 0.05
        g = grads[name]
        expected = before[name].double() * (1 - 1e-3 * decay) - 1e-3 * g / (g.abs() + 1e-8)
        np.testing.assert_allclose(parameter.detach().numpy(), expected.numpy(), atol=1e-5)
        mean = before[name].double() + share * (expected - before[name].double())
        np.testing.assert_allclose(means[name].numpy(), mean.numpy(), atol=1e-5)


# --- augmentation


def test_points_follow_the_pixels():
    """A bright dot in the image is where its transformed point says, for turns, scales, shifts and
    mirror images.
    """
    rng = np.random.default_rng(4)
    skeleton = get_skeleton("coco17")
    image = np.zeros((200, 160, 3), np.uint8)
    spot = np.array([90.0, 70.0])
    cv2.circle(image, (90, 70), 3, (255, 255, 255), -1)
    points = np.zeros((17, 3), np.float32)
    points[5] = (*spot, 1)
    box = np.array([40, 20, 130, 180], np.float32)
    mirrored = 0
    for _ in range(20):
        matrix, flipped = crop_transform(
            rng, Augmentation(half_body=0), box, points, (96, 128), BodyHalves.of(skeleton)
        )
        mirrored += flipped
        moved = transform_points(points, matrix, flipped, np.array(skeleton.flip_indices))
        where = 6 if flipped else 5
        assert moved[where, 2] == 1
        assert moved[5 + 6 - where, 2] == 0
        crop = cv2.warpAffine(image, matrix, (96, 128))
        x, y = moved[where, :2]
        if 4 < x < 92 and 4 < y < 124:
            ys, xs = np.nonzero(crop[..., 0] > 100)
            assert abs(xs.mean() - x) < 1
            assert abs(ys.mean() - y) < 1
    assert 3 < mirrored < 17


@pytest.mark.parametrize("udp", [False, True])
def test_without_augmentation_the_crop_is_the_runtimes(udp):
    from rtmpose.ops.crop import crop_people

    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (100, 120, 3), np.uint8)
    box = np.array([20, 10, 80, 90], np.float32)
    points = np.zeros((17, 3), np.float32)
    matrix, flipped = crop_transform(
        rng, NO_AUGMENTATION, box, points, (48, 64), BodyHalves.of(get_skeleton("coco17")), udp=udp
    )
    assert not flipped
    np.testing.assert_allclose(matrix, crop_people(image, box[None], (48, 64), udp=udp)[1][0])


def test_half_bodies_are_cut_out():
    skeleton = get_skeleton("coco17")
    halves = BodyHalves.of(skeleton)
    assert [skeleton.keypoints[i] for i in halves.lower][:2] == ["left_hip", "right_hip"]
    points = np.ones((17, 3), np.float32)
    points[:, 0], points[:, 1] = np.tile([60, 70], 9)[:17], np.linspace(20, 180, 17)
    rng, tall = np.random.default_rng(1), 0
    augmentation = replace(NO_AUGMENTATION, half_body=1.0)
    heights = []
    for _ in range(20):
        matrix, _ = crop_transform(
            rng, augmentation, np.array([40, 10, 90, 190], np.float32), points, (48, 64), halves
        )
        heights.append(64 / matrix[1, 1])
        tall += heights[-1] > 200
    assert not tall
    assert len({round(h) for h in heights}) == 2


@pytest.mark.parametrize("color", ["hsv", "photometric", "none"])
def test_colors_change_pixels_in_place_and_nothing_else(color):
    crop = np.full((32, 24, 3), (40, 90, 160), np.uint8)
    changed = 0
    for seed in range(10):
        out = crop.copy()
        change_pixels(np.random.default_rng(seed), replace(NO_AUGMENTATION, color=color), out)
        assert out.shape == crop.shape
        changed += bool((out != crop).any())
        assert np.ptp(out.reshape(-1, 3), axis=0).max() == 0
    assert (changed == 0) == (color == "none")


def test_dropout_and_blur():
    crop = np.random.default_rng(0).integers(1, 255, (64, 48, 3), np.uint8)
    out = crop.copy()
    change_pixels(np.random.default_rng(0), replace(NO_AUGMENTATION, dropout=1.0), out)
    gone = (out == 0).all(axis=2).mean()
    assert 0.2 * 0.2 * 0.9 < gone < 0.4 * 0.4
    out = crop.copy()
    change_pixels(np.random.default_rng(0), replace(NO_AUGMENTATION, blur=1.0), out)
    assert out.std() < crop.std()


def test_the_second_stage_has_its_own_augmentation(dots):
    recipe = override(
        RECIPE,
        epochs=4,
        augment=Augmentation(dropout=1),
        late_augment=NO_AUGMENTATION,
        late_epochs=1,
    )
    task = trainable.task(dots, recipe)
    black = [
        float((next(iter(task.batches(epoch, 0, 0, 1)))["images"] == 0).all(dim=3).float().mean())
        for epoch in (2, 3)
    ]
    assert black[0] > 0.02 > black[1]


# --- distillation


def test_normalization_is_that_of_the_runtime():
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    card = trainable.card()
    ours = normalize(torch.from_numpy(images), card)
    assert torch.equal(ours, to_tensor(images, card.normalization))
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_a_teacher_that_is_the_student_teaches_nothing(dots):
    recipe = override(RECIPE, distill=Distillation(logits=1, flip_average=False), label_weight=0)
    twin = TorchTeacher(trainable.network(), trainable.card(), None)
    task = trainable.task(dots, recipe, teacher=twin)
    batch = next(iter(task.batches(0, 0, 0, 1)))
    found = task.losses(task.network.eval(), batch)
    assert list(found) == ["logits"]
    assert found["logits"].item() == pytest.approx(0, abs=1e-6)


def test_flip_average_agrees_for_a_symmetric_teacher():
    """A teacher that points at the brightest column: its answer for the mirror image, turned back,
    is the same bin.
    """
    card = trainable.card()

    def teacher(images):
        n = len(images)
        columns = images.float().amax(dim=(1, 3))
        x = torch.zeros(n, 3, 128)
        x[torch.arange(n), :, columns.argmax(1) * 2] = 1.0
        return x, torch.zeros(n, 3, 128)

    images = torch.zeros(2, *card.input_wh[::-1], 3, dtype=torch.uint8)
    images[0, 10, 20], images[1, 10, 50] = 255, 255
    x, _ = flip_averaged(teacher, images, trainable.SKELETON.flip_indices)
    assert x[0, 0].argmax() == 40
    assert x[1, 0].argmax() == 100
    assert x.max() == 1.0


def test_features_and_stored_points_are_learned_from(dots, tmp_path):
    content = json.loads((dots / "keypoints.json").read_text())
    content["categories"][0]["keypoints26_names"] = list(trainable.NAMES)
    for a in content["annotations"]:
        points = np.array(a["keypoints"]).reshape(-1, 3)
        points[:, 2] = (0.9, 0.5, 0.1)
        a["keypoints26"] = points.ravel().tolist()
        a["label_source"] = "teacher"
    (tmp_path / "images").symlink_to(dots / "images")
    (tmp_path / "keypoints.json").write_text(json.dumps(content))
    distill = Distillation(features=0.5, points=1.0, min_point_score=0.3, decay_to_zero=True)
    recipe = override(RECIPE, distill=distill, pseudo_labels=False, augment=NO_AUGMENTATION)
    task = trainable.task(
        tmp_path, recipe, teacher=TorchTeacher(trainable.network(), trainable.card(), None)
    )
    assert not task.validation
    assert task.auxiliary is not None
    batch = next(iter(task.batches(0, 0, 0, 1)))
    found = task.losses(task.network.eval(), batch)
    assert found["labels"].item() == 0
    assert found["points"].item() > 0
    assert found["features"].item() > 0
    batch["teacher"][:, 2] = 0
    assert (
        task.losses(task.network, batch)["points"] == found["points"]
    )  # its score is too low to count
    task.begin_step(0.75)
    assert task.losses(task.network, batch)["points"].item() == pytest.approx(
        found["points"].item() / 4, rel=1e-4
    )


def test_maps_are_compared_from_the_best_linear_guess_on():
    """The convolutions are fitted before the training: what is linear in the student's maps is not
    missed at all.
    """
    rng = torch.Generator().manual_seed(3)
    ours = [torch.randn(8, c, 6, 5, generator=rng) for c in (4, 7)]
    mixing = [torch.randn(t, c, generator=rng) for t, c in ((6, 4), (3, 7))]
    theirs = [torch.einsum("tc,nchw->nthw", m, x) + 5 for m, x in zip(mixing, ours, strict=True)]
    missed = FeatureLoss([4, 7], [6, 3])
    before = missed(ours, theirs).item()
    missed.fit(
        [
            ([x[:4] for x in ours], [x[:4] for x in theirs]),
            ([x[4:] for x in ours], [x[4:] for x in theirs]),
        ]
    )
    assert before > 0.5
    assert missed(ours, theirs).item() < 1e-3
    unrelated = [torch.randn(8, t, 6, 5, generator=rng) for t in (6, 3)]
    missed.fit([(ours, unrelated)])
    assert missed(ours, unrelated).item() == pytest.approx(1, abs=0.1)
    assert FeatureLoss([4], [6])(ours[:1], [torch.full((8, 6, 6, 5), 2.0)]).isfinite()


def test_the_maps_of_several_stages_are_learned_from(dots):
    recipe = override(RECIPE, distill=Distillation(features=1.0, stages=3), augment=NO_AUGMENTATION)
    teacher, student = (
        TorchTeacher(trainable.network(), trainable.card(), None),
        trainable.network(),
    )
    for stage in (student.backbone.stage2, student.backbone.stage3):
        torch.nn.init.normal_(stage[0].conv.weight)
    found = {}
    for name, network in (("other", student), ("same", trainable.network())):
        task = PoseTask(
            network,
            trainable.card(),
            trainable.SKELETON,
            [KeypointDataset.load(dots)],
            recipe,
            teacher=teacher,
        )
        assert isinstance(task.auxiliary, FeatureLoss)
        assert len(task.auxiliary.convs) == 3
        found[name] = task.losses(network.eval(), next(iter(task.batches(0, 0, 0, 1))))["features"]
    assert found["other"].item() > 3 * found["same"].item()
    found["other"].backward()
    for stage in range(1, 5):
        parameters = list(student.get_submodule(f"backbone.stage{stage}").parameters())
        assert all(p.grad is not None for p in parameters)


def test_rounding_does_not_spoil_a_teacher(dots):
    """In lower precision a teacher sees its maps less their means; float32 changes nothing."""
    batch = next(iter(trainable.task(dots, RECIPE).batches(0, 0, 0, 1)))["images"]
    exact = TorchTeacher(trainable.network(), trainable.card(), None)
    expected = exact(batch)
    exact.prepare([batch], ())
    assert all(torch.equal(a, b) for a, b in zip(expected, exact(batch), strict=True))
    rounded = TorchTeacher(trainable.network(), trainable.card(), torch.bfloat16)
    rounded.prepare([batch], ("head",))
    assert any(hasattr(m, "center") for m in rounded.network.modules())
    for a, b in zip(expected, rounded(batch), strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0.02)


def test_teachers_must_fit(dots, rtmpose_s):
    from rtmpose.training.pose.distill import backend_teacher

    with pytest.raises(ModelError, match="does not fit"):
        backend_teacher(rtmpose_s, replace(trainable.card(), skeleton="coco17"))
    with pytest.raises(InputError, match="teacher"):
        trainable.task(dots, override(RECIPE, distill=Distillation(logits=1)))


# --- data


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
    from rtmpose.training.pose.task import PoseTask

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


def test_average_precision_is_cocos(golden):
    """One person and one pose per image: the same number as pycocotools."""
    pytest.importorskip("pycocotools")
    from rtmpose.evaluation import coco_keypoint_ap
    from rtmpose.training.pose.metrics import person_oks

    rng = np.random.default_rng(2)
    sigmas = np.array(get_skeleton("coco17").sigmas)
    n = 60
    truth = np.concatenate(
        [rng.uniform(20, 180, (n, 17, 2)), (rng.random((n, 17, 1)) < 0.8) * 2.0], axis=2
    )
    truth[:, 0, 2] = 2
    found = truth[..., :2] + rng.normal(0, 1, (n, 17, 2)) * rng.uniform(0, 20, (n, 1, 1))
    confidence = rng.random(n)
    area = rng.uniform(5000, 30000, n)
    content = {
        "images": [{"id": i + 1} for i in range(n)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {
                "id": i + 1,
                "image_id": i + 1,
                "category_id": 1,
                "iscrowd": 0,
                "area": area[i],
                "bbox": [0, 0, 200, 200],
                "keypoints": truth[i].ravel().tolist(),
                "num_keypoints": int((truth[i, :, 2] > 0).sum()),
            }
            for i in range(n)
        ],
    }
    results = [
        {
            "image_id": i + 1,
            "category_id": 1,
            "score": float(confidence[i]),
            "keypoints": np.concatenate([found[i], np.ones((17, 1))], axis=1).ravel().tolist(),
        }
        for i in range(n)
    ]
    distance = np.linalg.norm(found - truth[..., :2], axis=2)
    ours = average_precision(person_oks(distance, truth[..., 2] > 0, area, sigmas), confidence)
    assert 0.1 < ours < 0.9
    assert ours == pytest.approx(coco_keypoint_ap(content, results)["AP"], abs=1e-6)


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
