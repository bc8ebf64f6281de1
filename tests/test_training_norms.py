"""Batch norms of exports and checkpoints: frozen, centered, measured anew."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from tiny_training import TINY  # noqa: E402

from rtmpose.networks import read_checkpoint  # noqa: E402
from rtmpose.training import override, train  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")


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
