"""The one place where JSON, TOML and other text files are parsed, and JSON is written.

The parsers of the standard library take what would break their callers later: values nested so
deeply that any code that walks through them fails, integers of thousands of digits that no float
can hold, files without end. Here every such file is refused in one line that names it, the place in
it where that is known, and what to do.

What holds for everything read through this module:

- Text is UTF-8; a byte order mark is ignored, and UTF-16 and UTF-32 with one are read too.
- Values are nested at most :data:`MAX_DEPTH` deep, and integers have at most :data:`MAX_DIGITS`
  digits: ``float()`` never fails on one.
- NaN and infinity are refused, unless the caller takes them (``allow_nan``) because it looks at
  each number itself.
- A key that occurs twice in a JSON object has its last value, as in other JSON readers; in TOML it
  is an error.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from rtmpose.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Json: TypeAlias = Any
"""A value out of a JSON or TOML file that nothing has been checked of yet."""

MAX_DEPTH = 64
MAX_DIGITS = 300
MAX_BYTES = 64 << 20
"""Limit for settings, cards, labels and other small files."""
MAX_DATA_BYTES = 8 << 30
"""Limit for files of annotations and results; the largest published ones have 2 GB."""

_READ_STEP = 1 << 20
_DAMAGED = "correct it, or write or download it anew"

# Byte order marks, the longer first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_DIGITS_AS_ZERO = bytes(ord("0") if chr(i) in "0123456789" else i for i in range(256))
_STRIDE = 7


# ---- files


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """What a file holds.

    Args:
        path: A regular file, or a pipe.
        limit: Size that it may have at most, in bytes.

    Raises:
        InputError: it cannot be read or is larger.
    """
    try:
        with path.open("rb") as file:
            return _limited(file, path, limit)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, MemoryError) as error:
        raise InputError(f"{path} cannot be read: {error or 'not enough memory'}") from error


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a file, with line ends as in the file.

    Raises:
        InputError: it cannot be read, is larger than ``limit`` bytes, or is no text.
    """
    return decode_text(read_bytes(path, limit), str(path))


def read_json(path: Path, *, allow_nan: bool = False, limit: int = MAX_BYTES) -> Json:
    """What a JSON file holds.

    Args:
        path: The file.
        allow_nan: Take NaN and infinity: the caller looks at each number itself.
        limit: Size that it may have at most, in bytes.

    Raises:
        InputError: it cannot be read, is no JSON, or is beyond the limits of this module.
    """
    return parse_json(read_bytes(path, limit), str(path), allow_nan=allow_nan)


def read_toml(path: Path) -> dict[str, Json]:
    """What a TOML file holds.

    Raises:
        InputError: it cannot be read, is no TOML, or is beyond the limits of this module.
    """
    return parse_toml(read_text(path), str(path))


def _limited(file: BinaryIO, path: Path, limit: int) -> bytes:
    """The rest of a file, which may be a pipe without a size, or a device without an end."""
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= limit:
        return file.read()

    parts = []
    total = 0
    while status.st_size <= limit and (part := file.read(_READ_STEP)):
        parts.append(part)
        total += len(part)
        if total > limit:
            break
    if max(total, status.st_size) > limit:
        raise InputError(
            f"{path} is larger than the {limit:,} bytes that a file of this kind may have;"
            " is it the right file?"
        )
    return b"".join(parts)


# ---- text


def decode_text(data: bytes, source: str) -> str:
    """Bytes as text.

    Args:
        data: UTF-8, or any UTF with a byte order mark.
        source: Where they came from, for errors.

    Raises:
        InputError: they are no text.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{source} is not {encoding.upper().removesuffix('-SIG')} text (byte {error.start},"
            f" line {line}): is it the right file? If it is, save it as UTF-8"
        ) from error


def parse_json(data: str | bytes, source: str, *, allow_nan: bool = False) -> Json:
    """JSON out of text or bytes.

    Args:
        data: The text.
        source: Where it came from, for errors.
        allow_nan: As in :func:`read_json`.

    Raises:
        InputError: it is no JSON, or beyond the limits of this module.
    """
    text = data if isinstance(data, str) else decode_text(data, source)
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InputError(f"{source} is not valid JSON: it is empty; {_DAMAGED}")

    # Depth and digits are looked for in the bytes: that is far quicker than in parsed values.
    if isinstance(data, str) or any(data.startswith(mark) for mark, _ in _MARKS):
        data = text.encode("utf-8", "surrogatepass")
    depth = _json_depth(data)
    if depth > MAX_DEPTH:
        raise InputError(
            f"{source} is not valid JSON for this purpose: its values are nested {depth:,} levels"
            f" deep, more than {MAX_DEPTH}; is it the right file?"
        )
    hooks: dict[str, Callable[[str], object]] = {}
    if _has_long_number(data):
        hooks["parse_int"] = _short_integer
    if not allow_nan:
        hooks |= {"parse_constant": _no_constant, "parse_float": _finite}
    try:
        return json.loads(text, **hooks)  # type: ignore[arg-type]
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(
            f"{source} is not valid JSON: {error.msg} ({place}); {_DAMAGED}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not valid JSON: {error}; {_DAMAGED}") from error


def parse_toml(text: str, source: str) -> dict[str, Json]:
    """TOML out of text.

    Args:
        text: The text.
        source: Where it came from, for errors.

    Raises:
        InputError: it is no TOML, or beyond the limits of this module.
    """
    too_deep = f"its values are nested more than {MAX_DEPTH} levels deep"
    try:
        if _has_long_key(text):
            raise ValueError(too_deep)
        table = tomllib.loads(text.removeprefix("\ufeff"))
        _check_values(table, too_deep)
    except RecursionError as error:
        raise InputError(f"{source} is not valid TOML: {too_deep}; {_DAMAGED}") from error
    except ValueError as error:
        raise InputError(f"{source} is not valid TOML: {error}; {_DAMAGED}") from error
    return table


# ---- limits


def _json_depth(data: bytes) -> int:
    """How deep the brackets of JSON are nested; those inside of strings do not count."""
    # Escaped quotes do not end a string.
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")

    # Only quotes and brackets are left; then only strings with brackets in them have quotes, as
    # two quotes in a row change nothing of what is inside and outside of strings.
    structure = data.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in structure:
        structure = b"".join(structure.split(b'"')[::2])

    # Innermost pairs are taken away, level by level: files of data have five.
    depth = 0
    while structure and depth <= MAX_DEPTH:
        inner = structure.replace(b"[]", b"").replace(b"{}", b"")
        if len(inner) == len(structure):
            break
        structure = inner
        depth += 1
    # Brackets that do not match are no JSON, but must not be many when the parser meets them.
    return depth + len(structure)


def _has_long_number(data: bytes) -> bool:
    """Whether there are more than :data:`MAX_DIGITS` digits in a row, in a number or elsewhere."""
    # Every seventh byte first, which costs next to nothing and is mostly enough.
    run = b"0" * (MAX_DIGITS // _STRIDE)
    if run not in data[::_STRIDE].translate(_DIGITS_AS_ZERO):
        return False
    return b"0" * (MAX_DIGITS + 1) in data.translate(_DIGITS_AS_ZERO)


def _short_integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"an integer has {len(text):,} digits, more than {MAX_DIGITS}")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:30]} is too large")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON has")


def _has_long_key(text: str) -> bool:
    """Whether a key of TOML may have more dots than tables may be nested: reading one takes time
    that grows with the square of its length.
    """
    for line in text.splitlines():
        if line.count(".") <= MAX_DEPTH:
            continue
        words = re.split(r"[,=\[\]{}\"']", line.replace(" ", "").replace("\t", ""))
        if any(word.count(".") > MAX_DEPTH for word in words):
            return True
    return False


def _check_values(table: dict[str, Json], too_deep: str) -> None:
    """Raise a ValueError for what is nested too deeply, for NaN, infinity and long integers."""
    level: list[Json] = [table]
    for _ in range(MAX_DEPTH):
        deeper: list[Json] = []
        for value in level:
            if isinstance(value, dict):
                deeper += value.values()
            elif isinstance(value, list):
                deeper += value
            elif isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{value} where a finite number should be")
            elif isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
                raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
        level = deeper
    if level:
        raise ValueError(too_deep)


# ---- writing


def to_json(
    value: object,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    ensure_ascii: bool = True,
    sort_keys: bool = False,
) -> str:
    """The text of a value; arguments as in ``json.dumps``.

    Python itself would write NaN as a bare ``NaN``, which breaks the whole file for others.
    """

    def text(content: object) -> str:
        return json.dumps(
            content,
            indent=indent,
            separators=separators,
            ensure_ascii=ensure_ascii,
            sort_keys=sort_keys,
            allow_nan=False,
        )

    # Almost nothing holds NaN: looking for it comes second.
    try:
        return text(value)
    except ValueError:
        return text(_without_nan(value))


def _without_nan(value: object) -> object:
    """The same data, with None for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value
