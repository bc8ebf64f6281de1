"""What a training can go on from: after a stop, damage, a kill, a full disk."""

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from tiny_training import TINY, every_step, loss_column  # noqa: E402

from rtmpose.errors import InputError, OutputError  # noqa: E402
from rtmpose.networks import read_checkpoint  # noqa: E402
from rtmpose.training import checkpoint as states  # noqa: E402
from rtmpose.training import override, train  # noqa: E402
from rtmpose.training.data.augment import NO_AUGMENTATION  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("stop_at", [2, 7])
def test_resume_gives_the_losses_of_an_unbroken_run(dots, tmp_path, monkeypatch, stop_at):
    every_step(monkeypatch)
    recipe = override(TINY, late_augment=NO_AUGMENTATION, late_epochs=1)
    whole = train(trainable.task(dots, recipe), recipe, tmp_path / "whole")

    class Stop:
        def is_set(self):
            return self.step >= stop_at

    import contextlib

    signal = Stop()
    signal.step = 0

    @contextlib.contextmanager
    def stopped():
        yield signal

    with monkeypatch.context() as patch:
        patch.setattr("rtmpose.training.loop.stop_signal", stopped)
        part = train(
            trainable.task(dots, recipe),
            recipe,
            tmp_path / "broken",
            on_status=lambda status: setattr(signal, "step", status.step),
        )
    assert not part.finished
    assert part.status.step == stop_at
    with pytest.raises(InputError, match="--resume"):
        train(trainable.task(dots, recipe), recipe, tmp_path / "broken")
    rest = train(trainable.task(dots, recipe), recipe, tmp_path / "broken", resume=True)
    assert rest.finished
    assert loss_column(tmp_path / "broken") == loss_column(tmp_path / "whole")
    assert rest.status.metrics == whole.status.metrics
    one, two = (read_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_the_damaged_state_gives_way_to_the_one_before(dots, tmp_path):
    recipe = override(TINY, epochs=2)
    train(trainable.task(dots, recipe), recipe, tmp_path)
    before = states.load_state(tmp_path)["step"]
    longer = override(TINY, epochs=4)
    content = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(content[: len(content) // 2])
    assert states.load_state(tmp_path)["step"] == before // 2
    resumed = train(trainable.task(dots, longer), longer, tmp_path, resume=True)
    assert resumed.finished
    (tmp_path / "state.pt").write_bytes(b"")
    (tmp_path / "state-previous.pt").write_bytes(b"x")
    with pytest.raises(InputError, match="damaged"):
        states.load_state(tmp_path)


def test_a_write_cut_short_leaves_the_old_state(tmp_path, monkeypatch):
    states.save_state(tmp_path, {"step": 1})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        states.save_state(tmp_path, {"step": 2})
    assert states.load_state(tmp_path) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("links", [True, False])
def test_a_kill_at_any_moment_of_a_save_leaves_a_state(tmp_path, monkeypatch, links):
    """Whatever is the last step on the disk that still happens, there is a state.pt."""
    states.save_state(tmp_path, {"step": 1})
    states.save_state(tmp_path, {"step": 2})
    steps = []

    def watched(name):
        original = getattr(Path, name)

        def call(self, *rest, **names):
            steps.append(name)
            assert (tmp_path / "state.pt").is_file()
            result = original(self, *rest, **names)
            assert (tmp_path / "state.pt").is_file()
            assert states.load_state(tmp_path)["step"] in (2, 3)
            return result

        monkeypatch.setattr(Path, name, call)

    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    for name in ("replace", "unlink", "rename"):
        watched(name)
    if not links:
        monkeypatch.setattr("os.link", no_links)
    states.save_state(tmp_path, {"step": 3})
    assert len(steps) >= 3
    assert states.load_state(tmp_path) == {"step": 3}
    (tmp_path / "state.pt").write_bytes(b"damaged")
    assert states.load_state(tmp_path) == {"step": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state-previous.pt", "state.pt"]


def test_full_disk_is_a_warning_until_the_end(dots, tmp_path, monkeypatch, caplog):
    import errno

    recipe = override(TINY, epochs=2)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    task = trainable.task(dots, recipe)
    monkeypatch.setattr("rtmpose.training.run.save_state", lambda *_: full_state())

    def full_state():
        raise OutputError("state.pt cannot be written: No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        train(task, recipe, tmp_path)
    assert "Training goes on" in caplog.text


def test_two_trainings_do_not_share_a_folder(dots, tmp_path):
    """The second is refused, and the first goes on as if alone."""
    out = tmp_path / "run"
    refused = []

    def second(_):
        if not refused:
            with pytest.raises(OutputError, match=f"written by another run .process {os.getpid()}"):
                train(trainable.task(dots, TINY), TINY, out, resume=(out / "state.pt").exists())
            refused.append(True)

    recipe = override(TINY, epochs=1)
    result = train(trainable.task(dots, recipe), recipe, out, on_status=second)
    assert refused
    assert result.finished
    assert not (out / ".rtmpose.lock").exists()


def test_no_folder_is_made_where_nothing_can_be_resumed(dots, tmp_path):
    with pytest.raises(InputError, match="no training state"):
        train(trainable.task(dots, TINY), TINY, tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of the size of files")
def test_a_disk_that_fills_up_keeps_the_state_before(dots, tmp_path):
    """With a limit on the size of files, as on a full disk, within a process of its own."""
    import resource

    recipe = override(TINY, epochs=1)
    train(trainable.task(dots, recipe), recipe, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.pt")}
    longer = override(TINY, epochs=3)
    process = os.fork()
    if not process:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            train(trainable.task(dots, longer), longer, tmp_path, resume=True)
        except OutputError as error:
            status = 0 if "File too large" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    after = {p.name: p.read_bytes() for p in tmp_path.glob("*.pt")}
    assert after == before
    assert [p.name for p in tmp_path.iterdir() if ".tmp" in p.name] == []
    result = train(trainable.task(dots, longer), longer, tmp_path, resume=True)
    assert result.finished


# ---- the data is elsewhere, or not whole any more


def stopped_after_a_step(folder, out, monkeypatch):
    """A training of the set in a folder, stopped at once."""
    every_step(monkeypatch)
    result = train(trainable.task(folder, TINY), TINY, out, stop_after_s=0)
    assert not result.finished
    assert result.status.step == 1


def test_moved_data_gives_the_losses_of_an_unbroken_run(tmp_path, monkeypatch):
    before = trainable.write_set(tmp_path / "before")
    every_step(monkeypatch)
    train(trainable.task(before, TINY), TINY, tmp_path / "whole")
    stopped_after_a_step(before, tmp_path / "run", monkeypatch)
    after = before.rename(tmp_path / "another disk")
    assert train(trainable.task(after, TINY), TINY, tmp_path / "run", resume=True).finished
    assert loss_column(tmp_path / "run") == loss_column(tmp_path / "whole")


def test_a_deleted_image_does_not_end_a_training(tmp_path, monkeypatch, caplog):
    folder = trainable.write_set(tmp_path / "set")
    stopped_after_a_step(folder, tmp_path / "run", monkeypatch)
    (folder / "images" / "7.png").unlink()
    task = trainable.task(folder, TINY)
    assert "1 of 24 images are missing" in caplog.text
    assert train(task, TINY, tmp_path / "run", resume=True).finished


def test_a_set_that_lost_a_part_is_refused_in_words(tmp_path, monkeypatch):
    folder = trainable.write_set(tmp_path / "set")
    stopped_after_a_step(folder, tmp_path / "run", monkeypatch)
    smaller = trainable.write_set(tmp_path / "smaller", n=12)
    words = "an epoch had . steps and now has .: the data, .*last.safetensors"
    with pytest.raises(InputError, match=words):
        train(trainable.task(smaller, TINY), TINY, tmp_path / "run", resume=True)
    assert train(trainable.task(folder, TINY), TINY, tmp_path / "run", resume=True).finished
