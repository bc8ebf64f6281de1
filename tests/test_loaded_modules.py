"""What a command loads: the time until it does something is mostly that of imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rtmpose
from rtmpose.cli.app import make_app
from rtmpose.cli.commands import COMMANDS, find_command

PHOTO = Path(rtmpose.__path__[0]) / "assets" / "photos" / "000000252219.jpg"
HEAVY = {
    "PIL", "av", "cv2", "matplotlib", "ncnn", "numpy", "onnx", "onnxruntime", "openvino", "pandas",
    "pyarrow", "pycocotools", "scipy", "tensorrt", "torch",
}  # fmt: skip
"""Packages that help texts have no use for."""

REPORT_LOADED = """
import json, sys
from rtmpose.cli import main
try:
    status = main(sys.argv[1:])
finally:
    print("loaded:", json.dumps(sorted(sys.modules)))
sys.exit(status)
"""


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command line has loaded by its end."""
    command = [sys.executable, "-c", REPORT_LOADED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("loaded:"))
    return set(json.loads(line.removeprefix("loaded:")))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


# ---- the table of commands


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_summaries_are_the_first_paragraphs_of_the_commands_own_helps(row):
    app = make_app([row.name])
    texts = [command.help for command in app.registered_commands]
    texts += [group.typer_instance.info.help for group in app.registered_groups]
    (text,) = texts
    assert text.split("\n\n")[0] == row.summary


def test_a_wrong_name_loads_no_command():
    names = {command.name for command in make_app(["predcit"]).registered_commands}
    assert names == {row.name for row in COMMANDS}
    assert find_command("predcit") is None


# ---- what is loaded


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_no_command(option):
    loaded = loaded_by(option)
    assert not packages(loaded) & (HEAVY | {"pydantic"})
    ours = {name for name in loaded if name.startswith("rtmpose.")}
    rows = {f"rtmpose.cli.{row.module}" for row in COMMANDS}
    assert not ours & (rows | {"rtmpose.types", "rtmpose.zoo", "rtmpose.cli.options"})
    assert len(ours) < 15, sorted(ours)
    if option == "--version":
        assert "rich" not in packages(loaded)


@pytest.mark.parametrize(
    "command", ["predict", "track", "eval", "export", "train", "data", "bench"]
)
def test_the_help_of_a_command_loads_neither_engines_nor_models(command):
    loaded = loaded_by(command, "--help")
    assert not packages(loaded) & HEAVY
    assert not {"rtmpose.types", "rtmpose.zoo", "rtmpose.backends"} & loaded
    others = {f"rtmpose.cli.{row.module}" for row in COMMANDS if row.name != command}
    # `verify` lies in the file of `export`.
    assert not loaded & (others - {f"rtmpose.cli.{find_command(command).module}"})


def test_a_photo_loads_one_engine_and_no_video(tmp_path):
    options = ("--backend", "onnxruntime", "--threads", "1", "-o", str(tmp_path))
    loaded = loaded_by("predict", str(PHOTO), *options)
    # What it needs is there; what it does not need is not.
    assert {"numpy", "cv2", "onnxruntime"} <= packages(loaded)
    assert not packages(loaded) & (HEAVY - {"numpy", "cv2", "onnxruntime"})
    ours = ("tracking", "evaluation", "training", "networks", "exporting", "datasets", "benchmark")
    assert not loaded & {f"rtmpose.{name}" for name in ours}
