"""Workers on a Ray cluster. The only file that knows Ray.

    units (driver) -> cut (tasks) -> workers (actors that hold the models) -> entries (driver)

Ray Data bounds what is under way. An actor or machine that dies is replaced, and its unit handed
out again: the ledger makes sure that nothing is done twice.
"""

from __future__ import annotations

import importlib.util
import logging
import socket
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from rtmpose import errors
from rtmpose.batch.cluster import ClusterOptions
from rtmpose.batch.ledger import Entry
from rtmpose.batch.segments import cut
from rtmpose.batch.settings import BatchSettings
from rtmpose.batch.units import Unit
from rtmpose.batch.worker import Worker, WorkerOptions
from rtmpose.errors import InputError, MissingDependencyError, RtmposeError
from rtmpose.text_files import parse_json, to_json

log = logging.getLogger(__name__)

CORES_PER_WORKER = 4
"""Cores of a worker without a GPU, where the machines have them."""
MOST_BLOCKS = 10_000
"""Pieces in which the list of units is handed out."""
ANSWER_S = 10.0
"""How long a cluster may take to answer at all."""
UNITS_WAITING = 2
"""Units that an actor has, the one it works on included."""


def ray_entries(
    units: Sequence[Unit], options: WorkerOptions, cluster: ClusterOptions
) -> Generator[Entry, None, None]:
    """Do all units on a cluster; their entries as they are finished.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: the cluster cannot be reached, or has no room for a worker.
        RtmposeError: what ended a worker for good, such as a full disk.
    """
    ray = _import_ray()
    context = ray.data.DataContext.get_current()
    before = (context.enable_progress_bars, context.target_max_block_size)
    context.enable_progress_bars = False
    # Each part of a video is a block of its own, so that all workers share them.
    context.target_max_block_size = 1
    began = not ray.is_initialized()
    try:
        if began:
            _connect(ray, cluster)
        cpus, gpus, workers = _layout(ray, options, cluster)
        log.info("%d workers with %g cores and %g GPUs each", workers, cpus, gpus)
        threads = options.engine.threads or max(1, int(cpus))
        engine = replace(options.engine, threads=threads, shares_cores=True)
        options = replace(options, engine=engine)
        results = _dataset(ray, units, options, cpus, gpus, workers)
        for row in results.iter_rows():
            yield _entry(row)
    finally:
        context.enable_progress_bars, context.target_max_block_size = before
        if began:
            ray.shutdown()


def _dataset(
    ray: Any, units: Sequence[Unit], options: WorkerOptions, cpus: float, gpus: float, workers: int
) -> Any:
    """The plan that Ray Data carries out. It restarts actors that die, and repeats their calls."""
    rows = [{"unit": unit.to_text()} for unit in units]
    dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS))
    if options.settings.cuts:
        # Without a core: the workers have them all.
        dataset = dataset.flat_map(_Cut(options.settings), num_cpus=0)
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(options,),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(
            size=workers, max_tasks_in_flight_per_actor=UNITS_WAITING
        ),
        num_cpus=cpus,
        num_gpus=gpus,
    )


class _Cut:
    """From a video to its parts."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        parts = cut(Unit.from_text(str(row["unit"])), self._settings)
        return [{"unit": part.to_text()} for part in parts]


class _Actor:
    """A worker in a process of Ray's. What must end the run is handed back as a row."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._worker: Worker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        entries: list[str] = []
        ends: list[str] = []
        for text in batch["unit"]:
            entry, end = self._do(Unit.from_text(str(text)))
            entries.append(entry)
            ends.append(end)
        return {"entry": entries, "end": ends}

    def _do(self, unit: Unit) -> tuple[str, str]:
        try:
            # Here and not in the constructor, whose errors Ray takes for a broken machine.
            if self._worker is None:
                self._worker = Worker(self._options)
            return self._worker.run(unit).to_text(), ""
        except RtmposeError as error:
            return "", to_json([type(error).__name__, str(error)])


def _entry(row: dict[str, Any]) -> Entry:
    if row["end"]:
        kind, text = parse_json(str(row["end"]), "a worker's error")
        raise getattr(errors, kind, RtmposeError)(text)
    return Entry.from_table(parse_json(str(row["entry"]), "a worker's entry"))


def _import_ray() -> Any:
    if importlib.util.find_spec("ray") is None:
        raise MissingDependencyError(
            "several workers need Ray: pip install 'rtmpose[scale]'; without it --shard I/N shares"
            " the work between processes or machines"
        )
    import ray
    import ray.data

    # What it says of each plan is noise here.
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return ray


def _connect(ray: Any, cluster: ClusterOptions) -> None:
    address = cluster.address or "local"
    host, colon, port = address.rpartition(":")
    try:
        # Ray tries for minutes where nobody answers.
        if colon and port.isdecimal() and "://" not in address:
            socket.create_connection((host, int(port)), ANSWER_S).close()
        ray.init(
            address=address, log_to_driver=log.isEnabledFor(logging.INFO), logging_level="ERROR"
        )
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the Ray cluster {address!r} cannot be reached: {error}; `ray status` tells whether it"
            " is up, --address local needs none"
        ) from error


def _layout(ray: Any, options: WorkerOptions, cluster: ClusterOptions) -> tuple[float, float, int]:
    """Cores and GPUs of each worker, and how many there are."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpu_nodes = [node for node in nodes if node.get("GPU")]
    gpus = cluster.gpus_per_worker
    if gpus is None:
        wanted = options.engine.device.startswith(("auto", "cuda"))
        gpus = 1.0 if gpu_nodes and wanted else 0.0

    # The cores of a machine are shared by those at its GPUs.
    cpus = float(cluster.cpus_per_worker or options.engine.threads)
    if not cpus:
        most = [node.get("CPU", 0) for node in nodes]
        if gpus:
            most = [node.get("CPU", 0) // (node["GPU"] / gpus) for node in gpu_nodes]
        cpus = max(1.0, min(CORES_PER_WORKER, *most))

    room = 0
    for node in nodes:
        fits = int(node.get("CPU", 0) // cpus)
        if gpus:
            fits = min(fits, int(node.get("GPU", 0) / gpus))
        room += fits
    if not room:
        raise InputError(
            f"no machine of the Ray cluster has room for a worker with {cpus:g} cores and {gpus:g}"
            " GPUs; choose less by --cpus-per-worker and --gpus-per-worker"
        )
    if cluster.workers > room:
        raise InputError(
            f"the Ray cluster has room for {room} workers with {cpus:g} cores and {gpus:g} GPUs"
            f" each, not for {cluster.workers}"
        )
    return cpus, gpus, cluster.workers or room
