"""Distillation: teachers, their bins and maps, mirrored and stored points."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from pose_recipe import RECIPE  # noqa: E402

from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.networks.load import to_tensor  # noqa: E402
from rtmpose.training import Distillation, override  # noqa: E402
from rtmpose.training.data.augment import (  # noqa: E402
    NO_AUGMENTATION,
)
from rtmpose.training.pose.distill import TorchTeacher, flip_averaged, normalize  # noqa: E402
from rtmpose.training.pose.feature_distill import FeatureLoss  # noqa: E402
from rtmpose.training.pose.task import PoseTask  # noqa: E402


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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_teacher_that_works_ahead_gives_the_same_losses(dots, workers):
    distill = Distillation(logits=1.0, features=1.0, stages=2)
    recipe = override(RECIPE, distill=distill, workers=workers)
    losses = {}
    for ahead in (False, True):
        teacher = TorchTeacher(trainable.network(), trainable.card(), None)
        with torch.no_grad():
            teacher.network.head.cls_x.weight.mul_(100)
        told = override(recipe, ahead=ahead)
        task = trainable.task(dots, told, teacher=teacher)
        batches = list(task.batches(0, 0, 0, 1))
        assert ("teacher_x" in batches[0]) == ahead
        losses[ahead] = [task.losses(task.network.eval(), batch) for batch in batches]

    assert len(losses[True]) > 2
    for late, early in zip(losses[False], losses[True], strict=True):
        assert list(late) == ["labels", "features", "logits"]
        assert all(torch.equal(late[name], early[name]) for name in late)
    assert late["logits"].item() > 0


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
