"""32 crops are learned by heart; a custom keypoint set trains, evaluates, exports and draws."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.training import Recipe, override, train  # noqa: E402
from rtmpose.training.data.augment import NO_AUGMENTATION  # noqa: E402
from rtmpose.training.pose.task import PoseTask  # noqa: E402
from rtmpose.training.start import start_network  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

QUICK = override(
    Recipe("overfit"),
    epochs=60,
    batch_size=16,
    lr=2e-3,
    base_batch_size=0,
    warmup_steps=10,
    warmup_start_factor=0.01,
    weight_decay=0.0,
    augment=NO_AUGMENTATION,
    momentum=0.0,
    bn_mode="train",
    eval_every=10,
    workers=1,
    flat_fraction=0.4,
    final_lr_factor=0.01,
    val_fraction=0.0,
)


def first_people(shared, n=32) -> KeypointDataset:
    whole = KeypointDataset.load(shared / "data" / "train_crops_coco")
    content = dict(whole.content)
    chosen = [a for a in content["annotations"] if a["num_keypoints"] >= 14][:n]
    ids = {a["image_id"] for a in chosen}
    content |= {"annotations": chosen, "images": [i for i in content["images"] if i["id"] in ids]}
    return KeypointDataset.from_content(content, whole.path.parent / "images", whole.path)


def learn_by_heart(people, recipe, init, folder):
    torch.manual_seed(0)
    network, card, skeleton = start_network(recipe, init, None)
    task = PoseTask(network, card, skeleton, [people], recipe, evaluate_on=[people])
    status = train(task, recipe, folder, until=lambda s: s.metrics.get("PCK@0.05", 0) > 0.98).status
    assert status.metrics["PCK@0.05"] > 0.98
    assert status.waiting < 0.1


def test_32_crops_are_learned_by_heart(shared, tmp_path):
    recipe = override(QUICK, model="rtmpose-t_aic-coco_256x192", kind="pose", epochs=120)
    learn_by_heart(first_people(shared), recipe, "none", tmp_path)


def test_32_crops_are_learned_by_heart_as_heat_maps(shared, rtmpose_s, tmp_path):
    """From RTMPose's backbone: from random weights, maps that are nearly all zero take longer."""
    recipe = override(
        QUICK,
        model="cspnext-s-udp_aic-coco_256x192",
        kind="heatmap",
        bn_mode="train",
        batch_size=8,
        epochs=100,
        eval_every=10,
        lr=1e-3,
        flat_fraction=0.6,
    )
    learn_by_heart(first_people(shared), recipe, str(rtmpose_s), tmp_path)


MOUSE = """
name = "mouse4"
keypoints = ["snout", "leftear", "rightear", "tailbase"]
flip = [["leftear", "rightear"]]
links = [["leftear", "snout", "rightear"], ["snout", "tailbase"]]
sigmas = [0.03, 0.03, 0.03, 0.05]
"""


def test_a_keypoint_set_of_ones_own(shared, rtmpose_s, tmp_path):
    """Trains, evaluates, exports and draws by the command line alone."""
    from rtmpose.cli import main

    data = shared / "data" / "tasks" / "animal" / "openfield_mouse"
    skeleton = tmp_path / "mouse4.toml"
    skeleton.write_text(MOUSE)
    out = tmp_path / "run"
    settings = {
        "model": "rtmpose-s_aic-coco_256x192",
        "epochs": 16,
        "batch": 8,
        "lr": 1e-3,
        "warmup_steps": 10,
        "stage2": "none",
        "eval_every": 8,
        "norms": "train",
        "augment.rotate": 180,
        "augment.dropout": 0,
        "heldout": 0.15,
        "ema": 0.02,
        "ema_gamma": 20,
    }
    command = [
        "train",
        "plain",
        "--data",
        str(data),
        "--out",
        str(out),
        "--skeleton",
        str(skeleton),
        "--name",
        "mouse-s",
        "--init",
        str(rtmpose_s),
    ]
    assert (
        main(command + [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]) == 0
    )
    rows = (out / "evaluations.csv").read_text().splitlines()
    assert rows[0].startswith("step,AP,PCK@0.1")
    assert float(rows[-1].split(",")[2]) > 0.5
    best = out / "best.safetensors"

    metrics = tmp_path / "metrics.json"
    assert (
        main(["eval", str(data), "--pose", str(best), "--limit", "20", "--json", str(metrics)]) == 0
    )
    found = json.loads(metrics.read_text())["metrics"]
    assert 0.5 < found["PCK@0.1"] <= 1

    assert main(["export", str(best), "--to", "onnx", "--out", str(tmp_path / "exported")]) == 0
    (onnx,) = (tmp_path / "exported").glob("*.onnx")
    from rtmpose import PoseEstimator, draw_poses
    from rtmpose.sources import read_image

    estimator = PoseEstimator(onnx)
    assert estimator.skeleton.keypoints == ("snout", "leftear", "rightear", "tailbase")
    image = read_image(next(Path(data).rglob("*.png"), None) or next(Path(data).rglob("*.jpg")))
    h, w = image.shape[:2]
    poses = estimator(image, [[0, 0, w, h]])
    assert (draw_poses(image, poses, kpt_thr=0.0) != image).any()
