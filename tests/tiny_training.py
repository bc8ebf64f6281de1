"""The recipe of trainings that take seconds, and how their curves are read."""

import csv

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)


from rtmpose.training import Recipe, override  # noqa: E402
from rtmpose.training.data.augment import Augmentation  # noqa: E402

TINY = override(
    Recipe("tiny"),
    epochs=3,
    batch_size=4,
    lr=1e-3,
    base_batch_size=0,
    warmup_steps=4,
    precision="fp32",
    val_fraction=0.2,
    reference_batch_size=4,
    augment=Augmentation(scale=(0.8, 1.2), rotate=20),
    gamma=10,
    workers=2,
)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def every_step(monkeypatch):
    monkeypatch.setattr("rtmpose.training.run.LOG_EVERY", 1)


def loss_column(folder):
    return [float(r["loss"]) for r in rows(folder / "steps.csv")]
