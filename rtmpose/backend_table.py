"""The inference engines, one row each.

A new engine takes three edits:

1. its own file in ``backends/``: a class called as ``NewBackend(model, card, options)`` and a
   function ``devices()`` (:class:`rtmpose.backends.base.BackendModule`);
2. a row of :data:`BACKENDS`;
3. an extra in ``pyproject.toml``.

Opening and choosing a backend, the zoo, ``doctor``, ``bench``, help texts and the check of exports
read these rows. Importing this module loads no engine, and of the package only its errors: the zoo,
which the backends must not import, reads it too.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rtmpose.errors import BackendError, MissingDependencyError

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


# ---- what a row says


@dataclass(frozen=True)
class BackendRow:
    """What the package knows of an engine without importing it.

    Attributes:
        name: What ``--backend`` and ``backend=`` take.
        title: The engine's name in messages.
        module: Its file, as a module.
        class_name: The class there.
        import_name: The engine's Python package.
        distributions: Names of that package on the package index. Where there are several, only one
            of them may be installed.
        own_suffixes: Suffixes of the model files that only this engine runs.
        runs_onnx: Whether it runs ``.onnx`` files too.
        devices: Kinds of devices it can drive, each with the precisions it can compute in there.
            What this machine has of them says :func:`rtmpose.backends.loading.local_devices`.
        extra: The extra of this package that installs it; empty for a plain dependency.
        gpu_extra: The extra for GPUs, where it is another one.
        automatic: Whether ``--backend auto`` may choose it for files that several engines run.
        behind_on: Kinds of processors (:data:`rtmpose.backends.cpu.CpuKind`) on which the engines
            below it in the table are faster.
        int8_on: Kinds of processors on which it is the fastest of all with a network in 8 bits that
            is trusted.
        opens_first: Whether it is loaded and has opened a network before the others, which counts
            for a few images.
        auto_devices: What ``--device auto`` tries, in this order.
        num_streams: Whether it knows :attr:`BackendOptions.num_streams`.
        export_target: What ``rtmpose export --to`` makes its files; empty where nothing does.
        weights_suffix: Suffix of a second file that belongs to the model file, if any.
        native_precision: What it computes in unless asked otherwise.
    """

    name: str
    title: str
    module: str
    class_name: str
    import_name: str
    distributions: tuple[str, ...]
    own_suffixes: tuple[str, ...]
    runs_onnx: bool
    devices: Mapping[str, tuple[Precision, ...]]
    extra: str = ""
    gpu_extra: str = ""
    automatic: bool = False
    behind_on: tuple[str, ...] = ()
    int8_on: tuple[str, ...] = ()
    opens_first: bool = False
    auto_devices: tuple[str, ...] = ("cpu",)
    num_streams: bool = False
    export_target: str = ""
    weights_suffix: str = ""
    native_precision: Precision = "fp32"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of all model files that it runs."""
        return (*self.own_suffixes, ".onnx") if self.runs_onnx else self.own_suffixes

    @property
    def install_command(self) -> str:
        """The command that installs the engine."""
        if self.extra:
            return f"pip install 'rtmpose[{self.extra}]'"
        return f"pip install {self.distributions[0]}"

    @property
    def gpu_install_command(self) -> str:
        """The command that installs the engine for GPUs."""
        if self.gpu_extra:
            return f"pip install 'rtmpose[{self.gpu_extra}]'"
        return self.install_command

    def is_installed(self) -> bool:
        """Whether the engine's package is installed; it is not imported."""
        # find_spec looks for the package on disk; importing an engine takes up to seconds.
        found = importlib.util.find_spec(self.import_name)
        # A folder of that name, with models for example, is a package without a file.
        return found is not None and found.origin is not None

    def versions(self) -> dict[str, str]:
        """Installed distributions of the engine and their versions."""
        found = {}
        for distribution in self.distributions:
            try:
                found[distribution] = importlib.metadata.version(distribution)
            # One of several distributions is enough.
            except importlib.metadata.PackageNotFoundError:
                continue
        return found

    def missing(self) -> MissingDependencyError:
        """The error to raise where the engine is not installed."""
        return MissingDependencyError(
            f"backend {self.name} is not installed: {self.install_command}"
        )


# In the order in which `auto` prefers them, unless a trial on the machine says otherwise.
BACKENDS: tuple[BackendRow, ...] = (
    # Fastest on most CPUs; also drives Intel GPUs and NPUs.
    BackendRow(
        name="openvino",
        title="OpenVINO",
        module="rtmpose.backends.openvino",
        class_name="OpenVinoBackend",
        import_name="openvino",
        distributions=("openvino",),
        extra="openvino",
        own_suffixes=(".xml",),
        runs_onnx=True,
        devices={
            "cpu": ("fp32", "bf16", "int8"),
            "gpu": ("fp32", "bf16"),
            "npu": ("fp32", "bf16"),
        },
        automatic=True,
        behind_on=("avx2-amd", "no-avx2"),  # without AVX2 it does not compile all networks
        int8_on=("avx512-bf16", "vnni", "avx2-intel", "avx2-amd"),
        num_streams=True,
        export_target="openvino",
        weights_suffix=".bin",
    ),
    # A plain dependency, so always there; its GPU build drives NVIDIA GPUs.
    BackendRow(
        name="onnxruntime",
        title="ONNX Runtime",
        module="rtmpose.backends.onnxruntime",
        class_name="OnnxRuntimeBackend",
        import_name="onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        gpu_extra="gpu",
        own_suffixes=(),
        runs_onnx=True,
        devices={"cpu": ("fp32",), "cuda": ("fp32",), "tensorrt": ("fp32", "fp16")},
        automatic=True,
        opens_first=True,
        auto_devices=("cuda", "cpu"),
        num_streams=True,
        export_target="onnx",
    ),
    # For phones and ARM boards; runs its own format only.
    BackendRow(
        name="ncnn",
        title="ncnn",
        module="rtmpose.backends.ncnn",
        class_name="NcnnBackend",
        import_name="ncnn",
        distributions=("ncnn",),
        extra="ncnn",
        own_suffixes=(".param",),
        runs_onnx=False,
        devices={"cpu": ("fp16", "fp32")},
        export_target="ncnn",
        weights_suffix=".bin",
        native_precision="fp16",
    ),
    # For checkpoints, and as the reference of exports; chosen only for its own files.
    BackendRow(
        name="torch",
        title="torch",
        module="rtmpose.backends.torch",
        class_name="TorchBackend",
        import_name="torch",
        distributions=("torch",),
        extra="export",
        own_suffixes=(".pth", ".pt", ".safetensors"),
        runs_onnx=True,
        devices={"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16")},
    ),
)


FOREIGN_SUFFIXES = (".engine", ".plan", ".mlpackage", ".tflite")
"""Suffixes of model files that other programs run, and no backend."""


# ---- all backends


def names() -> tuple[str, ...]:
    """Names of all backends, the preferred ones first."""
    return tuple(row.name for row in BACKENDS)


# ---- looking up rows


def row(name: str) -> BackendRow:
    """The row of that name; upper and lower case are the same.

    Raises:
        BackendError: there is none; the message lists all names, those that look like it first.
    """
    for candidate in BACKENDS:
        if candidate.name == name.lower():
            return candidate

    # A device, which has an option of its own.
    if split_device(name)[0] in device_kinds():
        raise BackendError(
            f"unknown backend {name!r}: {name.lower()} is a device (--device {name.lower()})"
        )

    # No row: the nearest names, then all of them.
    near = difflib.get_close_matches(name.lower(), ("auto", *names()), n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? There are" if near else "use"
    raise BackendError(f"unknown backend {name!r}: {hint} auto, {', '.join(names())}")


def rows_for_file(path: Path) -> tuple[BackendRow, ...]:
    """The backends that run a model file, judged by its suffix, the preferred ones first.

    A suffix that no backend names is taken for ONNX: a download may be called anything.

    Raises:
        BackendError: the file is in a format that no backend runs.
    """
    suffix = path.suffix.lower()
    if suffix in FOREIGN_SUFFIXES:
        raise BackendError(
            f"no backend runs {suffix} files such as {path.name}; these are run:"
            f" {', '.join(model_suffixes())}"
        )
    if suffix not in model_suffixes():
        suffix = ".onnx"

    # The table's order is that of preference.
    return tuple(candidate for candidate in BACKENDS if suffix in candidate.suffixes)


def row_for_export(target: str) -> BackendRow:
    """The backend that runs what ``rtmpose export --to TARGET`` makes.

    Targets that no backend runs as they are contain an ONNX file, which is run.
    """
    # Formats such as "sdk" or "coreml" have no row.
    by_target = {candidate.export_target: candidate for candidate in BACKENDS}
    return by_target.get(target, by_target["onnx"])


def row_to_check(path: Path) -> BackendRow:
    """The backend in which a model file is compared with its original."""
    for candidate in BACKENDS:
        if path.suffix.lower() in candidate.own_suffixes:
            return candidate
    return row_for_export("onnx")


# ---- over all rows


def model_suffixes() -> tuple[str, ...]:
    """Suffixes of all model files that some backend runs."""
    return tuple(dict.fromkeys(s for candidate in BACKENDS for s in candidate.suffixes))


def device_kinds() -> tuple[str, ...]:
    """Kinds of devices that some backend drives: ``cpu``, ``gpu``, ``cuda`` ..."""
    return tuple(dict.fromkeys(d for candidate in BACKENDS for d in candidate.devices))


def split_device(device: str) -> tuple[str, str]:
    """Kind and number of a device: ``cuda:1`` is ``cuda`` and ``1``; the number may be empty."""
    kind, _, number = device.lower().partition(":")
    return kind, number
