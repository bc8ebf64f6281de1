"""Help texts: complete, and whole at every width."""

import subprocess
import sys
import typing
from itertools import pairwise

import pytest
import typer
from annotated import coco_folder
from networks import spot_person

from rtmpose.cli import main
from rtmpose.cli.annotations import annotations_of
from rtmpose.cli.help_text import join_lines
from rtmpose.cli.numbers import ranges_of
from rtmpose.cli.terminal import print_report
from rtmpose.ranges import COUNT
from rtmpose.writers.report import JobReport

COMMANDS = (
    "predict", "track", "convert", "angles", "plot", "view", "serve", "batch",
    "eval", "eval pose", "eval detector",
    "eval classifier", "export", "verify", "bench", "train", "prune", "doctor", "data",
    "data check", "data convert", "data show", "data formats", "models", "models list",
    "models info", "models download", "models verify",
)  # fmt: skip


def test_lines_of_a_paragraph_are_joined_and_examples_stay():
    text = """First
    of all.

    Second.

    Examples:
      rtmpose one
      rtmpose two
    """
    assert join_lines(text) == (
        "First of all.\n\nSecond.\n\nExamples:\n  rtmpose one\n  rtmpose two"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_ends_early(command, capsys, monkeypatch):
    """Prose fills the terminal: no line break of the source is left in the middle of a sentence."""
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("TERMINAL_WIDTH", "500")
    assert main([*command.split(), "--help"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    prose = [line for line in lines if line.startswith(" ") and not line.startswith("  ")]
    broken = [a for a, b in pairwise(lines) if a in prose and b in prose and not a.endswith(":")]
    assert broken == []


def test_options_of_long_commands_are_in_panels(capsys):
    panels = {
        "train": ("Annotated data", "Models", "Output", "Hardware"),
        "prune": ("Budget", "Annotated data", "Models", "Removal of channels", "Output"),
        "export": ("Format", "Models", "Pipeline of detector and pose model", "Output"),
    }
    for command, names in panels.items():
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert all(f"─ {name} ─" in text for name in names), command


def test_the_report_counts_in_good_english(tmp_path, capsys):
    report = JobReport(frames=1, people=1, skipped=1, seconds=1.0)
    assert print_report(report) == 0
    text = capsys.readouterr().out
    assert "1 frame, 1 person in" in text
    assert "1 source was finished" in text
    assert "nothing was written" not in text  # the poses of a single frame are printed

    report = JobReport(frames=2, people=0, skipped=2, seconds=1.0)
    print_report(report)
    text = capsys.readouterr().out
    assert "2 frames, 0 people in" in text
    assert "2 sources were finished" in text
    assert "nothing was written: -o FOLDER" in text
    print_report(report, shown=True)
    assert "nothing was written" not in capsys.readouterr().out

    report.written = [tmp_path / "a" / f"{k}.jpg" for k in range(12)]
    print_report(report)
    assert f"... and 2 more in {tmp_path / 'a'}" in capsys.readouterr().out
    report.written.append(tmp_path / "all.csv")
    print_report(report)
    assert "... and 3 more\n" in capsys.readouterr().out


def test_bench_with_the_name_of_a_model(capsys):
    assert main(["bench", "rtmpose-s"]) == 1
    error = capsys.readouterr().err
    assert "rtmpose-s is a model" in error
    assert "--networks rtmpose-s" in error


@pytest.mark.parametrize("command", ["export", "train"])
def test_one_stage_models_are_refused_in_clear_words(command, tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("RTMPOSE_OFFLINE", "1")
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path))
    model = str(spot_person(tmp_path / "person.onnx"))
    coco_folder(tmp_path / "data")
    rest = {
        "export": [],
        "train": ["--data", str(tmp_path / "data"), "-o", str(tmp_path / "run"), "--init"],
    }
    before = ["train", "finetune"] if command == "train" else ["export"]
    assert main([*before, *rest[command], model]) == 1
    assert "is a one-stage model" in capsys.readouterr().err
    if command == "train":
        # Nothing is fetched for a model that cannot be trained anyway.
        assert main([*before, *rest[command], "rtmo-s"]) == 1
        error = capsys.readouterr().err
        assert "not a network of this family" in error
        assert "RTMPOSE_OFFLINE" not in error


def test_a_one_stage_model_is_no_part_of_a_pipeline_file(tmp_path, capsys):
    pytest.importorskip("torch")
    model = str(spot_person(tmp_path / "person.onnx", size=640))
    arguments = ["export", model, "--card", "rtmo-s", "--to", "pipeline", "-o", str(tmp_path)]
    assert main(arguments) == 1
    assert "is a one-stage model" in capsys.readouterr().err


def test_missing_pycocotools_is_said_before_the_images_are_read(monkeypatch):
    import rtmpose
    from rtmpose.evaluation.protocols import AP_METRICS

    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    photos = rtmpose.__path__[0] + "/assets/photos/person_keypoints.json"
    seen = []
    for metric in AP_METRICS[:1]:
        with pytest.raises(rtmpose.MissingDependencyError, match="pycocotools"):
            rtmpose.evaluate(photos, metrics=[metric], on_progress=lambda *n: seen.append(n))
    assert seen == []


def test_help_is_whole_in_a_pipe_without_color():
    code = "from rtmpose.cli import main; raise SystemExit(main(['track', '--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "\x1b[" not in done.stdout
    assert "--boxes" in done.stdout


def test_options_whose_default_is_none_are_found_in_python_3_10():
    """There ``get_type_hints`` puts what typer reads into an Optional."""
    option = typer.Option("--output", "-o")

    def command(output, names, plain): ...

    command.__annotations__ = {
        "output": typing.Optional[typing.Annotated[int | None, COUNT, option]],  # noqa: UP045
        "names": typing.Annotated[list[str] | None, option],
        "plain": int | None,
    }
    found = annotations_of(command)
    assert found["output"] == typing.Annotated[int | None, COUNT, option]
    assert typing.get_args(found["names"])[1] is option
    assert found["plain"] == int | None
    assert ranges_of(command) == {"output": COUNT}
