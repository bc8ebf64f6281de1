"""The messages of the Open Inference Protocol over gRPC, and what they hold.

Made of ``open_inference.pb`` (see ``open_inference.proto``) in a pool of their own, so that clients
with messages of the same names can be used in the same process.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from rtmpose.serve.faults import bad_request
from rtmpose.serve.oip_tensors import (
    BYTES,
    Array,
    InferRequest,
    InputTensor,
    check_shape,
    datatype_of,
    from_json,
    from_raw,
    to_raw,
)

DESCRIPTORS = Path(__file__).parent / "open_inference.pb"
PACKAGE = "inference"
MOST_TENSORS = 16
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Datatype to the field of its elements, where they do not come as raw bytes."""

Message = Any


@cache
def message_class(name: str) -> Any:
    """The class of a message, such as ``ModelInferRequest``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def read_infer(message: Message) -> InferRequest:
    """A message as a request.

    Raises:
        ServiceError: it cannot be read.
    """
    if not 0 < len(message.inputs) <= MOST_TENSORS or len(message.outputs) > MOST_TENSORS:
        raise bad_request("a request has one input or more, and not too many")
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise bad_request("raw_input_contents must have an entry for each input")
    inputs: dict[str, InputTensor] = {}
    for number, tensor in enumerate(message.inputs):
        if tensor.name in inputs:
            raise bad_request(f"there are two inputs {tensor.name[:40]!r}")
        shape = check_shape(tensor.name, list(tensor.shape))
        if raw:
            read = from_raw(tensor.name, tensor.datatype, shape, raw[number])
        else:
            read = _of_contents(tensor, shape)
        inputs[tensor.name] = read
    return InferRequest(
        message.id,
        inputs,
        tuple(output.name for output in message.outputs),
        {name: _value(parameter) for name, parameter in message.parameters.items()},
    )


def infer_response(name: str, version: str, request_id: str, outputs: dict[str, Array]) -> Message:
    """The outputs as a message."""
    message = message_class("ModelInferResponse")(
        model_name=name, model_version=version, id=request_id
    )
    for output, array in outputs.items():
        entry = message.outputs.add()
        entry.name = output
        entry.datatype = datatype_of(array)
        entry.shape.extend(array.shape)
        message.raw_output_contents.append(to_raw(array))
    return message


def _of_contents(tensor: Message, shape: tuple[int, ...]) -> InputTensor:
    field = CONTENTS.get(tensor.datatype)
    if field is None:
        raise bad_request(f"{tensor.name} has the unknown datatype {tensor.datatype[:20]!r}")
    values = getattr(tensor.contents, field)
    if tensor.datatype == BYTES:
        files = list(values)
        if len(files) != int(np.prod(shape)):
            raise bad_request(f"{tensor.name} does not hold as many elements as its shape says")
        return InputTensor(tensor.name, BYTES, shape, files)
    return from_json(tensor.name, tensor.datatype, shape, list(values))


def _value(parameter: Message) -> object:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool
