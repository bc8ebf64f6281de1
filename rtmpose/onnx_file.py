"""What the runtime reads of ONNX files without the onnx package: text properties, inputs, outputs.

ONNX files are protobuf messages (``onnx.proto``): fields with a number and a value, which may be
messages again.
"""

from __future__ import annotations

from collections.abc import Iterator

# Fields of ModelProto and GraphProto.
_GRAPH_FIELD = 7
_OPSET_FIELD = 8
_INITIALIZER_FIELD = 5
_TENSOR_NAME_FIELD = 8
_INPUT_FIELD = 11
_OUTPUT_FIELD = 12
_METADATA_FIELD = 14


# ---- reading


def onnx_metadata(content: bytes) -> Iterator[tuple[str, str]]:
    """The text properties of an ONNX file, read without the onnx package; nothing from a damaged
    file.
    """
    for field, value in _fields(content):
        # StringStringEntryProto: field 1 is the key, field 2 the value.
        if field == _METADATA_FIELD and isinstance(value, bytes):
            pair = dict(_fields(value))
            key = pair.get(1, b"")
            text = pair.get(2, b"")
            if isinstance(key, bytes) and isinstance(text, bytes):
                yield key.decode("utf-8", "replace"), text.decode("utf-8", "replace")


def onnx_flaw(content: bytes) -> str:
    """What keeps the content from being a whole ONNX file, in words; empty where nothing does.

    Only the outermost fields are looked at: a file that was cut short, or is something else, shows
    there.
    """
    fields = set()
    last = 0
    for field, value, _, end in _spans(content):
        last = end
        if field == _GRAPH_FIELD and not (isinstance(value, bytes) and value):
            return "it has no network inside"
        fields.add(field)
    if not fields or 0 in fields:
        return "it is not an ONNX file"
    if last != len(content):
        return "it is not a whole ONNX file"
    # The operator set comes behind the network in most files.
    if _GRAPH_FIELD not in fields or _OPSET_FIELD not in fields:
        return "it is not a whole ONNX file"
    return ""


def onnx_outputs(content: bytes) -> list[tuple[str, tuple[int | None, ...]]]:
    """Names and shapes of a network's outputs, read without the onnx package; None marks a
    dimension that may vary. Empty for a damaged file.
    """
    return _values(content, _OUTPUT_FIELD)


def onnx_inputs(content: bytes) -> list[tuple[str, tuple[int | None, ...]]]:
    """The same for a network's inputs; weights that are listed among them are left out."""
    values = _values(content, _INPUT_FIELD)
    if len(values) < 2:
        return values
    parts = _messages(content, _GRAPH_FIELD)
    tensors = [tensor for part in parts for tensor in _messages(part, _INITIALIZER_FIELD)]
    weights = {next(iter(_messages(tensor, _TENSOR_NAME_FIELD)), b"") for tensor in tensors}
    return [(name, shape) for name, shape in values if name.encode() not in weights]


def _values(content: bytes, field: int) -> list[tuple[str, tuple[int | None, ...]]]:
    """Names and shapes of a graph's inputs or outputs."""
    # ModelProto -> GraphProto -> ValueInfoProto; a message may come in parts.
    parts = _messages(content, _GRAPH_FIELD)
    values = [value for part in parts for value in _messages(part, field)]
    return [(_name(value), _shape(value)) for value in values]


def _name(value: bytes) -> str:
    """Of a ValueInfoProto."""
    return next(iter(_messages(value, 1)), b"").decode("utf-8", "replace")


def _shape(value: bytes) -> tuple[int | None, ...]:
    """Of a ValueInfoProto: its type, its tensor type, its shape, its dimensions."""
    parts = [value]
    # TypeProto (2), its tensor type (1), TensorShapeProto (2), the dimensions (1).
    for field in (2, 1, 2, 1):
        parts = [inner for part in parts for inner in _messages(part, field)]
    sizes = [dict(_fields(dimension)).get(1) for dimension in parts]  # field 2 is a name: may vary
    return tuple(size if isinstance(size, int) else None for size in sizes)


# ---- protobuf


def _messages(content: bytes, field: int) -> list[bytes]:
    """The parts of a message that have this field number."""
    return [v for number, v in _fields(content) if number == field and isinstance(v, bytes)]


def _fields(content: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field numbers and values of a protobuf message; ends where they stop making sense."""
    return ((field, value) for field, value, _, _ in _spans(content))


def _spans(content: bytes) -> Iterator[tuple[int, bytes | int, int, int]]:
    """The same, with the first byte of each field and the one after its last."""
    # Truncated fields are given as far as they go: the caller checks where the last one ends.
    at = 0
    end = len(content)
    try:
        while at < end:
            start = at
            # The low three bits are the wire type, the rest the field number.
            tag, at = _varint(content, at)
            kind = tag & 7
            value: bytes | int
            # A number of variable length.
            if kind == 0:
                value, at = _varint(content, at)
            # Bytes with their length in front: text, or a message.
            elif kind == 2:
                size, at = _varint(content, at)
                value = content[at : at + size]
                at += size
            # A number of 8 or 4 bytes.
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                value = content[at : at + size]
                at += size
            else:
                return  # groups: not used by ONNX
            yield tag >> 3, value, start, at
    except IndexError:
        return


# ---- writing


def with_onnx_metadata(content: bytes, key: str, text: str) -> bytes:
    """The ONNX file with this text property, in place of one of that name that it may have.

    Raises:
        ValueError: the content is not a whole ONNX file.
    """
    # Every other field is copied byte by byte: nothing is parsed and written again.
    parts = []
    last = 0
    for field, value, start, end in _spans(content):
        last = end
        replaced = (
            field == _METADATA_FIELD
            and isinstance(value, bytes)
            and dict(_fields(value)).get(1) == key.encode()
        )
        if not replaced:
            parts.append(content[start:end])

    # A file that ends early, or is something else, must not be completed.
    if last != len(content):
        raise ValueError("it is not an ONNX file, or an incomplete one")

    # Fields may come in any order, so the new one is put at the end.
    pair = _length_delimited(1, key.encode()) + _length_delimited(2, text.encode())
    return b"".join([*parts, _length_delimited(_METADATA_FIELD, pair)])


def _length_delimited(field: int, value: bytes) -> bytes:
    # Seven bits per byte, lowest first; the high bit says that more follow.
    out = bytearray([field << 3 | 2])
    size = len(value)
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out) + value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    # As above; an IndexError past the end is handled by the caller.
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if not byte & 0x80:
            return value, at
