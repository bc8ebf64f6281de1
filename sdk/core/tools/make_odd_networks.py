"""Small valid ONNX networks whose outputs and cards are nearly, but often not quite, those of a
known family: `python sdk/core/tools/make_odd_networks.py FOLDER [--count 500] [--seed 0]`. The test
program open_networks opens and uses them; needs the onnx package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
CELLS = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))
OUTPUTS: dict[str, list[tuple[str, list[int]]]] = {
    "rtmdet": [("dets", [1, 6, 5]), ("labels", [1, 6])],
    "rtmdet apart": [("num", [1, 1]), ("boxes", [1, 6, 4]), ("scores", [1, 6]), ("labels", [1, 6])],
    "rtmdet candidates": [("boxes", [1, 30, 4]), ("scores", [1, 30, 3])],
    "rtmdet head": [(f"map{s}", [1, SIDE // s, SIDE // s, 6]) for s in (8, 16, 32)],
    "rtmdet maps": [
        (f"{name}{s}", [1, channels, SIDE // s, SIDE // s])
        for name, channels in (("cls", 2), ("box", 4))
        for s in (8, 16, 32)
    ],
    "yolox": [("output", [1, CELLS, 7])],
    "yolo": [("output", [1, 7, CELLS])],
    "yolo boxes": [("output", [1, 9, 6])],
    "yolo-pose": [("output", [1, 56, CELLS])],
    "rtmo": [("dets", [1, 5, 5]), ("keypoints", [1, 5, 17, 3])],
    "simcc": [("simcc_x", [1, 17, 2 * SIDE]), ("simcc_y", [1, 17, 2 * SIDE])],
    "heatmap": [("heatmap", [1, 17, 16, 16])],
    "gaussian": [("heatmap", [1, 17, 16, 16])],
    "simcc decoded": [("keypoints", [1, 17, 2]), ("scores", [1, 17])],
    "simcc triples": [("keypoints", [1, 17, 3])],
}
INTEGERS = ("labels", "num")
TYPES = [np.float32, np.int64, np.int32, np.float16, np.uint8, np.float64]


def odd_shape(shape: list[int], rng: np.random.Generator) -> list[int]:
    """Mostly the shape; sometimes one of its sides, or their number, is another."""
    shape = list(shape)
    if rng.random() < 0.3:
        at = int(rng.integers(len(shape)))
        shape[at] = int(rng.choice([0, 1, 2, shape[at] + 1, max(shape[at] - 1, 0), 3 * shape[at]]))
    if rng.random() < 0.05:
        shape = shape[1:] if rng.random() < 0.5 else [*shape, 1]
    return shape


def odd_values(name: str, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    """Numbers of the usual size, and sometimes what is none, or far too large."""
    values = rng.uniform(0, 1, shape) * rng.choice([1, SIDE])
    if rng.random() < 0.3 and values.size:
        odd = rng.choice([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, -1.0], values.shape)
        values = np.where(rng.random(values.shape) < rng.choice([0.05, 0.9]), odd, values)
    kind = np.int64 if name in INTEGERS else np.float32
    if rng.random() < 0.06:
        kind = TYPES[int(rng.integers(len(TYPES)))]
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(values).astype(kind)


def odd_card(family: str, rng: np.random.Generator) -> str | None:
    """A card of the family; sometimes of another one, or with a number that makes no sense."""
    if rng.random() < 0.15:
        return None
    kinds = sorted({name.split()[0] for name in OUTPUTS})
    card: dict[str, Any] = {
        "id": "odd",
        "codec": {"kind": family.split()[0], "split_ratio": 2.0, "sigma": [2.0, 2.0]},
        "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1], "color": "rgb"},
        "input_wh": [SIDE, SIDE],
        "input_fit": str(rng.choice(["square", "rectangular"])),
        "skeleton": "coco17",
    }
    numbers: list[Any] = [0, -1, 1, 1e9, 0.001, 63.5, None, "two", [], float("inf")]
    if rng.random() < 0.4:
        value = numbers[int(rng.integers(len(numbers)))]
        place = int(rng.integers(6))
        if place == 0:
            card["codec"]["kind"] = str(rng.choice(kinds))
        elif place == 1:
            card["codec"]["split_ratio"] = value
        elif place == 2:
            card["codec"]["sigma"] = value
        elif place == 3:
            card["input_wh"][int(rng.integers(2))] = value
        elif place == 4:
            card["normalization"]["std"][int(rng.integers(3))] = value
        else:
            card["skeleton"] = str(rng.choice(["halpe26", "nothing", ""]))
    return json.dumps(card)


def network(family: str, rng: np.random.Generator) -> onnx.ModelProto:
    """One network: whatever the input, it returns the same numbers."""
    nodes, outputs, constants = [], [], []
    wanted = list(OUTPUTS[family])
    if rng.random() < 0.05:
        wanted = wanted[:-1] or wanted * 2
    for i, (name, usual) in enumerate(wanted):
        shape = odd_shape(usual, rng)
        values = odd_values(name, shape, rng)
        constants.append(numpy_helper.from_array(values, f"value{i}"))
        output = f"{name}_{i}" if rng.random() < 0.05 else name
        nodes.append(helper.make_node("Identity", [f"value{i}"], [output]))
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        open_sides = [f"side{i}{j}" for j in range(len(shape))]
        declared = shape if rng.random() < 0.7 else open_sides
        outputs.append(helper.make_tensor_value_info(output, kind, declared))
    sides = [SIDE, SIDE] if rng.random() < 0.8 else ["height", "width"]
    batch = "batch" if rng.random() < 0.7 else 1
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, *sides])
    graph = helper.make_graph(nodes, "g", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    card = odd_card(family, rng)
    if card is not None:
        helper.set_model_props(model, {"rtmpose.card": card})
    return model


def main() -> None:
    """Write the networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    families = list(OUTPUTS)
    for i in range(arguments.count):
        # Without a card the name of the file may say the family.
        family = families[i % len(families)]
        path = arguments.folder / f"{i:05d}_{family.replace(' ', '_')}.onnx"
        path.write_bytes(network(family, rng).SerializeToString())


if __name__ == "__main__":
    main()
