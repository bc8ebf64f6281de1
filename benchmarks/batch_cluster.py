"""Proof of `rtmpose batch`: workers and a machine are killed, every source is done exactly once.

Two Ray nodes on this machine, each held to one core (batch_nodes.py), work through clips and photos
of which one in twenty is broken. A worker, and then a whole node, is killed at a random moment.
Then:

- every good source is done, once; every broken one failed;
- the rows equal those of a run on one machine, number by number.

After that, the speed: `rtmpose track` and one worker of `rtmpose batch --task track` on the same
clips; a machine of one core with a worker and several such machines, with the cores that workers,
the command and Ray used. The ratios mean something on an idle machine only; `--only-speed --clips
40` takes about four minutes there.

    python benchmarks/batch_cluster.py --images FOLDER [--quick]

Needs the extra `scale`. Exit status 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from batch_nodes import CoreUse, add_node, core_at, keep_to_core, start_cluster, workers_of

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT, FPS = 256, 192, 10
BROKEN_EVERY = 20
MODELS = ["--device", "cpu", "--threads", "1"]


# ---- sources


@dataclass
class Sources:
    """What was made: paths of good and broken files."""

    folder: Path
    good: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)


def make_sources(folder: Path, images: Path, clips: int, photos: int, frames: int) -> Sources:
    """Crops of some photos, each different from all others."""
    if not images.is_dir():
        sys.exit(f"{images} is no folder: give one with some photos by --images")
    folder.mkdir(parents=True)
    made = Sources(folder)
    rng = np.random.default_rng(7)
    pictures = [cv2.imread(str(path)) for path in sorted(images.iterdir())]
    pictures = [picture for picture in pictures if picture is not None]
    if not pictures:
        sys.exit(f"no photo in {images}")
    for number in range(photos):
        picture = pictures[number % len(pictures)]
        name = folder / f"photo_{number:05d}.jpg"
        cv2.imwrite(str(name), view(picture, rng, 0))
        break_some(name, number, made)
    for number in range(clips):
        picture = pictures[number % len(pictures)]
        name = folder / f"clip_{number:04d}.avi"
        writer = cv2.VideoWriter(str(name), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
        seed = rng.integers(1 << 30)
        for step in range(frames):
            writer.write(view(picture, np.random.default_rng(seed), step))
        writer.release()
        break_some(name, number, made)
    return made


def view(picture: np.ndarray, rng: np.random.Generator, step: int) -> np.ndarray:
    """A part of a photo, a little further right at each step."""
    height, width = picture.shape[:2]
    scale = rng.uniform(0.7, 0.95)
    h, w = int(height * scale), int(width * scale)
    y = int(rng.uniform(0, height - h))
    x = min(int(rng.uniform(0, width - w)) + 2 * step, width - w)
    light = rng.uniform(0.8, 1.2)
    part = cv2.resize(picture[y : y + h, x : x + w], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.convertScaleAbs(part, alpha=light)


def break_some(path: Path, number: int, made: Sources) -> None:
    """Every twentieth file is cut to a few bytes, empty, or text."""
    if number % BROKEN_EVERY:
        made.good.add(str(path))
        return
    kind = (number // BROKEN_EVERY) % 3
    path.write_bytes((path.read_bytes()[:60], b"", b"no picture at all\n")[kind])
    made.broken.add(str(path))


# ---- runs


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rtmpose", *map(str, arguments)]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(arguments: list[str], timeout_s: float) -> float:
    """Run a command; its wall-clock seconds. Failed sources are no failure of it."""
    begin = time.perf_counter()
    done = subprocess.run(
        arguments, env=environment(), timeout=timeout_s, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - begin


def finished(out: Path) -> int:
    """Units that are done."""
    return sum(1 for path in (out / "ledger").glob("*.json") if "busy" not in path.name)


def run_and_kill(options, sources: Sources, out: Path, units: int) -> list[str]:
    """The run on the cluster; what was killed, in words."""
    rng = random.Random(options.seed)
    cluster, (second,) = start_cluster()
    told: list[str] = []
    # A worker early, a worker later, then a whole node.
    moments = sorted(rng.uniform(0.1, 0.8) for _ in range(3))
    arguments = batch(options, sources, out, "--address", cluster.address)
    driver = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        deadline = time.monotonic() + options.timeout
        while driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            if not moments or finished(out) < moments[0] * units:
                continue
            part = finished(out) / units
            if len(moments) > 1:
                workers = workers_of(cluster)
                if not workers:
                    continue
                victim = rng.choice(workers)
                os.kill(victim, signal.SIGKILL)
                told.append(f"worker {victim} killed at {part:.0%}")
            else:
                cluster.remove_node(second, allow_graceful=False)
                told.append(f"node killed at {part:.0%}")
            moments.pop(0)
        if driver.poll() is None:
            driver.kill()
            sys.exit(f"the cluster did not finish in {options.timeout} s ({told})")
        text, _ = driver.communicate()
        print(text)
        if driver.returncode not in (0, 1) or "Traceback" in text:
            sys.exit(f"the run ended with {driver.returncode}")
    finally:
        if driver.poll() is None:
            driver.kill()
        cluster.shutdown()
    return told


def batch(options, sources: Sources, out: Path, *more: object) -> list[str]:
    where = [sources.folder, "--out", out, "--photos-per-file", options.photos_per_file]
    cores = ["--cpus-per-worker", 1] if "--address" in more else []
    return command("batch", *where, *MODELS, *model_options(options), *cores, *more)


def model_options(options) -> list[str]:
    named = []
    for name in ("pose", "detector", "person_thr"):
        value = getattr(options, name)
        if value is not None:
            named += [f"--{name.replace('_', '-')}", str(value)]
    return named


# ---- checks


def table_of(out: Path):
    """All rows, in one order."""
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(out / "data", format="parquet").to_table()
    order = [(name, "ascending") for name in ("source", "frame", "person")]
    return table.sort_by(order)


def check(sources: Sources, out: Path, single: Path) -> list[str]:
    """What is not as it should be."""
    from rtmpose.batch.run import status

    wrong: list[str] = []
    report = status(out)
    failed = set(report.failed)
    if report.done != len(sources.good):
        wrong.append(f"{report.done} sources are done, not {len(sources.good)}")
    if failed != sources.broken:
        wrong.append(f"failed but good: {failed - sources.broken}; {sources.broken - failed} not")
    if report.twice:
        wrong.append(f"done twice: {report.twice}")

    rows, expected = table_of(out), table_of(single)
    keys = list(
        zip(*(rows[name].to_pylist() for name in ("source", "frame", "person")), strict=True)
    )
    if len(set(keys)) != len(keys):
        wrong.append(f"{len(keys) - len(set(keys))} rows are there twice")
    equal = rows.equals(expected)
    if not equal:
        wrong.append(f"the rows differ from those of one machine ({len(rows)}, {len(expected)})")
    print(f"{report.done} done, {len(failed)} failed, {len(keys)} rows, equal: {equal}")
    return wrong


# ---- speed


@dataclass(frozen=True)
class Steady:
    """The part of a run between a fifth of the clips and nine tenths, by the times of their files:
    without the opening of models at the start and the last worker's loneliness at the end.
    """

    begin: float
    end: float
    clips: int

    @classmethod
    def of(cls, folder: Path, pattern: str) -> Steady:
        times = sorted(path.stat().st_mtime for path in folder.glob(pattern))
        first, last = len(times) // 5, len(times) - 1 - len(times) // 10
        return cls(times[first], times[last], last - first)

    def rate(self, frames: int) -> float:
        """Frames per second."""
        return self.clips * frames / max(self.end - self.begin, 1e-9)


@dataclass(frozen=True)
class Speed:
    """What the speeds are measured with.

    Attributes:
        options: Of the command line.
        clips: Good clips.
        folder: For results.
    """

    options: argparse.Namespace
    clips: list[str]
    folder: Path

    @property
    def models(self) -> list[str]:
        return [*MODELS, *model_options(self.options)]

    def track(self, name: str, place: int | None = None) -> subprocess.Popen:
        """Start `rtmpose track` on all clips, held to a core or not."""
        arguments = ["track", *self.clips, "--parquet", self.folder / name, *self.models]
        return start(command(*arguments), place)

    def batch(self, name: str, *more: object) -> list[str]:
        """The command of a batch of all clips."""
        listed = self.folder / "clips.txt"
        listed.write_text("\n".join(self.clips))
        task = ["--out", self.folder / name, "--task", "track", *self.models, *more]
        return command("batch", listed, *task)

    def steady(self, name: str) -> Steady:
        """The steady part of a batch."""
        return Steady.of(self.folder / name / "ledger", "*.json")


def start(arguments: list[str], place: int | None = None) -> subprocess.Popen:
    """Start a command, held to a core or not."""
    process = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if place is not None:
        keep_to_core([process.pid], place)
    return process


def measure(options, sources: Sources, folder: Path) -> None:
    """Print one worker by `track`, and several machines of one core by one such machine."""
    speed = Speed(options, [p for p in sorted(sources.good) if p.endswith(".avi")], folder)
    measure_one_worker(speed)
    if len(core_at(0) | core_at(1)) == 2:
        measure_cores(speed)
    measure_nodes(speed)


def measure_one_worker(speed: Speed) -> None:
    """`rtmpose batch` without Ray, by `rtmpose track` on the same clips."""
    speed.track("track").wait(speed.options.timeout)
    track = Steady.of(speed.folder / "track", "*.parquet").rate(speed.options.frames)
    run(speed.batch("one"), speed.options.timeout)
    one = speed.steady("one").rate(speed.options.frames)
    print(f"rtmpose track: {track:.1f} frames/s; batch, 1 worker: {one:.1f}", flush=True)
    print(f"one worker / track = {one / track:.3f} (wanted: 0.95 or more)", flush=True)


def measure_cores(speed: Speed) -> None:
    """Two `rtmpose track` at once, each on its core, by one alone: what the machine can give."""

    def rate(*names: str) -> float:
        running = [speed.track(name, place) for place, name in enumerate(names)]
        for process in running:
            process.wait(speed.options.timeout)
        parts = [Steady.of(speed.folder / name, "*.parquet") for name in names]
        return sum(part.rate(speed.options.frames) for part in parts)

    alone = rate("core_alone")
    both = rate("core_0", "core_1")
    print(f"rtmpose track on one core: {alone:.1f} frames/s; two, each on its core: {both:.1f}")
    print(f"two cores / (2 x one core) = {both / (2 * alone):.3f}: the machine's own", flush=True)


def measure_nodes(speed: Speed) -> None:
    """Machines of one core with a worker each, by one such machine; in turn, so that what changes
    on this machine meets both.
    """
    alone, several = [], []
    cluster, _ = start_cluster(1)
    try:
        for number in range(speed.options.rounds):
            alone.append(rate_on(speed, cluster, f"alone_{number}", 1))
            nodes = [add_node(cluster, place) for place in range(1, speed.options.workers)]
            several.append(rate_on(speed, cluster, f"several_{number}", speed.options.workers))
            for node in nodes:
                cluster.remove_node(node)
    finally:
        cluster.shutdown()
    ratio = np.median(several) / (speed.options.workers * np.median(alone))
    print(f"N workers / (N x one worker) = {ratio:.3f} (wanted: 0.9 or more)")


def rate_on(speed: Speed, cluster, name: str, workers: int) -> float:
    """Frames per second of a batch on a cluster; the command runs on its first node."""
    where = ["--address", cluster.address, "--cpus-per-worker", 1, "--workers", workers]
    driver = start(speed.batch(name, *where), 0)
    use = CoreUse()
    try:
        deadline = time.monotonic() + speed.options.timeout
        while driver.poll() is None:
            if time.monotonic() > deadline:
                sys.exit(f"{workers} workers did not finish in {speed.options.timeout} s")
            use.look(cluster, driver.pid)
            time.sleep(1)
    finally:
        driver.kill()
    if driver.returncode:
        sys.exit(f"the batch with {workers} workers ended with {driver.returncode}")
    steady = speed.steady(name)
    rate = steady.rate(speed.options.frames)
    cores = use.between(steady.begin, steady.end)
    told = ", ".join(f"{kind} {count:.2f}" for kind, count in cores.items())
    print(f"Ray, {workers} workers: {rate:.1f} frames/s; cores used: {told}", flush=True)
    return rate


def prove(options, sources: Sources, folder: Path) -> list[str]:
    """Kill parts of a run, and compare it with one on one machine; what is not as it should be."""
    seconds = run(batch(options, sources, folder / "single"), options.timeout)
    units = finished(folder / "single")
    print(f"one machine: {seconds:.1f} s, {units} units")
    told = run_and_kill(options, sources, folder / "cluster", units)
    print("; ".join(told))
    wrong = check(sources, folder / "cluster", folder / "single")
    if len(told) < 3:
        wrong.append(f"only {len(told)} of 3 were killed before the end")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = os.environ.get("RTMPOSE_SHARED", str(ROOT.parent / "shared"))
    parser.add_argument("--images", type=Path, default=Path(shared) / "data/demo_free/images")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--frames", type=int, default=8, help="of each clip")
    parser.add_argument("--photos-per-file", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2, choices=(1, 2))
    parser.add_argument("--seed", type=int, default=0, help="of the moments of killing")
    parser.add_argument("--rounds", type=int, default=1, help="of the speed of machines, in turn")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    parser.add_argument("--pose")
    parser.add_argument("--detector")
    parser.add_argument("--person-thr", type=float)
    parser.add_argument("--quick", action="store_true", help="20 clips, 100 photos, no speed")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--only-speed", action="store_true", help="no proof, and no photos")
    options = parser.parse_args()
    if options.only_speed:
        options.photos = 0
    if options.quick:
        options.clips, options.photos, options.photos_per_file = 20, 100, 10
        options.timeout = min(options.timeout, 600)
    sys.path.insert(0, str(ROOT))
    # Whoever ends this ends the cluster too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    with tempfile.TemporaryDirectory(prefix="rtmpose-batch-cluster-") as name:
        folder = Path(name)
        sources = make_sources(
            folder / "in", options.images, options.clips, options.photos, options.frames
        )
        print(f"{len(sources.good)} good sources, {len(sources.broken)} broken")
        wrong = [] if options.only_speed else prove(options, sources, folder)
        if not (options.quick or options.no_speed):
            measure(options, sources, folder)
    for line in wrong:
        print("WRONG:", line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
