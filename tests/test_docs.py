"""The documents say what is true: Python runs, commands parse, links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import markdown_blocks as markdown
import numpy as np
import pytest
import typer

from rtmpose import zoo
from rtmpose.cli.app import make_app
from rtmpose.errors import RtmposeError

ROOT = markdown.ROOT
PHOTOS = ROOT / "rtmpose" / "assets" / "photos"
PAGES = markdown.pages()
# The Chinese README has the English one's blocks, which a test below compares.
WITH_PYTHON = [
    page
    for page in PAGES
    if any(block.language == "python" for block in markdown.blocks(page))
    and page.name != "README.zh-CN.md"
]
WITH_SHELL = [p for p in PAGES if any(b.language in markdown.SHELLS for b in markdown.blocks(p))]
WORDS_OF_MODELS = {"pose", "detector", "model", "models", "init", "teacher", "names", "original"}
NO_MODELS = {"auto", "none", "imagenet", "person"}
PAGES_OF_COMMANDS = {
    "data": ("datasets.md",),
    "train": ("training.md",),
    "eval": ("evaluation.md", "datasets.md"),
    "prune": ("pruning.md",),
    "export": ("export.md",),
    "verify": ("export.md",),
    "predict": ("predict.md",),
}
"""Commands whose pages list every option; `eval` shares the data's with `data`."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -------------------------------------------------------------------------------------- Python


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the files that the examples name, made from the bundled photos."""
    folder = tmp_path_factory.mktemp("docs")
    names = ["000000283520.jpg", "000000388056.jpg", "000000541055.jpg"]
    shutil.copy(PHOTOS / names[1], folder / "photo.jpg")
    (folder / "photos").mkdir()
    (folder / "coco" / "images").mkdir(parents=True)
    for name in names:
        shutil.copy(PHOTOS / name, folder / "photos" / name)
    for photo in PHOTOS.glob("0*.jpg"):
        shutil.copy(photo, folder / "coco" / "images" / photo.name)
    shutil.copy(PHOTOS / "person_keypoints.json", folder / "coco" / "annotations.json")
    pan(cv2.imread(str(PHOTOS / names[0])), folder / "clip.mp4")
    (folder / "mouse4.toml").write_text(
        'name = "mouse4"\nkeypoints = ["snout", "leftear", "rightear", "tailbase"]\n'
        'flip = [["leftear", "rightear"]]\nlinks = [["leftear", "snout", "rightear"]]\n',
        encoding="utf-8",
    )
    return folder


def pan(photo: np.ndarray, path: Path, frames: int = 12) -> None:
    """A clip of a window that moves over a photo."""
    height, width = photo.shape[:2]
    size = (width - 5 * frames, height)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, size)
    for k in range(frames):
        writer.write(np.ascontiguousarray(photo[:, 5 * k : 5 * k + size[0]]))
    writer.release()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_blocks_run(page, prepared, tmp_path, monkeypatch):
    """The blocks of a page run one after the other, and share their names."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTMPOSE_OFFLINE", "1")
    scope: dict[str, Any] = {"__name__": "__main__"}
    for block in markdown.blocks(page):
        if block.language != "python":
            continue
        # So many empty lines that a traceback shows the line of the document.
        code = compile("\n" * block.line + block.text, str(page), "exec")
        if block.note == "no-run":
            continue
        if block.note == "needs" and any(not has(name) for name in block.reason.split(",")):
            continue
        exec(code, scope)


def has(module: str) -> bool:
    return importlib.util.find_spec(module.strip()) is not None


def test_few_blocks_are_not_run():
    blocks = [b for page in WITH_PYTHON for b in markdown.blocks(page) if b.language == "python"]
    not_run = [block.place for block in blocks if block.note == "no-run"]
    assert len(not_run) <= 0.15 * len(blocks), not_run
    assert all(block.reason for block in blocks if block.note)


# ------------------------------------------------------------------------------------ commands


@pytest.fixture(scope="module")
def program() -> Any:
    return typer.main.get_command(make_app())


def parse(program: Any, words: list[str]) -> Any:
    """Parse the words behind ``rtmpose`` without running anything; the context of the command."""
    words = [word for word in words if word not in ("--verbose", "-v", "--debug")]
    command, name = program, "rtmpose"
    while hasattr(command, "commands"):
        if not words or words[0] in ("--help", "--version"):
            return None
        name = words[0]
        if name not in command.commands:
            raise AssertionError(f"there is no command {name!r}")
        command, words = command.commands[name], words[1:]
    if "--help" in words:
        return None
    return command.make_context(name, list(words))


def parse_fault(program: Any, words: list[str]) -> str:
    """What is wrong with the words; empty where nothing is."""
    usage_error = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        context = parse(program, words)
    except AssertionError as error:
        return str(error)
    except usage_error as error:
        return str(error.format_message())
    return "" if context is None else unknown_models(context.params)


def unknown_models(values: dict[str, Any]) -> str:
    """Names of models that the zoo does not have."""
    for key in WORDS_OF_MODELS & set(values):
        value = values[key]
        for name in value if isinstance(value, (list, tuple)) else [value]:
            if name is None or not re.fullmatch(r"[a-z0-9_-]+", str(name)) or name in NO_MODELS:
                continue
            try:
                zoo.find(str(name))
            except RtmposeError as error:
                return str(error)
    return ""


@pytest.mark.parametrize("page", WITH_SHELL, ids=name_of)
def test_commands_parse(page, program, prepared, monkeypatch):
    monkeypatch.chdir(prepared)
    faults = [
        f"{block.place}: rtmpose {' '.join(words)}: {fault}"
        for block in markdown.blocks(page)
        if block.language in markdown.SHELLS
        for words in markdown.commands(block)
        if (fault := parse_fault(program, words))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_sentences_exist(page, program):
    """`rtmpose COMMAND --option` in a sentence: the command exists, and has the options."""
    faults = []
    for code in markdown.inline_code(page):
        words = code.split()
        if words[:1] != ["rtmpose"] or len(words) < 2:
            continue
        command = program
        for word in words[1:]:
            if not hasattr(command, "commands"):
                break
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                break
            command = command.commands.get(word)
            if command is None:
                faults.append(f"`{code}`: there is no command {word!r}")
                break
        if command is None or hasattr(command, "commands"):
            continue
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        known |= {"--debug", "--verbose", "-v"}
        options = {w.split("=")[0].strip("[]") for w in words if w.strip("[").startswith("-")}
        faults += [f"`{code}`: no option {o}" for o in sorted(options - known)]
    assert page.name == "CHANGELOG.md" or not faults, "\n".join(faults)


@pytest.mark.parametrize("command", PAGES_OF_COMMANDS)
def test_every_option_is_explained(program, command):
    """An option of `--help` stands on the command's page too, in one of its spellings."""
    text = " ".join((ROOT / "docs" / name).read_text() for name in PAGES_OF_COMMANDS[command])
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", text))
    missing = [
        f"rtmpose {name} {parameter.opts[0]}"
        for name, each in commands_below(command, program.commands[command])
        for parameter in each.params
        if parameter.opts[0].startswith("-")
        and not named.intersection((*parameter.opts, *parameter.secondary_opts))
    ]
    assert not missing, missing


def commands_below(name: str, command: Any) -> list[tuple[str, Any]]:
    """A command, or the commands of a group, with the words that call them."""
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [(f"{name} {word}", each) for word, each in command.commands.items()]


def test_the_parser_notices(program):
    """The check itself: what is wrong is found."""
    assert parse_fault(program, ["predict", "photo.jpg"]) == ""
    assert "option" in parse_fault(program, ["predict", "photo.jpg", "--no-such-option"]).lower()
    assert "no command" in parse_fault(program, ["predicct"])
    assert "missing" in parse_fault(program, ["predict"]).lower()
    assert "rtmpose-q" in parse_fault(program, ["predict", "a.jpg", "--pose", "rtmpose-q"])
    text = "$ A=1 rtmpose predict a.jpg \\\n  --csv x.csv | wc  # why\n"
    text += "for S in 1 2; do rtmpose x $S; done\n"
    block = markdown.Block("x.md", 1, "bash", text)
    assert markdown.commands(block) == [["predict", "a.jpg", "--csv", "x.csv"], ["x", "1"]]
    windows = markdown.Block(
        "x.md", 1, "bat", ".venv\\Scripts\\rtmpose doctor\npy -m rtmpose doctor"
    )
    assert markdown.commands(windows) == [["doctor"], ["doctor"]]


def test_no_command_hides_outside_of_a_fence():
    """Indented code is not checked, so commands stand in fenced blocks with a language."""
    for page in PAGES:
        hidden = re.findall(r"^ {4,}\$? ?rtmpose .*$", markdown.without_blocks(page), re.M)
        assert not hidden, (name_of(page), hidden)
        for block in markdown.blocks(page):
            assert block.language, f"{block.place}: the block names no language"


# --------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    faults = []
    for target in markdown.links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            faults.append(f"{target}: there is no such file")
        elif anchor and file.suffix == ".md" and anchor not in markdown.anchors(file):
            faults.append(f"{target}: there is no such heading")
        elif (ROOT / "docs") in page.parents and (ROOT / "docs") not in file.parents:
            faults.append(f"{target}: outside of docs/, the site does not have it")
    assert not faults, "\n".join(faults)


def test_images_are_small_and_used():
    """Images of the documents stay small, and none is left over."""
    used = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in markdown.links(page)
        if not re.match(r"[a-z]+:", target)
    }
    for image in (ROOT / "docs" / "images").rglob("*.*"):
        assert image.resolve() in used, image
        limit = 900_000 if image.suffix in (".webp", ".gif") else 150_000
        assert image.stat().st_size < limit, image


# ----------------------------------------------------------------------------------- languages


def test_chinese_readme_is_in_step():
    """The same headings by level, the same code, the same links in the same order."""
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    levels = [[level for level, _ in markdown.headings(page)] for page in (english, chinese)]
    assert levels[0] == levels[1]
    code = [[(b.language, b.text) for b in markdown.blocks(page)] for page in (english, chinese)]
    assert code[0] == code[1]
    targets = [
        [t for t in markdown.links(page) if not t.startswith(("README", "#"))]
        for page in (english, chinese)
    ]
    assert targets[0] == targets[1]
    assert "README.zh-CN.md" in markdown.links(english)
    assert "README.md" in markdown.links(chinese)


# ---------------------------------------------------------------------------------------- site


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]
    for page in sorted((ROOT / "docs").rglob("*.md")):
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in nav, page


def api_names():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return re.findall(r"^::: ([\w.]+)$", text, re.M)


@pytest.mark.parametrize("path", api_names())
def test_api_page_names_what_exists(path):
    import importlib

    if path.startswith(("rtmpose.exporting.", "rtmpose.training.")):
        pytest.importorskip("torch", reason="torch is not installed")
    module, _, name = path.rpartition(".")
    try:
        importlib.import_module(path)
    except ImportError:
        assert hasattr(importlib.import_module(module), name)


@pytest.mark.slow
def test_site_builds(tmp_path):
    for module in ("material", "mkdocstrings_handlers.python"):
        try:
            missing = importlib.util.find_spec(module) is None
        except ModuleNotFoundError:
            missing = True
        if missing:
            pytest.skip("needs pip install 'rtmpose[docs]'")
    # A proxy that leads nowhere: the build needs no network.
    environment = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    api = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert "PoseEstimator" in api
    assert "https://fonts.g" not in api
