"""What a batch has done so far: from the ledger, as text and as ``report.json``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtmpose.batch.ledger import Entry, Ledger, states_of
from rtmpose.batch.runs import at_work, summaries
from rtmpose.batch.units import in_shard
from rtmpose.files import write_text
from rtmpose.shown_names import shown_name, utf8_name
from rtmpose.text_files import to_json

REPORT_FILE = "report.json"
SHOWN = 20
"""Failures that are named in the text; the file has all."""


@dataclass
class MachineReport:
    """What one machine did.

    Attributes:
        workers: Processes.
        units: Units of work.
        sources: Sources that are done; of one in parts, each part counts.
        failed: Sources that failed.
        frames: Frames that got poses.
        busy_s: Seconds that its workers were at work, summed.
    """

    workers: int = 0
    units: int = 0
    sources: int = 0
    failed: int = 0
    frames: int = 0
    busy_s: float = 0.0

    @property
    def fps(self) -> float:
        """Frames per second of one of its workers."""
        return self.frames / self.busy_s if self.busy_s else 0.0


@dataclass
class BatchReport:
    """The state of an output folder.

    Attributes:
        planned: Sources in the longest list so far; 0 where unknown.
        done: Sources that are done.
        partial: Long videos of which some parts are done.
        failed: Source to why it failed.
        tries: Source that failed to how often it was tried.
        twice: Sources that are done more than once, which is a fault.
        frames: Frames of all that is done.
        people: Rows, or different people where they are tracked.
        machines: Name of a machine to what it did.
        runs: Runs that are at work now.
        run_seconds: Of the latest run on this machine; 0 for none.
        run_sources: Sources that it did.
        run_frames: Frames that it did.
        problems: Names on the command line that stood for nothing.
        notes: Lines on what else was noticed.
        shard: The share of the latest run; None for all. Failures of others are not its own.
    """

    planned: int = 0
    done: int = 0
    partial: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    frames: int = 0
    people: int = 0
    machines: dict[str, MachineReport] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    run_seconds: float = 0.0
    run_sources: int = 0
    run_frames: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shard: tuple[int, int] | None = None

    @property
    def missing(self) -> int:
        """Planned sources that nobody has finished."""
        return max(0, self.planned - self.done - len(self.failed))

    @property
    def is_good(self) -> bool:
        """Whether nothing failed in the share of this run."""
        return not (self._own_failures or self.problems or self.twice)

    @property
    def _own_failures(self) -> dict[str, str]:
        return {s: reason for s, reason in self.failed.items() if in_shard(s, self.shard)}

    def lines(self) -> list[str]:
        """The report for people."""
        known = f" of {self.planned}" if self.planned else ""
        lines = [
            f"{self.done}{known} sources done, {len(self.failed)} failed, {self.missing} missing;"
            f" {self.frames} frames, {self.people} people"
        ]
        if self.partial:
            lines.append(f"{self.partial} of the missing are done in part")
        if self.run_seconds:
            fps = self.run_frames / self.run_seconds
            lines.append(
                f"this run: {self.run_sources} sources, {self.run_frames} frames in"
                f" {self.run_seconds:.1f} s ({fps:.1f} frames per second over all workers)"
            )
        for name, machine in sorted(self.machines.items()):
            lines.append(
                f"{name}: {machine.workers} worker{'s' * (machine.workers != 1)},"
                f" {machine.sources} sources, {machine.failed} failed, {machine.frames} frames,"
                f" {machine.fps:.1f} frames per second and worker"
            )
        for run in self.runs:
            lines.append(f"at work: {run}")
        return [*lines, *self.notes]

    def failure_lines(self) -> list[str]:
        """What failed, and why."""
        lines = [*self.problems]
        own = self._own_failures
        for source, reason in list(own.items())[:SHOWN]:
            tries = self.tries[source]
            again = f" (tried {tries} times)" if tries > 1 else ""
            lines.append(f"{shown_name(source)}: {reason}{again}")
        if len(own) > SHOWN:
            lines.append(f"... and {len(own) - SHOWN} more, all of them in {REPORT_FILE}")
        if own:
            lines.append("the same command with --retry-failed tries them again")
        for source in self.twice[:SHOWN]:
            lines.append(f"{shown_name(source)} is in the results twice")
        return lines

    def write(self, out: Path) -> None:
        """Write ``report.json``.

        Raises:
            OutputError: it cannot be written.
        """
        table = asdict(self)
        table["missing"] = self.missing
        failed = table.pop("failed")
        tries = table.pop("tries")
        table["failed"] = [
            {"source": utf8_name(source), "reason": reason, "tries": tries[source]}
            for source, reason in failed.items()
        ]
        for name, machine in self.machines.items():
            table["machines"][name]["fps"] = round(machine.fps, 2)
        write_text(out / REPORT_FILE, to_json(table, indent=1) + "\n")


def report_of(out: Path) -> BatchReport:
    """The state of an output folder, by its ledger."""
    entries = list(Ledger(out).entries())
    report = BatchReport()
    for source, state in sorted(states_of(entries).items()):
        if state.done:
            report.done += 1
        elif state.failed:
            report.failed[source] = state.failed
            report.tries[source] = state.tries
        else:
            report.partial += 1
        if state.twice:
            report.twice.append(source)
        report.frames += state.frames
        report.people += state.people
    report.machines = _machines(entries, report.failed.keys())
    runs = summaries(out)
    seen = report.done + len(report.failed) + report.partial
    report.planned = max([seen, *(run.planned for run in runs)])
    working = at_work(out)
    report.runs = [
        f"{run.name} on {run.host}, process {run.pid}, since {run.began}"
        f"{', shard ' + run.shard if run.shard else ''}"
        for run in runs
        if run.name in working
    ]
    return report


def _machines(entries: list[Entry], failed: Collection[str]) -> dict[str, MachineReport]:
    """What each machine did; a failure that was mended later does not count."""
    machines: dict[str, MachineReport] = {}
    workers: dict[str, set[int]] = {}
    counted: set[str] = set()
    for entry in entries:
        machine = machines.setdefault(entry.host, MachineReport())
        workers.setdefault(entry.host, set()).add(entry.pid)
        machine.workers = len(workers[entry.host])
        machine.units += 1
        machine.sources += len(entry.sources) - len(entry.failed)
        machine.frames += entry.frames
        machine.busy_s = round(machine.busy_s + entry.seconds, 3)
        for source in entry.failed:
            machine.failed += source.source in failed and source.source not in counted
            counted.add(source.source)
    return machines
