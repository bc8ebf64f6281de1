"""Damaged model files: ONNX, safetensors, ncnn, calibrations. The engines run in the child."""

import hashlib
import json
import random
import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np

from fault_kinds.commands import Ended, label
from fault_kinds.damage import damage_bytes, damage_json
from fault_kinds.documents import Documents, prepare, tiny_card
from fault_kinds.engine import Kind, PromiseError
from rtmpose.backends.bf16_calibration import ENDING, load_calibration
from rtmpose.backends.prepared_files import prepared_file
from rtmpose.cards.io import KEY, card_to_json, embedded_card

# ---- ONNX


def _onnx(documents: Documents, rng: random.Random) -> str:
    path = documents.folder / "damaged.onnx"
    is_pose = rng.random() < 0.5
    source = documents.pose if is_pose else documents.detector
    path.write_bytes(damage_bytes(Path(source).read_bytes(), rng))
    out = documents.folder / "poses.json"
    if is_pose:
        return _finite(documents.predict("--json", str(out), pose=str(path)), out)
    return _finite(documents.predict("--json", str(out), detector=str(path)), out)


def _finite(ended: Ended, out: Path) -> str:
    """What happened; a damaged weight may give wrong numbers, but never NaN in a result."""

    def refuse(text: str) -> None:
        raise PromiseError(f"{text} in the results of a damaged network")

    if ended.status == 0:
        json.loads(out.read_text(), parse_constant=refuse)
    return label(ended)


# ---- safetensors


def _safetensors(documents: Documents, rng: random.Random) -> str:
    weights = np.arange(12, dtype="<f4").tobytes()
    header = {
        "__metadata__": {KEY: card_to_json(tiny_card())},
        "a": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
        "b": {"dtype": "F32", "shape": [6], "data_offsets": [24, 48]},
    }
    text = damage_json(header, rng) if rng.random() < 0.7 else json.dumps(header)
    packed = text.encode("utf-8", "surrogatepass")
    size = len(packed) if rng.random() < 0.6 else rng.choice((0, 1, 2**31, 2**63, 99_999_999))
    data = size.to_bytes(8, "little") + packed + weights
    path = documents.folder / "damaged.safetensors"
    path.write_bytes(damage_bytes(data, rng) if rng.random() < 0.3 else data)
    embedded_card(path)
    return label(documents.predict(pose=str(path)))


# ---- calibrations


def _calibrations(documents: Documents, rng: random.Random) -> str:
    digest = hashlib.sha256(rng.randbytes(8)).hexdigest()
    path = prepared_file(digest, ENDING)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"model": "a.onnx", "agreement": 0.99, "trusted": True}
    text = damage_json(record, rng) if rng.random() < 0.5 else json.dumps(record)
    # NumPy keeps text without surrogates only.
    text = text.encode("utf-8", "replace").decode()
    with path.open("wb") as file:
        np.savez(file, record=np.array(text), **{"m/conv": np.zeros(3, np.float32)})
    path.write_bytes(damage_bytes(path.read_bytes(), rng))
    _, found = load_calibration(digest)
    path.unlink()
    return "read" if found is not None else "measured again"


# ---- ncnn


PARAM = """7767517
2 2
Input        in0  0 1 in0
Convolution  conv 1 1 in0 out0 0=4 1=1 2=1 5=1 6=12
"""


def prepare_ncnn(folder: Path) -> Documents:
    """The engine is replaced: reaching it with damaged files is what must not happen."""
    module = ModuleType("ncnn")
    module.__spec__ = ModuleSpec("ncnn", None)

    def reached() -> None:
        raise PromiseError("damaged files have reached the engine")

    module.Net = reached  # type: ignore[attr-defined]
    sys.modules["ncnn"] = module
    return prepare(folder)


def _ncnn(documents: Documents, rng: random.Random) -> str:
    folder = documents.folder / "ncnn"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    weights = bytes(4) + np.ones(12 + 4, "<f4").tobytes()
    param = PARAM
    way = rng.randrange(5)
    if way == 0:
        weights = weights[: rng.randrange(len(weights))]
    elif way == 1:
        param = param[: rng.randrange(len(param) - 30)]
    elif way == 2:
        param, weights = weights.decode("latin-1"), param.encode()
    elif way == 3:
        param = param.replace("6=12", f"6={rng.choice((13, 10**9, -1, 2**63))}")
    else:
        param = param.replace("conv 1 1", f"conv {rng.choice((2, 9, 10**9, -1))} 1")
    (folder / "tiny.param").write_bytes(param.encode("latin-1"))
    (folder / "tiny.bin").write_bytes(weights)
    (folder / "tiny.param.card.json").write_text(card_to_json(tiny_card()))
    pose = str(folder / "tiny.param")
    return label(documents.predict("--backend", "ncnn", pose=pose))


_WORKS = "works, or one line that names the file"

KINDS = (
    Kind(
        "ONNX files",
        "detector and pose network with bytes changed, zeroed, cut, inserted; ONNX Runtime",
        _WORKS,
        prepare,
        _onnx,
        tries=200,
        quick=25,
        memory_mb=3072,
    ),
    Kind(
        "safetensors files",
        "headers that lie: lengths, types, offsets, metadata",
        _WORKS,
        prepare,
        _safetensors,
        tries=150,
        quick=20,
        memory_mb=3072,
    ),
    Kind(
        "stored calibrations",
        "the `.npz` cache with bytes changed, zeroed, cut, inserted",
        "measured again",
        prepare,
        _calibrations,
        tries=150,
        quick=20,
        memory_mb=2048,
    ),
    Kind(
        "ncnn files",
        "weights cut, layers that lie, files swapped; the engine is replaced",
        "refused before the engine sees them",
        prepare_ncnn,
        _ncnn,
        tries=60,
        quick=10,
    ),
)
