"""Networks that return the same arrays whatever they see."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'rtmpose[export]'")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIZE = (96, 64)
"""Width and height of their input."""


def constant_network(
    path, outputs, *, shape=(1, 3, SIZE[1], SIZE[0]), kind=TensorProto.FLOAT, declared=None
):
    """A network that returns the same arrays for every image: name -> array."""
    nodes = []
    values = []
    for name, array in outputs.items():
        # The image counts, times zero, so that no engine takes it away.
        nodes += [
            helper.make_node("ReduceMean", ["image"], [f"{name}_mean"], keepdims=0),
            helper.make_node("Cast", [f"{name}_mean"], [f"{name}_like"], to=_type(array)),
            helper.make_node("Mul", [f"{name}_like", f"{name}_zero"], [f"{name}_none"]),
            helper.make_node("Add", [f"{name}_none", f"{name}_value"], [name]),
        ]
        sizes = array.shape if declared is None else declared[name]
        values.append(helper.make_tensor_value_info(name, _type(array), sizes))
    weights = []
    for name, array in outputs.items():
        weights.append(numpy_helper.from_array(array, f"{name}_value"))
        weights.append(numpy_helper.from_array(np.zeros((), array.dtype), f"{name}_zero"))
    image = helper.make_tensor_value_info("image", kind, shape)
    graph = helper.make_graph(nodes, "constant", [image], values, weights)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def _type(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)
