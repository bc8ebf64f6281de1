"""What ``auto`` takes after a trial, with engines and a clock made for the test."""

import json
import logging
import sys
import types

import numpy as np
import pytest

from rtmpose import BackendOptions, usable_cores
from rtmpose import backend_table as table
from rtmpose.backends import automatic, cpu, open_backend, selection, trial, trial_record
from rtmpose.backends.base import TensorSpec
from rtmpose.backends.cpu import Cpu
from rtmpose.backends.trial import Timing, judge_trial, run_trial
from rtmpose.cli import main
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import Codec, ModelCard, Normalization

SCALING = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bgr")
CARD = ModelCard("fake-pose", "pose estimation", "fake", (48, 64), SCALING, Codec("simcc"))


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def call_of(self, milliseconds, log=None):
        """A call that takes so long; several numbers are those of one call after the other."""
        times = [milliseconds] if np.isscalar(milliseconds) else list(milliseconds)
        calls = []

        def call():
            self.now += times[len(calls) % len(times)] / 1000
            calls.append(None)
            if log is not None:
                log.append(milliseconds)

        return call


# ---- the trial itself


def test_ways_take_turns():
    clock = Clock()
    order = []
    timings = run_trial({"a": clock.call_of(4, order), "b": clock.call_of(2, order)}, clock=clock)
    assert timings["a"] == Timing(pytest.approx(4), pytest.approx(4))
    assert timings["b"] == Timing(pytest.approx(2), pytest.approx(2))
    assert order[:8] == [4, 2, 4, 2, 2, 4, 4, 2]  # the first of each compiles
    assert trial.SECONDS <= clock.now < trial.SECONDS + 0.02


def test_times_are_those_of_one_image():
    clock = Clock()
    assert run_trial({"a": clock.call_of(8)}, 4, clock=clock)["a"].median == pytest.approx(2)


def test_slow_calls_end_the_trial():
    clock = Clock()
    assert run_trial({"a": clock.call_of(3000)}, clock=clock) == {}
    assert clock.now < 3 + trial.MOST_SECONDS + 3.1


@pytest.mark.parametrize(
    ("other", "chosen"),
    [
        (Timing(9.6, 9.6), "usual"),  # within the margin
        (Timing(9.4, 9.4), "other"),
        (Timing(8.0, 9.9), "usual"),  # its quicker calls are no quicker
        (Timing(20.0, 8.0), "usual"),
    ],
)
def test_the_default_stays_unless_another_is_clearly_faster(other, chosen):
    verdict = judge_trial({"usual": Timing(10.0, 10.0), "other": other}, "usual")
    assert verdict.chosen == chosen
    assert not verdict.busy
    assert "usual 10.0 ms" in verdict.reason


def test_a_busy_machine_tells_nothing():
    verdict = judge_trial({"usual": Timing(20.0, 10.0), "other": Timing(5.0, 5.0)}, "usual")
    assert verdict.chosen == "usual"
    assert verdict.busy


# ---- processors


FIRST_CORE = "processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: A CPU\nflags\t\t: {flags}\n\n"


@pytest.mark.parametrize(
    ("vendor", "flags", "kind"),
    [
        ("GenuineIntel", "avx2 avx512_vnni avx512_bf16 amx_bf16", "amx"),
        ("AuthenticAMD", "avx2 avx512_vnni avx512_bf16", "avx512-bf16"),
        ("GenuineIntel", "avx2 avx512_vnni avx512_bf16", "vnni"),
        ("GenuineIntel", "avx2 avx_vnni", "vnni"),
        ("GenuineIntel", "avx2 fma", "avx2-intel"),
        ("AuthenticAMD", "avx2 fma", "avx2-amd"),
        ("GenuineIntel", "sse4_2", "no-avx2"),
    ],
)
def test_kinds_of_processors(vendor, flags, kind):
    found = cpu.parse_cpuinfo(FIRST_CORE.format(vendor=vendor, flags=flags) * 2)
    assert (found.name, found.kind) == ("A CPU", kind)
    assert found.flags == set(flags.split())


@pytest.mark.parametrize(
    ("value", "taken_away"),
    [("AVX2", True), ("avx512_core_vnni", True), ("AVX512_CORE_BF16", False), ("ALL", False)],
)
def test_instructions_that_the_user_takes_away(monkeypatch, value, taken_away):
    assert not cpu.bf16_taken_away()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", value)
    assert cpu.bf16_taken_away() == taken_away


def test_a_processor_whose_avx2_is_taken_away_counts_as_an_older_one(monkeypatch):
    text = FIRST_CORE.format(vendor="GenuineIntel", flags="avx2 avx_vnni")
    assert cpu.parse_cpuinfo(text).kind == "vnni"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "sse41")
    assert cpu.parse_cpuinfo(text).kind == "no-avx2"
    assert "no-avx2" in table.row("openvino").behind_on


@pytest.mark.parametrize(
    ("limit", "kind"),
    [
        ("avx512_core_bf16", "vnni"),
        ("AVX512_CORE_FP16", "vnni"),
        ("AVX512_CORE_AMX", "amx"),
        ("ALL", "amx"),
        ("AVX", "no-avx2"),
    ],
)
def test_a_processor_whose_amx_is_taken_away(monkeypatch, limit, kind):
    """In bfloat16 networks are slower than in float32 there."""
    text = FIRST_CORE.format(
        vendor="GenuineIntel", flags="avx2 avx512_vnni avx512_bf16 amx_bf16 amx_int8"
    )
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    found = cpu.parse_cpuinfo(text)
    assert found.kind == kind
    monkeypatch.setattr(cpu, "this_cpu", lambda: found)
    assert cpu.bf16_is_slow() == (kind == "vnni")
    assert "vnni" in table.row("openvino").int8_on


def test_a_processor_that_does_not_tell():
    assert cpu.parse_cpuinfo("").kind == "other"
    assert cpu.parse_cpuinfo("Features : fp asimd bf16\n").kind == "other"


def elsewhere(monkeypatch, system, name):
    """A system without /proc/cpuinfo."""

    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(cpu.Path, "read_text", missing)
    monkeypatch.setattr(cpu.sys, "platform", system)
    monkeypatch.setattr(cpu.platform, "processor", lambda: name)
    return cpu.this_cpu.__wrapped__().kind


@pytest.mark.parametrize(
    ("vendor", "avx2", "kind"),
    [
        ("GenuineIntel", 1, "avx2-intel"),
        ("AuthenticAMD", 1, "avx2-amd"),
        ("GenuineIntel", 0, "other"),
    ],
)
def test_kinds_of_processors_on_windows(monkeypatch, vendor, avx2, kind):
    class Kernel:
        def __init__(self, _name):
            self.IsProcessorFeaturePresent = {40: avx2}.get

    monkeypatch.setattr(cpu.ctypes, "WinDLL", Kernel, raising=False)
    assert elsewhere(monkeypatch, "win32", f"Intel64 Family 6 Model 85, {vendor}") == kind


@pytest.mark.parametrize(
    ("features", "kind"),
    [("RDWRFSGS AVX2 BMI1", "avx2-intel"), ("AVX2 AVX512F AVX512VNNI", "vnni"), ("", "other")],
)
def test_kinds_of_processors_on_macs(monkeypatch, features, kind):
    monkeypatch.setattr(cpu, "_sysctl", lambda name: features)
    assert elsewhere(monkeypatch, "darwin", "i386") == kind


def test_a_system_that_does_not_tell_has_no_known_processor(monkeypatch):
    assert elsewhere(monkeypatch, "freebsd", "amd64") == "other"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "what is this"}, None),
        ({}, None),
    ],
)
def test_quota_of_a_container(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores.cpu_quota(tmp_path) == cores


def test_threads_within_a_quota(tmp_path, monkeypatch, engines):
    monkeypatch.setattr(usable_cores, "_bound_cpus", lambda: 8)
    for quota, usable, threads in ((None, 8, 0), (3, 3, 3), (64, 8, 0)):
        monkeypatch.setattr(usable_cores, "cpu_quota", lambda quota=quota: quota)
        assert usable_cores.usable_cpus() == usable
        assert usable_cores.threads_within_quota() == threads
        opened = open_backend(engines.model, CARD)
        assert opened.options.threads == threads
        assert open_backend(engines.model, CARD, BackendOptions(threads=5)).options.threads == 5


# ---- engines made for the test


class FakeEngine:
    """Takes as long as the test says, by precision."""

    flexible = False

    def __init__(self, name, engines, card, options):
        self.engine = name
        self.metadata = {}
        self.options = options
        self.device = options.device
        self.precision = options.precision if options.precision != "auto" else "fp32"
        if (self.engine, self.precision) in engines.broken:
            raise ModelError("an operation is missing")
        engines.clock.now += engines.opening.get((self.engine, self.precision), 0) / 1000
        width, height = card.input_wh
        self.input = TensorSpec("input", (None, 3, height, width))
        self.outputs = ()
        self._call = engines.clock.call_of(engines.milliseconds[name, self.precision])

    def __call__(self, images):
        self._call()
        return ()


class Engines:
    """Two engines: ``usual`` comes first in the table, ``other`` has bf16 too."""

    def __init__(self, model):
        self.model = model
        self.clock = Clock()
        self.broken = set()
        self.milliseconds = {("usual", "fp32"): 40, ("other", "fp32"): 30, ("other", "bf16"): 20}
        self.milliseconds["usual", "bf16"] = 40
        self.opening = {}

    def prepare(self, **options):
        return automatic.prepare(self.model, CARD, BackendOptions(**options), clock=self.clock)


@pytest.fixture
def engines(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(trial_record, "_read", {})
    model = tmp_path / "m.onnx"
    model.write_bytes(b"a model")
    made = Engines(model)

    # Any installed distribution will do for a version.
    rows = []
    for name, distribution in (("usual", "pytest"), ("other", "numpy")):
        module = types.ModuleType(f"rtmpose_test_{name}")
        module.devices = lambda: {"cpu": ("fp32", "bf16")}
        module.Engine = lambda path, card, options, name=name: FakeEngine(name, made, card, options)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        row = table.BackendRow(
            name=name,
            title=name.title(),
            module=module.__name__,
            class_name="Engine",
            import_name=distribution,
            distributions=(distribution,),
            own_suffixes=(),
            runs_onnx=True,
            devices={"cpu": ("fp32", "bf16")},
            automatic=True,
            behind_on=("avx2-amd",) if name == "usual" else (),
            opens_first=name == "other",
        )
        rows.append(row)
    sys.modules["rtmpose_test_other"].trusted_precisions = lambda *_: ("bf16", "fp32")
    monkeypatch.setattr(table, "BACKENDS", tuple(rows))
    machine(monkeypatch, Cpu("A CPU", frozenset(), "other"))
    return made


def machine(monkeypatch, found):
    """Pretend to run on that processor."""
    monkeypatch.setattr(selection, "this_cpu", lambda: found)
    monkeypatch.setattr(trial_record, "this_cpu", lambda: found)


def opened(engines, **options):
    backend = open_backend(engines.model, CARD, BackendOptions(**options))
    return f"{backend.engine} {backend.precision}"


def another_process(monkeypatch):
    monkeypatch.setattr(trial_record, "_read", {})


def test_the_fastest_trusted_way_is_used(engines, caplog, monkeypatch):
    assert opened(engines) == "usual fp32"
    result = engines.prepare()
    assert result.verdict.chosen == "other bf16"
    assert result.kept
    another_process(monkeypatch)
    with caplog.at_level(logging.INFO):
        assert opened(engines) == "other bf16"
    assert "the fastest here (usual fp32 10.0 ms, other bf16 5.0 ms, other fp32 7.5 ms)" in (
        caplog.text
    )


def test_what_is_asked_for_is_obeyed(engines):
    engines.prepare()
    assert opened(engines, backend="usual") == "usual fp32"
    assert opened(engines, backend="other") == "other bf16"
    assert opened(engines, precision="fp32") == "other fp32"
    assert opened(engines, backend="usual", precision="bf16") == "usual bf16"


def test_nothing_clearly_faster(engines):
    engines.milliseconds.update({("other", "fp32"): 39, ("other", "bf16"): 39})
    assert engines.prepare().verdict.chosen == "usual fp32"
    assert opened(engines) == "usual fp32"


@pytest.mark.parametrize("change", ["model", "cpu", "flags", "threads", "engine", "method"])
def test_a_trial_holds_for_one_model_machine_and_version(engines, monkeypatch, change):
    engines.prepare()
    another_process(monkeypatch)
    threads = 0
    if change == "model":
        engines.model.write_bytes(b"another model")
    elif change == "cpu":
        machine(monkeypatch, Cpu("Another CPU", frozenset(), "other"))
    elif change == "flags":
        machine(monkeypatch, Cpu("A CPU", frozenset({"avx2"}), "other"))
    elif change == "threads":
        threads = 7
    elif change == "engine":
        monkeypatch.setattr(table.BackendRow, "versions", lambda row: {row.name: "9.9"})
    else:
        monkeypatch.setattr(trial_record, "METHOD_VERSION", 99)
    assert opened(engines, threads=threads) == "usual fp32"


def test_machines_share_a_folder(engines, monkeypatch):
    engines.prepare()
    machine(monkeypatch, Cpu("Another CPU", frozenset(), "other"))
    engines.milliseconds["usual", "fp32"] = 10
    assert engines.prepare().verdict.chosen == "usual fp32"
    another_process(monkeypatch)
    assert opened(engines) == "usual fp32"
    machine(monkeypatch, Cpu("A CPU", frozenset(), "other"))
    assert opened(engines) == "other bf16"


def test_a_run_opens_all_its_networks_alike(engines):
    """A trial that another process makes meanwhile counts from the next start on."""
    engines.prepare()
    (file,) = (engines.model.parent / "home" / "prepared").iterdir()
    kept = trial_record._read.copy()
    trial_record._read.update(dict.fromkeys(kept))  # this process has looked before
    assert file.is_file()
    assert opened(engines) == "usual fp32"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"key": 1}',
        '{"key": null, "timings": {}}',
    ],
)
def test_a_damaged_record_is_not_used(engines, monkeypatch, caplog, text):
    engines.prepare()
    another_process(monkeypatch)
    (file,) = (engines.model.parent / "home" / "prepared").iterdir()
    file.write_text(text)
    assert opened(engines) == "usual fp32"
    assert "damaged" in caplog.text


@pytest.mark.parametrize("change", ["times", "default", "names"])
def test_a_record_with_wrong_values_is_not_used(engines, monkeypatch, change):
    engines.prepare()
    another_process(monkeypatch)
    (file,) = (engines.model.parent / "home" / "prepared").iterdir()
    content = json.loads(file.read_text())
    if change == "times":
        content["timings"]["other bf16"]["median"] = -1
    elif change == "default":
        content["default"] = "nothing"
    else:
        content["timings"] = {"gone fp32": {"median": 1, "quick": 1}}
    file.write_text(json.dumps(content))
    assert opened(engines) == "usual fp32"


def test_a_cache_that_cannot_be_written(engines, caplog):
    (engines.model.parent / "home").write_text("a file, where the folder should be")
    result = engines.prepare()
    assert result.verdict.chosen == "other bf16"
    assert not result.kept
    assert "could not be kept" in caplog.text


def test_a_busy_machine_keeps_nothing(engines):
    engines.milliseconds["usual", "fp32"] = (4, 9, 9)
    result = engines.prepare()
    assert result.verdict.busy
    assert not result.kept
    assert opened(engines) == "usual fp32"


def test_a_way_that_does_not_run_the_model_is_left_out(engines):
    engines.broken.add(("other", "bf16"))
    result = engines.prepare()
    assert result.verdict.chosen == "other fp32"
    assert result.failed == {"other bf16": "an operation is missing"}
    engines.broken |= {("usual", "fp32"), ("other", "fp32")}
    with pytest.raises(BackendError, match=r"nothing here runs m\.onnx: an operation"):
        engines.prepare()


def test_the_default_depends_on_the_processor(engines, monkeypatch):
    machine(monkeypatch, Cpu("An AMD", frozenset({"avx2"}), "avx2-amd"))
    assert opened(engines) == "other fp32"


def test_few_images_are_for_the_engine_that_opens_first(engines, monkeypatch):
    assert opened(engines) == "usual fp32"
    for images in (1, selection.FEW_IMAGES):
        assert opened(engines, num_images=images) == "other fp32"
    assert opened(engines, num_images=selection.FEW_IMAGES + 1) == "usual fp32"
    # What was asked for is obeyed.
    assert opened(engines, num_images=1, backend="usual") == "usual fp32"
    assert opened(engines, num_images=1, precision="fp32") == "usual fp32"
    # A large network takes long for each image.
    monkeypatch.setattr(selection, "SHORT_WORK_BYTES", 3 * engines.model.stat().st_size)
    assert opened(engines, num_images=3) == "other fp32"
    assert opened(engines, num_images=4) == "usual fp32"


def test_a_trial_knows_what_is_done_first(engines, caplog):
    engines.opening = {("other", "bf16"): 500, ("other", "fp32"): 30, ("usual", "fp32"): 100}
    engines.prepare()
    assert opened(engines) == "other bf16"
    # To open, and for each image with four people: 140 and 40, 520 and 20, 60 and 30 milliseconds.
    with caplog.at_level(logging.INFO):
        assert opened(engines, num_images=1) == "other fp32"
    assert "it is done first here (usual fp32 180 ms, other bf16 540 ms, other fp32 90 ms)" in (
        caplog.text
    )
    assert opened(engines, num_images=30) == "other fp32"
    assert opened(engines, num_images=60) == "other bf16"
    assert opened(engines, num_images=1, precision="bf16") == "other bf16"


def test_the_command(engines, monkeypatch, capsys):
    monkeypatch.setattr("rtmpose.zoo.resolve", lambda name: (engines.model, CARD))
    monkeypatch.setattr(automatic, "run_trial", _with_clock(engines.clock))
    assert main(["models", "prepare", "mine.onnx"]) == 0
    assert capsys.readouterr().out.startswith("mine.onnx: other bf16, the fastest here (")
    engines.milliseconds["usual", "fp32"] = (4, 9, 9)
    assert main(["models", "prepare", "mine.onnx"]) == 0
    assert "run this again" in capsys.readouterr().err


def _with_clock(clock):
    return lambda calls, count: run_trial(calls, count, clock=clock)
