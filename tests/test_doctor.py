"""``rtmpose doctor``: a row for every backend, remedies, exit status."""

import json

import pytest

from rtmpose import backend_table as table
from rtmpose.backends import loading, selection
from rtmpose.backends.cpu import Cpu
from rtmpose.cli import main
from rtmpose.cli.doctor import examine
from rtmpose.cli.terminal import print_report
from rtmpose.writers.report import JobReport


def test_doctor(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path))
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "auto chooses" in report
    assert str(tmp_path) in report["cache"]
    assert main(["doctor"]) == 0


def test_every_backend_has_a_row():
    report, _, _ = examine()
    for row in table.BACKENDS:
        assert row.name in report
        if row.is_installed():
            assert "cpu (" in report[f"{row.name} devices"]
        else:
            assert row.install_command in report[row.name]


def rows_with(monkeypatch, **installed):
    """Make backends look installed with these distributions; all others look missing."""
    monkeypatch.setattr(table.BackendRow, "is_installed", lambda row: bool(installed.get(row.name)))
    monkeypatch.setattr(table.BackendRow, "versions", lambda row: installed.get(row.name, {}))


def test_a_faster_backend_is_recommended(monkeypatch):
    monkeypatch.setattr(selection, "this_cpu", lambda: Cpu("A CPU", frozenset(), "other"))
    rows_with(monkeypatch, onnxruntime={"onnxruntime": "1.0"})
    report, remedies, broken = examine()
    assert report["openvino"] == "not installed (pip install 'rtmpose[openvino]')"
    assert "pip install 'rtmpose[openvino]' makes CPUs faster" in remedies
    assert "ONNX Runtime is the only engine installed" in report["auto chooses"]
    assert not broken
    rows_with(monkeypatch, openvino={"openvino": "1.0"}, onnxruntime={"onnxruntime": "1.0"})
    assert not any("faster" in remedy for remedy in examine()[1])


def test_where_another_engine_is_faster_in_8_bits_only(monkeypatch):
    """It is recommended all the same: the default models are prepared for 8 bits."""
    monkeypatch.setattr(selection, "this_cpu", lambda: Cpu("A CPU", frozenset(), "avx2-amd"))
    rows_with(monkeypatch, onnxruntime={"onnxruntime": "1.0"})
    report, remedies, _ = examine()
    assert "pip install 'rtmpose[openvino]' makes CPUs faster" in remedies
    assert "pip install 'rtmpose[openvino]' is faster" in report["auto chooses"]


@pytest.mark.parametrize(("frames", "told"), [(99, False), (100, True)])
def test_a_long_run_tells_of_a_faster_engine(monkeypatch, capsys, frames, told):
    monkeypatch.setattr(selection, "this_cpu", lambda: Cpu("A CPU", frozenset(), "vnni"))
    rows_with(monkeypatch, onnxruntime={"onnxruntime": "1.0"})
    report = JobReport()
    report.frames = frames
    print_report(report)
    line = "a faster engine for CPUs: pip install 'rtmpose[openvino]'"
    assert (line in capsys.readouterr().err) == told
    rows_with(monkeypatch, openvino={"openvino": "1.0"}, onnxruntime={"onnxruntime": "1.0"})
    print_report(report)
    assert "faster" not in capsys.readouterr().err


def test_two_builds_of_one_engine_are_a_problem(monkeypatch):
    rows_with(monkeypatch, onnxruntime={"onnxruntime": "1.0", "onnxruntime-gpu": "1.0"})
    _, remedies, _ = examine()
    (text,) = [r for r in remedies if "both installed" in r]
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'rtmpose[gpu]'" in text


def test_without_any_engine_it_is_broken(monkeypatch, capsys):
    monkeypatch.setattr(selection, "installed", tuple)
    assert main(["doctor"]) == 1
    assert "no inference engine is installed" in capsys.readouterr().out


def test_the_only_engine_does_not_load(monkeypatch):
    onnxruntime = pytest.importorskip("rtmpose.backends.onnxruntime")
    monkeypatch.setattr(loading, "_set_aside", set())
    rows_with(monkeypatch, onnxruntime={"onnxruntime": "1.0"})

    def broken():
        raise ImportError("libfoo.so.1: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "devices", broken)
    report, remedies, broken = examine()
    assert report["onnxruntime devices"] == "none"
    assert any("does not load: libfoo.so.1" in r for r in remedies)
    assert broken
