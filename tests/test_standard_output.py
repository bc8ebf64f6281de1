"""Devices, links, and standard output that is closed, full, or read by nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import clip
from jobs import posix

from rtmpose.sources import expand_sources
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import Outputs


@posix
def test_outputs_keep_links_and_devices(tmp_path, job_pipeline):
    video = clip(tmp_path / "a.avi", 3)
    (tmp_path / "real").mkdir()
    for name in ("p.csv", "p.json"):
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
    outputs = Outputs(
        {"csv": tmp_path / "p.csv", "json": tmp_path / "p.json", "jsonl": Path("/dev/null")}
    )
    predict_to_files(job_pipeline, expand_sources([video]), outputs)
    assert (tmp_path / "p.csv").is_symlink()
    assert len((tmp_path / "real" / "p.csv").read_text().splitlines()) == 4
    assert Path("/dev/null").is_char_device()
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == ["p.csv", "p.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("arguments", "end", "status", "words", "unbuffered"),
    [
        (["models", "list"], "> /dev/full", 1, "standard output cannot be written: No space", ""),
        (["models", "list"], "> /dev/full", 1, "standard output cannot be written: No space", "1"),
        (["models", "list"], "| head -c 1 > /dev/null", 1, "", ""),
        (["models", "list"], ">&-", 0, "", ""),
        (["doctor"], ">&- 2>&-", 0, "", ""),
        (["--version"], "> /dev/full", 1, "standard output cannot be written: No space", ""),
        (["--version"], ">&-", 0, "", ""),
        (["--help"], "> /dev/full", 1, "standard output cannot be written: No space", ""),
    ],
)
def test_standard_output_that_is_gone(arguments, end, status, words, unbuffered):
    command = " ".join([sys.executable, "-m", "rtmpose", *arguments])
    # COLUMNS would decide the width without a look at the terminal.
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "COLUMNS": ""}
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
def test_results_that_nobody_can_take(tmp_path, job_options, end, words):
    video = clip(tmp_path / "a.avi", 3)
    out = tmp_path / "p.csv"
    parts = [sys.executable, "-m", "rtmpose", "predict", str(video), *job_options]
    line = " ".join([*parts, end.replace("OUT", str(out))])
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert words in run.stderr
    assert len(run.stderr.splitlines()) <= 1
    # What was asked for as a file is there.
    assert out.exists() == ("OUT" in end)


@posix
def test_closed_streams_do_not_reach_files(tmp_path, job_options):
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
    arguments = ["predict", str(video), *job_options, "--csv", str(out)]
    line = " ".join([f"exec {sys.executable} -c '{code.replace(chr(39), chr(34))}'", *arguments])
    run = subprocess.run(["bash", "-c", f"{line} <&- >&-"], check=False)
    assert run.returncode == 0
    assert "noise" not in out.read_text()


@posix
def test_a_terminal_of_ascii_shows_all_lists():
    """``LC_ALL=C`` without Python's UTF-8 mode: other characters are shown as codes."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run(
        [sys.executable, "-m", "rtmpose", "models", "list"],
        env={**os.environ, **ascii_only},
        capture_output=True,
        check=False,
    )
    assert (run.returncode, b"Traceback" in run.stderr) == (0, False)


@posix
def test_an_ascii_file_system_refuses_other_names_in_a_line(tmp_path):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = (
        "from pathlib import Path\nfrom rtmpose.errors import OutputError\n"
        "from rtmpose.files import atomic_text\n"
        "try:\n    with atomic_text(Path('\\u00e9.json')) as file: file.write('x')\n"
        "except OutputError as error: print('refused')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ascii_only},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert run.stdout == b"refused\n", run.stderr


@posix
def test_a_deleted_current_folder_is_one_line(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    code = (
        f"import os, sys\nos.rmdir({str(folder)!r})\nfrom rtmpose.cli import main\n"
        "sys.exit(main(['predict', 'a.jpg', '--json', 'out', '--csv', 'x.csv']))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=False)
    assert run.returncode == 1
    assert b"Traceback" not in run.stderr
