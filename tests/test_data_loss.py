"""Nothing is lost: outputs over inputs, interruptions, two runs at once, full disks.

Real processes where a signal or a limit is at work.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip
from networks import fixed_detector, spot_pose

from rtmpose import Pipeline
from rtmpose.cli import main
from rtmpose.errors import InputError, OutputError
from rtmpose.files import AtomicFile, AtomicFolder, write_text
from rtmpose.sources import expand_sources
from rtmpose.temporaries import remove_leftovers
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import Outputs

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and locks of POSIX")
FORMATS = ("json", "jsonl", "csv", "parquet", "mot", "openpose", "npz")


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    detector = fixed_detector(folder / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return str(detector), str(spot_pose(folder / "spot.onnx"))


@pytest.fixture
def options(models):
    engine = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
    return ["--detector", models[0], "--pose", models[1], *engine]


@pytest.fixture
def pipeline(models):
    return Pipeline(*models, backend="onnxruntime", device="cpu", threads=1)


def image(path, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((60, 80, 3), value, np.uint8))
    return path


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def temporaries(folder):
    return [
        p.name for p in folder.rglob("*") if ".tmp" in p.name or p.name.endswith((".lock", ".old"))
    ]


def start(arguments, **settings):
    """The command in a process of its own, each frame slowed down."""
    code = (
        "import sys, time\n"
        "import rtmpose.writers.job as job\n"
        "from rtmpose.cli import main\n"
        "count = job.Job._count\n"
        "job.Job._count = lambda *a: (time.sleep(0.02), count(*a))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    line = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(line, **{**pipes, **settings})


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- no output is a source, and no two are one
# ---------------------------------------------------------------


@posix
@pytest.mark.parametrize("how", ["same", "hard link", "symbolic link", "other spelling"])
def test_no_output_is_a_source(tmp_path, pipeline, how):
    photo = image(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "p.json"
    if how == "hard link":
        os.link(photo, out)
    elif how == "symbolic link":
        out.symlink_to(photo)
    elif how == "other spelling":
        out = tmp_path / "out" / ".." / "in" / "p.json"
        photo = photo.rename(tmp_path / "in" / "p.json")
    else:
        out = photo.rename(tmp_path / "in" / "p.json")
        photo = out
    before = contents(tmp_path / "in")
    with pytest.raises(InputError, match="one of the sources"):
        predict_to_files(pipeline, expand_sources([photo]), Outputs({"json": out}))
    assert contents(tmp_path / "in") == before


@posix
def test_a_drawn_image_never_goes_through_a_link_to_its_source(tmp_path, pipeline):
    photo = image(tmp_path / "in" / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").symlink_to(photo)
    before = photo.read_bytes()
    with pytest.raises(InputError, match="one of the sources"):
        predict_to_files(pipeline, expand_sources([photo]), Outputs({}, tmp_path / "out"))
    assert photo.read_bytes() == before


def test_nothing_is_drawn_into_a_folder_of_sources(tmp_path, pipeline):
    """The next run would read it; and a.jpg may be the photograph that a.bmp was made from."""
    image(tmp_path / "in" / "a.bmp")
    with pytest.raises(InputError, match="folder of the sources"):
        predict_to_files(
            pipeline, expand_sources([tmp_path / "in"]), Outputs({}, tmp_path / "in" / ".")
        )
    assert os.listdir(tmp_path / "in") == ["a.bmp"]  # noqa: PTH208


def test_annotations_next_to_their_images_stay(tmp_path, pipeline):
    photo = image(tmp_path / "in" / "a.jpg")
    labels = tmp_path / "in" / "a.json"
    labels.write_text("made in weeks")
    outputs = Outputs({"json": tmp_path / "in"})
    with pytest.raises(InputError, match="exists next to the sources"):
        predict_to_files(pipeline, expand_sources([photo]), outputs)
    assert labels.read_text() == "made in weeks"
    # Our own are replaced by the next run.
    labels.unlink()
    for _ in range(2):
        assert predict_to_files(pipeline, expand_sources([photo]), outputs).frames == 1


@posix
def test_two_outputs_that_are_one_file(tmp_path, pipeline):
    photo = image(tmp_path / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "out" / "x.csv")
    both = {"json": tmp_path / "link.json", "csv": tmp_path / "out" / "x.csv"}
    with pytest.raises(InputError, match="both to be written"):
        predict_to_files(pipeline, expand_sources([photo]), Outputs(both))
    both = {"csv": Path("/dev/stdout"), "json": Path("-")}
    with pytest.raises(InputError, match="both to be written"):
        predict_to_files(pipeline, expand_sources([photo]), Outputs(both))
    # The name of a file for all sources may be that of one source's.
    out = tmp_path / "out"
    both = {"json": out / "a_keypoints.json", "openpose": out}
    with pytest.raises(InputError, match="written twice"):
        predict_to_files(pipeline, expand_sources([photo]), Outputs(both))
    assert os.listdir(out) == []  # noqa: PTH208


# ---- folders
# ---------------------------------------------------------------------------------------------


def folder_with(path, **files):
    folder = AtomicFolder(path)
    for name, text in files.items():
        folder.write_text(name, text)
    folder.commit()


def test_a_file_of_others_under_a_new_name_of_ours_is_kept(tmp_path):
    folder_with(tmp_path / "out", a="1")
    (tmp_path / "out" / "b").write_text("mine")
    folder_with(tmp_path / "out", a="2", b="3")
    assert (tmp_path / "out" / "b").read_text() == "3"
    assert (tmp_path / "out" / "b.1").read_text() == "mine"


@posix
def test_a_folder_survives_a_kill_between_two_renames(tmp_path, monkeypatch):
    folder_with(tmp_path / "out", a="1")
    (tmp_path / "out" / "notes").write_text("mine")
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    code = (
        "import os, sys, pathlib\n"
        "from rtmpose import files\n"
        "folder = files.AtomicFolder(pathlib.Path(sys.argv[1]))\n"
        "folder.write_text('a', '2')\n"
        "def die(self, target):\n"
        "    os.rename(self, target)\n"
        "    os._exit(9)\n"
        "pathlib.Path.replace = die\n"
        "folder.commit()\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    assert run.returncode == 9
    assert not (tmp_path / "out").exists()
    remove_leftovers(tmp_path)
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert (tmp_path / "out" / "notes").read_text() == "mine"
    assert temporaries(tmp_path) == []
    folder_with(tmp_path / "out", a="2")
    assert (tmp_path / "out" / "link").is_symlink()


@posix
def test_temporary_files_of_dead_runs_are_removed_and_those_at_work_are_not(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "from rtmpose import files\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "kept = [files.AtomicFile(folder / 'a.csv'), files.AtomicFile(folder / 'v.mp4', suffix='.mp4'),"
        " files.AtomicFolder(folder / 'b')]\n"
        "kept[0].write('x')\n"
        "kept[2].write_text('y', 'z')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 3
    at_work = [AtomicFile(tmp_path / "c.csv"), AtomicFolder(tmp_path / "d")]
    # The names of others look alike.
    (tmp_path / ".a.csv.swp").write_text("editor")
    (tmp_path / ".a.tmp").write_text("mine")
    remove_leftovers(tmp_path)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {".a.csv.swp", ".a.tmp", at_work[0].temporary.name, at_work[1].temporary.name}
    at_work[0].commit()
    at_work[1].commit()
    assert (tmp_path / "d").is_dir()


def test_a_file_that_failed_once_is_never_completed(tmp_path, monkeypatch):
    file = AtomicFile(tmp_path / "a")
    file.write("one\n")
    original = file._text

    class Full:
        closed = False

        def write(self, _):
            raise OSError(28, "No space left on device")

    file._text = Full()
    with pytest.raises(OutputError, match="No space"):
        file.write("two\n")
    file._text = original
    with pytest.raises(OutputError, match="not written completely"):
        file.commit()
    assert list(tmp_path.iterdir()) == []


# ---- two runs, signals, kills
# ----------------------------------------------------------------------------


def outputs_of(out, *, single="all.csv"):
    found = ["-o", out, "--csv", out / single]
    for name in FORMATS:
        found += [f"--{name}", out] if name != "csv" else []
    return found


@posix
def test_the_second_of_two_runs_is_refused(tmp_path, options, capsys):
    video = clip(tmp_path / "a.avi", 150)
    out = tmp_path / "out"
    first = start(["track", video, *options, *outputs_of(out)])
    try:
        wait_for(lambda: (out / ".a.jsonl").parent.is_dir() and temporaries(out))
        wait_for(lambda: any(".jsonl." in name for name in temporaries(out)))
        for output in (["--csv", out / "all.csv"], ["--json", out], ["-o", out]):
            for command in ("predict", "track"):
                assert main([command, str(video), *options, *map(str, output)]) == 1
                error = capsys.readouterr().err
                assert error.count("\n") == 1
                assert f"process {first.pid} on" in error
    finally:
        text, errors = first.communicate(timeout=120)
    assert (first.returncode, errors) == (0, "")
    assert len((out / "a.jsonl").read_text().splitlines()) == 150
    assert len((out / "all.csv").read_text().splitlines()) == 151
    assert temporaries(out) == []


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("command", ["predict", "track"])
def test_signals_keep_what_was_done(tmp_path, options, command, number):
    """The exit status of the signal, no temporary file, and a line that says how to go on."""
    sources = [clip(tmp_path / "a.avi", 10), clip(tmp_path / "b.avi", 400)]
    out = tmp_path / "out"
    arguments = [command, *sources, *options, *outputs_of(out)]
    run = start(
        arguments, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    wait_for(lambda: any(".b.jsonl." in name for name in temporaries(out)))
    time.sleep(0.3)
    run.send_signal(number)
    text, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert "--resume" in errors
    assert "1 of 2 sources are finished" in errors
    assert str(out / "a.jsonl") in errors
    assert temporaries(out) == []
    kept = len((out / "b.jsonl").read_text().splitlines())
    assert 0 < kept < 400
    assert len((out / "all.csv").read_text().splitlines()) == 11 + kept
    assert main([str(a) for a in [*arguments, "--resume"]]) == 0
    assert len((out / "all.csv").read_text().splitlines()) == 411
    assert len((out / "b.jsonl").read_text().splitlines()) == 400
    assert temporaries(out) == []


@posix
def test_a_signal_before_the_first_frame_replaces_nothing(tmp_path, options, monkeypatch):
    video, out = clip(tmp_path / "a.avi", 5), tmp_path / "p.csv"
    out.write_text("before")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rtmpose.writers.job.Job._count", interrupted)
    assert main(["predict", str(video), *options, "--csv", str(out)]) == 130
    assert out.read_text() == "before"


def test_a_signal_while_the_last_files_are_written_waits(tmp_path, options, monkeypatch, capsys):
    from rtmpose.writers.outputs import OpenOutputs

    original = OpenOutputs.write_single_files

    def interrupted(self, *rest, **names):
        signal.raise_signal(signal.SIGINT)
        original(self, *rest, **names)

    monkeypatch.setattr(OpenOutputs, "write_single_files", interrupted)
    video, out = clip(tmp_path / "a.avi", 5), tmp_path / "p.csv"
    assert main(["predict", str(video), *options, "--csv", str(out)]) == 130
    assert len(out.read_text().splitlines()) == 6
    assert "everything was finished" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.avi", "models", "p.csv"]


@posix
def test_a_killed_run_is_set_aside_or_resumed(tmp_path, options, capsys):
    sources = [clip(tmp_path / "a.avi", 10), clip(tmp_path / "b.avi", 400)]
    out = tmp_path / "out"
    arguments = ["predict", *sources, *options, *outputs_of(out)]
    run = start(arguments)
    wait_for(lambda: any(".b.jsonl." in name for name in temporaries(out)))
    run.kill()
    run.communicate()
    assert temporaries(out)
    part = out / "all.csv.part"
    journal = part.read_bytes()
    limited = [str(a) for a in [*arguments, "--limit", "3"]]
    assert main([*limited, "--resume"]) == 1
    assert "other settings (limit)" in capsys.readouterr().err
    assert part.read_bytes() == journal
    assert main(limited) == 0
    assert temporaries(out) == []
    assert not part.exists()
    assert (out / "all.csv.part.1").read_bytes() == journal


def test_a_set_aside_journal_is_named(tmp_path, pipeline, caplog):
    photo = image(tmp_path / "a.jpg")
    part = tmp_path / "p.json.part"
    part.write_text("a download of mine")
    outputs = Outputs({"json": tmp_path / "p.json"})
    with pytest.raises(InputError, match="not the journal"):
        predict_to_files(pipeline, expand_sources([photo]), outputs, resume=True)
    (tmp_path / "p.json.part.1").write_text("older")
    predict_to_files(pipeline, expand_sources([photo]), outputs)
    assert (tmp_path / "p.json.part.1").read_text() == "older"
    assert (tmp_path / "p.json.part.2").read_text() == "a download of mine"
    assert "p.json.part.2" in caplog.text


def test_a_source_that_is_done_again_is_not_in_the_table_twice(tmp_path, options, monkeypatch):
    """Its file was deleted, or the source itself has changed, after the interruption."""
    sources = [clip(tmp_path / f"{n}.avi", 4) for n in "abc"]
    out = tmp_path / "out"
    arguments = ["predict", *sources, *options, "--csv", out / "all.csv", "--jsonl", out]
    arguments = [str(a) for a in arguments]
    count, calls = Pipeline.run, []

    def failing(self, items, **rest):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return count(self, items, **rest)

    monkeypatch.setattr(Pipeline, "run", failing)
    assert main(arguments) == 130
    (out / "a.jsonl").unlink()
    os.utime(sources[1], (1, 1))
    assert main([*arguments, "--resume"]) == 0
    rows = (out / "all.csv").read_text().splitlines()[1:]
    assert sorted({row.split(",")[0] for row in rows}) == [str(s) for s in sources]
    assert len(rows) == 12


def test_other_drawing_is_refused(tmp_path, options, capsys):
    video, out = str(clip(tmp_path / "a.avi", 3)), str(tmp_path / "out")
    assert main(["predict", video, *options, "-o", out]) == 0
    assert main(["predict", video, *options, "-o", out, "--kpt-thr", "0.7", "--resume"]) == 1
    assert "style" in capsys.readouterr().err


# ---- full disks
# ------------------------------------------------------------------------------------------


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def check_whole(path):
    """That a finished file of any format can be read to its end."""
    if path.is_dir():
        for file in path.iterdir():
            check_whole(file)
    elif path.suffix == ".json":
        assert json.loads(path.read_text()) is not None
    elif path.suffix == ".jsonl":
        assert all(json.loads(line) for line in path.read_text().splitlines())
    elif path.suffix in (".csv", ".txt"):
        rows = path.read_text()
        assert rows.endswith("\n")
        assert len({row.count(",") for row in rows.splitlines()}) == 1
    elif path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        assert parquet.read_table(path).num_rows
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            assert all(len(arrays[name]) for name in arrays.files)
    elif path.suffix == ".mp4":
        assert frames_of(path)
    elif path.suffix == ".jpg":
        assert cv2.imread(str(path)) is not None
    else:
        assert path.name.startswith(".rtmpose") or ".part" in path.name, path


@posix
@pytest.mark.parametrize("limit", [700, 2000, 6000, 15000, 23000])
def test_no_half_file_after_a_failed_write(tmp_path, options, limit):
    """Every file is limited in size, so that each format fails somewhere else."""
    import resource

    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    sources = [clip(tmp_path / "in" / "a.avi", 40) if (tmp_path / "in").mkdir() is None else None]
    sources.append(image(tmp_path / "in" / "b.jpg"))
    out = tmp_path / "out"

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = start(["predict", *sources, *options, *outputs_of(out)], preexec_fn=limited)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert re.search(r"rtmpose: .* cannot be written", errors)
    assert temporaries(out) == []
    for path in out.iterdir():
        assert path.is_dir() or path.stat().st_size > 0
        check_whole(path)


@pytest.mark.parametrize("name", FORMATS)
def test_one_failing_format_leaves_the_others_all_frames(tmp_path, pipeline, monkeypatch, name):
    """It fails in the middle, or at its end: the others have every frame of the source."""
    from rtmpose.writers import format_named

    maker = format_named(name).writer
    write = maker.write

    def failing(self, record):
        if record.index == 3:
            raise OutputError("no space")
        write(self, record)

    video = clip(tmp_path / "a.avi", 6)
    for method, change in (("write", failing), ("close", None)):
        with monkeypatch.context() as patch:
            if change is None:

                def change(self):
                    raise OutputError("no space")

            patch.setattr(maker, method, change)
            out = tmp_path / method
            outputs = Outputs(dict.fromkeys(FORMATS, out), out)
            with pytest.raises(OutputError, match="no space"):
                predict_to_files(pipeline, expand_sources([video]), outputs)
        assert temporaries(out) == []
        suffix = format_named(name).suffix
        assert not (out / f"a{suffix}").exists()
        others = [n for n in FORMATS if n != name]
        assert all((out / f"a{format_named(n).suffix}").exists() for n in others)


def test_tables_for_all_sources_are_closed_each_on_its_own(tmp_path, pipeline, monkeypatch):
    from rtmpose.writers.coco_json import CocoJsonWriter

    def failing(self):
        raise OutputError("no space")

    monkeypatch.setattr(CocoJsonWriter, "close", failing)
    outputs = {
        "json": tmp_path / "p.json",
        "csv": tmp_path / "p.csv",
        "jsonl": tmp_path / "p.jsonl",
    }
    video = clip(tmp_path / "a.avi", 6)
    with pytest.raises(OutputError, match="no space"):
        predict_to_files(pipeline, expand_sources([video]), Outputs(outputs))
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 7
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == 6
    assert temporaries(tmp_path) == []
    assert (tmp_path / "p.json.part").exists()


# ---- devices, pipes, standard output
# ---------------------------------------------------------------------


@posix
def test_outputs_keep_links_and_devices(tmp_path, pipeline):
    video = clip(tmp_path / "a.avi", 3)
    (tmp_path / "real").mkdir()
    for name in ("p.csv", "p.json"):
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
    outputs = Outputs(
        {"csv": tmp_path / "p.csv", "json": tmp_path / "p.json", "jsonl": Path("/dev/null")}
    )
    predict_to_files(pipeline, expand_sources([video]), outputs)
    assert (tmp_path / "p.csv").is_symlink()
    assert len((tmp_path / "real" / "p.csv").read_text().splitlines()) == 4
    assert Path("/dev/null").is_char_device()
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == ["p.csv", "p.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        ("> /dev/full", 1, "standard output cannot be written: No space left"),
        ("| head -c 1 > /dev/null", 1, ""),
        (">&-", 0, ""),
    ],
)
@pytest.mark.parametrize("arguments", [["models", "list"], ["--help"], ["--version"]])
def test_standard_output_that_is_gone(arguments, end, status, words, unbuffered):
    command = " ".join([sys.executable, "-m", "rtmpose", *arguments])
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    line = f"set -o pipefail; {command} {end}"
    run = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=environment, check=False
    )
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
    assert words in run.stderr
    if "head" in end:
        # A reader may take all of a short text before it leaves.
        assert run.returncode in (0, 1)
        assert run.stderr == ""
    else:
        assert run.returncode == status


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("--csv - > /dev/full", "- cannot be written: No space left"),
        ("--csv /dev/full", "/dev/full cannot be written: No space left"),
        ("--csv - >&-", "standard output is closed"),
        ("--csv - >&- 2>&-", ""),
        ("--csv OUT > /dev/full", "standard output cannot be written"),
    ],
)
def test_results_that_nobody_can_take(tmp_path, options, end, words):
    video = clip(tmp_path / "a.avi", 3)
    out = tmp_path / "p.csv"
    parts = [sys.executable, "-m", "rtmpose", "predict", str(video), *options]
    line = " ".join([*parts, end.replace("OUT", str(out))])
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert words in run.stderr
    assert len(run.stderr.splitlines()) <= 1
    # What was asked for as a file is there.
    assert out.exists() == ("OUT" in end)


@posix
def test_closed_streams_do_not_reach_files(tmp_path, options):
    """With descriptor 1 closed the next file would get its number, and prints of libraries."""
    video, out = clip(tmp_path / "a.avi", 3), tmp_path / "p.csv"
    code = (
        "import os, sys\n"
        "import rtmpose.writers.csv_table as table\n"
        "from rtmpose.cli import main\n"
        "close = table.CsvWriter.close\n"
        "def noisy(self):\n"
        "    os.write(1, b'noise of a library')\n"
        "    close(self)\n"
        "table.CsvWriter.close = noisy\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["predict", str(video), *options, "--csv", str(out)]
    line = " ".join([f"exec {sys.executable} -c '{code.replace(chr(39), chr(34))}'", *arguments])
    run = subprocess.run(["bash", "-c", f"{line} <&- >&-"], check=False)
    assert run.returncode == 0
    assert "noise" not in out.read_text()


# ---- live sources and boxes
# ------------------------------------------------------------------------------


class Capture:
    """A camera that gives some frames and dies for good."""

    def __init__(self, frames):
        self.left = frames

    def read(self):
        self.left -= 1
        return (True, np.zeros((60, 80, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self):
        pass


def dying(monkeypatch, frames):
    import rtmpose.sources.video as video

    captures = {}

    def opened(item):
        return captures.setdefault(item.name, Capture(frames[item.name]))

    monkeypatch.setattr(video, "_open", opened)
    monkeypatch.setattr(video.time, "sleep", lambda _: None)


@pytest.mark.parametrize("command", ["predict", "track"])
def test_a_stream_that_dies_for_good_is_a_failure(tmp_path, options, monkeypatch, capsys, command):
    dying(monkeypatch, {"rtsp://a/live": 3})
    out = tmp_path / "out"
    arguments = [command, "rtsp://a/live", *options, "--jsonl", str(out)]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "rtsp://a/live gave no frame any more after" in error
    assert "Traceback" not in error
    assert (out / "live.jsonl").exists()


def test_streams_that_live_on_are_followed_to_their_end(tmp_path, options, monkeypatch, capsys):
    dying(monkeypatch, {"rtsp://a/one": 2, "rtsp://a/two": 60})
    out = tmp_path / "out"
    sources = ["rtsp://a/one", "rtsp://a/two"]
    arguments = ["track", *sources, *options, "--jsonl", str(out), "--together"]
    assert main([*arguments, "--limit", "30"]) == 1
    assert "rtsp://a/one gave no frame any more" in capsys.readouterr().err
    indices = [json.loads(line)["frame"] for line in (out / "two.jsonl").read_text().splitlines()]
    assert len(indices) > 5


def test_a_boxes_file_that_matches_nothing(tmp_path, options, caplog):
    photo = image(tmp_path / "a.jpg")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image": "other.jpg", "bbox": [1, 2, 30, 40]}]))
    arguments = ["predict", str(photo), *options, "--boxes", str(boxes), "--json"]
    assert main([*arguments, str(tmp_path / "p.json")]) == 0
    assert str(boxes) in caplog.text
    assert "'other.jpg'" in caplog.text
    caplog.clear()
    boxes.write_text(json.dumps([{"image": "a.jpg", "bbox": [1, 2, 30, 40]}]))
    assert main([*arguments, str(tmp_path / "q.json")]) == 0
    assert caplog.text == ""


def test_results_are_written_as_before(tmp_path):
    """Files that are replaced while a lock is held on them can be read at once."""
    for text in ("one", "two"):
        write_text(tmp_path / "a", text)
        assert (tmp_path / "a").read_text() == text
