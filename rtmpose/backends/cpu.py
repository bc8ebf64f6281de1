"""What this processor is."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

CpuKind = Literal["amx", "avx512-bf16", "vnni", "avx2-intel", "avx2-amd", "no-avx2", "other"]
"""What matters for the speed of networks, the best first. ``amx`` and ``avx512-bf16`` compute in
bfloat16, ``vnni`` has instructions for 8 bits, ``avx2-...`` has neither. Processors by Intel with
AVX512-BF16 but no AMX count as ``vnni``: float32 is faster than bfloat16 there. ``no-avx2`` is
older. What a user has taken away from the engine (:data:`ISA_LIMITS`) does not count. ``other`` is
any processor that is not known: other makes, such as ARM. Windows tells of AVX2 only."""


@dataclass(frozen=True)
class Cpu:
    """A processor.

    Attributes:
        name: Its model, as the system calls it.
        flags: What it can do, as Linux names it; on other systems only what ``kind`` depends on.
        kind: What matters for speed.
    """

    name: str
    flags: frozenset[str]
    kind: CpuKind


@lru_cache(maxsize=1)
def this_cpu() -> Cpu:
    """The processor of this machine. Loads no engine."""
    try:
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        pass

    # Systems other than Linux; one that does not tell has a processor of no known kind.
    name = platform.processor() or platform.machine()
    try:
        flags, vendor = _windows_features() if sys.platform == "win32" else _macos_features()
    except (AttributeError, OSError):
        flags, vendor = frozenset[str](), ""
    return Cpu(name, flags, _kind(flags, vendor))


def parse_cpuinfo(text: str) -> Cpu:
    """The first processor in the text of ``/proc/cpuinfo``."""
    # Lines "name : value"; those of the first core come first.
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, found, value = line.partition(":")
        if found:
            values.setdefault(name.strip(), value.strip())

    flags = frozenset(values.get("flags", values.get("Features", "")).split())
    name = values.get("model name") or platform.machine()
    return Cpu(name, flags, _kind(flags, values.get("vendor_id", "")))


PF_AVX2_INSTRUCTIONS_AVAILABLE = 40
"""In ``winnt.h``."""


def _windows_features() -> tuple[frozenset[str], str]:
    """Flags and vendor on Windows."""
    has = ctypes.WinDLL("kernel32").IsProcessorFeaturePresent  # type: ignore[attr-defined, unused-ignore]
    flags = frozenset({"avx2"} if has(PF_AVX2_INSTRUCTIONS_AVAILABLE) else ())
    # Such as "Intel64 Family 6 Model 85 Stepping 7, GenuineIntel".
    return flags, platform.processor().rpartition(", ")[2]


def _macos_features() -> tuple[frozenset[str], str]:
    """Flags and vendor on Macs with Intel processors."""
    words = _sysctl(b"machdep.cpu.leaf7_features").lower().split()
    flags = {"avx2": "avx2", "avx512vnni": "avx512_vnni"}
    return frozenset(flags[word] for word in words if word in flags), "GenuineIntel"


def _sysctl(name: bytes) -> str:
    """A text that macOS knows of the machine; empty where it does not know it."""
    text = ctypes.create_string_buffer(1024)
    size = ctypes.c_size_t(len(text))
    failed = ctypes.CDLL(None).sysctlbyname(name, text, ctypes.byref(size), None, 0)
    return "" if failed else text.value.decode("ascii", "replace")


def _kind(flags: frozenset[str], vendor: str) -> CpuKind:
    if _limited_to(_WITHOUT_AVX2):
        return "no-avx2"
    if "amx_bf16" in flags and not _limited_to(_WITHOUT_AMX):
        return "amx"
    if "avx512_bf16" in flags and vendor != "GenuineIntel":
        return "avx512-bf16"
    if flags & {"avx512_vnni", "avx_vnni"}:
        return "vnni"
    if "avx2" in flags:
        return "avx2-amd" if vendor == "AuthenticAMD" else "avx2-intel"
    return "no-avx2" if any(flag.startswith("sse") for flag in flags) else "other"


ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Variables by which a user takes instructions away from OpenVINO."""
_WITHOUT_AVX2 = ("SSE41", "AVX")
_WITHOUT_BF16 = (
    *_WITHOUT_AVX2,
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)
_WITHOUT_AMX = (*_WITHOUT_BF16, "AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX10_1_512")


def _limited_to(instructions: tuple[str, ...]) -> bool:
    return any(os.environ.get(name, "").strip().upper() in instructions for name in ISA_LIMITS)


def bf16_is_slow() -> bool:
    """Whether bfloat16, where the processor has it, takes longer than float32: on those by Intel
    without AMX.
    """
    return this_cpu().kind == "vnni"


def bf16_taken_away() -> bool:
    """Whether the user has taken the instructions for bfloat16 away from OpenVINO, which does not
    look at that itself.
    """
    return _limited_to(_WITHOUT_BF16)
