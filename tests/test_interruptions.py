"""Two runs on one output, signals and kills, in real processes."""

import importlib
import os
import signal
import time

import pytest
from clips import clip
from jobs import image, listen_to_sigint, outputs_of, posix, start, temporaries, wait_for

from rtmpose import Pipeline
from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.signals import end_as_interrupt
from rtmpose.sources import expand_sources
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import OutputPlan, Outputs


@posix
def test_the_second_of_two_runs_is_refused(tmp_path, job_options, capsys):
    video = clip(tmp_path / "a.avi", 150)
    out = tmp_path / "out"
    with start(["track", video, *job_options, *outputs_of(out)]) as first:
        wait_for(lambda: (out / ".a.jsonl").parent.is_dir() and temporaries(out))
        wait_for(lambda: any(".jsonl." in name for name in temporaries(out)))
        rivals = (["track", "--csv", out / "all.csv"], ["predict", "--json", out])
        for command, option, path in rivals:
            assert main([command, str(video), *job_options, option, str(path)]) == 1
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert f"process {first.pid} on" in error
        _, errors = first.communicate(timeout=120)
    # A long run may say that there is a faster engine.
    told = [line for line in errors.splitlines() if "a faster engine" not in line]
    assert (first.returncode, told) == (0, [])
    assert len((out / "a.jsonl").read_text().splitlines()) == 151
    assert len((out / "all.csv").read_text().splitlines()) == 151
    assert temporaries(out) == []


@posix
@pytest.mark.parametrize(
    ("command", "name"),
    [("predict", "SIGTERM"), ("track", "SIGTERM"), ("track", "SIGINT"), ("track", "SIGHUP")],
)
def test_signals_keep_what_was_done(tmp_path, job_options, command, name):
    """The exit status of the signal, no temporary file, and a line that says how to go on."""
    number = getattr(signal, name)
    sources = [clip(tmp_path / "a.avi", 10), clip(tmp_path / "b.avi", 200)]
    out = tmp_path / "out"
    arguments = [command, *sources, *job_options, *outputs_of(out)]
    with start(arguments, preexec_fn=listen_to_sigint) as run:
        wait_for(lambda: any(".b.jsonl." in name for name in temporaries(out)))
        time.sleep(0.3)
        run.send_signal(number)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert "--resume" in errors
    assert "1 of 2 sources are finished" in errors
    assert str(out / "a.jsonl") in errors
    assert temporaries(out) == []
    kept = len((out / "b.jsonl").read_text().splitlines()) - 1
    assert 0 < kept < 200
    assert len((out / "all.csv").read_text().splitlines()) == 11 + kept
    assert main([str(a) for a in [*arguments, "--resume"]]) == 0
    assert len((out / "all.csv").read_text().splitlines()) == 211
    assert len((out / "b.jsonl").read_text().splitlines()) == 201
    assert temporaries(out) == []


@posix
def test_a_signal_before_the_first_frame_replaces_nothing(tmp_path, job_options, monkeypatch):
    video, out = clip(tmp_path / "a.avi", 5), tmp_path / "p.csv"
    out.write_text("before")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rtmpose.writers.job.Job._count", interrupted)
    assert main(["predict", str(video), *job_options, "--csv", str(out)]) == 130
    assert out.read_text() == "before"


def test_a_signal_waits_for_the_last_files(tmp_path, job_options, monkeypatch, capsys):
    from rtmpose.writers.open_outputs import OpenOutputs

    original = OpenOutputs.write_single_files

    def interrupted(self, *rest, **names):
        signal.raise_signal(signal.SIGINT)
        original(self, *rest, **names)

    monkeypatch.setattr(OpenOutputs, "write_single_files", interrupted)
    video, out = clip(tmp_path / "a.avi", 5), tmp_path / "p.csv"
    assert main(["predict", str(video), *job_options, "--csv", str(out)]) == 130
    assert len(out.read_text().splitlines()) == 6
    assert "everything was finished" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.avi",
        "models",
        "p.csv",
        "p.info.json",
    ]


@posix
def test_a_killed_run_is_set_aside_or_resumed(tmp_path, job_options, capsys):
    sources = [clip(tmp_path / "a.avi", 10), clip(tmp_path / "b.avi", 200)]
    out = tmp_path / "out"
    arguments = ["predict", *sources, *job_options, *outputs_of(out)]
    with start(arguments) as run:
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


def test_a_set_aside_journal_is_named(tmp_path, job_pipeline, caplog):
    photo = image(tmp_path / "a.jpg")
    part = tmp_path / "p.json.part"
    part.write_text("a download of mine")
    outputs = Outputs({"json": tmp_path / "p.json"})
    with pytest.raises(InputError, match="not the journal"):
        predict_to_files(job_pipeline, expand_sources([photo]), outputs, resume=True)
    (tmp_path / "p.json.part.1").write_text("older")
    predict_to_files(job_pipeline, expand_sources([photo]), outputs)
    assert (tmp_path / "p.json.part.1").read_text() == "older"
    assert (tmp_path / "p.json.part.2").read_text() == "a download of mine"
    assert "p.json.part.2" in caplog.text


def test_a_source_that_is_done_again_is_not_in_the_table_twice(tmp_path, job_options, monkeypatch):
    """Its file was deleted, or the source itself has changed, after the interruption."""
    sources = [clip(tmp_path / f"{n}.avi", 4) for n in "abc"]
    out = tmp_path / "out"
    arguments = ["predict", *sources, *job_options, "--csv", out / "all.csv", "--jsonl", out]
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


def test_other_drawing_is_refused(tmp_path, job_options, capsys):
    video, out = str(clip(tmp_path / "a.avi", 3)), str(tmp_path / "out")
    assert main(["predict", video, *job_options, "-o", out]) == 0
    assert main(["predict", video, *job_options, "-o", out, "--kpt-thr", "0.7", "--resume"]) == 1
    assert "style" in capsys.readouterr().err


@posix
def test_a_signal_while_locks_are_taken_leaves_none(tmp_path, job_pipeline, monkeypatch):
    lock = OutputPlan.lock

    def interrupted(plan):
        locks = lock(plan)
        signal.raise_signal(signal.SIGTERM)
        return locks

    monkeypatch.setattr(OutputPlan, "lock", interrupted)
    items = expand_sources([image(tmp_path / "a.jpg")])
    with end_as_interrupt(), pytest.raises(KeyboardInterrupt):
        predict_to_files(job_pipeline, items, Outputs({"json": tmp_path / "p.json"}))
    assert temporaries(tmp_path) == []


def test_a_signal_during_an_import_comes_after_it(tmp_path, monkeypatch):
    """Half a module stays in memory, and its errors would hide the interruption."""
    (tmp_path / "interrupted_module.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\n"
        "for _ in range(10):\n    time.sleep(0.01)\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def import_it() -> None:
        module = importlib.import_module("interrupted_module")
        assert module.whole
        time.sleep(5)

    with end_as_interrupt() as received, pytest.raises(KeyboardInterrupt):
        import_it()
    assert received == [signal.SIGTERM]


def test_an_error_that_a_library_makes_of_a_signal_is_no_error(monkeypatch, capsys):
    def interrupted(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            raise InputError("a library failed") from None

    monkeypatch.setattr("rtmpose.cli.app.make_app", lambda _: interrupted)
    assert main(["predict"]) == 128 + signal.SIGTERM
    assert "interrupted by SIGTERM" in capsys.readouterr().err
