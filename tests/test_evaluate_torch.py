"""Checkpoints, their exports and networks in memory give the same scores."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from scored import make_set  # noqa: E402

from rtmpose import BackendOptions, PoseEstimator  # noqa: E402
from rtmpose.cards.io import embedded_card  # noqa: E402
from rtmpose.evaluation import evaluate  # noqa: E402
from rtmpose.evaluation.classification import Classifier, center_crop  # noqa: E402
from rtmpose.evaluation.detection import evaluate_detector  # noqa: E402
from rtmpose.networks.build import build, config_for  # noqa: E402
from rtmpose.networks.checkpoint import save_safetensors  # noqa: E402
from rtmpose.networks.load import to_tensor  # noqa: E402
from rtmpose.types import Poses  # noqa: E402
from rtmpose.zoo import find  # noqa: E402

TORCH = BackendOptions("torch", "cpu", threads=1)


def network_of(name):
    torch.manual_seed(0)
    card = find(name)
    return build(config_for(card)).eval(), card


def test_classifier_checkpoint(tmp_path):
    network, card = network_of("cspnext-tiny_imagenet_224x224")
    path = tmp_path / "c.safetensors"
    save_safetensors(path, network, card)
    assert embedded_card(path).id == card.id
    model = Classifier(path, options=TORCH)
    assert model.classes == 1000
    image = np.random.default_rng(0).integers(0, 256, (240, 300, 3)).astype(np.uint8)
    with torch.inference_mode():
        expected = network(
            to_tensor(center_crop(image, (224, 224))[None], card.normalization)
        ).numpy()
    np.testing.assert_allclose(model([image]), expected, atol=1e-4)


def test_pose_checkpoint_and_the_network_in_memory(tmp_path):
    network, card = network_of("rtmpose-t")
    data = make_set(tmp_path, "coco17", images=2)
    for i, path in data.images.items():
        cv2.imwrite(
            str(path), np.random.default_rng(i).integers(0, 256, (120, 160, 3)).astype(np.uint8)
        )
    save_safetensors(tmp_path / "t.safetensors", network, card)
    stored = PoseEstimator(tmp_path / "t.safetensors", options=TORCH)
    result = evaluate(data, stored)
    assert result.settings["engine"] == "torch"

    class InPlace:
        """What a training hands over: its network, called like an estimator."""

        skeleton = stored.skeleton

        def __call__(self, image, boxes, *, flip_test=False):
            crops, matrices = stored.crop([image], [boxes])
            with torch.inference_mode():
                outputs = network(to_tensor(crops, card.normalization))
            poses = stored.decode(tuple(o.numpy() for o in outputs), matrices, [boxes])[0]
            return Poses(boxes.boxes, boxes.scores, poses.keypoints, poses.scores, self.skeleton)

    again = evaluate(data, InPlace())
    assert again.metrics == pytest.approx(result.metrics, abs=1e-6)
    assert again.pairs is not None
    np.testing.assert_allclose(again.pairs.scores, result.pairs.scores, atol=1e-4)


def test_detector_checkpoint(tmp_path):
    from rtmpose import Detector

    network, card = network_of("rtmdet-nano")
    save_safetensors(tmp_path / "d.safetensors", network, card)
    data = make_set(tmp_path, "coco17", images=2)
    result = evaluate_detector(data, Detector(tmp_path / "d.safetensors", options=TORCH))
    assert result.settings["engine"] == "torch"
    assert 0 <= result.metrics["AP"] <= 1
