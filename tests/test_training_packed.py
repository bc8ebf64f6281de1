"""Trainings over one packed file: crops made by torch, and states of few bytes."""

import io
import json
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from tiny_training import TINY, every_step, loss_column  # noqa: E402

from rtmpose.datasets import read  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.networks import build, config_for, read_checkpoint  # noqa: E402
from rtmpose.training import Distillation, override, small_state, train  # noqa: E402
from rtmpose.training.data.augment import Augmentation  # noqa: E402
from rtmpose.training.data.packed import (  # noqa: E402
    PackedImages,
    PackedPerson,
    read_packed,
    write_packed,
)
from rtmpose.training.data.pose_samples import CropBatches  # noqa: E402
from rtmpose.training.open_data import open_data  # noqa: E402
from rtmpose.training.pose.distill import TorchTeacher  # noqa: E402
from rtmpose.training.pose.task import PoseTask  # noqa: E402
from rtmpose.zoo import find  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")

WH = (96, 128)
STRONG = Augmentation(scale=(0.7, 1.3), rotate=40, blur=0.5, dropout=0.5, shift_prob=1)
RECIPE = override(TINY, augment=STRONG, val_fraction=0, pseudo_labels=True)


def people(n=16, wh=WH, seed=0):
    """Smooth colored crops with three keypoints."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        coarse = rng.integers(0, 256, (8, 6, 3), np.uint8)
        image = cv2.resize(coarse, wh, interpolation=cv2.INTER_CUBIC)
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        points = np.column_stack([rng.uniform(30, 60, (3, 2)), (0.9, 0.8, 0.1)])
        box = np.array([20, 20, 76, 108], np.float32)
        yield PackedPerson(jpeg, box, points.astype(np.float32), f"photo {number}", "00")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "people.zip"
    assert write_packed(path, people(), trainable.SKELETON, WH) == 16
    return path


def task_of(data, recipe, **options):
    datasets, _ = open_data([data], trainable.SKELETON)
    return PoseTask(
        trainable.network(), trainable.card(), trainable.SKELETON, datasets, recipe, **options
    )


def test_a_packed_file_is_a_set_that_can_be_unpacked(packed, tmp_path):
    inside = read_packed(packed)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "unpacked")
    outside = read(tmp_path / "unpacked")
    assert inside.keypoint_names == outside.keypoint_names == trainable.NAMES
    assert inside.annotations == outside.annotations
    assert len(inside.images) == 16
    (row,) = inside.annotations[1]
    assert (row["label_source"], row["num_keypoints"], row["bbox"]) == (
        "teacher",
        2,
        [20, 20, 56, 88],
    )


def test_crops_made_by_torch_are_those_made_by_opencv(packed, tmp_path):
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "unpacked")
    task = task_of(packed, RECIPE)
    rows, repeats = np.arange(16), np.zeros(16, np.int64)
    ours = task._crops(STRONG, (3, 1))(rows, repeats)
    plain = task_of(tmp_path / "unpacked", RECIPE)
    theirs = CropBatches(plain.training, plain.settings, STRONG, (3, 1))(rows, repeats)

    assert torch.equal(ours["points"], theirs["points"])
    assert torch.equal(ours["pseudo"], theirs["pseudo"])
    assert np.array_equal(ours["matrices"], theirs["matrices"])
    assert ours["images"].shape == theirs["images"].shape
    assert ours["images"].dtype == torch.uint8
    difference = (ours["images"].int() - theirs["images"].int()).abs().float()
    # OpenCV computes places to a 32nd of a pixel, and hue in steps of two degrees.
    assert float(difference.mean()) < 1.5
    assert float(difference.mean(dim=(1, 2, 3)).max()) < 4
    # Colors, blurs and rectangles were drawn.
    blank = task._crops(Augmentation(**{**STRONG.__dict__, "blur": 0.0, "color": "none"}), (3, 1))
    moved = (blank(rows, repeats)["images"].int() - theirs["images"].int()).abs().float()
    assert float(moved.mean()) > 3 * float(difference.mean())


def test_a_training_over_a_packed_file_resumes_to_the_same_steps(packed, tmp_path, monkeypatch):
    """Stopped after every second step, with states of few bytes and a teacher."""
    every_step(monkeypatch)
    recipe = override(
        RECIPE,
        epochs=2,
        small_state=True,
        distill=Distillation(logits=1, features=1, stages=1),
        save_minutes=0,
    )

    def start(folder, **options):
        teacher = TorchTeacher(trainable.network(), trainable.card(), None)
        return train(task_of(packed, recipe, teacher=teacher), recipe, folder, **options)

    whole = start(tmp_path / "whole")
    assert whole.finished
    steps = []

    def two_more(status):
        return status.step >= 2 * len(steps)

    for _ in range(9):
        steps.append(0)
        part = start(tmp_path / "broken", resume=len(steps) > 1, until=two_more)
        if part.finished:
            break
    assert part.finished
    assert len(steps) > 2
    assert loss_column(tmp_path / "broken") == loss_column(tmp_path / "whole")
    one, two = (read_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not (tmp_path / "whole" / "best.safetensors").exists()


def test_the_small_state_of_an_rtmpose_s_has_16_mb():
    torch.manual_seed(0)
    network = build(config_for(find("rtmpose-s")))
    average = build(config_for(find("rtmpose-s")))
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(parameters)
    moments = {
        i: {
            "step": torch.tensor(5.0),
            "exp_avg": torch.rand_like(p),
            "exp_avg_sq": torch.ones_like(p) * 3,
        }
        for i, p in enumerate(parameters)
    }
    groups = optimizer.state_dict()["param_groups"]
    maps = torch.nn.ModuleList(torch.nn.Conv2d(c, c, 1) for c in (128, 256, 512))
    state = {
        "step": 5,
        "network": network.state_dict(),
        "ema": average.state_dict(),
        "auxiliary": maps.state_dict(),
        "optimizer": {"state": moments, "param_groups": groups},
    }
    small = small_state.compact(state)
    buffer = io.BytesIO()
    torch.save(dict(small), buffer)
    assert len(buffer.getvalue()) < 16e6

    again = small_state.expand(small)
    assert (again["step"], set(again)) == (5, set(state))
    for key, value in network.state_dict().items():
        ours, base = again["network"][key], average.state_dict()[key]
        assert ours.dtype == value.dtype
        # A fifteenth of the largest difference, and the rounding of the base.
        largest = float((value - base).abs().max()) if value.is_floating_point() else 0
        assert float((ours - value).abs().max()) <= largest / 14 + 1e-3
    row = again["optimizer"]["state"][0]
    assert torch.allclose(row["exp_avg_sq"], torch.tensor(3.0))
    assert not row["exp_avg"].any()


def test_without_averages_the_weights_are_kept_in_16_bits():
    network = torch.nn.Linear(5, 3)
    state = {
        "step": 1,
        "network": network.state_dict(),
        "ema": None,
        "auxiliary": None,
        "optimizer": {"state": {}, "param_groups": []},
    }
    again = small_state.whole(small_state.compact(state))
    assert again["ema"] is None
    assert torch.allclose(again["network"]["weight"], network.weight, rtol=1e-3)
    assert small_state.whole(state) is state


def test_what_is_no_packed_file_is_named(tmp_path, packed, caplog):
    for content, message in ((b"nothing", "packed file"), (None, "missing or damaged")):
        path = tmp_path / "other.zip"
        if content is None:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.txt", "a")
        else:
            path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_packed(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_packed(tmp_path / "missing.zip")

    write_packed(tmp_path / "small.zip", people(4, (60, 80)), trainable.SKELETON, (60, 80))
    small = open_data([tmp_path / "small.zip"], trainable.SKELETON)[0]
    PoseTask(trainable.network(), trainable.card(), trainable.SKELETON, small, RECIPE)
    assert "pixels where the network takes 64" not in caplog.text
    large = replace(trainable.card(), input_wh=(256, 256))
    PoseTask(trainable.network(), large, trainable.SKELETON, small, RECIPE)
    assert "have 110 pixels where the network takes 256" in caplog.text
    with pytest.raises(InputError, match="60x80 and 96x128"):
        PackedImages([read_packed(packed), read_packed(tmp_path / "small.zip")])


def test_packed_people_stay_among_themselves(packed, tmp_path):
    folder = trainable.write_set(tmp_path / "set", n=8)
    datasets, _ = open_data([packed, folder], trainable.SKELETON)
    parts = (trainable.network(), trainable.card(), trainable.SKELETON)
    with pytest.raises(InputError, match="together"):
        PoseTask(*parts, datasets, RECIPE)
    with pytest.raises(InputError, match="--val"):
        PoseTask(*parts, datasets[1:], RECIPE, evaluate_on=datasets[:1])
    photometric = override(RECIPE, augment=Augmentation(color="photometric"))
    with pytest.raises(InputError, match="hsv or none"):
        PoseTask(*parts, datasets[:1], photometric).batches(0, 0, 0, 1)
    # Annotated data evaluates, and chooses.
    task = PoseTask(*parts, datasets[:1], RECIPE, evaluate_on=datasets[1:])
    assert task.evaluate(task.network.eval())


def test_a_damaged_image_is_black_and_counts_for_nothing(packed, tmp_path, caplog):
    with zipfile.ZipFile(packed) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["images/000003.jpg"] = b"damaged"
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    task = task_of(path, RECIPE)
    assert "000003.jpg is missing or damaged" in caplog.text
    batch = task._crops(STRONG, (0,))(np.array([2]), np.zeros(1, np.int64))
    assert not batch["images"].any()
    assert not batch["points"].any()
    assert json.loads(entries["people.json"])["images"][2]["file_name"] == "000003.jpg"
