"""How sources are named: pipes, patterns, folders, odd names; and the names of their outputs."""

import csv
import json
import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from jobs import HAS_PARQUET, contents, image, posix, small_models

from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.sources import SkippedFiles, SourceItem, expand_sources, open_frames
from rtmpose.writers.names import output_names


def names(items):
    return [item.name for item in items]


# ---- patterns and folders


@posix
def test_links_to_the_own_folder(tmp_path):
    for name in ("1.jpg", "sub/2.jpg", "sub/deep/10.jpg"):
        image(tmp_path / name)
    (tmp_path / "self").symlink_to(tmp_path)
    (tmp_path / "sub" / "again").symlink_to(tmp_path / "sub")
    (tmp_path / "other").symlink_to(tmp_path)
    (tmp_path / "same.jpg").symlink_to(tmp_path / "1.jpg")
    expected = [str(tmp_path / name) for name in ("1.jpg", "sub/2.jpg", "sub/deep/10.jpg")]
    assert names(expand_sources([str(tmp_path / "**" / "*.jpg")])) == expected
    assert names(expand_sources([str(tmp_path)], recursive=True)) == expected
    assert names(expand_sources([str(tmp_path)])) == expected[:1]


def test_patterns(tmp_path, monkeypatch):
    for name in ("a1.jpg", "a10.jpg", "b.png", ".hidden.jpg", "x/a2.jpg", "[1].jpg"):
        image(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert names(expand_sources(["a*.jpg"])) == ["a1.jpg", "a10.jpg"]
    assert names(expand_sources(["*/a?.jpg"])) == ["x/a2.jpg"]
    assert names(expand_sources(["**/a*.jpg"])) == ["a1.jpg", "a10.jpg", "x/a2.jpg"]
    assert names(expand_sources(["a[0-9].jpg"])) == ["a1.jpg"]
    assert names(expand_sources(["[1].jpg"])) == ["[1].jpg"]
    assert names(expand_sources([".h*.jpg"])) == [".hidden.jpg"]
    with pytest.raises(InputError, match="nothing matches"):
        expand_sources(["**/*.webp"])


def test_names_of_browsers_and_homes(tmp_path, monkeypatch):
    path = image(tmp_path / "my photo.jpg")
    assert names(expand_sources([path.as_uri()])) == [str(path)]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert names(expand_sources(["~/my photo.jpg"])) == [str(path)]
    assert names(expand_sources(["~/*.jpg"])) == [str(path)]


def test_a_folder_of_folders(tmp_path):
    image(tmp_path / "day" / "a.jpg")
    with pytest.raises(InputError, match="--recursive takes"):
        expand_sources([tmp_path])


def test_skipped_files_are_listed(tmp_path):
    image(tmp_path / "a.jpg")
    for name in ("a.txt", "b.txt", "._a.jpg", "Thumbs.db", "raw.CR2", "plan.svg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "photo").write_bytes((tmp_path / "a.jpg").read_bytes())
    skipped = SkippedFiles()
    items = expand_sources([tmp_path], skipped=skipped)
    assert [os.path.basename(n) for n in names(items)] == ["a.jpg", "photo"]  # noqa: PTH119
    text = "\n".join(skipped.lines())
    for words in ("3 files (neither image nor video)", "hidden", "raw file of a camera", "SVG"):
        assert words in text
    for name in ("a.txt", "b.txt", "._a.jpg", "Thumbs.db", "raw.CR2", "plan.svg"):
        assert name in text


def test_many_skipped_files_are_one_line():
    from pathlib import Path

    skipped = SkippedFiles()
    for number in range(1000):
        skipped.add(Path(f"{number}.txt"), "text")
    (line,) = skipped.lines()
    assert "1000 files" in line
    assert "and 995 more" in line


def test_photos_of_a_phone_without_the_package(tmp_path, monkeypatch):
    import rtmpose.sources.folders as folders

    monkeypatch.setattr(folders, "heif_is_installed", lambda: False)
    for number in range(3):
        (tmp_path / f"{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    for source in (tmp_path, str(tmp_path / "*.HEIC")):
        with pytest.raises(InputError, match=r"3 files .*pip install 'rtmpose\[heif\]'"):
            expand_sources([source])
    image(tmp_path / "a.jpg")
    skipped = SkippedFiles()
    assert len(expand_sources([tmp_path], skipped=skipped)) == 1
    assert len(skipped.lines()) == 1
    monkeypatch.setattr(folders, "heif_is_installed", lambda: True)
    assert len(expand_sources([tmp_path])) == 4


# ---- pipes

READ = """
import sys
from rtmpose.sources import expand_sources, open_frames
(item,) = expand_sources(sys.argv[1:])
print(item.kind, item.name, len([f.image for f in open_frames(item)]), item.path)
"""


def read_in_process(source, data=None, **options):
    line = [sys.executable, "-c", READ, source]
    done = subprocess.run(line, input=data, capture_output=True, timeout=60, **options)
    return done.stdout.decode(), done.stderr.decode()


def video(path):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in range(5):
        writer.write(np.full((48, 64, 3), value * 40, np.uint8))
    writer.release()
    return path.read_bytes()


@posix
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(tmp_path, name):
    data = image(tmp_path / "a.jpg").read_bytes()
    out, _ = read_in_process(name, data)
    kind, shown, frames, path = out.split()
    assert (kind, frames) == ("image", "1")
    assert shown == ("stdin" if name == "-" else name)
    # The copy is gone with the process.
    assert not os.path.exists(path)  # noqa: PTH110
    assert read_in_process(name, video(tmp_path / "v.avi"))[0].startswith("video")
    assert "standard input is empty" in read_in_process(name, b"")[1]


@posix
def test_closed_standard_input():
    """It is no terminal, and no other file takes its place."""
    line = ["bash", "-c", '"$0" -c "$1" - <&-', sys.executable, READ]
    done = subprocess.run(line, capture_output=True, timeout=60, check=False)
    assert "standard input is closed" in done.stderr.decode()


@posix
def test_standard_input_that_is_a_file(tmp_path):
    with image(tmp_path / "a.jpg").open("rb") as file:
        assert read_in_process("/dev/stdin", stdin=file)[0].startswith("image /dev/stdin 1")


@posix
def test_a_fifo(tmp_path):
    data = image(tmp_path / "a.png").read_bytes()
    os.mkfifo(tmp_path / "camera")
    writer = threading.Thread(target=(tmp_path / "camera").write_bytes, args=(data,))
    writer.start()
    (item,) = expand_sources([tmp_path / "camera"])
    writer.join()
    (frame,) = open_frames(item)
    np.testing.assert_array_equal(frame.image, cv2.imread(str(tmp_path / "a.png")))
    # Named again, it is not waited for once more.
    assert expand_sources([tmp_path / "camera"])[0].path == item.path


@posix
def test_process_substitution(tmp_path):
    data = image(tmp_path / "a.jpg").read_bytes()
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    (item,) = expand_sources([f"/dev/fd/{reader}"])
    os.close(reader)
    assert item.kind == "image"
    assert output_names([item])[item.name] == f"pipe_{reader}"


# ---- names of outputs


def output_names_of(*sources):
    return list(output_names([SourceItem(s, "image") for s in sources]).values())


def test_same_names_in_several_folders(tmp_path, monkeypatch):
    (tmp_path / "day" / "cam").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "day" / "cam")
    assert output_names_of("a.jpg", "../a.jpg", "../../a.jpg") == [
        "a",
        "day_a",
        f"{tmp_path.name}_a",
    ]
    assert output_names_of("1/cam/a.jpg", "2/cam/a.jpg", "3/cam/a.jpg") == [
        "a",
        "cam_a",
        "3_cam_a",
    ]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("stdin", "stdin"),
        ("/dev/stdin", "stdin"),
        ("/dev/fd/63", "pipe_63"),
        ("bad\udcff.jpg", "bad_"),
        ("two\nlines.jpg", "two_lines"),
        ("q\"uo'te.jpg", "q_uo'te"),
    ],
)
def test_odd_names(source, name):
    assert output_names_of(source) == [name]


def test_very_long_names_fit():
    (name,) = output_names_of("y" * 251 + ".jpg")
    assert len(f".{name}_000000000000_keypoints.json.tmp12345678") <= 255


@posix
def test_names_that_are_not_utf8(tmp_path, capfd):
    """In every format; a source that does not exist does not stop the others."""
    folder = os.fsencode(tmp_path)
    odd = os.fsdecode(folder + b'/bad\xff\nname"q.jpg')
    image(tmp_path / "a.jpg").rename(odd)
    image(tmp_path / "b.jpg")
    detector, pose = small_models(tmp_path)
    out = tmp_path / "out"
    formats = ["json", "jsonl", "csv", *(["parquet"] if HAS_PARQUET else [])]
    arguments = [odd, "z" * 5000, str(tmp_path / "b.jpg"), "-o", str(out)]
    for name in formats:
        arguments += [f"--{name}", str(out / f"all.{name}")]
    for name in ("mot", "openpose", "npz"):
        arguments += [f"--{name}", str(out)]
    status = main(["predict", *arguments, "--pose", pose, "--detector", detector])
    captured = capfd.readouterr()
    assert status == 1
    assert "zzz does not exist" in captured.err
    assert max(map(len, captured.err.splitlines())) < 500
    written = contents(out)
    assert {"bad__name_q.jpg", "b.jpg", "all.csv"} <= {path.name for path in written}
    lines = (out / "all.jsonl").read_text("utf-8").splitlines()[1:]
    assert [json.loads(line)["source"].endswith(("q.jpg", "b.jpg")) for line in lines] == [True] * 2
    with (out / "all.csv").open(encoding="utf-8", newline="") as file:
        assert r"bad\xff" in list(csv.DictReader(file))[0]["source"]  # noqa: RUF015
    if HAS_PARQUET:
        import pyarrow.parquet as parquet

        assert r"bad\xff" in parquet.read_table(out / "all.parquet")["source"].to_pylist()[0]


def test_skipped_files_and_strict_in_the_command(tmp_path, capfd):
    image(tmp_path / "in" / "a.jpg")
    data = (tmp_path / "in" / "a.jpg").read_bytes()
    (tmp_path / "in" / "noend.jpg").write_bytes(data[:-2])
    (tmp_path / "in" / "notes.txt").write_text("x")
    detector, pose = small_models(tmp_path)
    line = ["predict", str(tmp_path / "in"), "--pose", pose, "--detector", detector]
    assert main([*line, "--jsonl", str(tmp_path / "a.jsonl")]) == 0
    assert "notes.txt" in capfd.readouterr().err
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    assert main([*line, "--jsonl", str(tmp_path / "b.jsonl"), "--strict"]) == 1
    assert "noend.jpg is damaged: it has no end marker" in capfd.readouterr().err
    assert len((tmp_path / "b.jsonl").read_text().splitlines()) == 2


def test_a_pipe_is_never_taken_for_finished(tmp_path):
    """With --resume the next thing that comes through it is another one."""
    data = image(tmp_path / "a.jpg").read_bytes()
    detector, pose = small_models(tmp_path)
    code = "import sys; from rtmpose.cli import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", code, "predict", "-", "--pose", pose, "--detector", detector]
    line += ["--jsonl", str(tmp_path / "out"), "--resume"]
    for _ in range(2):
        done = subprocess.run(line, input=data, capture_output=True, timeout=60, check=True)
        assert b"1 frame," in done.stdout
