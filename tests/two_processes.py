"""Run by test_training_parallel.py, alone or twice by torchrun: writes losses of a few steps."""

import sys
from pathlib import Path

import torch
import trainable

from rtmpose.training import Recipe, override, train, with_settings
from rtmpose.training.data.augment import Augmentation

torch.set_num_threads(1)
data, out, batch, processes = (
    Path(sys.argv[1]),
    Path(sys.argv[2]),
    int(sys.argv[3]),
    int(sys.argv[4]),
)
recipe = override(
    Recipe("two"),
    epochs=2,
    batch_size=batch,
    lr=4e-4,
    base_batch_size=8,
    warmup_steps=3,
    precision="fp32",
    val_fraction=0.15,
    reference_batch_size=4,
    augment=Augmentation(scale=(0.8, 1.2), rotate=20),
    workers=1,
    bn_mode="frozen",
    eval_every=1,
)
recipe = with_settings(recipe, dict(a.split("=") for a in sys.argv[5:]))
import rtmpose.training.run as run  # noqa: E402

run.LOG_EVERY = 1
task = trainable.task(data, recipe)
train(task, recipe, out, accelerator="cpu", devices=processes)
