"""Weights and inputs by rule, from key names and shapes alone; see tests/golden/README.md."""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden" / "networks"


def records() -> dict:
    return json.loads(gzip.decompress((FOLDER / "models.json.gz").read_bytes()))


def unit(name: str, shape) -> np.ndarray:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return ((2 * generator.random(int(np.prod(shape))) - 1) * np.sqrt(3.0)).reshape(shape)


def entry(key: str, shape, spread: float) -> np.ndarray:
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    n = unit(key, shape)
    if last == "running_mean":
        n = 0.1 * n * np.sqrt(spread)
    elif last == "running_var":
        n = (1 + 0.1 * np.abs(n)) * spread
    elif last == "bias":
        n = 0.1 * n
    elif last in ("gamma", "beta"):
        n = 0.5 * n
    elif len(shape) >= 2:
        n = n / np.sqrt(np.prod(shape[1:])) * (0.25 if ".rtm_reg." in key else 1)
    else:
        n = 1 + 0.1 * n
    return n.astype(np.float32)


def weights(record: dict) -> dict[str, np.ndarray]:
    out = {}
    for key, shape in record["state_dict"].items():
        source = record["tied"].get(key, key)
        spread = record["bn_scale"].get(source.rsplit(".", 1)[0], 1.0)
        out[key] = out[source] if source in out else entry(source, tuple(shape), spread)
    return out


def image(record: dict) -> np.ndarray:
    n, c, h, w = record["input"]
    coarse = unit("coarse:" + record["input_name"], (n, c, h // 32, w // 32))
    return (
        np.repeat(np.repeat(coarse, 32, 2), 32, 3)
        + 0.5 * unit("fine:" + record["input_name"], (n, c, h, w))
    ).astype(np.float32)
