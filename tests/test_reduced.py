"""Networks for crops of three quarters of the side: same weights, other maps."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

import trainable  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.errors import ModelError  # noqa: E402
from rtmpose.networks import (  # noqa: E402
    build,
    config_for,
    count_multiply_adds,
    count_parameters,
    load_network,
    save_safetensors,
)
from rtmpose.networks.reduced import reduce_input, reduced_card  # noqa: E402
from rtmpose.ops.crop import crop_people  # noqa: E402
from rtmpose.pruning.prune import pruned_card  # noqa: E402
from rtmpose.skeletons import skeleton_of  # noqa: E402
from rtmpose.training.data.augment import NO_AUGMENTATION  # noqa: E402
from rtmpose.training.pose.distill import TorchTeacher, check_teacher, resize_crops  # noqa: E402
from rtmpose.training.pose.task import PoseTask  # noqa: E402
from rtmpose.training.recipes import Distillation, Recipe, override  # noqa: E402

CARD = zoo.find("rtmpose-t_body8-halpe26_256x192")


def tiny():
    torch.manual_seed(0)
    return build(config_for(CARD)).eval()


def test_the_card_of_a_reduced_network():
    card = reduced_card(CARD)
    assert (card.id, card.architecture) == ("rtmpose-t_body8-halpe26_192x144", "rtmpose-t-reduced")
    assert card.input_wh == (144, 192)
    assert [round(side * card.codec.split_ratio) for side in card.input_wh] == [384, 512]
    assert card.codec.sigma == CARD.codec.sigma
    assert not card.published
    assert not card.files
    assert pruned_card(card, build(config_for(card))).id == "rtmpose-t-pruned_body8-halpe26_192x144"
    for other in (
        card,
        zoo.find("rtmdet-nano"),
        zoo.find("rtmw-l"),
        replace(CARD, input_wh=(190, 250)),
    ):
        with pytest.raises(ModelError, match="three quarters"):
            reduced_card(other)


def test_weights_stay_and_cost_falls(tmp_path):
    full = tiny()
    small, card = reduce_input(full, CARD)
    assert not small.training
    assert count_parameters(small) == count_parameters(full)
    for a, b in zip(full.parameters(), small.parameters(), strict=True):
        assert torch.equal(a, b)
    share = count_multiply_adds(small, card.input_wh) / count_multiply_adds(full, CARD.input_wh)
    assert 0.55 < share < 0.75
    x, y = small(torch.randn(2, 3, 192, 144))
    assert (x.shape, y.shape) == ((2, 26, 384), (2, 26, 512))
    path = tmp_path / "small.safetensors"
    save_safetensors(path, small, card)
    again, known = load_network(path)
    assert known == card
    image = torch.randn(1, 3, 192, 144)
    assert torch.equal(again(image)[0], small(image)[0])


def test_it_is_exported_and_read_back(tmp_path):
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    from rtmpose.exporting.onnx import write_onnx

    small, card = reduce_input(tiny(), CARD)
    with torch.no_grad():
        for p in small.parameters():  # a gain of 1 is left out of an export
            p.add_(0.02 * torch.randn_like(p))
    path = tmp_path / "small.onnx"
    write_onnx(small, card, path)
    again, known = load_network(path)
    assert known.architecture == "rtmpose-t-reduced"
    image = torch.randn(3, 3, 192, 144)
    run = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {"input": image.numpy()}
    )
    with torch.inference_mode():
        ours, read_back = small(image), again(image)
    for a, b, c in zip(read_back, run, ours, strict=True):
        near = 1e-4 * c.abs().max().item()
        assert np.allclose(a.numpy(), c.numpy(), atol=near)
        assert np.allclose(b, c.numpy(), atol=near)


def test_a_teacher_sees_what_a_larger_crop_shows():
    """Crops of a smooth image at 144x192, enlarged, are those cut at 192x256."""
    rng = np.random.default_rng(0)
    image = cv2.resize(
        rng.integers(0, 255, (12, 9, 3), np.uint8), (900, 1200), interpolation=cv2.INTER_CUBIC
    )
    box = np.array([[200, 150, 700, 900]], np.float32)
    large, small = (
        torch.from_numpy(crop_people(image, box, wh)[0]) for wh in ((192, 256), (144, 192))
    )
    assert resize_crops(large, (192, 256)) is large
    found = resize_crops(small, (192, 256))
    assert found.dtype == torch.uint8
    difference = (found.int() - large.int()).abs().float()
    assert float(difference.mean()) < 0.6
    # A quarter of a pixel off is seen.
    moved = torch.nn.functional.interpolate(
        small.permute(0, 3, 1, 2).float(), (256, 192), mode="bilinear"
    )
    assert float((moved.permute(0, 2, 3, 1) - large.float()).abs().mean()) > 1.5 * float(
        difference.mean()
    )


def test_a_teacher_fits_when_its_bins_do():
    check_teacher(CARD, reduced_card(CARD), 26)
    with pytest.raises(ModelError, match="does not fit"):
        check_teacher(zoo.find("rtmpose-m_body8-halpe26_384x288"), reduced_card(CARD), 26)


def test_a_reduced_network_learns_from_the_full_one(tmp_path):
    """Logits and the maps of all stages, of a teacher that sees the same people in larger crops."""
    wh, config = (48, 48), trainable.network().config
    smaller = replace(
        config,
        input_wh=wh,
        split_ratio=config.split_ratio / 0.75,
        backbone=replace(config.backbone, enlarge=(4, 4)),
    )
    student = build(smaller)
    student.load_state_dict(trainable.network().state_dict())
    card = replace(
        trainable.card(), input_wh=wh, codec=replace(trainable.card().codec, split_ratio=2 / 0.75)
    )
    distill = Distillation(logits=1, features=1, stages=4, flip_average=True)
    recipe = override(
        Recipe("test"),
        batch_size=8,
        distill=distill,
        label_weight=0,
        workers=0,
        augment=NO_AUGMENTATION,
    )
    dataset = KeypointDataset.load(trainable.write_set(tmp_path, n=12))
    sizes = []

    class Teacher(TorchTeacher):
        def forward(self, images):
            sizes.append(images.shape[1:3])
            return super().forward(images)

    teacher = Teacher(trainable.network(), trainable.card(), None)
    task = PoseTask(
        student,
        card,
        trainable.SKELETON,
        [dataset],
        recipe,
        teacher=teacher,
        teacher_wh=trainable.WH,
    )
    losses = task.losses(student.train(), next(iter(task.batches(0, 0, 0, 1))))
    assert {tuple(size) for size in sizes} == {trainable.WH}
    assert set(losses) == {"logits", "features"}
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in student.parameters())


@pytest.mark.slow
def test_genuine_weights_need_no_more_than_three_quarters(shared, rtmpose_s):
    """Without any training the reduced network is fair already: what it lacks is a short
    distillation.
    """
    data = [KeypointDataset.load(shared / "data" / "coco_val_subset")]
    full, card = load_network(rtmpose_s, card=zoo.find("rtmpose-s"))
    found = []
    for network, known in ((full, card), reduce_input(full, card)):
        points = skeleton_of(known)
        task = PoseTask(
            network, known, points, data, override(Recipe("test"), batch_size=8), evaluate_on=data
        )
        found.append(task.evaluate(network.eval())["AP"])
    assert found[0] > 0.69
    assert 0.45 < found[1] < found[0]
