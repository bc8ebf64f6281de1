"""Run by test_training_parallel.py, alone or twice by torchrun: writes the losses of a few steps."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
import trainable

from rtmpose.training import Recipe, train
from rtmpose.training.data.augment import Augmentation

torch.set_num_threads(1)
data, out, batch, processes = (
    Path(sys.argv[1]),
    Path(sys.argv[2]),
    int(sys.argv[3]),
    int(sys.argv[4]),
)
recipe = Recipe(
    "two", epochs=2, batch=batch, lr=4e-4, base_batch=8, warmup_steps=3, precision="fp32", heldout=0.15, loss_batch=4,
    augment=Augmentation(scale=(0.8, 1.2), rotate=20), workers=1, norms="frozen", eval_every=1,
)  # fmt: skip
recipe = replace(
    recipe, **{k: type(getattr(recipe, k))(v) for k, v in (a.split("=") for a in sys.argv[5:])}
)
import rtmpose.training.loop as loop  # noqa: E402

loop.LOG_EVERY = 1
task = trainable.task(data, recipe)
train(task, recipe, out, accelerator="cpu", devices=processes)
