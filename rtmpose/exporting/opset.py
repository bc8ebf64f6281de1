"""An ONNX file in another version of the operators: older ones for converters that know no newer.

The converter of the onnx package goes up; down it lacks the operators that took their axes from an
attribute to an input, which is all that differs in the networks here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper, version_converter

from rtmpose.errors import ModelError

Constants = Mapping[str, list[int]]

EMPTY_ROI = "empty_roi"
ROI_OPTIONAL = 13
"""Version from which resizing needs no region."""

REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)

NEW_ATTRIBUTES: Mapping[str, tuple[tuple[int, str, object], ...]] = {
    "Split": ((18, "num_outputs", None),),
    "Resize": (
        (18, "antialias", 0),
        (18, "keep_aspect_ratio_policy", b"stretch"),
    ),
    "Reshape": ((14, "allowzero", None),),
    "Shape": ((15, "start", 0),),
    "ArgMax": ((12, "select_last_index", 0),),
    "ArgMin": ((12, "select_last_index", 0),),
    "ScatterND": ((16, "reduction", b"none"),),
    "Cast": ((19, "saturate", 1),),
    **dict.fromkeys(REDUCTIONS, ((18, "noop_with_empty_axes", 0),)),
    "ReduceSum": ((13, "noop_with_empty_axes", 0),),
}
"""Attributes by operator: the version that brought them, their names, and the value that means what
older versions do (None: any).
"""

AXES_INPUTS: Mapping[str, tuple[int, int, str]] = {
    **dict.fromkeys(REDUCTIONS, (18, 1, "axes")),
    "ReduceSum": (13, 1, "axes"),
    "Squeeze": (13, 1, "axes"),
    "Unsqueeze": (13, 1, "axes"),
    "Split": (13, 1, "split"),
}
"""Inputs that were attributes before: the version that changed it, the number of the input, and the
name of the attribute.
"""


def to_opset(model: ModelProto, name: str, opset: int) -> ModelProto:
    """The same graph in another version of the operators.

    Args:
        model: Left as it is.
        name: Of the model, for the error.
        opset: The version.

    Raises:
        ModelError: something in the graph cannot be said in that version.
    """
    now = next(i.version for i in model.opset_import if i.domain in ("", "ai.onnx"))
    if opset == now:
        return model
    convert: Callable[[ModelProto, int], ModelProto] = (
        version_converter.convert_version if opset > now else _older
    )
    try:
        converted = convert(model, opset)
        onnx.checker.check_model(converted, full_check=True)
    except Exception as error:
        lines = str(error).strip().splitlines() or [repr(error)]
        raise ModelError(
            f"{name} cannot be written with the operators of opset {opset}: {lines[0][:200]}; take"
            " a newer one, or leave out what is put around the network (--normalize, --decode; "
            "--no-nms)"
        ) from error
    return converted


def _older(model: ModelProto, opset: int) -> ModelProto:
    """The graph with what newer versions brought taken back.

    Raises:
        ValueError: it is needed.
    """
    older = ModelProto()
    older.CopyFrom(model)
    constants = _constants(older)
    for node in older.graph.node:
        # Older reshapes copy the side where a shape has 0; that is of no matter without a 0, which
        # computed shapes have for empty batches only.
        if node.op_type == "Reshape" and 0 in constants.get(node.input[1], ()):
            raise ValueError("Reshape to an empty shape")
        _drop_attributes(node, opset)
        _move_input(node, opset, constants)

    if opset < ROI_OPTIONAL:
        _name_empty_inputs(older)

    # Constants that became attributes are not read any more.
    used = {name for node in older.graph.node for name in node.input}
    kept = [i for i in older.graph.initializer if i.name in used]
    del older.graph.initializer[:]
    older.graph.initializer.extend(kept)
    del older.opset_import[:]
    older.opset_import.append(helper.make_opsetid("", opset))
    return older


def _name_empty_inputs(model: ModelProto) -> None:
    """Give resizing the region that it needed by name before, empty."""
    for node in model.graph.node:
        if node.op_type == "Resize" and len(node.input) > 1 and not node.input[1]:
            node.input[1] = EMPTY_ROI
    if any(EMPTY_ROI in node.input for node in model.graph.node):
        nothing = helper.make_tensor(EMPTY_ROI, onnx.TensorProto.FLOAT, [0], [])
        model.graph.initializer.append(nothing)


def _constants(model: ModelProto) -> dict[str, list[int]]:
    """Small lists of whole numbers by name: initializers and constant nodes."""
    found = {}
    tensors = [(i.name, i) for i in model.graph.initializer]
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors.append((node.output[0], node.attribute[0].t))
    for name, tensor in tensors:
        if tensor.data_type == onnx.TensorProto.INT64 and len(tensor.dims) <= 1:
            found[name] = [int(v) for v in numpy_helper.to_array(tensor).reshape(-1)]
    return found


def _drop_attributes(node: NodeProto, opset: int) -> None:
    """Take out what the version does not have, where it says what was meant anyway."""
    for since, name, meaning in NEW_ATTRIBUTES.get(node.op_type, ()):
        if opset >= since:
            continue
        for attribute in [a for a in node.attribute if a.name == name]:
            value = helper.get_attribute_value(attribute)
            if meaning is not None and value != meaning:
                raise ValueError(f"{node.op_type} with {name}={value}")
            node.attribute.remove(attribute)


def _move_input(node: NodeProto, opset: int, constants: Constants) -> None:
    """Make an attribute of an input that older versions do not have."""
    since, place, name = AXES_INPUTS.get(node.op_type, (0, 0, ""))
    if opset >= since or len(node.input) <= place:
        return
    source = node.input[place]
    del node.input[place:]
    if not source:
        return
    if source not in constants:
        raise ValueError(f"{node.op_type} whose {name} are computed")
    node.attribute.append(helper.make_attribute(name, constants[source]))
