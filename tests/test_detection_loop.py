"""Detector training: data that cannot be used, recipes, the loop, several classes."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from detectable import CARD, SMALL, edit, tiny, write_set  # noqa: E402

from rtmpose.cli import main  # noqa: E402
from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.networks import build, config_for  # noqa: E402
from rtmpose.training import train  # noqa: E402
from rtmpose.training.data import mosaic  # noqa: E402
from rtmpose.training.data.detection_samples import (  # noqa: E402
    add_detections,
    class_names,
    detections_for,
    read_detection_samples,
)
from rtmpose.training.detection.evaluate import detect_boxes  # noqa: E402
from rtmpose.training.detection.setup import detector_card, start_detector  # noqa: E402
from rtmpose.training.detection.task import DetectorTask, collate, split_targets  # noqa: E402
from rtmpose.training.recipes import find_recipe, override  # noqa: E402
from rtmpose.training.recipes.detector import DETECTORS  # noqa: E402
from rtmpose.types import Detections  # noqa: E402

# --- data


def test_a_detector_fills_gaps_in_partial_labels_and_marks_doubt_in_complete_ones():
    empty = np.zeros((0, 4), np.float32)
    sample = mosaic.DetectionSample(
        1,
        None,
        (100, 100),
        np.array([[0, 0, 20, 40]], np.float32),
        np.zeros(1, np.int64),
        np.ones(1, np.float32),
        np.array([[60, 60, 100, 100]], np.float32),
    )
    found = Detections.from_boxes(
        [[1, 1, 20, 40], [40, 0, 60, 40], [70, 70, 90, 90], [30, 50, 45, 90], [0, 60, 9, 90]],
        [0.9, 0.8, 0.7, 0.4, 0.1],
    )
    full = add_detections(sample, found, partial=False, pseudo_score_thr=0.6, ignore_score_thr=0.3)
    assert len(full.boxes) == 1
    assert len(full.crowds) == 3  # the known region and the two that nobody labeled
    part = add_detections(sample, found, partial=True, pseudo_score_thr=0.6, ignore_score_thr=0.3)
    assert part.boxes[1].tolist() == [40, 0, 60, 40]
    assert part.weights.tolist() == pytest.approx([1, 0.8])
    assert len(part.crowds) == 2

    assert (
        len(
            add_detections(
                replace(sample, boxes=empty),
                found,
                partial=True,
                pseudo_score_thr=0.6,
                ignore_score_thr=0.3,
            ).boxes
        )
        == 2
    )


def test_unusable_annotations_are_counted_and_left_out(tmp_path, caplog):
    def spoil(content):
        by_image = {}
        for a in content["annotations"]:
            by_image.setdefault(a["image_id"], []).append(a)
        by_image[1][0]["bbox"] = [3, 3, 0, 10]
        by_image[2][0]["bbox"] = [3, float("nan"), 5, 10]
        for a in by_image[3]:
            a["iscrowd"] = 1
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 4]
        by_image[5].append({"id": 999, "image_id": 5, "category_id": 1})
        content["annotations"].append(by_image[5][-1])

    dataset = edit(write_set(tmp_path / "set", n=40), spoil)
    (tmp_path / "set" / "images" / "6.png").unlink()
    with caplog.at_level(logging.WARNING):
        samples = read_detection_samples(dataset)
    text = caplog.text
    assert "3 boxes without area or numbers" in text
    assert "crowds only" in text
    assert "without any box" in text
    assert "1 of 40 images are missing" in text
    assert {3, 4, 6}.isdisjoint(p.id for p in samples)


@pytest.mark.parametrize("fault", ["crowd", "none", "missing", "category"])
def test_a_set_without_anything_to_learn_says_why(tmp_path, fault):
    def spoil(content):
        if fault == "crowd":
            for a in content["annotations"]:
                a["iscrowd"] = 1
        elif fault == "none":
            content["annotations"] = []
        elif fault == "category":
            content["categories"] += [{"id": 2, "name": "thing"}]

    dataset = edit(write_set(tmp_path / "set"), spoil)
    if fault == "missing":
        for path in (tmp_path / "set" / "images").iterdir():
            path.unlink()
    expected = {
        "crowd": "crowds only",
        "none": "without any box",
        "missing": "missing",
        "category": "no category",
    }
    with pytest.raises(InputError, match=expected[fault]):
        read_detection_samples(dataset, ("person",))


def test_damaged_inputs_stay_gray_and_too_many_stop_the_training(tmp_path, caplog):
    dataset = KeypointDataset.load(write_set(tmp_path / "set", n=24))
    (tmp_path / "set" / "images" / "3.png").write_bytes(b"\x89PNG broken")
    task = DetectorTask(tiny(), CARD, [dataset], SMALL)
    with caplog.at_level(logging.WARNING):
        batches = list(task.batches(0, 1, 0, 1))
    assert len(batches) == 6
    assert caplog.text.count("3.png is missing or damaged") == 1
    for number in range(4, 20):
        (tmp_path / "set" / "images" / f"{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read"):
        list(DetectorTask(tiny(), CARD, [dataset], SMALL).batches(0, 1, 0, 1))


def test_too_few_images_and_a_missing_teacher_are_told(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set", n=3))
    with pytest.raises(InputError, match="do not fill one batch"):
        DetectorTask(tiny(), CARD, [dataset], SMALL)
    distilling = override(SMALL, batch_size=2, detector=replace(SMALL.detector, distill_scores=1.0))
    with pytest.raises(InputError, match="teacher"):
        DetectorTask(tiny(), CARD, [dataset], distilling)


def test_targets_come_back_out_of_a_batch():
    image = np.zeros((32, 32, 3), np.uint8)
    empty = np.zeros((0, 4), np.float32)
    some = mosaic.DetectorInput(
        image, np.ones((2, 4), np.float32), np.zeros(2, np.int64), np.ones(2, np.float32), empty
    )
    none = mosaic.DetectorInput(
        image, empty, np.zeros(0, np.int64), np.zeros(0, np.float32), np.ones((3, 4), np.float32)
    )
    rows = split_targets(collate([none, some, none]))
    assert [len(t.boxes) for t in rows] == [0, 2, 0]
    assert [len(t.crowds) for t in rows] == [3, 0, 3]


# --- recipes, start, loop


def test_recipes_have_the_published_figures():
    for name in DETECTORS:
        recipe = find_recipe(name)
        assert recipe.name == name
        config = config_for(detector_card(recipe.model))
        assert config.classes == 1
    nano, tiny_one, large = (find_recipe(f"rtmdet-{n}") for n in ("nano", "tiny", "l"))
    for recipe in (nano, tiny_one, large):
        assert (recipe.schedule.epochs, recipe.schedule.late_epochs) == (300, 20)
        assert (recipe.optimizer.lr, recipe.optimizer.base_batch_size) == (0.004, 256)
        assert (recipe.optimizer.weight_decay, recipe.ema.momentum) == (0.05, 2e-4)
        assert (recipe.schedule.flat_fraction, recipe.schedule.final_lr_factor) == (0.5, 0.05)
    first = nano.detector.augment
    assert (first.scale, first.mosaic_cache, first.mixup) == ((0.5, 1.5), 20, 0)
    first = tiny_one.detector.augment
    assert (first.scale, first.mosaic_cache, first.mixup, first.mixup_cache) == (
        (0.5, 2.0),
        20,
        0.5,
        10,
    )
    first, second = large.detector.augment, large.detector.late_augment
    assert (first.scale, first.mosaic_cache, first.mixup, first.mixup_cache) == (
        (0.1, 2.0),
        40,
        1,
        20,
    )
    assert (second.mosaic, second.mixup, second.scale) == (0, 0, (0.1, 2.0))


def test_a_training_runs_evaluates_and_its_result_detects(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set", n=20))
    task = DetectorTask(tiny(), CARD, [dataset], override(SMALL, val_fraction=0.3))
    assert task.validation
    result = train(task, override(SMALL, val_fraction=0.3), tmp_path / "run", accelerator="cpu")
    assert result.finished
    assert "AP" in result.status.metrics
    assert (tmp_path / "run" / "last.safetensors").is_file()
    rows = detect_boxes(
        task.network.eval(), replace(CARD, input_fit="rectangular"), task.training[:2], 0
    )
    assert all(len(r["bbox"]) == 4 for r in rows)


def test_genuine_weights_start_with_the_same_function(tmp_path, rtmdet_nano_raw):
    pytest.importorskip("onnx")
    from rtmpose.networks import load_network
    from rtmpose.zoo import find

    dataset = KeypointDataset.load(write_set(tmp_path / "set", n=8))
    own = find_recipe("person-detector")
    recipe = override(
        own,
        batch_size=4,
        val_fraction=0,
        workers=0,
        detector=replace(own.detector, pseudo_label_model="", category="blob"),
    )
    task = start_detector(
        recipe,
        [dataset],
        str(rtmdet_nano_raw),
        str(rtmdet_nano_raw),
        "mine",
        torch.device("cpu"),
        None,
    )
    before, _ = load_network(rtmdet_nano_raw, card=find("rtmdet-nano"))
    assert (task.card.id, task.card.input_fit, task.teacher is not None) == (
        "mine",
        "rectangular",
        True,
    )
    x = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        ours, theirs = task.network.eval()(x), before(x)
    for a, b in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
        assert torch.allclose(a, b, atol=2e-3, rtol=2e-3)


def test_unpublished_sizes_and_other_families(tmp_path):
    card = detector_card("rtmdet-x_person_640x640")
    assert card.architecture == "rtmdet-x"
    assert card.input_wh == (640, 640)
    with torch.device("meta"):
        network = build(config_for(card))
    assert sum(p.numel() for p in network.parameters()) > 90e6
    with pytest.raises(InputError, match="not an RTMDet"):
        detector_card("yolox-tiny")


@pytest.mark.slow
def test_thirty_two_inputs_are_learned_by_heart(tmp_path):
    folder = write_set(tmp_path / "set", n=32)
    dataset = KeypointDataset.load(folder)
    recipe = override(
        SMALL,
        epochs=180,
        batch_size=8,
        lr=4e-3,
        detector=replace(SMALL.detector, augment=mosaic.NO_MOSAIC, late_augment=None),
    )
    task = DetectorTask(tiny(), CARD, [dataset], recipe)
    task.validation = [(dataset, task.training)]
    result = train(
        task,
        override(recipe, eval_every=15),
        tmp_path / "run",
        accelerator="cpu",
        until=lambda s: s.metrics.get("AP50", 0) > 0.98,
    )
    assert result.status.metrics["AP50"] > 0.95


def two_classes(folder, n=12):
    """Every second box is a widget."""
    dataset = KeypointDataset.load(write_set(folder, n=n))
    content = dict(dataset.content)
    content["categories"] = [{"id": 3, "name": "cat"}, {"id": 7, "name": "widget"}]
    rows = [dict(a) for a in content["annotations"]]
    for i, row in enumerate(rows):
        row["category_id"] = 3 if i % 2 else 7
    content["annotations"] = rows
    path = folder / "two.json"
    path.write_text(json.dumps(content))
    return KeypointDataset.from_content(content, folder / "images", path)


def test_several_classes_are_read_and_counted(tmp_path):
    dataset = two_classes(tmp_path / "set")
    assert class_names([dataset], "all") == ("cat", "widget")
    assert class_names([dataset], "widget, cat") == ("widget", "cat")
    with pytest.raises(InputError, match=r"no category 'person', only cat, widget.*or all"):
        class_names([dataset])
    samples = read_detection_samples(dataset, ("widget", "cat"))
    labels = np.concatenate([s.labels for s in samples])
    assert set(labels.tolist()) == {0, 1}
    only = read_detection_samples(dataset, ("cat",))
    assert sum(len(s.boxes) for s in only) == int((labels == 1).sum())


def test_people_teach_nothing_about_other_things(tmp_path, caplog):
    """The recipe's teachers find people: a set of other things has labels only."""
    from rtmpose.training.detection.setup import _without_people

    caplog.set_level("INFO")
    recipe = find_recipe("person-detector")
    assert _without_people(recipe, ("pedestrian",), "rtmdet-nano", None) == recipe
    assert _without_people(recipe, ("mouse",), "rtmdet-nano", "mine.safetensors") == recipe
    assert "no teacher" not in caplog.text
    alone = _without_people(recipe, ("mouse",), "rtmdet-nano", None).detector
    assert (alone.distill_scores, alone.distill_boxes, alone.pseudo_label_model) == (0, 0, None)
    assert "no teacher: labels only, as mouse" in caplog.text


def test_boxes_of_other_classes_are_left_out(tmp_path):
    """A results file of a detector of many classes: the boxes of the set's own count."""
    dataset = two_classes(tmp_path / "set")
    samples = read_detection_samples(dataset, ("cat",))
    rows = [
        {"image_id": samples[0].id, "category_id": number, "bbox": [1, 2, 3, 4], "score": 0.9}
        for number in (3, 7, 44)
    ]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(rows))
    assert len(detections_for(samples, str(path))[samples[0].id]) == 3
    assert len(detections_for(samples, str(path), categories=[3])[samples[0].id]) == 1


def test_a_set_of_one_class_gives_its_name(tmp_path):
    dataset = KeypointDataset.load(write_set(tmp_path / "set"))
    dataset.content["categories"][0]["name"] = "widget"
    assert class_names([dataset]) == ("widget",)


def test_the_suppression_in_a_file_is_that_of_the_runtime():
    """Of several classes together no more boxes are kept than of one."""
    onnx = pytest.importorskip(
        "onnx", reason="onnx is not installed: pip install 'rtmpose[export]'"
    )
    import onnxruntime

    from rtmpose.exporting.onnx_edits import append_nms
    from rtmpose.ops.rtmdet import suppress

    # More boxes of each class than are kept of both; none overlaps another.
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(np.arange(15), np.arange(15)), axis=-1).reshape(-1, 2) * 10.0
    boxes = np.concatenate([corners, corners + 8], axis=1).astype(np.float32)
    scores = rng.uniform(0.1, 1, (len(boxes), 2)).astype(np.float32)
    helper = onnx.helper
    shapes = {"boxes": [1, len(boxes), 4], "scores": [1, len(boxes), 2]}
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"{name}_in"], [name]) for name in shapes],
        "candidates",
        [
            helper.make_tensor_value_info(f"{name}_in", kind, shape)
            for name, shape in shapes.items()
        ],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    append_nms(model, 2)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    dets, labels = session.run(None, {"boxes_in": boxes[None], "scores_in": scores[None]})
    ours = suppress(boxes, scores)
    assert len(ours) == dets.shape[1] == 100
    np.testing.assert_array_equal(dets[0, :, :4], ours.boxes)
    np.testing.assert_array_equal(dets[0, :, 4], ours.scores)
    np.testing.assert_array_equal(labels[0], ours.labels)
    assert set(labels[0].tolist()) == {0, 1}


@pytest.mark.slow
def test_a_detector_of_two_classes_from_training_to_export(tmp_path):
    """Its card names the classes, the export gives both, and each can be asked for."""
    from rtmpose import Detector
    from rtmpose.networks import save_safetensors

    dataset = two_classes(tmp_path / "set")
    recipe = override(
        find_recipe("person-detector"),
        category="all",
        batch_size=2,
        distill_scores=0.0,
        distill_boxes=0.0,
        pseudo_label_model=None,
    )
    card = start_detector(recipe, [dataset], "none", None, "pets", torch.device("cpu"), None)
    assert card.card.classes == ("cat", "widget")
    losses = card.losses(card.network, next(iter(card.batches(0, 0, 0, 1))))
    assert all(torch.isfinite(v) for v in losses.values())
    assert "AP" in card.evaluate(card.network.eval()) or not card.validation

    # The file with the suppression inside, against the network. Untrained, it scores all places
    # nearly alike, so boxes are compared on a graph of their own, in another test here.
    path = tmp_path / "pets.safetensors"
    torch.manual_seed(0)
    with torch.no_grad():
        for module in card.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.normal_(0, 0.3)
                module.weight.normal_(1, 0.1)
        for layer in card.network.bbox_head.rtm_cls:
            layer.weight[0].normal_(0, 0.4)
            layer.weight[0] -= layer.weight[0].mean()
            layer.weight[1] = -layer.weight[0]
            # Few of all places score above the threshold, as in real images: the runtime keeps the
            # best thousand of a stride before the suppression, and the file all of them.
            layer.bias += 1.7
        for layer in card.network.bbox_head.rtm_reg:
            layer.weight.zero_()
            layer.bias += 2.0
    save_safetensors(path, card.network, card.card)
    assert main(["export", str(path), "-o", str(tmp_path / "out")]) == 0
    exported = next((tmp_path / "out").glob("*.onnx"))
    image = np.random.default_rng(0).integers(0, 255, (320, 320, 3), np.uint8)
    ours, theirs = (Detector(p, box_thr=0.05)(image) for p in (path, exported))
    assert set(ours.labels.tolist()) == set(theirs.labels.tolist())
    assert len(ours) == len(theirs) > 20
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    only = Detector(exported, box_thr=0.1, label="widget")(image)
    assert set(only.labels.tolist()) <= {1}
    with pytest.raises(InputError, match="has no class 'dog'; it has cat, widget"):
        Detector(exported, label="dog")
