"""Ray nodes on this machine, each held to a core, and the processor time of their processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

OBJECT_STORE = 100_000_000
WORKERS, DRIVER, RAY = "workers", "the command", "Ray's own processes"
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Process:
    """One process.

    Attributes:
        parent: Id of the process that started it.
        name: Its command line.
        seconds: Processor time so far, of all its threads.
    """

    parent: int
    name: bytes
    seconds: float


def processes() -> dict[int, Process]:
    """All processes that run now."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            name = (folder / "cmdline").read_bytes()
            numbers = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            seconds = (int(numbers[11]) + int(numbers[12])) / TICKS
            found[int(folder.name)] = Process(int(numbers[1]), name, seconds)
        except (OSError, ValueError, IndexError):
            continue
    return found


# ---- nodes


def start_cluster(nodes: int = 2):
    """Some nodes of one core each; those after the first are returned too."""
    from ray.cluster_utils import Cluster

    # Ray's workers yield to all others by default, which no other run here does.
    os.environ.setdefault("RAY_worker_niceness", "0")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "object_store_memory": OBJECT_STORE,
            "include_dashboard": False,
        },
    )
    keep_to_core(processes_of_node(cluster.head_node), 0)
    return cluster, [add_node(cluster, place) for place in range(1, nodes)]


def add_node(cluster, place: int):
    """One more node, held to a core of its own."""
    node = cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)
    keep_to_core(processes_of_node(node), place)
    return node


def core_at(place: int) -> set[int]:
    """The core of a node; machines have others, where this system can hold processes to one."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    return {cores[place % len(cores)]}


def keep_to_core(pids: Iterable[int], place: int) -> None:
    """Hold processes, what they have started and what they will start to one core: a node stands
    for a machine that has no other.
    """
    core = core_at(place)
    if not core:
        return
    running = processes()
    for pid in below(running, pids):
        # A process has a set of cores for each of its threads.
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(OSError):
                os.sched_setaffinity(int(thread.name), core)


def below(running: dict[int, Process], roots: Iterable[int]) -> set[int]:
    """Some processes with all that they started."""
    found = set(roots)
    grows = True
    while grows:
        more = {pid for pid, process in running.items() if process.parent in found} - found
        found |= more
        grows = bool(more)
    return found


def processes_of_node(node, kind: str = "") -> list[int]:
    """Process ids of a node, or of one kind of its processes."""
    found = []
    for name, group in node.all_processes.items():
        if kind in str(name):
            found += [info.process.pid for info in group]
    return found


def workers_of(cluster) -> list[int]:
    """Processes of actors that hold models: children of the cluster's raylets, of nobody else."""
    nodes = cluster.list_all_nodes()
    raylets = {pid for node in nodes for pid in processes_of_node(node, "raylet")}
    running = processes().items()
    return [pid for pid, process in running if process.parent in raylets and is_worker(process)]


def is_worker(process: Process) -> bool:
    """Whether it is an actor that holds models."""
    return process.name.startswith(b"ray::") and b"_Actor" in process.name


# ---- processor time


@dataclass
class CoreUse:
    """Processor time of a cluster and of the command that uses it, looked at now and then."""

    times: list[float] = field(default_factory=list)
    seconds: list[dict[str, float]] = field(default_factory=list)

    def look(self, cluster, driver: int) -> None:
        """Note what was used so far."""
        nodes = cluster.list_all_nodes()
        roots = {pid for node in nodes for pid in processes_of_node(node)}
        running = processes()
        used = dict.fromkeys((WORKERS, DRIVER, RAY), 0.0)
        for pid in below(running, roots | {driver}):
            process = running.get(pid)
            if process is None:
                continue
            kind = DRIVER if pid == driver else WORKERS if is_worker(process) else RAY
            used[kind] += process.seconds
        self.times.append(time.time())
        self.seconds.append(used)

    def between(self, begin: float, end: float) -> dict[str, float]:
        """Cores in use between two moments: processor time by time."""
        inside = [i for i, moment in enumerate(self.times) if begin <= moment <= end]
        if len(inside) < 2:
            return {}
        first, last = inside[0], inside[-1]
        span = self.times[last] - self.times[first]
        return {
            kind: (self.seconds[last][kind] - self.seconds[first][kind]) / span
            for kind in self.seconds[last]
        }
