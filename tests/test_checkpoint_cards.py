"""Checkpoints of the publisher's framework with keypoints and classes of their owner: what they are
is read from their weights and their meta data.
"""

import json
import sys
import types
from dataclasses import replace

import cv2
import numpy as np
import pytest
from annotated import coco_folder

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")

from rtmpose import Detector, PoseEstimator, zoo  # noqa: E402
from rtmpose.cli import main  # noqa: E402
from rtmpose.errors import ModelError  # noqa: E402
from rtmpose.networks import build, config_for, load_network  # noqa: E402
from rtmpose.networks.checkpoint import read_checkpoint, read_training_file  # noqa: E402
from rtmpose.networks.keypoints import with_keypoints  # noqa: E402
from rtmpose.skeletons import generic_skeleton, get_skeleton  # noqa: E402

NAMES = ("tip", "wing_a", "wing_b", "tail", "string")
META = {
    "dataset_name": "kite",
    "num_keypoints": 5,
    "keypoint_id2name": dict(enumerate(NAMES)),
    "keypoint_name2id": {name: i for i, name in enumerate(NAMES)},
    "flip_indices": [0, 2, 1, 3, 4],
    "flip_pairs": [["wing_a", "wing_b"]],
    "skeleton_links": [(0, 1), (0, 2), (0, 3), (3, 4)],
    "sigmas": np.array([0.03, 0.04, 0.04, 0.05, 0.1], np.float32),
    "keypoint_colors": np.zeros((5, 3), np.uint8),
}


def of_size(architecture="rtmpose-t", wh=(64, 64), points=5):
    card = zoo.find("rtmpose-t_body8_256x192")
    card = replace(card, architecture=architecture, input_wh=wh)
    torch.manual_seed(0)
    return with_keypoints(build(config_for(card)), card, generic_skeleton(points))[0]


def write(path, network, meta=META, prefix="", **options):
    """As mmengine's training writes it."""
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    content = {
        "meta": {"epoch": 3, "iter": 300, "cfg": "model = dict()", "dataset_meta": meta},
        "state_dict": state,
        "message_hub": {"runtime_info": {"iter": 300}, "resumed_keys": {}},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.004}]},
        "ema_state_dict": {"steps": torch.tensor(4)},
        "param_schedulers": [{"last_step": np.float64(3.0)}],
    }
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize(
    ("prefix", "options"),
    [("", {}), ("module.", {}), ("", {"_use_new_zipfile_serialization": False})],
)
def test_keypoints_of_the_owner(tmp_path, prefix, options):
    network = of_size()
    path = write(tmp_path / "kite.pth", network, prefix=prefix, **options)
    loaded, card = load_network(path)
    assert (card.architecture, card.input_wh, card.codec.split_ratio) == ("rtmpose-t", (64, 64), 2)
    points = card.own_skeleton
    assert points.keypoints == NAMES
    assert points.flip_indices == (0, 2, 1, 3, 4)
    assert points.links == ((0, 1), (0, 2), (0, 3), (3, 4))
    assert points.sigmas == (0.03, 0.04, 0.04, 0.05, 0.1)
    ours, theirs = loaded.state_dict(), network.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    ("architecture", "wh"),
    [
        ("rtmpose-s", (192, 256)),
        ("rtmpose-m", (256, 256)),
        ("rtmw-m", (192, 256)),
        ("cspnext-s", (192, 256)),
    ],
)
def test_the_form_is_read_from_the_weights(tmp_path, architecture, wh):
    network = of_size(architecture, wh, 7)
    path = write(tmp_path / "a.pth", network, meta={})
    _, card = load_network(path)
    assert (card.architecture, card.input_wh) == (architecture, wh)
    assert len(card.own_skeleton) == 7


def test_sigmas_of_targets_are_the_published(tmp_path):
    for wh, model in (
        ((192, 256), "rtmpose-t_body8_256x192"),
        ((288, 384), "rtmpose-m_body8_384x288"),
    ):
        path = write(tmp_path / f"{wh[0]}.pth", of_size(wh=wh))
        assert load_network(path)[1].codec == zoo.find(model).codec


def test_published_names_are_the_published_set(tmp_path):
    from rtmpose.skeletons import get_skeleton

    coco = get_skeleton("coco17")
    meta = {
        "keypoint_id2name": dict(enumerate(coco.keypoints)),
        "sigmas": np.array(coco.sigmas, np.float32),
    }
    _, card = load_network(write(tmp_path / "a.pth", of_size(points=17), meta=meta))
    assert (card.skeleton, card.own_skeleton) == ("coco17", None)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"keypoint_id2name": {0: "a"}},
        {"keypoint_id2name": dict.fromkeys(range(5), "same")},
        {"keypoint_id2name": 5, "flip_indices": "x", "sigmas": None},
    ],
)
def test_poor_meta_data_gives_numbered_points(tmp_path, meta, caplog):
    _, card = load_network(write(tmp_path / "a.pth", of_size(), meta=meta))
    assert card.own_skeleton.keypoints[0] == "keypoint_0"
    assert "does not name its 5 keypoints" in caplog.text


def test_wrong_details_are_left_out(tmp_path):
    meta = META | {
        "flip_indices": [0, 9, 1, 3, 4],
        "sigmas": np.array([np.nan] * 5),
        "skeleton_links": [(0, 77), "ab", (1, 1), (0, 1)],
    }
    _, card = load_network(write(tmp_path / "a.pth", of_size(), meta=meta))
    points = card.own_skeleton
    assert points.flip_indices == (0, 1, 2, 3, 4)
    assert points.sigmas == ()
    assert points.links == ((0, 1),)


def test_arrays_are_read_without_numpys_own_code(tmp_path):
    """Numbers keep their values; arrays of objects and damaged ones are nothing."""
    values = {
        "floats": np.arange(6.0).reshape(2, 3),
        "big": np.arange(3, dtype=">i4"),
        "turned": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "bool": np.array([True, False]),
        "scalar": np.float32(0.5),
        "objects": np.array([{}, None], object),
        "texts": np.array(["a", "b"]),
    }
    path = tmp_path / "a.pth"
    torch.save({"meta": values, "state_dict": {"a.weight": torch.zeros(2)}}, path)
    meta = read_training_file(path).meta
    assert meta["floats"] == [[0, 1, 2], [3, 4, 5]]
    assert meta["big"] == [0, 1, 2]
    assert meta["turned"] == [[0, 1, 2], [3, 4, 5]]
    assert meta["bool"] == [True, False]
    assert meta["scalar"] == 0.5
    assert meta["objects"] is None
    assert meta["texts"] is None


class _Other:
    def __reduce__(self):
        return (print, ("code of a file ran",))


def test_checkpoints_of_ultralytics_are_named(tmp_path, monkeypatch):
    module = types.ModuleType("ultralytics.nn.tasks")
    model = type("PoseModel", (), {"__module__": module.__name__})
    module.PoseModel = model
    for name in ("ultralytics", "ultralytics.nn"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({"epoch": 1, "model": model()}, tmp_path / "yolo.pt")
    with pytest.raises(ModelError, match="checkpoint of Ultralytics: export it to ONNX there"):
        read_checkpoint(tmp_path / "yolo.pt")


def test_code_in_the_meta_data_is_refused(tmp_path, capsys):
    path = tmp_path / "a.pth"
    torch.save({"meta": {"dataset_meta": _Other()}, "state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(ModelError, match="foreign code"):
        read_checkpoint(path)
    assert "code of a file" not in capsys.readouterr().out


def test_a_detector_of_several_classes(tmp_path):
    card = replace(zoo.find("rtmdet-nano"), classes=("cat", "dog", "widget"))
    network = build(config_for(card))
    meta = {"classes": ("cat", "dog", "widget"), "palette": [(1, 2, 3)]}
    path = write(tmp_path / "pets.pth", network, meta=meta)
    _, found = load_network(path)
    assert found.classes == ("cat", "dog", "widget")
    assert (found.architecture, found.input_wh) == ("rtmdet-nano", (320, 320))
    assert found.normalization == zoo.find("rtmdet-nano").normalization
    detector = Detector(path)
    assert detector.card.classes == found.classes


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {"layer1.conv.weight": torch.zeros(3, 3)}}, path)
    with pytest.raises(ModelError, match="its weights are not those of"):
        load_network(path)


def test_the_runtime_takes_them(tmp_path):
    estimator = PoseEstimator(write(tmp_path / "kite.pth", of_size()))
    assert estimator.skeleton.keypoints == NAMES
    poses = estimator(np.zeros((80, 80, 3), np.uint8), [[5, 5, 70, 70]])
    assert poses.keypoints.shape == (1, 5, 2)


def test_commands_take_them(tmp_path, capsys):
    path = write(tmp_path / "kite.pth", of_size())
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), np.zeros((80, 80, 3), np.uint8))
    out = str(tmp_path / "out")
    assert main(["predict", str(image), "--pose", str(path), "--detector", "none", "-o", out]) == 0
    capsys.readouterr()


def test_training_starts_from_them(tmp_path):
    pytest.importorskip("lightning_fabric", reason="training is not installed")
    from rtmpose.training import find_recipe
    from rtmpose.training.start import start_network

    path = write(tmp_path / "kite.pth", of_size())
    network, card, points = start_network(find_recipe("finetune"), str(path), None)
    assert points.keypoints == NAMES
    assert card.architecture == "rtmpose-t"
    assert network is not None


def halpe26(tmp_path):
    """RTMPose-t of 26 points as the publisher's training writes it."""
    points = get_skeleton("halpe26")
    meta = {
        "dataset_name": "halpe26",
        "keypoint_id2name": dict(enumerate(points.keypoints)),
        "flip_indices": list(points.flip_indices),
        "skeleton_links": list(points.links),
        "sigmas": np.array(points.sigmas, np.float32),
    }
    return write(tmp_path / "halpe26.pth", of_size(points=26), meta=meta)


def test_halpe26_goes_through_predict_and_eval(tmp_path):
    path = halpe26(tmp_path)
    _, card = load_network(path)
    assert (card.skeleton, card.own_skeleton) == ("halpe26", None)
    data = coco_folder(tmp_path / "set", 2, "halpe26")
    image = str(tmp_path / "set" / "images" / "1.png")
    out = tmp_path / "out"
    command = ["predict", image, "--pose", str(path), "--detector", "none", "--jsonl", str(out)]
    assert main(command) == 0
    head, frame = map(json.loads, (out / "1.jsonl").read_text().splitlines())
    assert head["keypoints"] == list(get_skeleton("halpe26").keypoints)
    assert len(frame["people"]) == 1
    report = tmp_path / "report.json"
    assert main(["eval", str(data), "--pose", str(path), "--json", str(report)]) == 0
    settings = json.loads(report.read_text())["settings"]
    assert settings["keypoints"] == 26


def test_halpe26_is_trained_on(tmp_path, capsys):
    """With a teacher, the checkpoint itself: no name, card or file besides is needed."""
    pytest.importorskip("lightning_fabric", reason="training is not installed")
    path = halpe26(tmp_path)
    data = coco_folder(tmp_path / "set", 8, "halpe26")
    run = tmp_path / "run"
    command = ["train", "finetune", "--data", str(data), "--init", str(path), "-o", str(run)]
    assert main([*command, "--set", "epochs=1", "--set", "workers=1"]) == 0
    network, card = load_network(run / "last.safetensors")
    assert (card.skeleton, card.architecture, card.input_wh) == ("halpe26", "rtmpose-t", (64, 64))
    before = read_checkpoint(path)
    assert set(network.state_dict()) == set(before)


@pytest.mark.slow
def test_exports_of_them_are_verified(tmp_path):
    path = halpe26(tmp_path)
    assert main(["export", str(path), "--to", "onnx", "-o", str(tmp_path / "out")]) == 0
    exported = next((tmp_path / "out").glob("*.onnx"))
    assert PoseEstimator(exported).skeleton.name == "halpe26"
