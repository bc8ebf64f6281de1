"""ncnn's files are checked before the engine sees them: it does not survive damaged ones."""

import json
import os
import struct
import sys
import types
from dataclasses import replace

import pytest

from rtmpose.backends import BackendOptions, open_backend
from rtmpose.backends.ncnn import NcnnBackend
from rtmpose.backends.ncnn_files import check_ncnn_files
from rtmpose.cards.io import embedded_card, sidecar_card_path, write_card, write_sidecar_card
from rtmpose.errors import ModelError
from rtmpose.zoo.catalog import find

LAYERS = """\
Input            in0      0 1 in0
Convolution      conv     1 1 in0 1 0=4 1=3 11=3 2=1 3=2 4=1 5=1 6=108
Split            split    1 2 1 2 3
Swish            silu     1 1 2 4
BinaryOp         add      2 1 4 3 5 0=0
MemoryData       memory   0 1 6 0=5 21=1
InnerProduct     linear   1 1 5 out0 0=6 1=0 2=24
"""
HALF, PLAIN = 0x01306B47, 0


def param_text(layers=LAYERS, magic="7767517", numbers=None):
    lines = layers.strip().splitlines()
    blobs = sum(int(line.split()[3]) for line in lines)
    return f"{magic}\n{numbers or f'{len(lines)} {blobs}'}\n{layers}"


def weights(half=True):
    tag = struct.pack("<I", HALF if half else PLAIN)
    size = 2 if half else 4
    conv = tag + bytes(108 * size) + bytes(4 * 4)  # with a bias
    memory = bytes(5 * 4)
    linear = tag + bytes(24 * size)
    return conv + memory + linear


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.ncnn.param"
    path.write_text(param_text())
    path.with_suffix(".bin").write_bytes(weights())
    return path


@pytest.fixture
def no_engine(monkeypatch):
    """An ncnn whose every use fails the test."""

    def used(*_):
        raise AssertionError("the engine has seen the files")

    engine = types.ModuleType("ncnn")
    engine.Net = used
    engine.__spec__ = types.SimpleNamespace(name="ncnn", origin=__file__)
    monkeypatch.setitem(sys.modules, "ncnn", engine)


def open_it(path):
    return open_backend(path, find("rtmpose-s"), BackendOptions("ncnn", "cpu", 1))


@pytest.mark.parametrize("half", [True, False])
def test_whole_files_of_others_pass(model, half):
    model.with_suffix(".bin").write_bytes(weights(half=half))
    check_ncnn_files(model, model.with_suffix(".bin"))


TEXTS = {
    "empty": ("", "does not begin with 7767517"),
    "another magic": (param_text(magic="7767516"), "does not begin"),
    "no text": (b"\xff\xfe\x00", "not a text"),
    "no numbers": ("7767517\n", "second line"),
    "numbers that are none": (param_text(numbers="many 8"), "second line"),
    "cut short": (param_text().rsplit("Inner", 1)[0], "6 layers, but should have 7"),
    "cut within a line": (param_text().rsplit("out0", 1)[0], "cut short"),
    "too many layers": (param_text(numbers="99999 8"), "should have 99999"),
    "other blobs": (param_text(numbers="7 2"), "should have 2"),
    "inputs without number": (
        param_text().replace("add      2 1", "add      two 1"),
        "not a layer",
    ),
    "many inputs": (param_text().replace("add      2 1", "add      900000000 1"), "cut short"),
    "unknown blob": (param_text().replace("1 1 5 out0", "1 1 77 out0"), "'77', which does not"),
    "blob written twice": (param_text().replace("1 1 2 4", "1 1 2 3"), "second time"),
    "parameter without value": (param_text().replace("6=108", "6="), "parameter"),
    "parameter that is no number": (param_text().replace("6=108", "6=x"), "parameter 6"),
    "negative parameter": (param_text().replace("6=108", "6=-108"), "parameter 6"),
    "huge parameter": (param_text().replace("6=108", "6=99999999999"), "parameter 6"),
    "larger weights": (param_text().replace("6=108", "6=1080"), "too few"),
    "smaller weights": (param_text().replace("6=108", "6=10"), "weights"),
    "unknown layer": (param_text().replace("Swish", "MyOwn"), "MyOwn is not known"),
    "quantized": (param_text().replace("6=108", "6=108 8=2"), "quantized layer"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_damaged_text_never_reaches_the_engine(model, no_engine, case):
    text, words = TEXTS[case]
    model.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError, match=words):
        open_it(model)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:10], lambda b: b + b"more"])
def test_weights_of_another_size_never_reach_the_engine(model, no_engine, change):
    path = model.with_suffix(".bin")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ModelError, match="weights"):
        open_it(model)


def test_missing_and_swapped_files(model, no_engine):
    path = model.with_suffix(".bin")
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(ModelError, match=r"m\.ncnn\.bin next to it.*does not exist"):
        open_it(model)
    path.write_bytes(model.read_bytes())
    model.write_bytes(content)
    with pytest.raises(ModelError, match="swapped"):
        open_it(model)
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelError, match="does not exist"):
        open_it(model)


@pytest.mark.parametrize(
    ("given", "spinning", "expected"),
    [(None, False, "passive"), ("active", False, "active"), (None, True, None)],
)
def test_idle_threads_sleep_unless_told_otherwise(model, monkeypatch, given, spinning, expected):
    # An engine that is not imported yet, and does nothing when it is.
    (model.parent / "ncnn.py").write_text("")
    monkeypatch.syspath_prepend(model.parent)
    monkeypatch.setitem(sys.modules, "ncnn", None)
    monkeypatch.delitem(sys.modules, "ncnn")
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    model.unlink()  # nothing is loaded
    with pytest.raises(ModelError):
        NcnnBackend(
            model, find("rtmpose-s"), BackendOptions("ncnn", "cpu", 1, allow_spinning=spinning)
        )
    assert os.environ.get("OMP_WAIT_POLICY") == expected


def test_the_setting_comes_too_late_for_an_engine_that_is_loaded(model, no_engine, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    model.unlink()
    with pytest.raises(ModelError):
        open_it(model)
    assert "OMP_WAIT_POLICY" not in os.environ


# ---- files with a record


@pytest.fixture
def recorded(model):
    card = replace(find("rtmpose-s"), files=(), aliases=())
    write_sidecar_card(model, card, recorded=(model, model.with_suffix(".bin")))
    assert embedded_card(model) == card
    return model


def test_a_record_is_compared_first(recorded, no_engine):
    check_ncnn_files(recorded, recorded.with_suffix(".bin"))
    path = recorded.with_suffix(".bin")
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    with pytest.raises(ModelError, match="incomplete or another file"):
        open_it(recorded)
    path.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(ModelError, match="sha256 differs"):
        open_it(recorded)
    path.write_bytes(content)
    recorded.write_text(param_text().replace("0=0", "0=2"))
    with pytest.raises(ModelError, match=r"m\.ncnn\.param is not what was written"):
        open_it(recorded)


def test_layers_that_are_not_known_pass_with_a_record(model):
    model.write_text(param_text().replace("Swish", "MyOwn"))
    weights_file = model.with_suffix(".bin")
    write_sidecar_card(model, find("rtmpose-s"), recorded=(model, weights_file))
    check_ncnn_files(model, weights_file)


def test_a_new_card_keeps_the_record(recorded, no_engine):
    card = replace(embedded_card(recorded), notes="changed")
    assert write_card(recorded, card) == sidecar_card_path(recorded)
    assert embedded_card(recorded).notes == "changed"
    recorded.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(ModelError, match="incomplete"):
        open_it(recorded)


@pytest.mark.parametrize("record", [[], {".param": {}}, {".param": {"size": "x"}}, {}, 3])
def test_a_damaged_record_is_an_error(recorded, no_engine, record):
    path = sidecar_card_path(recorded)
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights": record}))
    with pytest.raises(ModelError, match="export"):
        open_it(recorded)


def test_what_the_exporter_writes_has_a_record(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
    pytest.importorskip("pnnx", reason="pnnx is not installed: pip install 'rtmpose[export]'")
    from exportable import POSE_CARD, pose_network

    from rtmpose.exporting.ncnn import write_ncnn

    path = tmp_path / "m.ncnn.param"
    sizes = {}
    for half in (True, False):
        write_ncnn(pose_network(), POSE_CARD, path, half=half)
        check_ncnn_files(path, path.with_suffix(".bin"))
        sidecar = sidecar_card_path(path)
        assert set(json.loads(sidecar.read_text())["weights"]) == {".param", ".bin"}
        sidecar.unlink()
        check_ncnn_files(path, path.with_suffix(".bin"))  # as the files of others
        sizes[half] = path.with_suffix(".bin").stat().st_size
    assert sizes[False] > 1.8 * sizes[True]  # the precision is obeyed
