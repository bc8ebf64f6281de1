"""Detector training: assigner and losses like the originals, inputs, distillation."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from detectable import CARD, SMALL, tiny, write_set  # noqa: E402

from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.rtmdet import STRIDES, RTMDet, RTMDetConfig  # noqa: E402
from rtmpose.ops.letterbox import rectangle  # noqa: E402
from rtmpose.training.data import mosaic, mosaic_geometry  # noqa: E402
from rtmpose.training.data.detection_samples import (  # noqa: E402
    read_detection_samples,
)
from rtmpose.training.detection.assign import assign, cell_points  # noqa: E402
from rtmpose.training.detection.distill import (  # noqa: E402
    DetectorTeacher,
    dense_losses,
    open_teacher_backend,
)
from rtmpose.training.detection.losses import (  # noqa: E402
    Targets,
    detection_losses,
    giou_loss,
    to_predictions,
)
from rtmpose.training.detection.task import DetectorTask  # noqa: E402
from rtmpose.training.recipes import DetectorSettings, override  # noqa: E402


def truth(boxes, crowds=()):
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    regions = torch.tensor(crowds, dtype=torch.float32).reshape(-1, 4)
    return Targets(rows, torch.zeros(len(rows), dtype=torch.int64), torch.ones(len(rows)), regions)


# --- assigner and losses


def test_losses_assignment_and_gradients_are_the_originals(golden):
    z = np.load(golden / "ops" / "rtmdet.npz")
    logits = [torch.tensor(z[f"cls{i}"], requires_grad=True) for i in range(3)]
    distances = [torch.tensor(z[f"box{i}"], requires_grad=True) for i in range(3)]
    classes, boxes, assigned = detection_losses(
        to_predictions(logits, distances), [truth(z["gt_bboxes"])]
    )
    (classes.sum() + boxes.sum()).backward()

    theirs = z["assign/gt_inds"]  # 1-based, 0 for background
    assert np.array_equal(assigned[0].box.numpy() + 1, theirs)
    assert (theirs > 0).sum() > 10
    expected = np.where(theirs > 0, z["assign/max_overlaps"], 0)
    assert np.abs(assigned[0].quality.numpy() - expected).max() < 1e-5
    assert np.abs(classes.detach().numpy() - z["loss/loss_cls"]).max() < 1e-5
    assert np.abs(boxes.detach().numpy() - z["loss/loss_bbox"]).max() < 1e-5
    for i in range(3):
        assert np.abs(logits[i].grad.numpy() - z[f"loss/grad_cls{i}"]).max() < 1e-7
        assert np.abs(distances[i].grad.numpy() - z[f"loss/grad_box{i}"]).max() < 1e-7


def test_a_cell_answers_for_one_box_and_every_box_gets_one():
    points = cell_points([(12, 12), (6, 6), (3, 3)], STRIDES)
    boxes = torch.tensor([[10.0, 10, 40, 60], [20, 15, 50, 70], [60, 60, 61, 61], [70, 5, 90, 25]])
    predicted = torch.cat([points[:, :2] - 12, points[:, :2] + 12], dim=1)
    found = assign(
        points, predicted, torch.zeros(len(points), 1), boxes, torch.zeros(4, dtype=torch.int64)
    )
    taken = found.box >= 0
    assert set(found.box[taken].tolist()) == {0, 1, 2, 3}
    inside = (points[:, None, :2] > boxes[:, :2]) & (points[:, None, :2] < boxes[:, 2:])
    assert inside.all(dim=2).any(dim=1)[taken].all()  # only cells whose point lies in some box
    assert (found.quality[~taken] == 0).all()
    assert (found.box == 0).sum() > 1


def test_inputs_without_people_are_background_and_crowds_are_left_out():
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, s, s) for s in (12, 6, 3)]
    distances = [torch.rand(2, 4, s, s) * 8 for s in (12, 6, 3)]
    cells = to_predictions(logits, distances)
    empty, _, found = detection_losses(cells, [truth([]), truth([])])
    assert torch.isfinite(empty).all()
    assert empty.sum() > 0
    assert all((f.box == -1).all() for f in found)
    hidden, _, _ = detection_losses(cells, [truth([], [[-9, -9, 200, 200]])] * 2)
    assert hidden.sum() == 0
    half, _, _ = detection_losses(cells, [truth([], [[-9, -9, 200, 200]]), truth([])])
    assert 0 < half.sum() < empty.sum()


def test_giou_of_known_boxes():
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 5]])
    assert giou_loss(a, b).tolist() == pytest.approx([0, 1 + 1 / 3, 0.5], abs=1e-6)


# --- inputs


def marked(size_wh, box):
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] = 255
    return image


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_the_pixels_into_the_input(seed, tmp_path):
    rng = np.random.default_rng(seed)
    samples = []
    for k in range(5):
        size = (int(rng.integers(60, 200)), int(rng.integers(60, 200)))
        x, y = (int(rng.integers(5, s // 2)) for s in size)
        box = (x, y, x + int(rng.integers(12, 30)), y + int(rng.integers(12, 30)))
        path = tmp_path / f"{k}.png"
        cv2.imwrite(str(path), marked(size, box))
        rows = np.array([box], np.float32)
        samples.append(
            mosaic.DetectionSample(
                k,
                path,
                size,
                rows,
                np.zeros(1, np.int64),
                np.ones(1, np.float32),
                np.zeros((0, 4), np.float32),
            )
        )
    how = mosaic.MosaicConfig(mosaic=float(seed % 2), color="none", cover=seed % 3 == 0)
    inputs = mosaic.MosaicLoader(samples, how, (seed,))(seed % 5, (128, 96))
    bright = inputs.image.min(axis=2) > 180
    drawn = np.zeros_like(bright)
    for x0, y0, x1, y1 in inputs.boxes:
        assert 0 <= x0 < x1 <= 128
        assert 0 <= y0 < y1 <= 96
        inside = bright[round(y0 + 1) : round(y1 - 1), round(x0 + 1) : round(x1 - 1)]
        assert inside.size == 0 or inside.mean() > 0.9
        drawn[max(0, int(y0 - 1)) : int(y1 + 2), max(0, int(x0 - 1)) : int(x1 + 2)] = True
    assert not (bright & ~drawn).any()


def test_an_image_alone_and_unvaried_is_what_the_runtime_letterboxes(tmp_path):
    from rtmpose.ops.letterbox import letterbox

    dataset = KeypointDataset.load(write_set(tmp_path / "set"))
    samples = read_detection_samples(dataset)
    for number in range(4):
        wh = rectangle(samples[number].size_wh, (96, 96))
        inputs = mosaic.MosaicLoader(samples, mosaic.NO_MOSAIC, (0,))(number, wh)
        canvas, factors = letterbox(cv2.imread(str(samples[number].path)), wh)
        assert np.abs(inputs.image.astype(int) - canvas).mean() < 1.5
        assert (
            np.abs(inputs.boxes - samples[number].boxes * np.array([*factors, *factors])).max() < 1
        )


def test_barely_visible_boxes_become_unknown_regions_and_mixing_keeps_all():
    image = np.zeros((50, 50, 3), np.uint8)
    placement = mosaic_geometry.Placement(1.0, -19.0, 0.0, (0, 0, 50, 50))
    boxes = np.array([[0, 0, 21, 20], [10, 0, 40, 20]], np.float32)
    clipped, left = mosaic_geometry.place_boxes(boxes, placement)
    assert clipped[0].tolist() == [0, 0, 2, 20]
    assert left.tolist() == pytest.approx([2 / 21, 0.7], abs=1e-4)
    a = mosaic.DetectorInput(image, boxes, np.zeros(2, np.int64), np.ones(2, np.float32), boxes[:1])
    both = mosaic.mixup(a, mosaic.mirror(a))
    assert len(both.boxes) == 4
    assert both.boxes[2].tolist() == [29, 0, 50, 20]
    assert np.array_equal(mosaic.mirror(mosaic.mirror(a)).boxes, boxes)


def test_batches_depend_on_seed_and_epoch_only(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set"))
    settings = DetectorSettings(
        mosaic.MosaicConfig(mosaic=0.5, mixup=0.5),
        input_fit="rectangular",
        long_side_range=(64, 128),
        video_shape_prob=0.3,
    )
    recipe = override(SMALL, detector=settings)

    def epoch(number, workers):
        task = DetectorTask(tiny(), CARD, [dataset], override(recipe, workers=workers))
        return list(task.batches(number, 7, 0, 1))

    one, again, other = epoch(0, 0), epoch(0, 2), epoch(1, 0)
    assert len(one) == 3
    for a, b in zip(one, again, strict=True):
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(
        a["images"].shape != b["images"].shape or not torch.equal(a["images"], b["images"])
        for a, b in zip(one, other, strict=True)
    )
    assert all(side % 32 == 0 for b in one for side in b["images"].shape[1:3])


def test_two_processes_share_what_one_would_take(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set"))
    whole = DetectorTask(tiny(), CARD, [dataset], override(SMALL, batch_size=4))
    part = DetectorTask(tiny(), CARD, [dataset], override(SMALL, batch_size=2))
    halves = [list(part.batches(0, 1, rank, 2)) for rank in (0, 1)]
    for number, batch in enumerate(whole.batches(0, 1, 0, 1)):
        joined = torch.cat([halves[0][number]["images"], halves[1][number]["images"]])
        assert torch.equal(joined, batch["images"])


def test_rectangular_batches_have_the_shape_of_their_images(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set"))
    settings = DetectorSettings(
        mosaic.NO_MOSAIC, None, input_fit="rectangular", long_side_range=(96, 96)
    )
    task = DetectorTask(tiny(), CARD, [dataset], override(SMALL, batch_size=2, detector=settings))
    plan = task.plan(0, 3)
    alike = 0
    for number, shape in enumerate(plan.shapes_wh):
        sizes = [task.training[i].size_wh for i in plan.order[2 * number : 2 * number + 2]]
        alike += all(rectangle(s, (96, 96)) == shape for s in sizes)
    assert alike >= len(plan.shapes_wh) - 1
    assert sorted(plan.order) == list(range(12))


@pytest.mark.parametrize(
    ("image_wh", "expected"),
    [
        ((1920, 1080), (320, 192)),
        ((1080, 1920), (192, 320)),
        ((640, 480), (320, 256)),
        ((500, 500), (320, 320)),
        ((4000, 100), (320, 32)),
        ((640, 427), (320, 224)),
        ((1, 1), (320, 320)),
    ],
)
def test_smallest_rectangle(image_wh, expected):
    assert rectangle(image_wh, (320, 320)) == expected


# --- distillation


class Blob(RTMDet):
    """Finds the bright rectangle by looking, so that its answer for a mirror image is known."""

    def __init__(self):
        super().__init__(RTMDetConfig(CSPNeXtConfig(0.167, 0.125), 32, 1))

    def forward(self, images):
        logits, distances = [], []
        for stride in STRIDES:
            height, width = images.shape[2] // stride, images.shape[3] // stride
            points = cell_points([(height, width)], (stride,))
            rows = []
            for image in images:
                y, x = (image[0] > 1.5).nonzero(as_tuple=True)
                box = [float(v) for v in (x.min(), y.min(), x.max() + 1, y.max() + 1)]
                sides = [
                    points[:, 0] - box[0],
                    points[:, 1] - box[1],
                    box[2] - points[:, 0],
                    box[3] - points[:, 1],
                ]
                rows.append(torch.stack(sides).reshape(4, height, width))
            distances.append(torch.stack(rows))
            inside = distances[-1].amin(dim=1, keepdim=True) > 0
            logits.append(torch.where(inside, 3.0, -4.0))
        return logits, distances


def test_the_mirrored_teacher_speaks_of_the_same_cells_and_padding_is_cut_off():
    image = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    image[:, 16:40, 10:51] = 255
    plain = DetectorTeacher(Blob(), CARD, flip_average=False)(image)
    both = DetectorTeacher(Blob(), CARD, flip_average=True)(image)
    assert plain.logits.shape[1] == 12 * 8 + 6 * 4 + 3 * 2
    assert torch.allclose(
        both.boxes, torch.tensor([10.0, 16, 51, 40]).expand_as(both.boxes), atol=1e-4
    )
    assert torch.allclose(both.logits, plain.logits, atol=1e-3)


def test_an_engine_says_what_torch_says():
    pytest.importorskip("onnx")
    network = tiny().eval()
    image = torch.randint(0, 255, (2, 64, 96, 3), dtype=torch.uint8)
    engine = open_teacher_backend(network, CARD)
    by_torch, by_engine = (
        DetectorTeacher(network, CARD)(image),
        DetectorTeacher(network, CARD, backend=engine)(image),
    )
    assert torch.allclose(by_torch.logits, by_engine.logits, atol=1e-3)
    assert torch.allclose(by_torch.boxes, by_engine.boxes, atol=1e-2)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    network = tiny().eval()
    teacher = DetectorTeacher(network, CARD, flip_average=False)
    image = torch.randint(0, 255, (2, 96, 96, 3), dtype=torch.uint8)
    cells = teacher(image)
    scores, boxes = dense_losses(cells, cells)
    assert float(scores) < 1e-6
    assert float(boxes) < 1e-4
    shifted = replace(cells, logits=cells.logits + 1, boxes=cells.boxes + 3)
    more, _ = dense_losses(shifted, cells)
    assert float(more) > 0
