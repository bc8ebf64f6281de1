"""CUDA as pip installs it: ONNX Runtime is told where, and its remarks stay out of the output."""

import importlib.util
import logging
from types import SimpleNamespace

import pytest

from rtmpose.backends.cuda_libraries import load_cuda_libraries


@pytest.fixture
def with_nvidia(monkeypatch):
    """As if packages of NVIDIA were installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name == "nvidia" else find(name)
    )


def test_libraries_of_pip_are_loaded_in_silence(with_nvidia, capsys, caplog):
    calls = []

    def preload_dlls():
        calls.append(1)
        print("Failed to load libcudnn.so.9")

    with caplog.at_level(logging.DEBUG, "rtmpose"):
        load_cuda_libraries(SimpleNamespace(preload_dlls=preload_dlls))
    assert calls == [1]
    assert capsys.readouterr().out == ""
    assert "libcudnn.so.9" in caplog.text


def test_an_older_engine_has_nothing_to_call(with_nvidia):
    load_cuda_libraries(SimpleNamespace())


def test_a_system_of_ones_own_is_left_alone(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def refuse():
        raise AssertionError("was called")

    load_cuda_libraries(SimpleNamespace(preload_dlls=refuse))
