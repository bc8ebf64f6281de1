"""``rtmpose models``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtmpose import zoo
from rtmpose.cli.model_output import markdown_table
from rtmpose.cli.models import app
from rtmpose.errors import InputError, ModelError
from rtmpose.zoo import cache, download

DOCUMENT = Path(__file__).parents[1] / "docs" / "model-zoo.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path))
    monkeypatch.setenv("RTMPOSE_OFFLINE", "1")
    monkeypatch.setattr(download, "_dead_hosts", {})
    return tmp_path


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def test_list_shows_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    text = run("list")
    for card in zoo.load_zoo():
        assert card.id in text
    assert "80 of 80 models" in text
    assert max(map(len, text.splitlines())) <= 110


def test_list_filters() -> None:
    everything = json.loads(run("list", "--json"))
    assert len(everything) == 80
    available = json.loads(run("list", "--json", "--available"))
    assert len(available) == 42 + 4
    assert all(m["files"][0]["format"] == "onnx" for m in available)
    feet = json.loads(run("list", "--json", "--task", "body-feet"))
    assert {m["skeleton"] for m in feet} == {"halpe26"}
    assert feet == json.loads(run("list", "--json", "--keypoints", "26"))
    assert feet == json.loads(run("list", "--json", "--skeleton", "halpe26"))
    seventeen = json.loads(run("list", "--json", "--keypoints", "17"))
    assert {m["skeleton"] for m in seventeen} == {"coco17", "ap10k17"}
    with pytest.raises(
        InputError, match="no model has the task 'feet'; there are: person detection, body"
    ):
        run("list", "--task", "feet")
    with pytest.raises(InputError, match="number of keypoints 18"):
        run("list", "--keypoints", "18")


def test_info_of_a_model_that_runs(home: Path) -> None:
    text = run("info", "RTMPose-S")
    file = zoo.find("rtmpose-s").file("onnx")
    assert file is not None
    for fact in (
        "halpe26",
        "192 wide, 256 high, RGB",
        "Apache-2.0",
        "--pose rtmpose-s",
        file.sha256,
        "not downloaded",
    ):
        assert fact in text
    for source in file.sources:
        assert (source.url or source.package) in text
    assert str(home / "weights" / file.name) in text
    assert "--detector yolox-tiny" in run("info", "yolox-tiny")
    assert "rtmpose-m-hand --detector rtmdet-nano-hand" in run("info", "rtmpose-m-hand")
    assert "rtmpose-m-animal --detector none" in run("info", "rtmpose-m-animal")
    assert json.loads(run("info", "rtmpose-s", "--json"))["input_wh"] == [192, 256]


@pytest.mark.parametrize(
    "name", ["rtmpose-m-wholebody", "cspnext-m-udp_body8_256x192", "cspnext-m_imagenet_224x224"]
)
def test_info_says_plainly_where_there_is_only_a_checkpoint(name: str) -> None:
    text = run("info", name)
    assert "No ONNX export of this model is published, only the PyTorch checkpoint (.pth)" in text
    assert "rtmpose predict" not in text


def test_download_reports_the_good_and_the_bad(home: Path, tmp_path: Path) -> None:
    good = tmp_path / "mine.onnx"
    good.write_bytes(b"\x08\x06")
    result = CliRunner().invoke(app, ["download", "rtmpose-s", str(good), "rtmpose-zz"])
    assert f"{good}: {good}" in result.output.replace("\n", "")
    assert isinstance(result.exception, ModelError)
    text = str(result.exception)
    assert text.startswith("2 of 3 could not be downloaded")
    assert "RTMPOSE_OFFLINE" in text
    assert "'rtmpose-zz'" in text
    with pytest.raises(InputError, match="say which"):
        run("download")


def test_download_all_asks_for_every_onnx() -> None:
    with pytest.raises(ModelError, match="42 of 42 could not be downloaded"):
        run("download", "--all")
    with pytest.raises(ModelError, match="69 of 69"):
        run("download", "--all", "--format", "pth")


def test_verify(home: Path) -> None:
    assert "nothing is in the cache" in run("verify")
    weights = home / "weights"
    (weights / "url" / "0").mkdir(parents=True)
    recorded = weights / "url" / "0" / "mine.onnx"
    recorded.write_bytes(b"\x08\x06 mine")
    cache.write_record(recorded, cache.sha256_of(recorded), "test")
    (weights / "stray.onnx").write_bytes(b"\x08\x06 stray")
    text = run("verify")
    assert f"ok         {recorded}" in text
    assert "no digest to compare with" in text

    recorded.write_bytes(b"\x08\x06 mime")
    text = run("verify", status=1)
    assert f"DAMAGED    {recorded}" in text
    assert "1 damaged" in text

    file = zoo.find("rtmpose-s").file("onnx")
    assert file is not None
    (weights / file.name).write_bytes(b"\x08\x06")
    assert "2 damaged" in run("verify", status=1)


def test_verify_reads_files_whose_size_and_time_did_not_change(home: Path) -> None:
    (home / "weights").mkdir()
    path = home / "weights" / "mine.onnx"
    path.write_bytes(b"\x08\x06 mime")
    cache.write_record(path, "0" * 64, "test")
    run("verify", status=1)


def test_help_gives_examples() -> None:
    for command in ("list", "info", "download", "verify"):
        assert f"rtmpose models {command}" in run(command, "--help")


def test_document_holds_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    begin = "<!-- models: made by `rtmpose models list --markdown` -->\n"
    table = text.split(begin)[1].split("<!-- models: end -->")[0].strip()
    assert table == markdown_table(zoo.load_zoo()), (
        "run `rtmpose models list --markdown` and paste it into the document"
    )
    assert table == run("list", "--markdown").strip()
    without_onnx = sum(card.file("onnx") is None for card in zoo.load_zoo())
    assert f"For {without_onnx} of the models" in text
    assert f"{len(zoo.load_zoo())} models" in text
