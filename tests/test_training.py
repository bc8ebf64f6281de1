"""The training loop: it learns, it resumes exactly, it survives bad data and full disks."""

import copy
import csv
import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402

from rtmpose.errors import InputError, OutputError, RtmposeError  # noqa: E402
from rtmpose.networks import load_network, read_checkpoint  # noqa: E402
from rtmpose.training import Distillation, Recipe, override, train, with_settings  # noqa: E402
from rtmpose.training import checkpoint as states  # noqa: E402
from rtmpose.training.data.augment import NO_AUGMENTATION, Augmentation  # noqa: E402
from rtmpose.training.devices import choose_precision, resolve_precision  # noqa: E402
from rtmpose.training.optim import learning_rate, parameter_groups, rate_factor  # noqa: E402

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


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    return trainable.write_set(tmp_path_factory.mktemp("dots") / "set")


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def every_step(monkeypatch):
    monkeypatch.setattr("rtmpose.training.run.LOG_EVERY", 1)


def loss_column(folder):
    return [float(r["loss"]) for r in rows(folder / "steps.csv")]


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


def test_a_card_without_the_width_of_labels(dots, monkeypatch):
    """It is enough to run a model, not to train it."""
    import dataclasses

    whole = trainable.card()
    codec = dataclasses.replace(whole.codec, sigma=())
    monkeypatch.setattr(trainable, "card", lambda _: dataclasses.replace(whole, codec=codec))
    with pytest.raises(InputError, match=r"does not say how wide its labels are \(codec.sigma"):
        trainable.task(dots, TINY)


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


def test_norms_of_an_export_stay_frozen(dots, tmp_path):
    pixels, variances, outputs = torch.randn(2, 3, 64, 64), [], []
    for epochs in (1, 2):
        task = trainable.task(dots, override(TINY, epochs=epochs))
        for module in task.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(1 - module.eps)
        out = tmp_path / str(epochs)
        train(task, override(TINY, epochs=epochs, momentum=0), out)
        batch_norm = [m for m in task.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        variances.append([m.running_var for m in batch_norm])
        outputs.append([o.detach() for o in task.network.eval()(pixels)])
        # What is kept is the plain network of the same function.
        kept = trainable.network()
        kept.load_state_dict(read_checkpoint(out / "last.safetensors"))
        for a, b in zip(outputs[-1], kept.eval()(pixels), strict=True):
            assert torch.allclose(a, b, atol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(*variances, strict=True))
    assert not torch.allclose(outputs[0][0], outputs[1][0], atol=1e-3)


def test_centered_training_starts_at_the_same_function(dots, tmp_path):
    """Norms with statistics of their own too: nothing is lost before the first step, and the file
    kept is plain.
    """
    task = trainable.task(dots, TINY)
    pixels = torch.randn(2, 3, 64, 64)
    for module in task.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
    before = [o.detach() for o in task.network.eval()(pixels)]
    train(task, override(TINY, bn_mode="centered", lr=1e-9, momentum=0), tmp_path)
    assert any(hasattr(m, "center") for m in task.network.modules())
    kept = trainable.network()
    kept.load_state_dict(read_checkpoint(tmp_path / "last.safetensors"))
    for a, b in zip(before, kept.eval()(pixels), strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_estimated_statistics_keep_the_function(dots):
    from rtmpose.training import batch_norm

    task = trainable.task(dots, TINY)
    batches = list(task.batches(0, 0, 0, 1))
    pixels = torch.randn(2, 3, 64, 64)
    network = task.network.eval()
    before = network(pixels)
    used = batch_norm.estimate_statistics(network, batches, lambda n, b: task.losses(n, b))
    assert used == len(batches)
    assert not batch_norm.is_folded(network)
    for a, b in zip(before, network(pixels), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_centered_convolutions_keep_the_function_and_can_be_taken_out_again(dots):
    from rtmpose.training import batch_norm

    task = trainable.task(dots, TINY)
    batches = list(task.batches(0, 0, 0, 1))
    pixels = torch.randn(2, 3, 64, 64)
    network = task.network.eval()
    before, keys = network(pixels), set(network.state_dict())
    changed = batch_norm.center(network, batches, lambda n, b: task.losses(n, b))
    added = set(network.state_dict()) - keys
    assert len(added) == changed > 10
    assert all(k.endswith(".conv.center") for k in added)
    with torch.no_grad():
        for parameter in network.parameters():  # as training does
            parameter.add_(torch.randn_like(parameter) * 1e-3)
    trained = network(pixels)
    without = batch_norm.plain(network)
    assert set(without.state_dict()) == keys
    for a, b, c in zip(before, trained, without(pixels), strict=True):
        assert torch.allclose(b, c, atol=1e-5)
        assert not torch.allclose(a, b, atol=1e-4)


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


@pytest.mark.parametrize("centered", [False, True])
def test_frozen_norms_are_computed_with_their_convolutions(dots, centered):
    """The same function, the same gradients; undone by a plain copy."""
    from rtmpose.networks.layers import ConvModule
    from rtmpose.training import batch_norm

    task = trainable.task(dots, TINY)
    pixels = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    network = task.network.double()
    for module in batch_norm.norms(network):
        module.running_mean.normal_(std=0.1)
        module.running_var.uniform_(0.5, 2)
    if centered:
        batch_norm.center(network, [pixels], lambda n, b: n(b))
    network.train()
    batch_norm.freeze(network)
    fused = copy.deepcopy(network)
    assert batch_norm.fuse(fused) > 10
    results = [n(pixels) for n in (network, fused)]
    for result in results:
        sum(o.square().sum() for o in result).backward()
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, rtol=1e-9)
    for a, b in zip(network.parameters(), fused.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-6, atol=1e-9 * float(a.grad.abs().max()))
    assert any("forward" in vars(m) for m in copy.deepcopy(fused).modules())
    assert not any(
        "forward" in vars(m) for m in batch_norm.plain(fused).modules() if isinstance(m, ConvModule)
    )


def test_learning_rate_and_its_course():
    recipe = override(
        Recipe("r"),
        lr=4e-3,
        base_batch_size=1024,
        warmup_steps=10,
        warmup_start_factor=1e-5,
        flat_fraction=0.5,
        final_lr_factor=0.05,
    )
    assert learning_rate(recipe, 2048) == pytest.approx(8e-3)
    assert learning_rate(override(recipe, lr_scaling="sqrt"), 4096) == pytest.approx(8e-3)
    assert learning_rate(override(recipe, lr_scaling="none"), 64) == 4e-3
    course = [rate_factor(recipe, s, 100) for s in range(100)]
    assert course[0] == pytest.approx(1e-5)
    assert course[9:51] == [1.0] * 42
    assert all(a > b for a, b in itertools.pairwise(course[51:]))
    assert course[75] == pytest.approx(0.05 + 0.95 * 0.5)
    assert rate_factor(recipe, 100, 100) == pytest.approx(0.05)


def test_no_decay_on_norms_and_biases():
    network = trainable.network()
    groups = parameter_groups(network, 0.05, 1e-3, head_lr_factor=2.0)
    names = {id(p): n for n, p in network.named_parameters()}
    bare = {names[id(p)] for g in groups if g["weight_decay"] == 0 for p in g["params"]}
    assert all(n.endswith(".bias") or ".bn." in n for n in bare)
    assert {n for n in names.values() if ".bn." in n or n.endswith(".bias")} == bare
    assert sum(len(g["params"]) for g in groups) == len(names)
    assert {g["lr"] for g in groups} == {1e-3, 2e-3}


def test_rates_by_size():
    network = trainable.network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.3)
        next(network.parameters()).zero_()
    groups = parameter_groups(network, 0.05, 1e-3, head_lr_factor=2.0, by_rms=True)
    names = {id(p): n for n, p in network.named_parameters()}
    assert sum(len(g["params"]) for g in groups) == len(names)
    for group in groups:
        for parameter in group["params"]:
            name, size = names[id(parameter)], float(parameter.detach().square().mean().sqrt())
            weight = parameter.ndim > 1 and size > 0
            share = (size / 0.1 if weight else 1) * (1 if name.startswith("backbone.") else 2)
            assert group["lr"] == pytest.approx(1e-3 * share, rel=1e-5), name


def test_settings_as_text():
    recipe = with_settings(
        Recipe("r"),
        {"lr": "1e-4", "augment.rotate": "40", "augment.scale": "0.5,1.5", "distill.logits": "2"},
    )
    assert recipe.optimizer.lr == 1e-4
    assert recipe.augment == Augmentation(rotate=40, scale=(0.5, 1.5))
    assert recipe.distill == Distillation(logits=2)
    assert with_settings(recipe, {"distill": "none"}).distill is None
    wrong = (
        {"learning": "1"},
        {"lr": "fast"},
        {"precision": "int8"},
        {"augment": "1"},
        {"augment.scale": "1"},
    )
    for bad in (*wrong, {"distill.stages": "0"}, {"distill.stages": "5"}):
        with pytest.raises(InputError):
            with_settings(recipe, bad)


def test_precision():
    recipe = Recipe("small")
    assert resolve_precision(recipe, (64, 64)).precision == "fp32"
    assert resolve_precision(recipe, (192, 256)) is recipe
    assert resolve_precision(override(recipe, precision="bf16"), (64, 64)).precision == "bf16"
    assert choose_precision("fp32", "cpu") == "fp32"
    assert choose_precision("auto", "cpu") in ("fp32", "bf16")
    with pytest.raises(InputError, match="CUDA"):
        choose_precision("fp16", "cpu")


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
