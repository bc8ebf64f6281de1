"""Full and read-only disks, and outputs that are devices, pipes, links, folders or sources."""

import ctypes
import hashlib
import os
import random
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fault_kinds.commands import ENGINE, Ended, photo, run_command, tiny_models
from fault_kinds.engine import Kind, PromiseError
from fault_kinds.jobs import make_clip, temporaries
from rtmpose.writers.table import FORMATS

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MS_RDONLY, MS_REMOUNT = 1, 32


After = Callable[[Ended], None]
"""Looks at the disk when the command has ended."""


@dataclass
class Disk:
    """A folder to write into, and sources elsewhere."""

    folder: Path
    out: Path
    sources: list[str]
    models: list[str]

    def run(self, command: str, *more: str, sources: list[str] | None = None) -> Ended:
        """A command over the sources."""
        return run_command([command, *(sources or self.sources), *self.models, *more])


def prepare(folder: Path) -> Disk:
    """A photo and a video, and tiny networks."""
    os.environ["RTMPOSE_HOME"] = str(folder / "home")
    detector, pose = tiny_models(folder)
    sources = [photo(folder / "in" / "photo.png"), make_clip(folder / "in" / "clip.avi")]
    out = folder / "out"
    out.mkdir()
    models = ["--detector", detector, "--pose", pose, *ENGINE]
    return Disk(folder, out, sources, models)


def format_options(disk: Disk, rng: random.Random) -> list[str]:
    """Some formats, each into the folder or into one file."""
    options: list[str] = []
    rows = [row for row in FORMATS if row.name != "parquet"]
    for row in rng.sample(rows, rng.randint(1, 3)):
        single = row.many_sources and rng.random() < 0.5
        path = disk.out / f"all{row.suffix}" if single else disk.out
        options += [f"--{row.name}", str(path)]
    return options


# ---- a disk of a few kilobytes


def libc() -> ctypes.CDLL:
    """The C library; Python has no function for mounts."""
    return ctypes.CDLL(None, use_errno=True)


def may_not_mount() -> str:
    """Why a small disk cannot be mounted here; empty if it can."""
    process = os.fork()
    if not process:
        try:
            _mount(Path("/tmp"), 64)
            os._exit(0)
        except OSError:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    return "a tmpfs may not be mounted here" if status else ""


def _mount(folder: Path, kilobytes: int) -> None:
    """A tmpfs that only this process sees; it goes away with the process."""
    functions = libc()
    # Without rights of its own the process gets them within a namespace of users.
    flags = CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWNS | CLONE_NEWUSER
    if functions.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
    if functions.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "mount")
    options = f"size={kilobytes}k".encode()
    if functions.mount(b"none", str(folder).encode(), b"tmpfs", 0, options):
        raise OSError(ctypes.get_errno(), "mount")


def prepare_small(folder: Path) -> Disk:
    """The same with a small disk as the folder of the outputs."""
    disk = prepare(folder)
    _mount(disk.out, 128)
    return disk


def _full(disk: Disk, rng: random.Random) -> str:
    _empty(disk.out)
    # What is already there leaves little room.
    filler = disk.out / "filler.bin"
    room = shutil.disk_usage(disk.out).free
    filler.write_bytes(bytes(max(0, room - int(2 ** rng.uniform(11, 16.5)))))
    command = rng.choice(("predict", "track"))
    options = format_options(disk, rng)
    if rng.random() < 0.5:
        options += ["-o", str(disk.out)]
    ended = disk.run(command, *options)
    _check_whole(disk.out)
    if ended.status not in (0, 1):
        raise PromiseError(f"exit status {ended.status}")

    # With room again, the run goes on and ends.
    filler.unlink()
    again = disk.run(command, *options, "--resume")
    if again.status and "No space" not in again.err:
        raise PromiseError(f"it does not go on with room again: {again.err.strip()[:200]}")
    return "refused" if ended.status else "done"


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _check_whole(folder: Path) -> None:
    if temporaries(folder):
        raise PromiseError(f"temporary files stay: {temporaries(folder)[:3]}")
    for path in folder.rglob("*"):
        hidden = path.name.startswith(".") or ".part" in path.name
        if path.is_file() and not hidden and path.name != "filler.bin" and not path.stat().st_size:
            raise PromiseError(f"half file: {path.name} is empty")


# ---- folders that may not be written


def prepare_locked(folder: Path) -> Disk:
    """The same; for root, who may write everywhere, on a disk of its own."""
    disk = prepare(folder)
    if os.geteuid() == 0:
        _mount(disk.out, 4096)
    return disk


def _set_read_only(folder: Path, read_only: bool) -> None:
    if os.geteuid():
        folder.chmod(0o555 if read_only else 0o755)
        return
    flags = MS_REMOUNT | (MS_RDONLY if read_only else 0)
    if libc().mount(b"none", str(folder).encode(), b"tmpfs", flags, None):
        raise OSError(ctypes.get_errno(), "mount")


def may_not_lock() -> str:
    """Why a folder cannot be made read-only here; empty if it can."""
    return may_not_mount() if os.geteuid() == 0 else ""


def _read_only(disk: Disk, rng: random.Random) -> str:
    _set_read_only(disk.out, False)
    _empty(disk.out)
    options = format_options(disk, rng) + (["-o", str(disk.out)] if rng.random() < 0.5 else [])
    command = rng.choice(("predict", "track"))
    if rng.random() < 0.5:  # results of an earlier run are there
        disk.run(command, *options)
    before = _digests(disk.out)
    _set_read_only(disk.out, True)
    ended = disk.run(command, *options)
    if ended.status != 1:
        raise PromiseError(f"exit status {ended.status} for a read-only folder")
    if _digests(disk.out) != before:
        raise PromiseError("a read-only folder has changed")
    if ended.err.count("\n") > 2:
        raise PromiseError(f"more than a line: {ended.err[:200]}")
    return "refused"


def _digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# ---- outputs that are something else


def _strange_output(disk: Disk, rng: random.Random) -> str:
    _empty(disk.out)
    row = rng.choice([row for row in FORMATS if row.many_sources and row.name != "parquet"])
    path = disk.out / f"a{row.suffix}"
    ways: list[Callable[[Disk, Path], After]] = [
        _fifo,
        _link,
        _dangling,
        _loop,
        _source,
        _folder,
    ]
    way = rng.choice(ways)
    after = way(disk, path)
    before = _digests(disk.folder / "in")
    option = [f"--{row.name}", str(path)]
    ended = disk.run(rng.choice(("predict", "track")), *option)
    if _digests(disk.folder / "in") != before:
        raise PromiseError(f"{way.__name__[1:]}: a source has changed")
    if way in (_loop, _source) and not ended.status:
        raise PromiseError(f"{way.__name__[1:]} was accepted")
    after(ended)
    if temporaries(disk.out):
        raise PromiseError(f"temporary files stay: {temporaries(disk.out)[:3]}")
    return f"refused {way.__name__[1:]}" if ended.status else f"wrote {way.__name__[1:]}"


def _fifo(_: Disk, path: Path) -> After:
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()

    def after(ended: Ended) -> None:
        if not path.is_fifo():
            raise PromiseError("a pipe was replaced")
        reader.join(2)
        if reader.is_alive():  # it was refused: let the reader go
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        elif not found[0]:
            raise PromiseError("nothing came through the pipe")

    return after


def _link(disk: Disk, path: Path) -> After:
    target = disk.out / "target.txt"
    target.write_text("before")
    path.symlink_to(target)

    def after(ended: Ended) -> None:
        if not path.is_symlink():
            raise PromiseError("a link was replaced")
        if not ended.status and target.read_text() == "before":
            raise PromiseError(f"the target of a link was not written: {ended.arguments}")

    return after


def _dangling(disk: Disk, path: Path) -> After:
    path.symlink_to(disk.out / "elsewhere" / "new.txt")

    def after(ended: Ended) -> None:
        if not path.is_symlink():
            raise PromiseError("a link was replaced")

    return after


def _loop(_: Disk, path: Path) -> After:
    path.symlink_to(path.name)
    return lambda _: None


def _source(disk: Disk, path: Path) -> After:
    path.hardlink_to(disk.sources[0])
    return lambda _: None


def _folder(_: Disk, path: Path) -> After:
    path.mkdir()
    mine = path / "mine.txt"
    mine.write_text("mine")

    def after(ended: Ended) -> None:
        if mine.read_text() != "mine":
            raise PromiseError("a file in a folder was replaced")

    return after


KINDS = (
    Kind(
        "full disk",
        "both commands into a tmpfs with 2 to 90 kB of room, then with room again",
        "one line of error, no empty or half file under a final name, `--resume` ends it",
        prepare_small,
        _full,
        tries=80,
        quick=8,
        missing=may_not_mount,
    ),
    Kind(
        "read-only folder",
        "both commands, with and without results of an earlier run in it",
        "one line of error; nothing changes",
        prepare_locked,
        _read_only,
        tries=60,
        quick=8,
        missing=may_not_lock,
    ),
    Kind(
        "outputs that are no files",
        "pipes, links, links to nothing and to themselves, folders, a source under another name",
        "written through, or refused in a line; no source, link or pipe is replaced",
        prepare,
        _strange_output,
        tries=100,
        quick=12,
    ),
)
