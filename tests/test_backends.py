"""The table of backends: choosing, refusals, and what a new row is good for."""

import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from networks import spot_pose

from rtmpose import BackendOptions, PoseEstimator
from rtmpose import backend_table as table
from rtmpose.backends import choose, installed, open_backend, selection
from rtmpose.backends.base import TensorSpec
from rtmpose.backends.cpu import Cpu
from rtmpose.backends.loading import local_devices
from rtmpose.errors import BackendError, InputError, MissingDependencyError
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.zoo import model_kind, resolve

SCALING = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bgr")
CARD = ModelCard("fake-pose", "pose estimation", "fake", (48, 64), SCALING, Codec("simcc"))


def test_asking_for_a_missing_device_is_an_error(tmp_path):
    model = spot_pose(tmp_path / "spot.onnx")
    with pytest.raises((BackendError, MissingDependencyError), match="cuda"):
        PoseEstimator(model, options=BackendOptions("onnxruntime", "cuda"))
    with pytest.raises(BackendError, match="quantum"):
        PoseEstimator(model, options=BackendOptions("onnxruntime", "quantum"))
    with pytest.raises(BackendError, match=r"tensorrt is a device \(--device tensorrt\)"):
        table.row("TensorRT")
    with pytest.raises(BackendError, match="unknown backend"):
        choose(BackendOptions("tflite"))
    with pytest.raises(BackendError, match="unknown device"):
        choose(BackendOptions("auto", "toaster"))
    with pytest.raises(BackendError, match="cuda:2"):
        choose(BackendOptions("auto", "2"))
    with pytest.raises(InputError, match="threads must be a whole number from 0"):
        PoseEstimator(model, options=BackendOptions("onnxruntime", "cpu", -1))
    with pytest.raises(BackendError, match="precision"):
        PoseEstimator(model, options=BackendOptions("onnxruntime", "cpu", precision="int4"))  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="bf16 needs"):
        PoseEstimator(model, options=BackendOptions("onnxruntime", "cpu", precision="bf16"))


def test_missing_engine_names_the_extra(monkeypatch):
    monkeypatch.setattr(selection, "installed", lambda: ("onnxruntime",))
    with pytest.raises(MissingDependencyError, match=r"rtmpose\[openvino\]"):
        choose(BackendOptions("openvino"))
    assert choose(BackendOptions(device="cpu")).backend == "onnxruntime"
    monkeypatch.setattr(selection, "installed", tuple)
    with pytest.raises(MissingDependencyError, match="no inference engine"):
        choose(BackendOptions())


def a_cpu(monkeypatch, kind):
    monkeypatch.setattr(selection, "this_cpu", lambda: Cpu("A CPU", frozenset(), kind))


def test_auto_prefers_openvino_on_most_cpus(monkeypatch):
    a_cpu(monkeypatch, "avx512-bf16")
    monkeypatch.setattr(selection, "installed", lambda: ("onnxruntime", "openvino"))
    assert choose(BackendOptions(device="cpu")).backend == "openvino"
    assert choose(BackendOptions(device="cuda:1")).backend == "onnxruntime"
    assert choose(BackendOptions(device="npu")).backend == "openvino"
    # Not on those where it was measured to be slower, but for what only it computes.
    a_cpu(monkeypatch, "avx2-amd")
    assert choose(BackendOptions(device="cpu")).backend == "onnxruntime"
    assert choose(BackendOptions(device="cpu", precision="int8")).backend == "openvino"


# ---- a new backend: its file, a row, an extra


class FakeBackend:
    """Every keypoint is in the middle of the crop."""

    engine = "fake"
    precision = "fp32"
    flexible = False

    def __init__(self, model, card, options):
        width, height = card.input_wh
        ratio = card.codec.split_ratio
        self.device = options.device
        self.bins = round(width * ratio), round(height * ratio)
        self.input = TensorSpec("input", (None, 3, height, width))
        self.outputs = tuple(TensorSpec(n, (None, 17, b)) for n, b in zip("xy", self.bins))  # noqa: B905
        self.metadata = {"file": model.read_text()}

    def __call__(self, images):
        x, y = (np.zeros((len(images), 17, bins), np.float32) for bins in self.bins)
        x[..., self.bins[0] // 2] = 1
        y[..., self.bins[1] // 2] = 1
        return x, y


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A model file of a backend that only this row makes known."""
    module = types.ModuleType("fake_backend")
    module.FakeBackend = FakeBackend
    module.devices = lambda: {"cpu": ("fp32",), "abacus": ("fp32",)}
    monkeypatch.setitem(sys.modules, "fake_backend", module)
    row = table.BackendRow(
        name="fake",
        title="Fake engine",
        module="fake_backend",
        class_name="FakeBackend",
        import_name="pytest",  # something that is installed
        distributions=("pytest",),
        extra="fake",
        own_suffixes=(".fake",),
        runs_onnx=False,
        devices={"cpu": ("fp32",), "abacus": ("fp32",)},
        export_target="fake",
        weights_suffix=".beads",
    )
    monkeypatch.setattr(table, "BACKENDS", (*table.BACKENDS, row))
    path = tmp_path / "mine.fake"
    path.write_text("a model")
    return path


def test_a_row_is_all_that_a_pose_needs(fake):
    pose = PoseEstimator(fake, card=CARD)
    assert (pose.backend.engine, pose.backend.device) == ("fake", "cpu")
    assert pose.backend.metadata == {"file": "a model"}
    poses = pose(np.zeros((200, 200, 3), np.uint8), [[50, 60, 110, 140]])
    np.testing.assert_allclose(poses.keypoints[0], [[80, 100]] * 17, atol=1)
    backend = open_backend(fake, CARD, BackendOptions(device="abacus"))
    assert backend.device == "abacus"


def test_a_row_is_seen_by_everything_that_reads_the_table(fake, tmp_path, monkeypatch):
    from rtmpose.benchmark.networks import run_configs
    from rtmpose.cli.doctor import examine

    # The zoo takes such a text for a path, and knows of no card.
    assert model_kind("mine.fake") == "path"
    assert resolve(fake) == (fake, None)
    # doctor and bench
    report, _, _ = examine()
    assert report["fake"] == table.row("fake").versions()["pytest"]
    assert report["fake devices"] == "cpu (fp32), abacus (fp32)"
    assert [(config.backend, config.device) for config in run_configs(fake)] == [("fake", "cpu")]
    # exports are checked with it
    assert table.row_for_export("fake").name == table.row_to_check(fake).name == "fake"
    # errors name it
    with pytest.raises(BackendError, match=r"fake runs \.fake files.*--to fake"):
        open_backend(tmp_path / "x.onnx", CARD, BackendOptions("fake"))
    with pytest.raises(BackendError, match=r"mine\.fake; that one runs with fake only"):
        open_backend(fake, CARD, BackendOptions("onnxruntime"))
    with pytest.raises(BackendError, match=r"ONNX Runtime has no device 'abacus'.*--backend fake"):
        choose(BackendOptions("onnxruntime", "abacus"))
    with pytest.raises(BackendError, match=r"fake on cpu computes in fp32"):
        open_backend(fake, CARD, BackendOptions(precision="bf16"))
    monkeypatch.setattr(selection, "installed", tuple)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rtmpose\[fake\]'"):
        open_backend(fake, CARD)


# ---- the table


def test_the_table_is_sound():
    assert len(set(table.names())) == len(table.BACKENDS)
    own = [suffix for row in table.BACKENDS for suffix in row.own_suffixes]
    assert len(set(own)) == len(own), "a format belongs to one backend"
    for row in table.BACKENDS:
        assert row.suffixes, row
        assert set(row.auto_devices) <= set(row.devices), row
        assert any(row.native_precision in precisions for precisions in row.devices.values()), row


@pytest.mark.parametrize("name", table.names())
def test_every_row_names_a_backend(name):
    row = table.row(name)
    assert row.name == name == table.row(name.upper()).name
    if not row.is_installed():
        pytest.skip(f"{row.title} is not installed")
    import importlib

    backend = getattr(importlib.import_module(row.module), row.class_name)
    assert backend.engine == name
    here = local_devices(row)
    assert "cpu" in here
    for device, precisions in here.items():
        kind, _ = table.split_device(device)
        assert set(precisions) <= set(row.devices[kind])
    assert row.versions()


def test_near_names_are_listed():
    with pytest.raises(BackendError, match="did you mean openvino"):
        table.row("opnvino")
    with pytest.raises(BackendError, match="did you mean onnxruntime"):
        choose(BackendOptions("onnx-runtime"))
    with pytest.raises(BackendError, match="use auto, openvino"):
        choose(BackendOptions("zzz"))


def test_the_table_loads_no_engine():
    code = (
        "import sys; from rtmpose import backend_table; backend_table.model_suffixes();"
        " bad = {'onnxruntime', 'openvino', 'torch', 'ncnn', 'cv2'} & set(sys.modules);"
        " assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_suffixes_of_any_case_and_unknown_ones(tmp_path):
    whole = spot_pose(tmp_path / "spot.onnx")
    options = BackendOptions("onnxruntime", "cpu", 1)
    for name in ("UPPER.ONNX", "spot.onnx?download=true", "no-suffix"):
        path = tmp_path / name
        path.write_bytes(whole.read_bytes())
        assert PoseEstimator(path, options=options).backend.engine == "onnxruntime"
    assert {row.name for row in table.rows_for_file(tmp_path / "UPPER.ONNX")} == {
        row.name for row in table.BACKENDS if row.runs_onnx
    }


def test_files_of_other_programs_are_refused(tmp_path):
    (tmp_path / "m.engine").write_bytes(b"x")
    with pytest.raises(BackendError, match=r"no backend runs \.engine files.*\.onnx"):
        PoseEstimator(tmp_path / "m.engine")


def test_an_engine_that_does_not_load_is_named(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("rtmpose.backends.onnxruntime")

    def broken(*_):
        raise ImportError("libfoo.so.1: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "OnnxRuntimeBackend", broken)
    with pytest.raises(BackendError, match="ONNX Runtime is installed, but does not load: libfoo"):
        open_backend(spot_pose(tmp_path / "s.onnx"), CARD, BackendOptions("onnxruntime", "cpu"))


def test_extras_are_those_of_the_package():
    from pathlib import Path

    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    for row in table.BACKENDS:
        for extra in filter(None, (row.extra, row.gpu_extra)):
            assert f"\n{extra} = [" in text, row


def test_a_format_of_one_backend_does_not_fall_back(tmp_path, monkeypatch):
    (tmp_path / "m.xml").write_text("<net/>")
    monkeypatch.setattr(selection, "installed", lambda: ("onnxruntime",))
    with pytest.raises(MissingDependencyError, match=r"rtmpose\[openvino\]"):
        open_backend(tmp_path / "m.xml", CARD)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (BackendOptions("onnxruntime", "cpu", precision="fp16"), "onnxruntime on tensorrt, ncnn"),
        (BackendOptions("onnxruntime", "cpu", precision="bf16"), "openvino on cpu"),
        (BackendOptions("onnxruntime", "cpu:one"), "device number 'one'"),
        (BackendOptions("onnxruntime", "GPU.0"), "use --backend openvino"),
    ],
)
def test_refusals_say_what_would_do(options, words, tmp_path):
    with pytest.raises(BackendError, match=words):
        open_backend(spot_pose(tmp_path / "spot.onnx"), CARD, options)


def test_auto_takes_a_gpu_that_is_there(monkeypatch):
    onnxruntime = pytest.importorskip("rtmpose.backends.onnxruntime")
    a_cpu(monkeypatch, "other")
    monkeypatch.setattr(selection, "installed", lambda: ("openvino", "onnxruntime"))
    monkeypatch.setattr(onnxruntime, "providers", lambda: list(onnxruntime.PROVIDERS.values()))
    monkeypatch.setattr(onnxruntime, "_nvidia_gpu_present", lambda: True)
    assert choose(BackendOptions()).device == "cuda"
    assert choose(BackendOptions()).backend == "onnxruntime"
    assert choose(BackendOptions("onnxruntime")).device == "cuda"
    assert choose(BackendOptions("openvino")).device == "cpu"
    # The GPU build on a machine without a GPU.
    monkeypatch.setattr(onnxruntime, "_nvidia_gpu_present", lambda: False)
    assert choose(BackendOptions()).backend == "openvino"
    assert choose(BackendOptions("onnxruntime")).device == "cpu"


def test_installed_is_in_the_order_of_the_table():
    assert list(installed()) == [n for n in table.names() if n in installed()]
    assert replace(table.row("openvino"), import_name="no_such_engine").is_installed() is False


# ---- name, path or URL


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("rtmpose-s", "name"),
        ("rtmpose-s_aic-coco_256x192", "name"),
        (" RTMPose-S ", "name"),
        ("model.onnx", "path"),
        ("MODEL.ONNX", "path"),
        ("model.ncnn.param", "path"),
        ("model.engine", "path"),
        ("last.safetensors", "path"),
        ("folder/net", "path"),
        ("~/net", "path"),
        ("./rtmpose-s", "path"),
        ("https://example.org/model.zip", "url"),
        ("HTTP://example.org/model.onnx", "url"),
    ],
)
def test_name_path_or_url(model, kind):
    from pathlib import Path

    assert model_kind(model) == kind
    assert model_kind(Path(model)) == "path"


def test_a_file_without_suffix_is_hinted_at(tmp_path, monkeypatch):
    from rtmpose.errors import ModelError

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mynet").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"given as \./mynet"):
        resolve("mynet")


def test_a_released_session_is_opened_again(tmp_path):
    """What track does with networks whose place others take."""
    from rtmpose.backends.onnxruntime import LARGEST_CALL
    from rtmpose.backends.parallel import release

    model = spot_pose(tmp_path / "spot.onnx")
    pose = PoseEstimator(model, options=BackendOptions("onnxruntime", "cpu", 1))
    height, width = pose.backend.input.shape[2:]
    shape = (LARGEST_CALL + 2, height, width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = pose.backend(images)
    release(pose.backend)
    assert pose.backend._session is None
    for after, expected in zip(pose.backend(images), before, strict=True):
        assert len(after) == len(images)
        np.testing.assert_array_equal(after, expected)
