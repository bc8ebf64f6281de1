"""The one reader of JSON and TOML: what it refuses, and that nothing goes around it."""

from __future__ import annotations

import json
import math
import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpose import text_files
from rtmpose.errors import InputError, ModelError
from rtmpose.skeletons import load_skeleton
from rtmpose.text_files import (
    MAX_DEPTH,
    MAX_DIGITS,
    decode_text,
    parse_json,
    parse_toml,
    read_bytes,
    read_json,
    read_toml,
)

ROOT = Path(text_files.__file__).parents[1]

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_nothing_else_parses_json_or_toml() -> None:
    parsers = re.compile(r"\bjson\.loads?\b|JSONDecoder|\btomllib\b|\btomli\b|\byaml\.\w*load")
    folders = (ROOT / "rtmpose", ROOT / "scripts")
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if parsers.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["rtmpose/text_files.py"]


# ---- JSON


@given(VALUES)
def test_json_is_read_as_the_standard_library_reads_it(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert parse_json(text, "it") == json.loads(text)


@given(st.text(alphabet='[]{}"\\a', max_size=30), st.integers(0, 80))
def test_brackets_in_strings_do_not_count(text: str, depth: int) -> None:
    nested = "[" * depth + json.dumps([text, {text: text}]) + "]" * depth
    if depth + 2 <= MAX_DEPTH:
        assert parse_json(nested, "it") == json.loads(nested)
    else:
        with pytest.raises(InputError, match="nested"):
            parse_json(nested, "it")


@pytest.mark.parametrize("opening", ["[", '{"a":', "[0,[],", '{"\\"]": {}, "b":['])
def test_deep_json_is_refused_before_it_is_parsed(
    opening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(InputError, match=r"^deep\.json is not valid JSON .*nested .* levels"):
        parse_json(opening * 100, "deep.json")


def test_depth_is_checked_in_threads_with_small_stacks() -> None:
    caught: list[Exception] = []

    def read() -> None:
        try:
            parse_json("[" * 5000 + "]" * 5000, "deep.json")
        except InputError as error:
            caught.append(error)

    previous = threading.stack_size(256 << 10)
    try:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(previous)
    assert len(caught) == 1


def test_integers_have_a_length_that_floats_can_hold() -> None:
    longest = "9" * MAX_DIGITS
    assert float(parse_json(f"[{longest}]", "it")[0]) > 0
    assert parse_json(f"[-{longest}]", "it") == [-int(longest)]
    for digits in (MAX_DIGITS + 1, 5000):
        with pytest.raises(InputError, match="digits"):
            parse_json(f'{{"id": {"1" * digits}}}', "it", allow_nan=True)
    # As text they are harmless, and so are decimals.
    text = "1" * 5000
    assert parse_json(f'["{text}", 0.{text}]', "it") == [text, float(f"0.{text}")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999"])
def test_numbers_that_are_not_finite(number: str) -> None:
    with pytest.raises(InputError, match=r"not a number|too large"):
        parse_json(f"[{number}]", "it")
    value = parse_json(f"[{number}]", "it", allow_nan=True)[0]
    assert not math.isfinite(value)


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse_json('{"a": 1, "a": 2}', "it") == {"a": 2}


def test_errors_name_file_place_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(InputError) as caught:
        read_json(path)
    text = str(caught.value)
    assert text.startswith(f"{path} is not valid JSON: ")
    assert "line 2, column 6" in text
    assert "correct it" in text
    assert "\n" not in text


@pytest.mark.parametrize("content", [b"", b" \n\t", b"\xef\xbb\xbf"])
def test_empty_files_are_called_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="it is empty"):
        read_json(path)


# ---- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "Käfer 甲虫"}'.encode(encoding))
    assert read_json(path) == {"name": "Käfer 甲虫"}
    path = tmp_path / "a.toml"
    path.write_bytes('name = "Käfer 甲虫"'.encode(encoding))
    assert read_toml(path) == {"name": "Käfer 甲虫"}


def test_what_is_no_text_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[1,\n"K\xe4fer"]')
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 6, line 2\).*save it as UTF-8"):
        read_json(path)
    with pytest.raises(InputError, match="not UTF-16 text"):
        decode_text(b"\xff\xfe\x00", "it")


# ---- files


def test_size_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"[1, 2, 3]")
    assert read_bytes(path, limit=9) == b"[1, 2, 3]"
    with pytest.raises(InputError, match="larger than the 8 bytes"):
        read_bytes(path, limit=8)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="the system has no /dev/zero")
def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match="larger than"):
        read_bytes(Path("/dev/zero"), limit=1 << 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_text("[1]"))
    thread.start()
    assert read_json(path) == [1]
    thread.join()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            read_json(path)


# ---- TOML


def test_toml_errors_name_file_and_place() -> None:
    with pytest.raises(InputError, match=r"^a\.toml is not valid TOML: .*line 2"):
        parse_toml("a = 1\nb = \n", "a.toml")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "{a = " * 5000,
        "a = " + "[" * 70 + "]" * 70,
        "[" + ".".join("a" * 70) + "]",
        ".".join(["a"] * 200_000) + " = 1",
        " . ".join(["a"] * 200_000) + " = 1",
        "a." * 200_000,
    ],
)
def test_deep_toml_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="nested"):
        parse_toml(text, "it")


def test_toml_numbers_are_finite_and_of_a_length() -> None:
    for number in ("nan", "inf", "-inf", "1e400", "1" * 301, "1" * 5000):
        with pytest.raises(InputError, match="it is not valid TOML"):
            parse_toml(f"a = [{number}]", "it")


def test_long_lines_of_numbers_are_no_long_keys() -> None:
    numbers = ", ".join(["0.025"] * 500)
    assert len(parse_toml(f"a = [\n{numbers}\n]", "it")["a"]) == 500


def test_a_damaged_keypoint_set_says_where(tmp_path: Path) -> None:
    path = tmp_path / "mouse.toml"
    path.write_text("name = 'mouse'\nkeypoints = [\n")
    with pytest.raises(ModelError, match=r"mouse\.toml is not valid TOML.*docs/skeletons"):
        load_skeleton(path)
    for text in ("keypoints = 3", "name = 'a'\nkeypoints = ['a']\nlinks = [[{}]]"):
        path.write_text(text)
        with pytest.raises(ModelError, match="is not valid"):
            load_skeleton(path)
