"""How much of the processor this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def usable_cpus() -> int:
    """Cores that this process may use: those it is bound to, and no more than a container's quota
    pays for.
    """
    return min(_bound_cpus(), cpu_quota() or _bound_cpus())


def threads_within_quota() -> int:
    """Threads for engines that count all cores: as many as a container's quota pays for; 0 where it
    pays for all of them.
    """
    quota = cpu_quota()
    return quota if quota is not None and quota < _bound_cpus() else 0


def _bound_cpus() -> int:
    # Linux only: the cores this process is pinned to, not all of the machine.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Cores that the container's quota pays for, rounded up; None where there is none.

    Args:
        root: Where control groups are mounted.
    """
    # Version 2 has one file with both numbers, version 1 has two.
    both = _read(root / "cpu.max").split()
    if len(both) != 2:
        both = [_read(root / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    try:
        quota, period = map(int, both)
    except ValueError:  # "max", or no such file
        return None
    if quota <= 0 or period <= 0:
        return None
    return -(-quota // period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
