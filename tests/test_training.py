"""The training loop: it learns, repeats itself, reports, and says what went wrong."""

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from tiny_training import TINY, every_step, loss_column, rows  # noqa: E402

from rtmpose.errors import InputError, RtmposeError  # noqa: E402
from rtmpose.networks import load_network, read_checkpoint  # noqa: E402
from rtmpose.training import override, train  # noqa: E402
from rtmpose.training.data.augment import NO_AUGMENTATION  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_files_and_status(dots, tmp_path, monkeypatch):
    every_step(monkeypatch)
    seen = []
    result = train(trainable.task(dots, TINY), TINY, tmp_path / "run", on_status=seen.append)
    folder = tmp_path / "run"
    assert result.finished
    assert result.status.step == result.status.steps == len(loss_column(folder))
    assert {"best.safetensors", "last.safetensors", "state.pt", "recipe.json", "tensorboard"} <= {
        p.name for p in folder.iterdir()
    }
    assert [s.step for s in seen if s.step] == sorted(s.step for s in seen)
    assert list(result.status.metrics) == ["AP", "PCK@0.1", "PCK@0.05"]
    assert len(rows(folder / "evaluations.csv")) == TINY.schedule.epochs
    assert 0 <= result.status.waiting < 1
    assert result.status.samples_per_s > 0
    assert (
        json.loads((folder / "recipe.json").read_text())["recipe"]["optimizer"]["lr"]
        == TINY.optimizer.lr
    )
    state = read_checkpoint(folder / "last.safetensors")
    assert set(state) == set(trainable.network().state_dict())
    assert not list(folder.glob(".*tmp"))


def test_same_seed_same_losses_another_seed_others(dots, tmp_path, monkeypatch):
    every_step(monkeypatch)
    short = override(TINY, epochs=1)
    runs = {}
    for name, recipe in {
        "a": short,
        "b": override(short, workers=0),
        "c": override(short, seed=22),
    }.items():
        train(trainable.task(dots, recipe), recipe, tmp_path / name)
        runs[name] = loss_column(tmp_path / name)
    assert runs["a"] == runs["b"]
    assert runs["a"] != runs["c"]


def test_accumulated_batches_are_one_large_batch(dots, tmp_path, monkeypatch):
    """Without batch statistics, two halves give the step of the whole."""
    every_step(monkeypatch)
    whole = override(
        TINY,
        epochs=1,
        batch_size=8,
        bn_mode="frozen",
        augment=NO_AUGMENTATION,
        reference_batch_size=8,
        grad_clip_norm=0,
    )
    halves = override(whole, batch_size=4, accumulate=2)
    found = []
    for name, recipe in (("whole", whole), ("halves", halves)):
        train(trainable.task(dots, recipe), recipe, tmp_path / name)
        found.append(loss_column(tmp_path / name))
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.slow
def test_it_learns(dots, tmp_path, monkeypatch):
    every_step(monkeypatch)
    recipe = override(
        TINY,
        epochs=30,
        batch_size=8,
        lr=2e-3,
        augment=NO_AUGMENTATION,
        eval_every=30,
        val_fraction=0,
    )
    result = train(trainable.task(dots, recipe), recipe, tmp_path)
    losses = loss_column(tmp_path)
    assert sum(losses[-3:]) < 0.75 * sum(losses[:3])
    assert result.status.metrics == {}


def test_a_card_without_the_width_of_labels(dots, monkeypatch):
    """It is enough to run a model, not to train it."""
    import dataclasses

    whole = trainable.card()
    codec = dataclasses.replace(whole.codec, sigma=())
    monkeypatch.setattr(trainable, "card", lambda _: dataclasses.replace(whole, codec=codec))
    with pytest.raises(InputError, match=r"does not say how wide its labels are \(codec.sigma"):
        trainable.task(dots, TINY)


def test_endless_infinity_is_an_error_with_advice(dots, tmp_path, monkeypatch):
    monkeypatch.setattr("rtmpose.training.run.MAX_BAD_STEPS", 3)
    task = trainable.task(dots, TINY)
    inner = task.losses
    task.losses = lambda network, batch: {k: v * math.nan for k, v in inner(network, batch).items()}
    with pytest.raises(RtmposeError, match="lower the rate"):
        train(task, TINY, tmp_path)


def test_out_of_memory_says_what_to_do(dots, tmp_path):
    task = trainable.task(dots, TINY)

    def losses(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    task.losses = losses
    with pytest.raises(RtmposeError, match=r"batch_size=2 --set accumulate=2"):
        train(task, TINY, tmp_path)


def test_training_ends_early_where_it_is_good_enough(dots, tmp_path):
    task = trainable.task(dots, override(TINY, epochs=50))
    result = train(
        task, override(TINY, epochs=50), tmp_path, until=lambda status: "PCK@0.05" in status.metrics
    )
    assert not result.finished
    assert result.status.step == task.steps() + 1  # the first step after the first evaluation
    assert (tmp_path / "last.safetensors").exists()
    assert (
        train(
            task, override(TINY, epochs=50), tmp_path, resume=True, until=lambda s: s.step > 7
        ).status.step
        < 50
    )


@pytest.mark.parametrize("kind", ["simcc", "heatmap"])
def test_unlabeled_points_teach_nothing(dots, kind):
    task = trainable.task(dots, override(TINY, bn_mode="frozen"), kind)
    batch = next(iter(task.batches(0, 0, 0, 1)))
    task.network.eval()
    batch["points"][0, 1] = 0
    one = task.losses(task.network, batch)["labels"]
    batch["points"][0, 1] = torch.tensor([50.0, 20.0, 0.0])
    assert task.losses(task.network, batch)["labels"] == one
    batch["points"][0, 1, 2] = 1
    assert task.losses(task.network, batch)["labels"] != one


def test_checkpoints_open_with_their_card(dots, tmp_path, monkeypatch):
    recipe = override(TINY, epochs=1)
    train(trainable.task(dots, recipe), recipe, tmp_path)
    from rtmpose.networks.checkpoint import read_card

    assert read_card(tmp_path / "best.safetensors") == trainable.card()
    network = trainable.network()
    monkeypatch.setattr("rtmpose.networks.load.config_for", lambda _: network.config)
    loaded, card = load_network(tmp_path / "last.safetensors")
    assert card.input_wh == trainable.WH
    assert np.isfinite(loaded(torch.zeros(1, 3, 64, 64))[0].detach().numpy()).all()
