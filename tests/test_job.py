"""The job behind `predict` and `track`: outputs of many sources, kills, full disks."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip, threads
from jobs import in_a_process
from networks import fixed_detector, spot_pose

from rtmpose import Pipeline, files
from rtmpose.cli import main
from rtmpose.draw import DrawStyle
from rtmpose.errors import InputError, MissingDependencyError, ModelError, OutputError
from rtmpose.sources import expand_sources
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import Outputs


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    pose = spot_pose(folder / "spot.onnx", named=True)
    boxes = [[8, 4, 40, 44, 0.9], [0, 0, 30, 40, 0.5]]
    detector = fixed_detector(folder / "yolox_t.onnx", boxes)
    return str(detector), str(pose)


@pytest.fixture
def pipeline(models):
    # The network answers alike in both boxes: both are shown only with everybody.
    return Pipeline(*models, backend="onnxruntime", device="cpu", threads=1, person_thr=0)


@pytest.fixture
def options(models):
    engine = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
    return ["--detector", models[0], "--pose", models[1], "--person-thr", "0", *engine]


def photo(path, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((60, 80, 3), value, np.uint8))
    return path


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_from_python(tmp_path, pipeline):
    photo(tmp_path / "in" / "a.jpg")
    clip(tmp_path / "in" / "b.avi", 5)
    out, seen = tmp_path / "out", []
    outputs = Outputs(
        {"csv": out, "json": out / "all.json", "openpose": out}, out, style=DrawStyle(kpt_thr=0.2)
    )
    items = expand_sources([tmp_path / "in"])
    report = predict_to_files(pipeline, items, outputs, on_progress=seen.append)
    assert visible(out) == [
        "a.csv", "a.jpg", "a_keypoints.json", "all.info.json", "all.json", "b.csv",
        "b.info.json", "b.mp4", "b_openpose",
    ]  # fmt: skip
    assert (report.frames, report.people, report.failures) == (6, 12, [])
    described = {"all.info.json", "b.info.json"}
    assert {p.name for p in report.written} == set(visible(out)) - described
    assert [(s.frames, s.total) for s in seen] == [(1, 1), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert threads() == 0


def test_names_that_differ_only_in_suffix(tmp_path, options, capsys):
    suffixes = ("bmp", "jpg", "png", "tif", "webp")
    for k, suffix in enumerate(suffixes):
        photo(tmp_path / "in" / f"fm.{suffix}", 40 * k)
    out = tmp_path / "out"
    arguments = ["predict", str(tmp_path / "in"), *options, "-o", str(out), "--csv", str(out)]
    assert main(arguments) == 0
    stems = ["fm", "fm_2", "fm_3", "fm_4", "fm_5"]
    assert visible(out) == sorted(
        [f"{s}.csv" for s in stems] + ["fm.jpg", "fm_2.jpg", "fm_3.png", "fm_4.jpg", "fm_5.jpg"]
    )
    # A new source that sorts first does not take the names of those that are done.
    photo(tmp_path / "in" / "fm.avif.bmp", 10)
    (tmp_path / "in" / "fm.avif.bmp").rename(tmp_path / "in" / "FM.bmp")
    before = (out / "fm.csv").read_bytes()
    assert main([*arguments, "--resume"]) == 0
    assert "5 sources were finished" in capsys.readouterr().out
    assert (out / "fm.csv").read_bytes() == before
    assert "fm.bmp" in before.decode()
    assert "FM_6.jpg" in visible(out)


def test_a_source_named_twice_is_read_once(tmp_path, pipeline):
    a = photo(tmp_path / "a.jpg")
    report = predict_to_files(
        pipeline, expand_sources([a, a]), Outputs({"json": tmp_path / "p.json"})
    )
    assert (report.frames, report.skipped) == (1, 0)
    assert len(json.loads((tmp_path / "p.json").read_text())) == 2


@pytest.mark.parametrize(
    ("formats", "folder", "error", "words"),
    [
        (
            {"json": "in/a.jpg"},
            None,
            OutputError,
            "cannot be made: .*a.jpg is a file, not a folder",
        ),
        ({}, "in/a.jpg", InputError, "name of one file, but there are"),
        ({"csv": "new.json"}, None, InputError, "do not end in .json.*ends in .csv"),
        ({"openpose": "new.json"}, None, InputError, "give the name of a folder$"),
        ({}, "new.MP4", InputError, "name of one file, but there are"),
        ({"csv": "in/a.csv"}, None, InputError, "one of the sources"),
        ({}, "in", InputError, "one of the sources"),
        ({"mot": "all.txt"}, None, InputError, "several sources"),
        (
            {"csv": "x.csv", "json": "x.csv"},
            None,
            InputError,
            r"--csv and --json are both to be written to .*x.csv;.*ends in .json",
        ),
        (
            {"csv": "loop/x.csv"},
            None,
            OutputError,
            "loop is a symbolic link that leads nowhere, not a folder",
        ),
        (
            {"csv": "in/a.jpg/x.csv"},
            None,
            OutputError,
            "cannot be written: .*a.jpg is a file, not a folder",
        ),
        ({"xml": "x.xml"}, None, InputError, "no output format"),
    ],
)
def test_outputs_that_cannot_be(tmp_path, pipeline, formats, folder, error, words):
    """Refused before anything is done, and nothing is touched."""
    photo(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "a.csv").write_bytes(photo(tmp_path / "in" / "b.png").read_bytes())
    (tmp_path / "loop").symlink_to("loop")
    sources = expand_sources([tmp_path / "in", tmp_path / "in" / "a.csv"])
    before = {p: p.read_bytes() for p in (tmp_path / "in").iterdir()}
    outputs = Outputs(
        {name: tmp_path / path for name, path in formats.items()},
        tmp_path / folder if folder else None,
    )
    with pytest.raises(error, match=words):
        predict_to_files(pipeline, sources, outputs)
    assert {p: p.read_bytes() for p in (tmp_path / "in").iterdir()} == before


def test_no_empty_file_where_no_source_could_be_read(tmp_path, pipeline):
    """It would look like a result; where a source has nobody in it, it is one."""
    (tmp_path / "a.jpg").write_bytes(b"no image")
    out = tmp_path / "all.csv"
    sources = expand_sources([tmp_path / "a.jpg"])
    report = predict_to_files(pipeline, sources, Outputs({"csv": out}))
    assert (len(report.failures), report.written) == (1, [])
    assert not out.exists()


def test_two_formats_in_one_pipe(tmp_path, pipeline):
    photo(tmp_path / "a.jpg")
    outputs = Outputs({"csv": Path("-"), "json": Path("-")})
    with pytest.raises(InputError, match="--csv and --json are both"):
        predict_to_files(pipeline, expand_sources([tmp_path / "a.jpg"]), outputs)


def test_a_missing_package_is_told_first(tmp_path, pipeline, monkeypatch):
    import importlib.util

    photo(tmp_path / "a.jpg")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    outputs = Outputs({"parquet": tmp_path / "x.parquet"})
    with pytest.raises(MissingDependencyError, match=r"rtmpose\[parquet\]"):
        predict_to_files(pipeline, expand_sources([tmp_path / "a.jpg"]), outputs)


def test_results_on_standard_output(tmp_path, options, capsys):
    photo(tmp_path / "a.jpg")
    assert main(["predict", str(tmp_path / "a.jpg"), *options, "--jsonl", "-"]) == 0
    captured = capsys.readouterr()
    _, line = captured.out.splitlines()
    assert len(json.loads(line)["people"]) == 2
    assert "1 frame, 2 people" in captured.err
    assert visible(tmp_path) == ["a.jpg", "models"]


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_pipe_gets_frames_as_they_come(tmp_path, pipeline):
    pipe, lines, early = tmp_path / "pipe", [], []
    os.mkfifo(pipe)

    def read():
        with pipe.open() as file:
            for line in iter(file.readline, ""):
                lines.append(line)

    def on_progress(state):
        if state.frames == 8:
            deadline = time.monotonic() + 5
            while not lines and time.monotonic() < deadline:
                time.sleep(0.01)
            early.append(bool(lines))

    reader = threading.Thread(target=read)
    reader.start()
    items = expand_sources([clip(tmp_path / "a.avi", 12)])
    predict_to_files(pipeline, items, Outputs({"jsonl": pipe}), on_progress=on_progress)
    reader.join(10)
    assert early == [True]
    assert [json.loads(line)["frame"] for line in lines[1:]] == list(range(12))


def test_a_reader_that_leaves_is_no_traceback(tmp_path, options):
    a = clip(tmp_path / "a.avi", 200)
    line = [sys.executable, "-m", "rtmpose", "predict", str(a), *options, "--csv", "-"]
    with in_a_process(line) as process:
        assert process.stdout.readline().startswith("source,frame")
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        assert process.wait(60) == 1
    assert error == ""


def test_nobody_in_any_source(tmp_path, options):
    photo(tmp_path / "a.jpg")
    out = tmp_path / "p.json"
    assert main(["predict", str(tmp_path / "a.jpg"), *options, "--json", str(out),
                 "--box-thr", "0.99"]) == 0  # fmt: skip
    assert json.loads(out.read_text()) == []


# ---- interruptions
# -------------------------------------------------------------------------------------


def test_a_full_disk_keeps_what_was_there(tmp_path, pipeline, monkeypatch):
    items = expand_sources([photo(tmp_path / "in" / "a.jpg")])
    out = tmp_path / "out"
    out.mkdir()
    (out / "p.json").write_text("before")

    def full(_):
        raise OSError(28, "No space left on device")

    def fill(_):
        monkeypatch.setattr(files.os, "fsync", full)

    with pytest.raises(OutputError, match="No space left"):
        predict_to_files(pipeline, items, Outputs({"json": out / "p.json"}), on_progress=fill)
    assert (out / "p.json").read_text() == "before"
    assert {p.name for p in out.iterdir()} == {"p.json", "p.json.part"}
    monkeypatch.undo()
    report = predict_to_files(pipeline, items, Outputs({"json": out / "p.json"}), resume=True)
    assert (report.frames, report.skipped) == (0, 1)
    assert len(json.loads((out / "p.json").read_text())) == 2
    assert visible(out) == ["p.json"]


def test_one_failing_file_does_not_take_the_others_along(tmp_path, pipeline, monkeypatch):
    from rtmpose.writers.csv_table import CsvWriter

    def failing(self):
        raise OutputError("the table cannot be written")

    monkeypatch.setattr(CsvWriter, "close", failing)
    items = expand_sources([clip(tmp_path / "a.avi", 4)])
    out = tmp_path / "out"
    with pytest.raises(OutputError, match="the table"):
        predict_to_files(pipeline, items, Outputs({"csv": out, "jsonl": out}, out))
    assert visible(out) == ["a.jsonl", "a.mp4"]
    assert [p.name for p in out.iterdir() if p.name.endswith(".tmp")] == []


def test_interrupted_predict_keeps_files_per_source(tmp_path, options, monkeypatch):
    from rtmpose.pose_estimator import PoseEstimator

    for k in (1, 2, 3):
        photo(tmp_path / "in" / f"{k}.jpg", 40 * k)
    calls, original = [], PoseEstimator.estimate_batch

    def call(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(PoseEstimator, "estimate_batch", call)
    out = tmp_path / "out"
    arguments = ["predict", str(tmp_path / "in"), *options, "--csv", str(out), "-o", str(out)]
    assert main(arguments) == 130
    assert visible(out) == ["1.csv", "1.jpg", "2.csv", "2.jpg"]
    assert main([*arguments, "--resume"]) == 0
    assert visible(out) == ["1.csv", "1.jpg", "2.csv", "2.jpg", "3.csv", "3.jpg"]
    assert len(calls) == 4


SCRIPT = """
import sys, time
from rtmpose.cli import main
from rtmpose.draw import draw_frame
import rtmpose.writers.job as job
counted = job.Job._count
def slowly(self, *rest):
    counted(self, *rest)
    time.sleep(0.02)
job.Job._count = slowly
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("command", ["predict", "track"])
def test_killed_at_any_time_the_results_are_the_same(tmp_path, options, command):
    """Killed again and again and resumed: byte for byte what an undisturbed run writes."""
    sources = [str(clip(tmp_path / f"{n}.avi", 12)) for n in "abc"]

    def arguments(out):
        out.mkdir(exist_ok=True)
        single = ["--json", str(out / "all.json"), "--csv", str(out / "all.csv")]
        per_source = ["--mot", str(out), "--jsonl", str(out)]
        return [command, *sources, *options, *single, *per_source, "--resume"]

    assert main(arguments(tmp_path / "whole")) == 0
    killed = tmp_path / "killed"
    line = [sys.executable, "-c", SCRIPT, *arguments(killed)]
    deaths = 0
    for k in range(40):
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=1.0 + 0.17 * k)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            deaths += 1
    assert process.returncode == 0
    assert deaths > 0
    names = {p.name for p in (tmp_path / "whole").iterdir()}
    left = {p.name for p in killed.iterdir() if not p.name.endswith(".tmp")}
    assert names == left
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (killed / name).read_bytes(), name


def test_values_that_are_not_numbers_are_refused(tmp_path, pipeline, monkeypatch):
    """A damaged network gives them; no file may hold them, and what was done before is kept."""
    photo(tmp_path / "in" / "a.jpg")
    photo(tmp_path / "in" / "b.jpg")
    run = pipeline.run

    def damaged(items, **how):
        for result in run(items, **how):
            if items[0].name.endswith("b.jpg"):
                result.poses.keypoints[:] = np.nan
            yield result

    monkeypatch.setattr(pipeline, "run", damaged)
    out = tmp_path / "out"
    outputs = Outputs({"json": out, "jsonl": out})
    with pytest.raises(ModelError, match=r"not numbers for frame 0 of .*b.jpg"):
        predict_to_files(pipeline, expand_sources([tmp_path / "in"]), outputs)
    assert sorted(p.name for p in out.glob("[!.]*")) == ["a.json", "a.jsonl"]
