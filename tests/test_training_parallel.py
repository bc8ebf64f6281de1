"""Two processes on the CPU give the losses and weights of one process with the doubled batch."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402

from rtmpose.networks import read_checkpoint  # noqa: E402

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


def run(data, out, batch, processes, launcher=()):
    command = [
        sys.executable,
        *launcher,
        str(HERE / "two_processes.py"),
        str(data),
        str(out),
        str(batch),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(processes)],
        env=environment,
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with (out / "steps.csv").open() as file:
        return [(float(r["loss"]), float(r["lr"])) for r in csv.DictReader(file)]


@pytest.mark.parametrize("how", ["started by itself", "torchrun"])
def test_two_processes_are_one_with_the_doubled_batch(tmp_path, how):
    data = trainable.write_set(tmp_path / "set")
    alone = run(data, tmp_path / "alone", 8, 1)
    launcher = (
        ("-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29511")
        if how == "torchrun"
        else ()
    )
    together = run(data, tmp_path / "together", 4, 2, launcher)
    assert len(alone) == len(together) > 3
    for (loss, rate), (other_loss, other_rate) in zip(alone, together, strict=True):
        assert other_rate == pytest.approx(rate)
        assert other_loss == pytest.approx(loss, rel=1e-4)
    one, two = (read_checkpoint(tmp_path / n / "last.safetensors") for n in ("alone", "together"))
    for key, value in one.items():
        assert torch.allclose(value.float(), two[key].float(), atol=2e-5), key


def test_a_killed_process_is_told_and_its_training_goes_on(tmp_path):
    data, out = trainable.write_set(tmp_path / "set"), tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [
        sys.executable,
        str(HERE / "two_processes.py"),
        str(data),
        str(out),
        "4",
        "2",
        "epochs=400",
    ]
    first = subprocess.Popen(command, env=environment, cwd=HERE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 200
        while (
            not (out / "state-previous.pt").exists()
            and time.monotonic() < deadline
            and first.poll() is None
        ):
            time.sleep(0.2)
        assert first.poll() is None
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        others = [
            int(c) for c in children if "two_processes" in Path(f"/proc/{c}/cmdline").read_text()
        ]
        assert others
        os.kill(others[0], signal.SIGKILL)
        _, text = first.communicate(timeout=200)
    finally:
        first.kill()
    assert first.returncode != 0
    assert "another process of the training is gone" in text
    from rtmpose.training.checkpoint import load_state

    assert load_state(out)["step"] > 0
