"""Compiled networks in the cache folder: found again, never outdated, harmless when damaged."""

import errno
import hashlib
import importlib.util
import os

import numpy as np
import pytest

from rtmpose import BackendOptions
from rtmpose.backends import compiled_files, heap
from rtmpose.backends import openvino_network as net
from rtmpose.backends.compiled_files import CompiledFiles, compiled_size
from rtmpose.backends.cpu import Cpu
from rtmpose.model_card import Codec, ModelCard, Normalization

needs_openvino = pytest.mark.skipif(
    not importlib.util.find_spec("openvino"), reason="needs OpenVINO"
)
SCALING = Normalization((0, 0, 0), (255, 255, 255), "bgr")
CARD = ModelCard("small", "a test", "none", (16, 16), SCALING, Codec("simcc"))
PIXELS = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3), np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


# ---- the files


def test_what_was_kept_is_found():
    files = CompiledFiles({"model": "a"})
    assert files.find("one") is None
    files.keep("one", b"compiled")
    assert CompiledFiles({"model": "a"}).find("one") == b"compiled"
    assert CompiledFiles({"model": "b"}).find("one") is None
    assert files.find("two") is None
    assert compiled_size() == (1, len(b"compiled") + 32)


def test_a_large_form_can_be_taken_out_of_memory_and_is_there_again():
    content = np.random.default_rng(2).bytes(heap.FEWEST_FILE_BYTES + 5)
    files = CompiledFiles({"model": "a"})
    files.keep("one", content)
    found = files.find("one")
    heap.let_go(found)
    assert bytes(found) == content


def test_without_room_for_a_file_it_is_memory_like_any_other(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(heap.tempfile, "TemporaryFile", full)
    memory = heap.reclaimable_memory(heap.FEWEST_FILE_BYTES)
    assert isinstance(memory, bytearray)
    heap.let_go(memory)
    assert len(memory) == heap.FEWEST_FILE_BYTES


def test_nothing_is_kept_of_networks_without_a_file(home):
    files = CompiledFiles(None)
    files.keep("one", b"compiled")
    assert files.find("one") is None
    assert not home.exists()


@pytest.mark.parametrize("change", ["cpu", "flags", "limit", "method"])
def test_files_hold_for_one_machine_and_version(monkeypatch, change):
    monkeypatch.setattr(compiled_files, "this_cpu", lambda: Cpu("A", frozenset("a"), "other"))
    CompiledFiles({"model": "a"}).keep("one", b"compiled")
    if change == "cpu":
        monkeypatch.setattr(compiled_files, "this_cpu", lambda: Cpu("B", frozenset("a"), "other"))
    elif change == "flags":
        monkeypatch.setattr(compiled_files, "this_cpu", lambda: Cpu("A", frozenset("b"), "other"))
    elif change == "limit":
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    else:
        monkeypatch.setattr(compiled_files, "METHOD_VERSION", 99)
    assert CompiledFiles({"model": "a"}).find("one") is None


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 60])
def test_damaged_files_are_not_used(home, damage):
    files = CompiledFiles({"model": "a"})
    files.keep("one", b"compiled")
    (file,) = (home / "compiled").iterdir()
    file.write_bytes(damage)
    assert files.find("one") is None
    files.keep("one", b"anew")
    assert files.find("one") == b"anew"


def test_a_folder_that_cannot_be_written(home):
    home.write_text("a file, where the folder should be")
    files = CompiledFiles({"model": "a"})
    files.keep("one", b"compiled")
    assert files.find("one") is None
    assert compiled_size() == (0, 0)


def test_the_oldest_go_first(home, monkeypatch):
    monkeypatch.setattr(compiled_files, "MOST_BYTES", 1000)
    files = CompiledFiles({"model": "a"})
    for age, form in enumerate("abcdefg"):
        files.keep(form, bytes(168))  # 200 with its digest
        (newest,) = (home / "compiled").glob(f"*-{_digest(form)}.bin")
        os.utime(newest, (age, age))
    assert [form for form in "abcdefg" if files.find(form)] == list("cdefg")
    files.keep("large", bytes(300))  # more than a quarter is not kept
    assert files.find("large") is None


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- with the engine


def saved(path, factor=1.0):
    """A small network in 8 bits whose output depends on the factor."""
    import openvino
    from openvino import opset13 as ops

    image = ops.parameter([-1, 3, 16, 16], np.float32, name="input")
    weights = np.full((4, 3, 3, 3), factor, np.float32)
    ends = [ops.constant(np.full((1, 1, 1, 1), end, np.float32)) for end in (0, 1)]
    x = ops.fake_quantize(image, *ends, *ends, 256)
    x = ops.convolution(x, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    openvino.save_model(openvino.Model([x.output(0)], [image], "small"), path)
    return path


def run(path, precision="int8", **options):
    from rtmpose.backends.openvino import OpenVinoBackend

    options = BackendOptions("openvino", "cpu", 1, precision=precision, **options)
    return OpenVinoBackend(path, CARD, options)(PIXELS)[0]


@pytest.fixture
def compiled(monkeypatch):
    """The networks that are compiled."""
    from rtmpose.backends.openvino import _Compiler

    made = []
    original = _Compiler._compiled

    def counted(self, batch, size_hw):
        made.append((batch, size_hw))
        return original(self, batch, size_hw)

    monkeypatch.setattr(_Compiler, "_compiled", counted)
    return made


@needs_openvino
def test_a_network_is_compiled_once(tmp_path, compiled):
    path = saved(tmp_path / "small.xml")
    first = run(path)
    assert compiled == [(1, (16, 16))]
    np.testing.assert_array_equal(run(path), first)
    assert len(compiled) == 1

    # In another form, it is another network.
    np.testing.assert_allclose(run(path, num_streams=2), first)
    assert len(compiled) == 2


@needs_openvino
def test_networks_in_fp32_are_not_kept(tmp_path, home, compiled):
    """They compile fast, and share their weights."""
    path = saved(tmp_path / "small.xml")
    run(path, "fp32")
    run(path, "fp32")
    assert len(compiled) == 2
    assert not home.exists()


@needs_openvino
def test_networks_in_bf16_are_kept(tmp_path, compiled):
    if not net.cpu_has_bf16():
        pytest.skip("needs a CPU with bf16")
    path = saved(tmp_path / "small.xml")
    first = run(path, "bf16")
    np.testing.assert_array_equal(run(path, "bf16"), first)
    assert len(compiled) == 1


@needs_openvino
def test_another_file_of_the_same_name(tmp_path, compiled):
    """The weights of such a network are in a second file."""
    path = saved(tmp_path / "small.xml")
    first = run(path)
    saved(path, 2.0)
    np.testing.assert_allclose(run(path), 2 * first, rtol=1e-5)
    assert len(compiled) == 2


@needs_openvino
def test_what_the_engine_refuses_is_compiled_again(tmp_path, monkeypatch, compiled):
    from rtmpose.backends.openvino_network import core

    path = saved(tmp_path / "small.xml")
    first = run(path)

    def refuse(*_):
        raise RuntimeError("of another build")

    monkeypatch.setattr(type(core()), "import_model", refuse)
    np.testing.assert_array_equal(run(path), first)
    assert len(compiled) == 2


@needs_openvino
@pytest.mark.parametrize("engine_reads", [True, False])
def test_a_file_of_the_package_is_read_once(home, monkeypatch, compiled, engine_reads):
    """Where its compiled forms are there, its network is neither read nor held."""
    from rtmpose.backends import openvino_network as net
    from rtmpose.backends.openvino import OpenVinoBackend
    from rtmpose.errors import ModelError

    (home / "weights").mkdir(parents=True)
    path = saved(home / "weights" / "small.xml")
    first = run(path)
    read = []
    original = net.read_network
    monkeypatch.setattr(net, "read_network", lambda path: read.append(path) or original(path))
    options = BackendOptions("openvino", "cpu", 1, precision="int8")
    backend = OpenVinoBackend(path, CARD, options)
    np.testing.assert_array_equal(backend(PIXELS)[0], first)
    assert (read, len(compiled)) == ([], 1)
    assert backend._opened._network is None
    assert (backend.precision, backend.input.shape) == ("int8", (None, 3, 16, 16))

    # Another form needs the file: as it was, or not at all.
    if engine_reads:
        several = np.concatenate([PIXELS, PIXELS])
        backend(several)  # one by one at first
        np.testing.assert_allclose(backend(several)[0], np.concatenate([first, first]))
        assert (read, len(compiled)) == ([path], 2)
    else:
        saved(path, 2.0)
        backend(np.concatenate([PIXELS, PIXELS]))
        with pytest.raises(ModelError, match="has changed since it was opened"):
            backend(np.concatenate([PIXELS, PIXELS]))


@needs_openvino
def test_a_record_that_is_no_record_is_not_used(home, monkeypatch):
    from rtmpose.backends import openvino_facts

    (home / "weights").mkdir(parents=True)
    path = saved(home / "weights" / "small.xml")
    first = run(path)
    monkeypatch.setattr(openvino_facts, "parse_json", lambda *_: {"facts": {}})
    np.testing.assert_array_equal(run(path), first)


def test_weights_in_files_of_their_own(tmp_path):
    """Nothing is kept where a network is not known by its file alone."""
    from rtmpose.backends.prepared_files import content_digest

    path = tmp_path / "m.onnx"
    path.write_bytes(b"a network")
    assert content_digest(path)
    path.write_bytes(b"a tensor: location weights.bin")
    assert content_digest(path) is None


def test_a_model_file_that_is_gone_is_named(tmp_path):
    """It may be removed between two steps of opening it."""
    from rtmpose.backends.int8_preparation import is_trusted_int8
    from rtmpose.backends.prepared_files import content_digest, digest_of, prepared_digest
    from rtmpose.errors import ModelError

    gone = tmp_path / "net.onnx"
    for read in (digest_of, content_digest, prepared_digest):
        with pytest.raises(ModelError, match=r"cannot read .*net\.onnx: No such file"):
            read(gone)
    assert not is_trusted_int8(gone)
