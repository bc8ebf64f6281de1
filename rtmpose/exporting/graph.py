"""Helpers for writing ONNX nodes one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper

Array = NDArray[np.generic]
Value = str | Array
Dims = Sequence[int | str]
"""A shape; names are sizes that may vary."""

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
        prefix: Of generated names.
    """

    def __init__(self, graph: GraphProto | None = None, prefix: str = "g") -> None:
        self.graph = GraphProto(name="rtmpose") if graph is None else graph
        self._prefix = prefix
        self._count = 0
        # Nodes and constants that were added before, to use them again.
        self._nodes: dict[tuple[str, ...], str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    @classmethod
    def of(cls, model: ModelProto) -> Graph:
        """To extend a model."""
        return cls(model.graph, "post")

    def name(self) -> str:
        """A fresh name."""
        self._count += 1
        return f"{self._prefix}_{self._count}"

    def op(self, kind: str, *inputs: Value, **attributes: object) -> str:
        """Add a node with one output; the name of the output. An equal node is not added twice."""
        # Attributes are compared by their text.
        names = self._names(inputs)
        key = (kind, *names, repr(sorted(attributes.items())))
        if key not in self._nodes:
            (self._nodes[key],) = self._add(kind, names, 1, attributes)
        return self._nodes[key]

    def ops(self, kind: str, *inputs: Value, outputs: int, **attributes: object) -> list[str]:
        """Add a node with several outputs; the names of the outputs."""
        return self._add(kind, self._names(inputs), outputs, attributes)

    def _names(self, inputs: Sequence[Value]) -> list[str]:
        return [value if isinstance(value, str) else self.constant(value) for value in inputs]

    def _add(
        self, kind: str, inputs: list[str], outputs: int, attributes: Mapping[str, object]
    ) -> list[str]:
        results = [self.name() for _ in range(outputs)]
        node = helper.make_node(kind, inputs, results, name=self.name(), **attributes)
        self.graph.node.append(node)
        return results

    def constant(self, value: Array) -> str:
        """Add a constant; its name."""
        # Equal constants are stored once: by type, shape and bytes.
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.name()
            self.graph.initializer.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def inline(self, model: ModelProto, inputs: Mapping[str, str], prefix: str) -> dict[str, str]:
        """Put another model's nodes in.

        Args:
            model: Left unchanged.
            inputs: Its input names to ours.
            prefix: Of its other names.

        Returns:
            Its output names to ours.
        """

        def rename(name: str) -> str:  # an empty name is an input that is left out
            return inputs.get(name, f"{prefix}{name}") if name else name

        def walk(graph: GraphProto) -> None:
            for value in graph.initializer:
                value.name = rename(value.name)
            for node in graph.node:
                node.name = f"{prefix}{node.name}"
                node.input[:] = [rename(n) for n in node.input]
                node.output[:] = [rename(n) for n in node.output]
                # Branches of control flow are graphs inside attributes.
                for attribute in node.attribute:
                    if attribute.type == AttributeProto.GRAPH:
                        walk(attribute.g)
            for value in [*graph.input, *graph.output]:
                value.name = rename(value.name)

        # Names must not collide with ours: all but the inputs get the prefix.
        copy = GraphProto()
        copy.CopyFrom(model.graph)
        outputs = {o.name: rename(o.name) for o in copy.output}
        walk(copy)
        self.graph.initializer.extend(copy.initializer)
        self.graph.node.extend(copy.node)
        return outputs

    def add_input(self, name: str, kind: str, shape: Dims) -> None:
        """Declare an input."""
        self.graph.input.append(helper.make_tensor_value_info(name, TYPES[kind], shape))

    def add_output(self, name: str, value: str, kind: str, shape: Dims, node_name: str) -> None:
        """Declare an output with the contents of a value."""
        self.graph.node.append(helper.make_node("Identity", [value], [name], name=node_name))
        self.graph.output.append(helper.make_tensor_value_info(name, TYPES[kind], shape))

    def set_outputs(self, outputs: Mapping[str, tuple[str, str, Dims]]) -> None:
        """Replace the outputs: name to (value, type, shape)."""
        del self.graph.output[:]
        for name, (value, kind, shape) in outputs.items():
            self.add_output(name, value, kind, shape, self.name())

    def last_dimension(self, output: str) -> int:
        """Size of the last axis of a declared output."""
        value = next(o for o in self.graph.output if o.name == output)
        return int(value.type.tensor_type.shape.dim[-1].dim_value)
