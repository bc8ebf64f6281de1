"""Writing to disk: whole or not at all, and never over what is not ours."""

import io
import os
import stat
import sys
import threading

import pytest

from rtmpose import files
from rtmpose.errors import OutputError
from rtmpose.files import (
    AtomicFile,
    atomic_binary,
    atomic_text,
    copy_file,
    move_file,
    write_bytes,
    write_text,
)
from rtmpose.files.folders import AtomicFolder, copy_folder
from rtmpose.files.temporaries import FOLDER_RECORD

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_whole_files(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "Grüße\n")
    write_bytes(tmp_path / "new" / "b.bin", b"\0\1")
    copy_file(tmp_path / "new" / "b.bin", tmp_path / "c.bin")
    move_file(tmp_path / "c.bin", tmp_path / "d.bin")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "Grüße\n".encode()
    assert (tmp_path / "d.bin").read_bytes() == b"\0\1"
    assert names(tmp_path) == ["d.bin", "new"]
    assert names(tmp_path / "new") == ["a.txt", "b.bin"]


@pytest.mark.parametrize("opened", [atomic_text, atomic_binary])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_nothing_stays_after_an_error(tmp_path, opened, error):
    (tmp_path / "a").write_text("before")

    def failing():
        with opened(tmp_path / "a") as file:
            file.write("new" if opened is atomic_text else b"new")
            raise error("stop")

    with pytest.raises(OutputError if error is OSError else error):
        failing()
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_full_disk_keeps_the_earlier_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("before")
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OutputError, match=r"a cannot be written: No space left"):
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_folders_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a", "x")
    with pytest.raises(OutputError, match="it is a folder"):
        write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["file", "folder"]


def test_long_names(tmp_path):
    name = "ü" * 120 + ".json"  # 245 bytes
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]
    with pytest.raises(OutputError, match="too long"):
        write_text(tmp_path / ("a" * 300), "x")


@posix
def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
        os.umask(0o002)
        write_text(tmp_path / "b", "x")
        assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o664
    finally:
        os.umask(before)
    # A file that is replaced keeps its own.
    (tmp_path / "a").chmod(0o600)
    write_text(tmp_path / "a", "y")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@posix
def test_links_keep_pointing_to_their_target(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real.txt").write_text("before")
    link, dangling = tmp_path / "link.txt", tmp_path / "new.txt"
    link.symlink_to(tmp_path / "data" / "real.txt")
    dangling.symlink_to(tmp_path / "data" / "later.txt")
    write_text(link, "after")
    write_text(dangling, "made")
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert (tmp_path / "data" / "real.txt").read_text() == "after"
    assert (tmp_path / "data" / "later.txt").read_text() == "made"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OutputError):
        write_text(loop, "x")


@posix
def test_devices_and_pipes_are_written_straight(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(10)
    assert got == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)

    write_text(files.Path("/dev/null"), "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(name, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    write_text(files.Path(name), "text\n")
    write_bytes(files.Path(name), b"bytes\n")
    assert not out.closed
    assert out.buffer.getvalue() == b"text\nbytes\n"


def test_a_file_written_by_name(tmp_path):
    """Encoders open their file themselves, and read the format from its suffix."""
    file = AtomicFile(tmp_path / "v.mp4", suffix=".mp4")
    assert file.temporary.suffix == ".mp4"
    file.temporary.write_bytes(b"encoded")
    file.commit()
    assert (tmp_path / "v.mp4").read_bytes() == b"encoded"
    AtomicFile(tmp_path / "w.mp4").abandon()
    assert names(tmp_path) == ["v.mp4"]


# ---- folders
# --------------------------------------------------------------------------------------------------


def made(path, **contents):
    folder = AtomicFolder(path)
    for name, text in contents.items():
        folder.write_text(name, text)
    assert not (path / next(iter(contents))).exists() or (path / FOLDER_RECORD).exists()
    folder.commit()


def test_our_folder_is_replaced(tmp_path):
    made(tmp_path / "out", a="1", b="2")
    assert names(tmp_path / "out") == [FOLDER_RECORD, "a", "b"]
    made(tmp_path / "out", a="3", c="4")
    assert names(tmp_path / "out") == [FOLDER_RECORD, "a", "c"]
    assert (tmp_path / "out" / "a").read_text() == "3"
    assert names(tmp_path) == ["out"]


def test_what_others_put_into_our_folder_stays(tmp_path):
    made(tmp_path / "out", a="1", b="2")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / "sub").mkdir()
    (tmp_path / "out" / "sub" / "more.txt").write_text("mine too")
    made(tmp_path / "out", a="3")
    assert names(tmp_path / "out") == [FOLDER_RECORD, "a", "notes.txt", "sub"]
    assert (tmp_path / "out" / "sub" / "more.txt").read_text() == "mine too"
    assert names(tmp_path) == ["out"]


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    made(tmp_path / "out", a="1")  # an empty one is taken
    other = tmp_path / "photos"
    other.mkdir()
    (other / "birthday.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="did not write"):
        AtomicFolder(other)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file of that name"):
        AtomicFolder(tmp_path / "file")
    assert names(other) == ["birthday.jpg"]
    assert names(tmp_path) == ["file", "out", "photos"]


def test_a_folder_is_whole_or_not_there(tmp_path, monkeypatch):
    made(tmp_path / "out", a="1")
    folder = AtomicFolder(tmp_path / "out")
    folder.write_text("a", "2")
    folder.abandon()
    assert (tmp_path / "out" / "a").read_text() == "1"
    folder = AtomicFolder(tmp_path / "out")
    folder.write_text("a", "3")
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        folder.commit()
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert names(tmp_path) == ["out"]


def test_copied_folders(tmp_path):
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "sub" / "a").write_text("1")
    copy_folder(tmp_path / "from", tmp_path / "to")
    (tmp_path / "from" / "sub" / "a").write_text("2")
    copy_folder(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "sub" / "a").read_text() == "2"
    assert names(tmp_path) == ["from", "to"]


@posix
def test_a_link_to_a_folder_stays_a_link(tmp_path):
    made(tmp_path / "real", a="1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    made(tmp_path / "link", a="2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "2"


def test_no_other_module_renames_files():
    """All atomic writing of the package goes through one folder of modules."""
    import re
    from pathlib import Path

    import rtmpose

    root = Path(rtmpose.__file__).parent
    hand_written = re.compile(r"mkstemp|NamedTemporaryFile|os\.(replace|rename)\(|\.tmp\b|fsync")
    for path in root.rglob("*.py"):
        if path.parent != root / "files":
            assert not hand_written.search(path.read_text(encoding="utf-8")), path
