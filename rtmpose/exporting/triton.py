"""A model repository for the Triton inference server: the one-graph ONNX file with its
``config.pbtxt``.

    NAME/config.pbtxt
    NAME/1/model.onnx

Inputs and outputs are those of :mod:`rtmpose.exporting.pipeline`; Triton's ONNX Runtime backend
runs it, and nothing else is needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from onnx import TensorProto, ValueInfoProto, load

from rtmpose.errors import ModelError

CONFIG = "config.pbtxt"
NETWORK = Path("1") / "model.onnx"
TYPES = {
    TensorProto.UINT8: "TYPE_UINT8",
    TensorProto.FLOAT: "TYPE_FP32",
    TensorProto.BOOL: "TYPE_BOOL",
    TensorProto.INT64: "TYPE_INT64",
}


def write_triton(model: Path, out: Path) -> Path:
    """Write the folder of a model.

    Args:
        model: The one-graph ONNX file; copied.
        out: The folder; its name is the model's.

    Returns:
        The folder.

    Raises:
        ModelError: the file has tensors of a kind that Triton does not know.
    """
    network = out / NETWORK
    network.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, network)
    graph = load(str(model), load_external_data=False).graph
    (out / CONFIG).write_text(config_text(out.name, graph.input, graph.output), encoding="utf-8")
    return out


def config_text(
    name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
) -> str:
    """The configuration, in protobuf's text format."""
    lines = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        "# Images have their own sizes and numbers of people: each request is a call.",
        "max_batch_size: 0",
    ]
    for kind, values in (("input", inputs), ("output", outputs)):
        lines += [f"{kind} ["]
        lines += [",\n".join(_tensor(value) for value in values)]
        lines += ["]"]
    return "\n".join(lines) + "\n"


def _tensor(value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    if tensor.elem_type not in TYPES:
        raise ModelError(f"the tensor {value.name} is of a kind that Triton does not know")
    dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    # Triton has no scalars: one number comes in, and goes to the network without a dimension.
    scalar = "" if dims else "\n    reshape { shape: [ ] }"
    shape = ", ".join(str(dim) for dim in dims or [1])
    return (
        f'  {{\n    name: "{value.name}"\n    data_type: {TYPES[tensor.elem_type]}'
        f"\n    dims: [ {shape} ]{scalar}\n  }}"
    )
