"""What `auto` does where an engine is installed but does not load."""

import logging

import pytest
from networks import spot_pose

from rtmpose import BackendOptions
from rtmpose import backend_table as table
from rtmpose.backends import (
    automatic,
    choose,
    loading,
    open_backend,
    openvino_network,
    selection,
)
from rtmpose.backends.cpu import Cpu
from rtmpose.cli.doctor import examine
from rtmpose.errors import BackendError
from rtmpose.zoo import resolve


@pytest.fixture
def broken_openvino(monkeypatch):
    """OpenVINO looks installed, is what `auto` takes, and lacks a library."""

    def lacks_a_library():
        raise ImportError("libopenvino.so.2641: cannot open shared object file")

    monkeypatch.setattr(openvino_network, "load_openvino", lacks_a_library)
    monkeypatch.setattr(openvino_network, "_core", None)
    two_engines(monkeypatch)


def two_engines(monkeypatch):
    monkeypatch.setattr(loading, "_set_aside", set())
    monkeypatch.setattr(selection, "this_cpu", lambda: Cpu("A CPU", frozenset(), "avx512-bf16"))
    for module in (selection, automatic):
        monkeypatch.setattr(module, "installed", lambda: ("openvino", "onnxruntime"))


@pytest.fixture
def model(tmp_path):
    return spot_pose(tmp_path / "spot.onnx", named=True)


def card_of(model):
    return resolve(model)[1]


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_another_engine_is_used_and_one_line_says_why(broken_openvino, model, caplog):
    card = card_of(model)
    assert open_backend(model, card, BackendOptions(device="cpu")).engine == "onnxruntime"
    assert open_backend(model, card, BackendOptions(device="cpu")).engine == "onnxruntime"
    (line,) = warnings_of(caplog)
    assert "OpenVINO is installed, but does not load: libopenvino.so.2641" in line
    assert "pip install --force-reinstall openvino. Another engine is used." in line


def test_one_that_was_asked_for_is_not_replaced(broken_openvino, model):
    for options in (BackendOptions("openvino", "cpu"), BackendOptions("openvino")):
        with pytest.raises(BackendError, match="does not load: libopenvino"):
            open_backend(model, card_of(model), options)


def test_nor_is_one_whose_files_no_other_engine_runs(broken_openvino, model):
    own = model.with_suffix(".xml")
    own.write_text("<net/>")
    with pytest.raises(BackendError, match="OpenVINO is installed, but does not load"):
        open_backend(own, card_of(model), BackendOptions())


def test_a_precision_of_the_broken_engine_is_not_replaced(broken_openvino, model):
    with pytest.raises(BackendError, match="precision int8 needs openvino on cpu"):
        open_backend(model, card_of(model), BackendOptions(device="cpu", precision="int8"))


def test_a_trial_goes_on_without_it(broken_openvino, model, caplog):
    found = automatic.ways(model, card_of(model), BackendOptions(device="cpu"))
    assert [way.name for way in found] == ["onnxruntime fp32"]
    assert len(warnings_of(caplog)) == 1


def test_something_else_of_that_name_counts_as_broken(monkeypatch, model, caplog):
    """Such as a file openvino.py beside the user's script."""
    two_engines(monkeypatch)
    monkeypatch.setattr(openvino_network, "load_openvino", lambda: logging)
    monkeypatch.setattr(openvino_network, "_core", None)
    backend = open_backend(model, card_of(model), BackendOptions(device="cpu"))
    assert backend.engine == "onnxruntime"
    assert "has no attribute 'Core'" in warnings_of(caplog)[0]


def test_openvino_takes_over_where_the_other_engine_is_broken(monkeypatch, caplog):
    two_engines(monkeypatch)
    onnxruntime = pytest.importorskip("rtmpose.backends.onnxruntime")

    def lacks_a_library():
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "devices", lacks_a_library)
    assert choose(BackendOptions()).backend == "openvino"
    assert "ONNX Runtime is installed, but does not load: libcudart" in warnings_of(caplog)[0]


def test_doctor_says_how_to_mend_it_and_what_is_used(broken_openvino, monkeypatch, caplog):
    monkeypatch.setattr(table.BackendRow, "is_installed", lambda row: row.name != "ncnn")
    report, remedies, broken = examine()
    assert report["openvino devices"] == "none"
    assert str(report["auto chooses"]).startswith("onnxruntime on cpu")
    assert any("pip install --force-reinstall openvino" in line for line in remedies)
    assert not broken
    assert not warnings_of(caplog)


def test_a_folder_of_that_name_is_no_engine(tmp_path, monkeypatch):
    """Models of an engine lie in a folder named after it, in the folder Python runs in."""
    (tmp_path / "an_engine").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    row = table.BackendRow("x", "X", "", "", "an_engine", (), (), True, {})
    assert not row.is_installed()
