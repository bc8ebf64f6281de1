"""What the processes of a try that hangs are doing: their Python stacks, and where the system has
them wait. Linux; elsewhere the stacks only.
"""

import faulthandler
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ASKING = signal.SIGUSR2
ANSWER_S = 0.5
STACKS = "stacks.txt"
LONGEST_STACK = 200
"""Lines of the Python stacks of one process that are shown."""
FACTS = ("Name", "State", "PPid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")


def answer_questions(folder: Path) -> None:
    """From now on this process, and all that are forked from it, write their stacks when asked."""
    file = (folder / STACKS).open("a")
    _open_files.append(file)
    faulthandler.register(ASKING, file=file, all_threads=True)


_open_files: list[object] = []  # faulthandler needs them open


def write_report(group: int, folder: Path, title: str) -> Path:
    """Ask all processes of a group, and write what they say into a file that stays.

    Args:
        group: Of the processes.
        folder: Where they write their stacks.
        title: The first line, and the name of the file.
    """
    reports = Path(tempfile.gettempdir()) / f"rtmpose-hangs-{os.getuid()}"
    reports.mkdir(exist_ok=True)
    path = reports / f"{title.replace(' ', '-').replace('/', '-')}.txt"
    parts = [title]
    for process in processes_of(group):
        parts += ["", f"process {process}", *_facts(process), *_waits(process)]
        parts += _stacks(process, folder / STACKS)
    path.write_text("\n".join(parts) + "\n", errors="replace")
    return path


def processes_of(group: int) -> list[int]:
    """The processes of a group and what they have started, without those that have ended; its
    leader alone without /proc.
    """
    parents = {}
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        # The name, in brackets, may hold anything; state, parent and group are behind it.
        state, parent, its_group = (_text(entry / "stat").rpartition(")")[2].split() + [""] * 3)[:3]
        if state not in ("Z", ""):
            parents[int(entry.name)] = int(parent)
            if its_group == str(group):
                found.add(int(entry.name))

    # Those with a terminal of their own have a group of their own.
    before = -1
    while len(found) != before:
        before = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return sorted(found) or [group]


def _facts(process: int) -> list[str]:
    folder = Path("/proc") / str(process)
    command = _text(folder / "cmdline").replace("\0", " ").strip()
    status = _text(folder / "status").splitlines()
    return [f"  {command}", *(f"  {line}" for line in status if line.split(":")[0] in FACTS)]


def _waits(process: int) -> list[str]:
    """For each thread: its name, state, and the system call and place in the kernel it waits in."""
    lines = []
    for task in sorted((Path("/proc") / str(process) / "task").glob("*")):
        state = _text(task / "stat").rpartition(")")[2].split()[:1]
        parts = [_text(task / name).strip() for name in ("comm", "wchan", "syscall")]
        lines.append(f"  thread {task.name} {' '.join(state)} {' | '.join(parts)}")
        lines += [f"    {line}" for line in _text(task / "stack").splitlines()]
    return lines


def _stacks(process: int, path: Path) -> list[str]:
    if not _listens(process):
        return ["  does not tell its Python stacks"]
    before = path.stat().st_size if path.exists() else 0
    with suppress(ProcessLookupError):
        os.kill(process, ASKING)
    time.sleep(ANSWER_S)
    with suppress(OSError), path.open(errors="replace") as file:
        file.seek(before)
        lines = file.read().splitlines()
        return [f"  {line}" for line in lines[:LONGEST_STACK]]
    return []


def _listens(process: int) -> bool:
    """Whether a process would survive the question."""
    status = _text(Path("/proc") / str(process) / "status")
    if not status:
        return True  # no /proc; all processes are forked from one that listens
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt")), ":0")
    return bool(int(caught.split(":")[1], 16) >> (ASKING - 1) & 1)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
