"""A few lines of help for writing ONNX nodes by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper

Value = str | NDArray[Any]
TYPES = {
    "float": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}


class Graph:
    """Adds nodes to a list; numpy arrays among the inputs become constants.

    Args:
        graph: To extend; a new one by default.
        prefix: Of the names that are made up.
    """

    def __init__(self, graph: GraphProto | None = None, prefix: str = "g") -> None:
        self.graph = GraphProto(name="rtmpose") if graph is None else graph
        self._prefix, self._count = prefix, 0
        self._known: dict[Any, str] = {}

    @classmethod
    def of(cls, model: ModelProto) -> Graph:
        """To extend a model."""
        return cls(model.graph, "post")

    def name(self) -> str:
        """A fresh name."""
        self._count += 1
        return f"{self._prefix}_{self._count}"

    def op(self, kind: str, *inputs: Value, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of names where ``outputs`` is more than 1."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        key = (kind, *names, repr(sorted(attributes.items())))
        if outputs == 1 and key in self._known:  # the same twice
            return self._known[key]
        results = [self.name() for _ in range(outputs)]
        self.graph.node.append(
            helper.make_node(kind, names, results, name=self.name(), **attributes)
        )
        if outputs > 1:
            return results
        self._known[key] = results[0]
        return results[0]

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant; its name."""
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name()
            self.graph.initializer.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def inline(self, model: ModelProto, inputs: dict[str, str], prefix: str) -> dict[str, str]:
        """Put another model's nodes in.

        Args:
            model: Left unchanged.
            inputs: Its input names to ours.
            prefix: Of its other names.

        Returns:
            Its output names to ours.
        """

        def rename(name: str) -> str:
            return inputs.get(name, f"{prefix}{name}") if name else name

        def walk(graph: GraphProto) -> None:
            for value in graph.initializer:
                value.name = rename(value.name)
            for node in graph.node:
                node.name = f"{prefix}{node.name}"
                node.input[:] = [rename(n) for n in node.input]
                node.output[:] = [rename(n) for n in node.output]
                for attribute in node.attribute:
                    if attribute.type == AttributeProto.GRAPH:
                        walk(attribute.g)
            for value in [*graph.input, *graph.output]:
                value.name = rename(value.name)

        copy = GraphProto()
        copy.CopyFrom(model.graph)
        outputs = {o.name: rename(o.name) for o in copy.output}
        walk(copy)
        self.graph.initializer.extend(copy.initializer)
        self.graph.node.extend(copy.node)
        return outputs

    def add_input(self, name: str, kind: str, shape: list[Any]) -> None:
        """Declare an input."""
        self.graph.input.append(helper.make_tensor_value_info(name, TYPES[kind], shape))

    def set_outputs(self, outputs: dict[str, tuple[str, str, list[Any]]]) -> None:
        """Replace the outputs: name to (value, type, shape)."""
        del self.graph.output[:]
        for name, (value, kind, shape) in outputs.items():
            self.graph.node.append(helper.make_node("Identity", [value], [name], name=self.name()))
            self.graph.output.append(helper.make_tensor_value_info(name, TYPES[kind], shape))

    def last_dimension(self, output: str) -> int:
        """Size of the last axis of a declared output."""
        value = next(o for o in self.graph.output if o.name == output)
        return int(value.type.tensor_type.shape.dim[-1].dim_value)
