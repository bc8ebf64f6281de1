"""A recipe for single steps of a pose training."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)


from rtmpose.training import Recipe, override  # noqa: E402

RECIPE = override(
    Recipe("r"),
    epochs=1,
    batch_size=4,
    precision="fp32",
    val_fraction=0.2,
    reference_batch_size=4,
    workers=0,
    bn_mode="frozen",
)
