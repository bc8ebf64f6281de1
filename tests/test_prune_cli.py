"""``rtmpose prune``, and exports of what it writes."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")

from prunable import WH, random_cuts, random_network  # noqa: E402

from rtmpose import zoo  # noqa: E402
from rtmpose.cli.prune import parse_budget  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.networks import config_for, count_multiply_adds, load_network, save_safetensors  # noqa: E402
from rtmpose.pruning.channel_graph import channel_groups, trace  # noqa: E402
from rtmpose.pruning.prune import pruned_card  # noqa: E402
from rtmpose.pruning.removal import remove_channels  # noqa: E402


@pytest.fixture
def small_set(tmp_path):
    """Ten images of one person with the 26 keypoints, and a network to prune."""
    rng = np.random.default_rng(0)
    names = list(zoo_skeleton().keypoints)
    folder = tmp_path / "people"
    (folder / "images").mkdir(parents=True)
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    for i in range(1, 11):
        cv2.imwrite(
            str(folder / "images" / f"{i}.jpg"), rng.integers(0, 255, (80, 60, 3), np.uint8)
        )
        points = np.concatenate(
            [rng.uniform(10, 50, (len(names), 2)), np.full((len(names), 1), 2)], axis=1
        )
        content["images"].append({"id": i, "file_name": f"{i}.jpg", "width": 60, "height": 80})
        content["annotations"].append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [5, 5, 50, 70],
                "area": 3500,
                "iscrowd": 0,
                "num_keypoints": len(names),
                "keypoints": points.ravel().tolist(),
            }
        )
    (folder / "person_keypoints.json").write_text(json.dumps(content))
    card = replace(zoo.find("rtmpose-t_body8-halpe26_256x192"), input_wh=WH, files=(), aliases=())
    network = random_network(config_for(card))
    save_safetensors(tmp_path / "whole.safetensors", network, card)
    return folder, tmp_path / "whole.safetensors"


def zoo_skeleton():
    from rtmpose.skeletons import get_skeleton

    return get_skeleton("halpe26")


def test_the_command(small_set, tmp_path, capsys):
    """From files to a file that the runtime runs as it is."""
    from rtmpose.cli import main
    from rtmpose.pose_estimator import PoseEstimator
    from rtmpose.types import Detections

    data, model = small_set
    common = [
        "prune",
        str(model),
        "--data",
        str(data),
        "--threads",
        "1",
        "--set",
        "batch=4",
        "--set",
        "workers=0",
    ]
    out = tmp_path / "out"
    pace = ["--macs", "60%", "--rounds", "2", "--steps", "1", "--out", str(out), "--name", "mine"]
    assert main([*common, "--set", "heldout=0.3", *pace]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    network, card = load_network(out / "pruned.safetensors")
    whole, _ = load_network(model)
    assert (card.id, card.architecture, card.trained_on) == ("mine", "rtmpose-t-pruned", "people")
    assert count_multiply_adds(network, WH) <= 0.6 * count_multiply_adds(whole, WH)
    assert card.gflops == pytest.approx(count_multiply_adds(network, WH) / 1e9, abs=1e-3)
    report = json.loads((out / "pruned.json").read_text())
    assert report["rounds"][-1]["multiply_adds"] == count_multiply_adds(network, WH)
    assert sum(after for _, after in report["widths"].values()) < sum(
        before for before, _ in report["widths"].values()
    )
    estimator = PoseEstimator(out / "pruned.safetensors")
    poses = estimator(np.zeros((80, 60, 3), np.uint8), Detections.from_boxes([[5, 5, 55, 75]]))
    assert poses.keypoints.shape == (1, 26, 2)
    # Pruned again: it stays what it is.
    again = ["--macs", "85%", "--rounds", "1", "--steps", "1", "--out", str(tmp_path / "again")]
    assert main(["prune", str(out / "pruned.safetensors"), *common[2:], *again]) == 0
    assert (
        load_network(tmp_path / "again" / "pruned.safetensors")[1].architecture
        == "rtmpose-t-pruned"
    )
    # What cannot be meant.
    capsys.readouterr()
    for arguments, text in (
        (["--macs", "9G"], "costs"),
        (["--macs", "much"], "0.35G"),
        (["--macs", "50"], "50%"),
        (["--macs", "50%", "--params", "3"], "3M"),
        (["--macs", "50%", "--criterion", "luck"], "fisher"),
        (["--macs", "50%", "--set", "batch"], "FIELD=VALUE"),
    ):
        assert main([*common, *arguments, "--out", str(tmp_path / "no")]) == 1
        assert text in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    # A recipe for another kind of network.
    assert main(["prune", "rtmdet-nano-finetuned", "--macs", "50%", "--data", str(data)]) == 1
    assert "is a detector, but recipe finetune is for a pose network" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_pruned_networks_export(small_set, tmp_path, target):
    """The export's own comparison passes, and the file runs."""
    from rtmpose.cli import main
    from rtmpose.exporting.onnx import OnnxOptions, write_onnx
    from rtmpose.pose_estimator import PoseEstimator
    from rtmpose.types import Detections

    pytest.importorskip("onnxscript" if target == "onnx" else "openvino")
    network, card = load_network(small_set[1])
    groups = channel_groups(network, trace(network, WH))
    remove_channels(network, random_cuts(groups, np.random.default_rng(3), 0.4))
    path = tmp_path / "pruned.safetensors"
    save_safetensors(path, network, replace(pruned_card(card, network), id="small"))
    assert main(["export", str(path), "--to", target, "--out", str(tmp_path / "exports")]) == 0
    made = next((tmp_path / "exports").glob("*.onnx" if target == "onnx" else "*.xml"))
    image = np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)
    boxes = Detections.from_boxes([[5, 5, 55, 75]])
    ours, theirs = PoseEstimator(path)(image, boxes), PoseEstimator(made)(image, boxes)
    np.testing.assert_allclose(
        ours.scores, theirs.scores, atol=2e-2 * max(1.0, float(np.abs(ours.scores).max()))
    )
    if (
        target == "onnx"
    ):  # and back, with the weights stored in half precision, as the package keeps its own
        with torch.no_grad():  # factors of 1 are simplified away
            for parameter in [*network.head.gau.parameters(), network.head.mlp[0].g]:
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 0.9))
        write_onnx(network, pruned_card(card, network), made, OnnxOptions(half_weights=True))
        back, _ = load_network(made)
        pixels = torch.randn(1, 3, *WH[::-1])
        with torch.inference_mode():
            for a, b in zip(back(pixels), network.eval()(pixels), strict=True):
                torch.testing.assert_close(a, b, atol=2e-2 * float(b.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.35G", 350_000_000),
        ("350m", 350_000_000),
        ("50%", 500),
        ("1200", 1200),
        (".5G", 5 * 10**8),
    ],
)
def test_budgets(text, value):
    assert parse_budget(text, 1000) == value


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "0.35T", "1e9"])
def test_impossible_budgets(text):
    with pytest.raises(InputError, match="--macs"):
        parse_budget(text, 1000)
