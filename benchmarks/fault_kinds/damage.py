"""Ways to damage bytes, JSON and TOML."""

import copy
import json
import random
from typing import Any

DEPTH = 30_000
LONG = 20_000


def damage_bytes(data: bytes, rng: random.Random, *, keep_start: int = 0) -> bytes:
    """The same bytes with one to three damages; the first ``keep_start`` stay mostly whole."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = _damage_once(data, rng, keep_start if rng.random() < 0.7 else 0)
    return data


def _damage_once(data: bytes, rng: random.Random, start: int) -> bytes:
    size = len(data)
    if size < 8:
        return data + rng.randbytes(8)
    at = rng.randrange(min(start, size - 1), size)
    length = min(int(2 ** rng.uniform(0, 10)), size - at)
    way = rng.randrange(8)
    if way == 0:  # single bytes
        changed = bytearray(data)
        for _ in range(rng.choice((1, 4, 20))):
            changed[rng.randrange(min(start, size - 1), size)] = rng.randrange(256)
        return bytes(changed)
    if way == 1:  # cut short
        return data[:at]
    if way == 2:  # zeros, or ones, as a disk leaves them
        return data[:at] + bytes([rng.choice((0, 255))]) * length + data[at + length :]
    if way == 3:  # something else in between
        return data[:at] + rng.randbytes(length) + data[at:]
    if way == 4:  # a part is missing
        return data[:at] + data[at + length :]
    if way == 5:  # a number that is huge
        number = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
        return data[:at] + number + data[at + 4 :]
    if way == 6:  # a part twice
        return data[: at + length] + data[at:]
    return data + rng.randbytes(length)  # garbage behind


def damage_json(content: Any, rng: random.Random) -> str:
    """JSON text of the content with one to three damages."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = _replaced(content, rng)
    text = json.dumps(content)
    # What Python's own writer does not write.
    text = text.replace('"@deep@"', "[" * DEPTH + "]" * DEPTH)
    text = text.replace('"@deep object@"', '{"a":' * DEPTH + "1" + "}" * DEPTH)
    text = text.replace('"@long@"', "1" * LONG)
    text = text.replace('"@huge@"', "1e999")
    way = rng.randrange(12)
    if way == 0:
        return text[: rng.randrange(len(text))]
    if way == 1:
        return "\ufeff" + text
    if way == 2:
        at = rng.randrange(len(text))
        return text[:at] + rng.choice('[]{},:"\\\x00é') + text[at:]
    return text


STRANGE: tuple[Any, ...] = (
    None,
    True,
    "",
    "x",
    "é" * 300,
    "\ud800",
    "../../etc/passwd",
    "x" * 5000,
    0,
    -1,
    1,
    3,
    2**31,
    2**63,
    -(2**70),
    10**300,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
    [],
    {},
    [[]],
    [None],
    [1, "a", None],
    {"": 0},
    [0.1] * 7,
    "@deep@",
    "@deep object@",
    "@long@",
    "@huge@",
)


def _replaced(content: Any, rng: random.Random) -> Any:
    """The content with one node that is replaced, removed, doubled, or moved."""
    places = list(_places(content))
    if not places:
        return copy.deepcopy(rng.choice(STRANGE))
    # Whole lists of numbers would be met most of the time: short paths are as likely as long ones.
    depth = rng.choice(sorted({len(p) for p in places}))
    place = rng.choice([p for p in places if len(p) == depth])
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    key = place[-1]
    way = rng.randrange(6)
    if way == 0:
        del parent[key]
    elif way == 1 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    elif way == 2 and isinstance(parent, dict):
        parent[rng.choice(("", "é", str(key).upper(), f"{key} "))] = parent.pop(key)
    elif way == 3 and isinstance(parent[key], int | float):
        parent[key] = parent[key] * rng.choice((-1, 1e9, 1e-9, 0))
    elif way == 4:
        parent[key] = [parent[key]]
    else:
        parent[key] = copy.deepcopy(rng.choice(STRANGE))
    return content


def _places(node: Any, path: tuple[Any, ...] = ()) -> Any:
    """Paths to all nodes below one."""
    items: Any = ()
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    for key, child in items[:40]:
        yield (*path, key)
        yield from _places(child, (*path, key))


STRANGE_TOML = (
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "9" * 5000,
    '""',
    '"x"',
    "[]",
    "{}",
    "true",
    "1979-05-27",
    '"\\ud800"',
    "[[1, 2], [3]]",
    "[" * 3000 + "]" * 3000,
    "{a = " * 500 + "1" + "}" * 500,
)


def damage_toml(text: str, rng: random.Random) -> str:
    """TOML text with one or two damages: values, lines or characters."""
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(lines))
        way = rng.randrange(6)
        if way <= 1 and "=" in lines[at]:
            lines[at] = f"{lines[at].split('=')[0]}= {rng.choice(STRANGE_TOML)}"
        elif way == 2:
            lines.pop(at)
            lines = lines or [""]
        elif way == 3:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif way == 4:
            where = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:where] + rng.choice('[]{}="\\,#\x00é1') + lines[at][where:]
        else:
            words = lines[at].split('"')
            lines[at] = '"'.join(w[::-1] if k % 2 else w for k, w in enumerate(words))
    return "\n".join(lines)
