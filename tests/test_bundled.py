"""The models that are part of the package: whole, described, prepared, and enough without a
network.
"""

import importlib.util
import json

import numpy as np
import pytest

import rtmpose
from rtmpose import pipeline, zoo
from rtmpose.backends import bf16_calibration, int8_preparation
from rtmpose.backends.openvino_network import cpu_has_bf16, read_network
from rtmpose.cards.io import embedded_card
from rtmpose.cli import main, options
from rtmpose.errors import ModelError
from rtmpose.paths import bundled_folder, photos_folder
from rtmpose.zoo.cache import is_bundled, sha256_of

CARDS = [card for card in zoo.load_zoo() if any(map(is_bundled, card.files))]
DEFAULTS = {"rtmdet-nano_finetuned_320x320", "rtmpose-s_finetuned-halpe26_256x192"}
OURS = {"rtmpose-s-finetuned", "rtmdet-nano-finetuned", "rtmpose-s-192x144", "rtmpose-s-pruned"}
MOST_BYTES = 34e6


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A machine without a cache and without a network."""
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RTMPOSE_OFFLINE", "1")
    return tmp_path


def test_what_there_is():
    assert {alias for card in CARDS for alias in card.aliases} >= OURS
    assert sum(p.stat().st_size for p in bundled_folder().iterdir()) <= MOST_BYTES
    known = {file.name for card in CARDS for file in card.files}
    assert {p.name for p in bundled_folder().glob("*.onnx")} == known


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_files_and_cards(card, fresh):
    path, found = zoo.resolve(card.id)
    assert found == card
    assert sha256_of(path) == card.file("onnx").sha256
    inside = embedded_card(path)
    same = (
        "task",
        "architecture",
        "input_wh",
        "normalization",
        "codec",
        "skeleton",
        "input_fit",
        "calibration",
    )
    assert inside.id in (card.id, *card.aliases)
    assert {k: getattr(inside, k) for k in same} == {k: getattr(card, k) for k in same}
    assert (inside.params_m, inside.gflops) == (card.params_m, card.gflops)
    assert all(word in inside.notes for word in ("AP", "seed"))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_preparations(card, fresh):
    """Nobody waits for one: it comes with the package and is trusted."""
    digest = card.file("onnx").sha256
    medians, record = bf16_calibration.load_calibration(digest)
    assert record is not None
    assert (record.sha256, record.trusted) == (digest, True)
    assert bool(medians) == bool(record.convolutions)
    assert int8_preparation.is_trusted_int8(zoo.resolve(card.id)[0])
    if importlib.util.find_spec("openvino") and cpu_has_bf16():
        path, _ = zoo.resolve(card.id)
        bf16_calibration.find_medians(path, read_network(path), card)
        assert not list(fresh.rglob("*.npz"))


def test_predict_without_cache_or_network(fresh, capsys):
    photo = photos_folder() / "000000541055.jpg"
    arguments = [
        "predict",
        str(photo),
        "--output",
        str(fresh / "out"),
        "--json",
        str(fresh / "poses.json"),
    ]
    assert main(arguments) == 0
    people = json.loads((fresh / "poses.json").read_text())
    sure = [p for p in people if p["score"] > 0.3]
    assert len(sure) >= 3
    assert all(len(p["keypoints"]) == 3 * 26 for p in people)
    assert (fresh / "out" / "000000541055.jpg").is_file()


def test_the_command_line_has_the_same_defaults():
    assert (options.DETECTOR, options.POSE) == (
        pipeline.DEFAULT_DETECTOR,
        pipeline.DEFAULT_POSE_MODEL,
    )


def test_defaults_are_bundled(fresh):
    whole = rtmpose.Pipeline(backend="onnxruntime", device="cpu", threads=1)
    assert {whole.detector.card.id, whole.pose.card.id} == DEFAULTS <= {card.id for card in CARDS}
    assert len(whole(np.zeros((240, 320, 3), np.uint8))) == 0


def test_a_damaged_installation_is_told(fresh, monkeypatch):
    monkeypatch.setattr("rtmpose.zoo.cache.bundled_folder", lambda: fresh / "nothing")
    with pytest.raises(ModelError, match="install rtmpose again"):
        zoo.resolve(CARDS[0].id)
