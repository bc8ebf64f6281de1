"""Every seed of the fuzzing goes through its reader, and so do shortened and changed ones."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SEEDS = sorted(path for path in (ROOT / "tests" / "fuzz_seeds").rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", ROOT / "benchmarks" / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_target_has_seeds(fuzz: ModuleType) -> None:
    assert {path.parent.name for path in SEEDS} == set(fuzz.TARGETS)
    assert all(path.stat().st_size < 3000 for path in SEEDS)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_seeds_are_taken(fuzz: ModuleType, seed: Path, tmp_path: Path) -> None:
    assert fuzz.try_input(seed.parent.name, tmp_path, seed.read_bytes()) == ""


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_damaged_seeds_are_taken_or_refused(fuzz: ModuleType, seed: Path, tmp_path: Path) -> None:
    chance = random.Random(0)
    data = seed.read_bytes()
    for number in range(40):
        changed = bytearray(data[: chance.randrange(len(data))] if number % 2 else data)
        for _ in range(chance.randrange(4)):
            changed[chance.randrange(len(changed) or 1) : 0] = chance.randbytes(chance.randrange(3))
        assert "\n" not in fuzz.try_input(seed.parent.name, tmp_path, bytes(changed))
