"""Model files, cards and folders that are damaged or lie: one clear error, or made anew."""

import json
import logging
from dataclasses import asdict, replace

import numpy as np
import pytest

from rtmpose import zoo
from rtmpose.cards.io import card_from_json, card_to_json, embedded_card, sidecar_card_path
from rtmpose.errors import ModelError
from rtmpose.safetensors_file import read_safetensors_header, with_safetensors_metadata
from rtmpose.zoo.catalog import find
from rtmpose.zoo.sdk_folder import read_sdk

# ---- safetensors


def entry(begin, end, shape=None, dtype="F32"):
    shape = [(end - begin) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def tensors_file(path, header, data=16, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + bytes(data))
    return path


GOOD = {"a": entry(0, 8), "b": entry(8, 16), "__metadata__": {"format": "pt"}}


def test_a_whole_file_is_read(tmp_path):
    path = tensors_file(tmp_path / "m.safetensors", GOOD)
    header = read_safetensors_header(path)
    assert set(header.tensors) == {"a", "b"}
    assert header.metadata == {"format": "pt"}
    again = tmp_path / "n.safetensors"
    again.write_bytes(with_safetensors_metadata(path, "key", "text"))
    assert read_safetensors_header(again).metadata == {"format": "pt", "key": "text"}
    assert read_safetensors_header(again).start % 8 == 0


LIES = {
    "header beyond the file": ({"length": 10_000}, GOOD, "should have 10,000 bytes"),
    "huge header": ({"length": 1 << 62}, GOOD, "not a safetensors file"),
    "no JSON": ({}, b"{ this is none }", "Expecting"),
    "a list": ({}, [1, 2], "not a table"),
    "deep": ({}, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
    "offsets beyond the data": ({}, {"a": entry(0, 64)}, "should lie at bytes 0 to 64 of 16"),
    "offsets turned around": ({}, {"a": entry(16, 0, [4])}, "should lie at"),
    "negative offsets": ({}, {"a": entry(-8, 8, [4])}, "nothing usable"),
    "overlap": ({}, {"a": entry(0, 12), "b": entry(4, 16)}, "overlaps"),
    "gap": ({}, {"a": entry(0, 4), "b": entry(8, 16)}, "gap"),
    "too much data": ({"data": 24}, GOOD, "room for 24"),
    "shape does not match": ({}, {"a": entry(0, 16, [3])}, "needs 12 bytes, not 16"),
    "enormous shape": ({}, {"a": entry(0, 16, [1 << 62, 1 << 62])}, "needs"),
    "text in a shape": ({}, {"a": entry(0, 16, ["4"])}, "nothing usable"),
    "metadata are no texts": ({}, {"a": entry(0, 16), "__metadata__": {"n": 3}}, "not a text"),
    "metadata are a list": ({}, {"a": entry(0, 16), "__metadata__": []}, "not a table of texts"),
    "no offsets": ({}, {"a": {"dtype": "F32", "shape": [4]}}, "nothing usable"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_header_that_lies(tmp_path, case):
    how, header, words = LIES[case]
    path = tensors_file(tmp_path / "m.safetensors", header, **how)
    with pytest.raises(ValueError, match=words):
        read_safetensors_header(path)
    assert embedded_card(path) is None  # and no other error


@pytest.mark.parametrize("case", ["header beyond the file", "overlap", "metadata are no texts"])
def test_a_lying_checkpoint_is_one_error(tmp_path, case):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from rtmpose.networks.checkpoint import read_card, read_checkpoint

    how, header, words = LIES[case]
    path = tensors_file(tmp_path / "m.safetensors", header, **how)
    for read in (read_checkpoint, read_card):
        with pytest.raises(ModelError, match=words):
            read(path)


@pytest.mark.parametrize("shared", ["[1]", '{"b": "missing"}', "{", '{"b": 3}', "[" * 100_000])
def test_a_lying_list_of_shared_tensors(tmp_path, shared):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from rtmpose.networks.checkpoint import read_checkpoint

    header = {"a": entry(0, 16), "__metadata__": {"rtmpose.shared": shared}}
    path = tensors_file(tmp_path / "m.safetensors", header)
    with pytest.raises(ModelError, match="could not be read as safetensors"):
        read_checkpoint(path)


def test_weights_with_an_unusable_card_are_read_where_the_card_is_given(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from rtmpose.networks.checkpoint import read_card, read_checkpoint

    header = {"a": entry(0, 16), "__metadata__": {"rtmpose.card": "{}"}}
    path = tensors_file(tmp_path / "m.safetensors", header)
    assert list(read_checkpoint(path)) == ["a"]
    with pytest.raises(ModelError, match=r"card in .* cannot be used.*--card"):
        read_card(path)


# ---- cards

POINTS = {
    "name": "mine",
    "keypoints": ["a", "b"],
    "flip_indices": [1, 0],
    "links": [[0, 1]],
    "sides": ["left", "right"],
    "link_colors": [[1, 2, 3]],
    "keypoint_colors": [[1, 2, 3], [4, 5, 6]],
    "sigmas": [0.1, 0.1],
    "description": "",
}


def changed_card(**changes):
    table = json.loads(card_to_json(find("rtmpose-s")))
    table.pop("calibration", None)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = table
        for parent in parents:
            target = target[parent]
        target[last] = value
    return json.dumps(table)


def test_a_card_with_its_own_points_is_read():
    assert len(card_from_json(changed_card(own_skeleton=POINTS)).own_skeleton) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_wh": [192]}, "input_wh"),
        ({"input_wh": [192, 256, 3]}, "input_wh"),
        ({"input_wh": [192, -256]}, "input_wh"),
        ({"input_wh": [10**9, 10**9]}, "input_wh"),
        ({"input_wh": ["192", "256"]}, "input_wh"),
        ({"input_wh": 192}, "not a model card"),
        ({"normalization__mean": [1.0, 2.0]}, "mean"),
        ({"normalization__std": [1.0, 2.0, 3.0, 4.0]}, "std"),
        ({"normalization__std": [1.0, 0.0, 1.0]}, "std must be"),
        ({"normalization__std": [1.0, float("nan"), 1.0]}, "NaN"),
        ({"normalization__mean": ["1", "2", "3"]}, "mean"),
        ({"normalization__color": "cmyk"}, "color"),
        ({"codec__split_ratio": 0}, "split_ratio"),
        ({"codec__split_ratio": float("inf")}, "Infinity"),
        ({"codec__heatmap_wh": [48]}, "heatmap_wh"),
        ({"codec__kind": ["simcc"]}, "not a model card"),
        ({"id": 3}, "id is not a text"),
        ({"skeleton": 26}, "skeleton"),
        ({"input_fit": "stretch"}, "input_fit"),
        ({"own_skeleton": {**POINTS, "sides": ["left"]}}, "as many sides"),
        ({"own_skeleton": {**POINTS, "flip_indices": [1, 7]}}, "flip_indices"),
        ({"own_skeleton": {**POINTS, "links": [[0, 9]]}}, "links"),
        ({"own_skeleton": {**POINTS, "links": [[0]]}}, "links must be 2 numbers"),
        ({"own_skeleton": {**POINTS, "sigmas": [0.1]}}, "as many sigmas"),
        ({"own_skeleton": {**POINTS, "link_colors": []}}, "link_colors"),
        ({"own_skeleton": {**POINTS, "keypoints": []}}, "keypoint|flip_indices"),
    ],
)
def test_a_card_that_makes_no_sense(changes, words):
    with pytest.raises(ValueError, match=words):
        card_from_json(changed_card(**changes))


def test_an_unusable_card_is_told_and_not_used(tmp_path, caplog):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    sidecar_card_path(path).write_text(changed_card(input_wh=[192]))
    with caplog.at_level(logging.WARNING):
        assert embedded_card(path) is None
    assert "m.onnx is not used: input_wh" in caplog.text
    # A run looks for it more than once.
    with caplog.at_level(logging.WARNING):
        assert embedded_card(path) is None
    assert len(caplog.records) == 1


def test_a_deeply_nested_card(tmp_path, caplog):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    sidecar_card_path(path).write_text("[" * 100_000)
    assert embedded_card(path) is None


# ---- folders of the deployment SDK


def sdk_folder(folder, net="end2end.onnx", **normalize):
    pixels = {"type": "Normalize", "mean": [1, 2, 3], "std": [1, 1, 2], "to_rgb": True, **normalize}
    transforms = [{"type": "TopDownAffine", "image_size": [192, 256]}, pixels]
    decode = {"component": "SimCCLabelDecode", "params": {}}
    folder.mkdir(parents=True)
    (folder / "deploy.json").write_text(json.dumps({"models": [{"net": net}]}))
    (folder / "pipeline.json").write_text(
        json.dumps({"pipeline": {"tasks": [{"transforms": transforms}, decode]}})
    )
    (folder / "end2end.onnx").write_bytes(b"\x08\x06")
    return folder


def test_a_network_in_the_folder_is_found(tmp_path):
    path, card = read_sdk(sdk_folder(tmp_path / "sdk"))
    assert (path.name, card.input_wh) == ("end2end.onnx", (192, 256))


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ("x" * 5_000, "5000 characters"),
        ("../other.onnx", "outside"),
        ("sub/../../other.onnx", "outside"),
        ("missing.onnx", "not there"),
        ("", "does not name"),
        (None, "does not name"),
        (["end2end.onnx"], "does not name"),
        ("end2end\0.onnx", "does not name"),
    ],
)
def test_a_network_that_is_elsewhere(tmp_path, net, words):
    (tmp_path / "other.onnx").write_bytes(b"\x08\x06")
    with pytest.raises(ModelError, match=words):
        zoo.resolve(sdk_folder(tmp_path / "sdk", net))


def test_an_absolute_name_and_links_that_lead_outside(tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"\x08\x06")
    with pytest.raises(ModelError, match="outside"):
        read_sdk(sdk_folder(tmp_path / "absolute", str(other)))
    linked = sdk_folder(tmp_path / "linked", "link.onnx")
    try:
        (linked / "link.onnx").symlink_to(other)
    except OSError:
        pytest.skip("no links here")
    with pytest.raises(ModelError, match="outside"):
        read_sdk(linked)
    (linked / "link.onnx").unlink()
    (linked / "link.onnx").symlink_to("link.onnx")  # a loop
    with pytest.raises(ModelError):
        read_sdk(linked)


@pytest.mark.parametrize("normalize", [{"mean": [1, 2]}, {"std": [1, 0, 1]}, {"mean": None}])
def test_a_folder_with_wrong_numbers(tmp_path, normalize):
    with pytest.raises(ModelError, match="not a complete deployment SDK folder"):
        read_sdk(sdk_folder(tmp_path / "sdk", **normalize))


def test_deeply_nested_files_of_a_folder(tmp_path):
    folder = sdk_folder(tmp_path / "sdk")
    (folder / "deploy.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="not a complete"):
        read_sdk(folder)


# ---- prepared models


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A stored calibration: its file, its digest and its record."""
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    from rtmpose.backends import bf16_calibration as calibration

    digest = "ab" * 32
    record = calibration.Bf16Record(
        "m.onnx", digest, calibration.METHOD_VERSION, 1, 4, 0.9, 0.99, trusted=True
    )
    path = calibration.prepared_file(digest, calibration.ENDING)
    path.parent.mkdir(parents=True)
    write_calibration(path, record, np.zeros(8, np.float32))
    assert calibration.load_calibration(digest)[1] == record
    return path, digest, record


def write_calibration(path, record, medians):
    np.savez(path, **{"record": np.array(json.dumps(asdict(record))), "m/conv": medians})


def damaged_versions(content):
    yield b""
    yield b"no archive"
    yield content[: len(content) // 2]
    yield content[:-1]
    for at in range(0, len(content), 29):
        yield content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def test_a_damaged_calibration_is_made_again(stored, caplog):
    from rtmpose.backends import bf16_calibration as calibration

    path, digest, record = stored
    for content in list(damaged_versions(path.read_bytes())):
        path.write_bytes(content)
        medians, found = calibration.load_calibration(digest)
        assert found in (None, record)  # some bytes of a zip do not count
        assert found is None or len(medians) == 1
    assert "is damaged, so the model is calibrated again" in caplog.text


@pytest.mark.parametrize(
    ("changes", "medians"),
    [
        ({"sha256": "cd" * 32}, np.zeros(8, np.float32)),
        ({"convolutions": 2}, np.zeros(8, np.float32)),
        ({"trusted": "yes"}, np.zeros(8, np.float32)),
        ({}, np.full(8, np.nan, np.float32)),
        ({}, np.zeros((8, 2), np.float32)),
        ({}, np.zeros(8, np.int64)),
    ],
)
def test_a_calibration_of_something_else(stored, changes, medians):
    from rtmpose.backends import bf16_calibration as calibration

    path, digest, record = stored
    write_calibration(path, replace(record, **changes), medians)
    assert calibration.load_calibration(digest) == ({}, None)
