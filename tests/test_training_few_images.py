"""Sets of a few images, of one, and of none: trainings, evaluation and holding out."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import detectable  # noqa: E402
import trainable  # noqa: E402
from networks import spot_pose  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.cli import main  # noqa: E402
from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.networks import build, config_for, save_safetensors  # noqa: E402
from rtmpose.training import find_recipe, override  # noqa: E402
from rtmpose.training.detection.task import DetectorTask  # noqa: E402
from rtmpose.training.own_keypoints import fit_to_data  # noqa: E402
from rtmpose.training.setup import make_task  # noqa: E402


@pytest.fixture
def base(tmp_path):
    """A small network with random weights, as a file with its card."""
    card = zoo.find("rtmpose-t_body8_256x192")
    card = replace(card, id="base", input_wh=(64, 64), files=(), aliases=(), published={})
    torch.manual_seed(0)
    path = tmp_path / "base.safetensors"
    save_safetensors(path, build(config_for(card)), card)
    return path


def changed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# ---- trainings of poses


@pytest.mark.parametrize("count", [1, 2, 3, 7, 19])
def test_few_people_fill_batches(tmp_path, base, count):
    data = trainable.write_set(tmp_path / "set", n=count)
    fitted = fit_to_data(find_recipe("finetune"), [data], init=str(base))
    task = make_task(fitted.recipe, fitted.data, init=str(base), skeleton=fitted.skeleton)
    assert task.steps() >= 1
    assert len(task.training) + len(task.validation) == count
    assert (len(task.validation) > 0) == (count > 1)


def test_one_image_is_enough_to_try(tmp_path, base, capsys):
    data = trainable.write_set(tmp_path / "set", n=1)
    out = tmp_path / "run"
    command = ["train", "finetune", "--data", str(data), "--init", str(base), "-o", str(out)]
    assert main([*command, "--set", "epochs=2", "--set", "workers=1"]) == 0
    told = capsys.readouterr().out
    assert "nothing was held out to evaluate on" in told
    assert (out / "last.safetensors").is_file()
    assert not (out / "best.safetensors").exists()


def no_images(content):
    content |= {"images": [], "annotations": []}


def no_labels(content):
    for row in content["annotations"]:
        row |= {"keypoints": [0] * 9, "num_keypoints": 0}


@pytest.mark.parametrize(("change", "words"), [(no_images, "no image"), (no_labels, "no annot")])
def test_nothing_to_train_or_evaluate_on_is_a_line(tmp_path, base, capsys, change, words):
    data = trainable.write_set(tmp_path / "set", n=3)
    changed(data / "keypoints.json", change)
    out = tmp_path / "run"
    pose = str(spot_pose(tmp_path / "spot.onnx", keypoints=3))
    train = ["train", "finetune", "--data", str(data), "--init", str(base), "-o", str(out)]
    for command in (train, ["eval", str(data), "--pose", pose, "--backend", "onnxruntime"]):
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "keypoints.json" in error
        assert "with keypoints" in error
        assert "Traceback" not in error
    assert not out.exists()


def test_validation_data_without_labels_is_a_line(tmp_path, base, capsys):
    data = trainable.write_set(tmp_path / "set", n=4)
    other = trainable.write_set(tmp_path / "other", n=2)
    changed(other / "keypoints.json", no_labels)
    command = ["train", "finetune", "--data", str(data), "--init", str(base), "--val", str(other)]
    assert main([*command, "-o", str(tmp_path / "run")]) == 1
    assert "holds no annotation with keypoints" in capsys.readouterr().err


# ---- trainings of detectors


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (2, 1), (9, 4), (15, 8), (200, 16)])
def test_a_detectors_batches_suit_few_images(tmp_path, count, batch):
    data = detectable.write_set(tmp_path / "set", n=count)
    recipe = find_recipe("person-detector")
    fitted = fit_to_data(recipe, [str(data)])
    assert fitted.recipe.schedule.batch_size == batch
    told = fit_to_data(recipe, [str(data)], settings={"batch_size": "3"})
    assert told.recipe.schedule.batch_size == 3
    # Norms that learn need their batches: published recipes keep them.
    assert fit_to_data(find_recipe("rtmdet-nano"), [str(data)]).recipe.schedule.batch_size == 32


def test_a_detector_keeps_groups_together(tmp_path):
    """Frames of one clip are not on both sides, as in trainings of poses."""
    path = detectable.write_set(tmp_path / "set", n=12)

    def grouped(content):
        for image in content["images"]:
            image["split_group"] = f"clip{image['id'] % 3}"

    detectable.edit(path, grouped)
    recipe = override(detectable.SMALL, val_fraction=0.3, batch_size=1)
    dataset = KeypointDataset.load(path)
    task = DetectorTask(detectable.tiny(), detectable.CARD, [dataset], recipe)
    ((_, held),) = task.validation
    clips = [{sample.id % 3 for sample in part} for part in (held, task.training)]
    assert not clips[0] & clips[1]
    assert len(clips[0] | clips[1]) == 3


# ---- evaluation and holding out


def test_one_image_is_evaluated(tmp_path, capsys):
    data = trainable.write_set(tmp_path / "set", n=1)
    pose = str(spot_pose(tmp_path / "spot.onnx", keypoints=3))
    report = tmp_path / "report.json"
    command = ["eval", str(data), "--pose", pose, "--json", str(report), "--metric", "pck"]
    assert main([*command, "--backend", "onnxruntime"]) == 0
    assert json.loads(report.read_text())["images"] == 1


@pytest.mark.parametrize(("count", "share", "sizes"), [(1, "0.2", None), (2, "0.2", (1, 1))])
def test_holding_out_of_few_images(tmp_path, capsys, count, share, sizes):
    data = trainable.write_set(tmp_path / "set", n=count)
    out = tmp_path / "train.json"
    status = main(["data", "convert", str(data), "-o", str(out), "--hold-out", share])
    if sizes is None:
        assert status == 1
        assert "1 image" in capsys.readouterr().err
        assert not out.exists()
        return
    assert status == 0
    parts = (out, tmp_path / "train-val.json")
    assert tuple(len(json.loads(p.read_text())["images"]) for p in parts) == sizes
