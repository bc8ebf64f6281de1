"""Losses, targets, steps and scores of pose training are those of the originals."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from pose_recipe import RECIPE  # noqa: E402

from rtmpose.model_card import Codec  # noqa: E402
from rtmpose.ops import heatmap, simcc  # noqa: E402
from rtmpose.skeletons import get_skeleton  # noqa: E402
from rtmpose.training import override  # noqa: E402
from rtmpose.training.ema import MovingAverage  # noqa: E402
from rtmpose.training.optim import make_optimizer  # noqa: E402
from rtmpose.training.pose import losses as loss  # noqa: E402
from rtmpose.training.pose.metrics import average_precision  # noqa: E402


@pytest.fixture(scope="module")
def ops(golden):
    return lambda name: np.load(golden / "ops" / f"{name}.npz")


def tensor(array):
    return torch.from_numpy(np.asarray(array))


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
