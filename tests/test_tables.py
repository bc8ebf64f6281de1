"""Tables of the command line: nothing is cut at 80 columns, at 40, or in a pipe."""

import json

import pytest
from annotated import coco_folder
from networks import fixed_detector, spot_pose

import rtmpose
from rtmpose.cli import main
from rtmpose.cli.doctor import examine
from rtmpose.cli.eval_output import show_metrics
from rtmpose.cli.model_output import FACTS
from rtmpose.cli.tables import print_lines, print_table
from rtmpose.evaluation.pose import Evaluation
from rtmpose.zoo import load_zoo

PHOTO = f"{rtmpose.__path__[0]}/assets/photos/000000252219.jpg"


@pytest.fixture(params=["80", "40", ""], ids=["80", "40", "pipe"])
def columns(request, monkeypatch):
    """Width of the terminal; 0 for a pipe."""
    if request.param:
        monkeypatch.setenv("COLUMNS", request.param)
    else:
        monkeypatch.delenv("COLUMNS", raising=False)
    return int(request.param or 0)


def words(text: str) -> set[str]:
    return set(text.replace("│", " ").replace("┃", " ").split())


def assert_fits(text: str, columns: int) -> None:
    """No line is longer than the terminal is wide, except for single words."""
    if columns:
        too_long = [line for line in text.splitlines() if len(line.rstrip()) > columns]
        assert all(len(line.split()) == 1 for line in too_long), too_long


def test_models(columns, capsys):
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    found = words(text)
    for card in load_zoo():
        assert card.id in found
        assert set(card.aliases[:1]) <= found
    # The status of every model, not only of some.
    states = [word for word in text.split() if word in ("bundled", "onnx", "pth")]
    assert len(states) == len(load_zoo())
    assert_fits(text, columns)
    if not columns:
        # One line per model, with all that is known.
        lines = [line for line in text.splitlines() if line.startswith(" ")]
        assert len(lines) == len(load_zoo())
        assert all(name in text.splitlines()[0] for name in FACTS[0])


def test_doctor(columns, capsys):
    main(["doctor"])
    text = capsys.readouterr().out
    facts, _, _ = examine()
    for name, value in facts.items():
        assert set(f"{name} {value}".split()) <= words(text)
    assert_fits(text, columns)


def test_data_check(columns, tmp_path, capsys):
    path = coco_folder(tmp_path, 4)
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [5, 4, 0, 36]
    name = "a_photo_with_a_rather_long_name_from_a_phone_20260131_101112.png"
    content["images"][3]["file_name"] = name
    path.write_text(json.dumps(content))
    assert main(["data", "check", str(path)]) == 1
    text = capsys.readouterr().out
    found = words(text)
    assert any(word.endswith(name) for word in found), text
    assert {"boxes", "without", "width", "or", "height;"} <= found
    assert_fits(text, columns)
    # In a pipe every kind of error is one line.
    if not columns:
        assert sum("boxes without width or height" in line for line in text.splitlines()) == 1


def test_eval(columns, capsys):
    names = {"AP": 0.5, "PCKh@0.5 of all joints but those of the hips": 0.25, "EPE": 3.5}
    result = Evaluation(
        metrics=names, settings={}, images=1, skipped=0, people_per_image=1.0, ms_per_image=1.0,
        results=[],
    )  # fmt: skip
    title = "my-own-model_with-a-long-name-256x192 on person_keypoints.json, boxes: gt"
    show_metrics(title, result)
    text = capsys.readouterr().out
    assert {"my-own-model_with-a-long-name-256x192", "50.00", "3.50"} <= words(text)
    assert_fits(text, columns)


def test_bench(columns, tmp_path, capsys):
    pose = spot_pose(tmp_path / "spot.onnx")
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    models = ["--pose", str(pose), "--detector", str(detector)]
    engine = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
    assert main(["bench", PHOTO, *models, *engine, "--limit", "2"]) == 0
    text = capsys.readouterr().out
    for name in ("detect", "network", "total", "median", "p95", "fps"):
        assert name in words(text) | set(text.split()), name
    assert "…" not in text
    assert_fits(text.split("boxes per frame")[0], columns)


def test_recipes_and_formats(columns, capsys):
    from rtmpose.datasets import FORMATS

    assert main(["data", "formats"]) == 0
    text = capsys.readouterr().out
    assert set(FORMATS) <= words(text)
    assert_fits(text, columns)
    # What stands in brackets is no markup.
    assert "rtmpose[sleap])" in words(text)


def test_rows_become_lines_where_a_word_has_no_room(monkeypatch, capsys):
    from rich.table import Table

    monkeypatch.setenv("COLUMNS", "30")
    table = Table("name", "state", "advice", title="[bold]files[/]")
    table.add_row("a-name-of-twenty-four.chars", "bad", "download the file again, then verify it")
    print_table(table)
    assert capsys.readouterr().out.splitlines() == [
        "files",
        "a-name-of-twenty-four.chars",
        "  state: bad",
        "  advice: download the file",
        "    again, then verify it",
    ]


def test_lines_break_between_words(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    print_lines("cache  /a/folder/of/some-long-name (4 models)", indent=7)
    assert capsys.readouterr().out.splitlines() == [
        "cache",
        "       /a/folder/of/some-long-name",
        "       (4 models)",
    ]
