"""Values that make no sense, for every option of every command, and paths that are no files."""

import contextlib
import dataclasses
import importlib.util
import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from annotated import coco_folder

from fault_kinds.commands import ENGINE, label, photo, run_command, tiny_models
from fault_kinds.engine import Kind, PromiseError
from rtmpose.cli.app import make_app
from rtmpose.model_card import Codec

NUMBERS = ("nan", "inf", "-inf", "-1", "0", "1", "1e9", "99999999999", "1e-300", "0.5", "-0.0")
WORDS = ("", " ", "x", "é" * 300, "a=b", "--", "-", "none", "auto", "[1,2]", "1,2,3", "192x256")
PATHS = (
    "FOLDER",
    "missing/a/b",
    "FOLDER/unreadable.json",
    "/dev/null",
    "/dev/full",
    "/dev/zero",
    "FOLDER/link-to-nothing",
    "FOLDER/link-to-itself",
    "FOLDER/photo.png",
    "FOLDER/empty.json",
    "x" * 300,
    "FOLDER/é\udcff.png",
    "a\0b",
    "http://127.0.0.1:9/x.onnx",
    "http://[::1/x.jpg",
    "https://host:port/x.jpg",
)
# They open a window, print help, fetch every model, or look for a cluster.
LEFT_OUT = {"--show", "--help", "--version", "--all", "--ray", "--address"}
SLOW = (("models", "table"),)
"""Builds every network, and takes no values."""
ASKED_FOR = {"--limit", "--warmup"}
"""Of ``bench``: a long measurement is what one asks for."""
SERVED_S = 1.0
"""``serve`` is told to end every so many seconds, until it does."""
HEAVY = ("train", "prune", "export", "verify")
"""Commands that need torch."""


@dataclass(frozen=True)
class Parameter:
    """An option or argument of a command."""

    name: str
    flag: bool


@dataclass(frozen=True)
class Lines:
    """Commands, their options, and what to give them."""

    folder: Path
    commands: dict[tuple[str, ...], list[Parameter]]
    values: dict[str, list[str]]


def prepare_training(folder: Path) -> Lines:
    """The same, with a small checkpoint and a small set: all four commands reach their work."""
    import torch
    from exportable import POSE_CARD

    from rtmpose.networks import build
    from rtmpose.networks.checkpoint import save_safetensors
    from rtmpose.networks.cspnext import SIZES
    from rtmpose.networks.rtmpose import RTMPoseConfig

    torch.set_num_threads(1)
    lines = prepare(folder)
    checkpoint = folder / "tiny.safetensors"
    card = dataclasses.replace(POSE_CARD, codec=Codec("simcc", 2.0, (3.0, 4.0)))
    save_safetensors(checkpoint, build(RTMPoseConfig(SIZES["tiny"], 17, (64, 96))).eval(), card)
    model, out = str(checkpoint), str(folder / "out")
    data = str(folder / "set" / "annotations.json")
    small = _settings(batch_size=2, workers=0, epochs=1, warmup_steps=1)
    pruning = _settings(batch=2, workers=0, heldout=0.3)
    lines.values["export"] = [model, "--to", "onnx", "-o", out]
    # Once done, so that there is something to compare with.
    verified = folder / "verified"
    run_command(["export", model, "--to", "onnx", "-o", str(verified)])
    lines.values["verify"] = [model, *map(str, verified.glob("*.onnx"))]
    lines.values["train"] = ["finetune", "--init", model, "--data", data, "--val", data, *small]
    lines.values["train"] += ["--minutes", "0.01", "-o", out]
    pace = ["--macs", "95%", "--rounds", "1", "--steps", "1"]
    lines.values["prune"] = [model, *pace, "--data", data, *pruning, "-o", out]
    return lines


def _settings(**values: float) -> list[str]:
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


def prepare(folder: Path) -> Lines:
    """All commands by introspection, and files for them."""
    os.environ["RTMPOSE_HOME"] = str(folder / "home")
    os.chdir(folder)
    detector, pose = tiny_models(folder)
    coco_folder(folder / "set", n=6)
    for name in ("red", "green"):
        photo(folder / "classes" / name / "a.png")
    image = photo(folder / "photo.png")
    results = str(folder / "results.jsonl")
    (folder / "empty.json").touch()
    (folder / "unreadable.json").write_text("[]")
    (folder / "unreadable.json").chmod(0)
    (folder / "link-to-nothing").symlink_to("nowhere")
    (folder / "link-to-itself").symlink_to("link-to-itself")

    data = str(folder / "set" / "annotations.json")
    models = ["--pose", pose, "--detector", detector, *ENGINE]
    out = str(folder / "out")
    run_command(["track", image, *models, "--jsonl", results])
    values = {
        "predict": [image, *models, "-o", out],
        "track": [image, *models, "-o", out],
        "bench": [image, *models, "--warmup", "0", "--limit", "1"],
        "eval pose": [data, "--pose", pose, *ENGINE],
        "eval detector": [data, "--detector", detector, *ENGINE],
        "eval classifier": [str(folder / "classes"), "--classifier", pose, *ENGINE],
        "data check": [data],
        "data convert": [data, "-o", out + ".json"],
        "data show": [data, "-o", out + ".jpg"],
        "batch": [image, *models, "--out", out],
        "serve": ["--port", "0", *models],
        "convert": [results, "--to", "trc", "-o", out],
        "angles": [results, "-o", out + ".csv"],
        "plot": [results, "-o", out + ".png"],
        "view": [results, "-o", out + ".html"],
        "models info": ["rtmpose-s"],
        "models download": ["rtmdet-nano-finetuned"],
    }
    root = typer.main.get_command(make_app())
    return Lines(folder, dict(_walk(root)), values)


def _walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, list[Parameter]]]:
    """Every command with its options."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from _walk(below, (*path, name))
        return
    options = [p for p in command.params if p.param_type_name == "option"]
    found = [Parameter(p.opts[0], bool(getattr(p, "is_flag", False))) for p in options]
    left_out = LEFT_OUT | (ASKED_FOR if path == ("bench",) else set())
    yield path, [p for p in found if p.name not in left_out]


def _value(lines: Lines, rng: random.Random) -> str:
    group = rng.choice((NUMBERS, NUMBERS, WORDS, PATHS))
    return rng.choice(group).replace("FOLDER", str(lines.folder))


def _try(lines: Lines, rng: random.Random, *, heavy: bool) -> str:
    """One command with one to three strange values."""
    names = [path for path in sorted(lines.commands) if path not in SLOW]
    names = [path for path in names if (path[0] in HEAVY) == heavy]
    path = rng.choice(names)
    arguments = list(lines.values.get(" ".join(path), []))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        options = lines.commands[path]
        if not options or rng.random() < 0.1:  # a source, a name, a folder
            at = rng.randrange(len(arguments) + 1)
            arguments[at : at + 1] = [_value(lines, rng)]
            continue
        option = rng.choice(options)
        arguments += [option.name] if option.flag else [option.name, _value(lines, rng)]
    _clean(lines.folder)
    with _told_to_end() if path == ("serve",) else contextlib.nullcontext():
        ended = run_command([*path, *arguments])
    if not (lines.folder / "photo.png").stat().st_size:
        raise PromiseError(f"a source is gone: {' '.join(arguments)}")
    return label(ended)


@contextlib.contextmanager
def _told_to_end() -> Iterator[None]:
    """A service ends by a signal only."""
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(SERVED_S):
            os.kill(os.getpid(), signal.SIGTERM)

    # Ignored until the service listens.
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGTERM, handler)


def _clean(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith(("out", "1", "0", "-", "x", " ", "n", "é")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _light(lines: Lines, rng: random.Random) -> str:
    return _try(lines, rng, heavy=False)


def _heavy(lines: Lines, rng: random.Random) -> str:
    return _try(lines, rng, heavy=True)


def _without_torch() -> str:
    return "" if importlib.util.find_spec("torch") else "torch is not installed"


_TRIED = (
    "every option by introspection: nan, inf, negative, 0, huge, empty, words, bytes that are no"
    " text; folders, links, devices, missing and unreadable files as paths"
)
_PROMISE = "exit status 0, 1 or 2 and a line; never a traceback; bounded time and memory"

KINDS = (
    Kind(
        "command line",
        _TRIED,
        _PROMISE,
        prepare,
        _light,
        tries=400,
        quick=30,
        per_process=40,
        memory_mb=3072,
    ),
    Kind(
        "command line of training",
        "the same for `train`, `prune`, `export` and `verify`, on small data that can be trained"
        " on",
        _PROMISE,
        prepare_training,
        _heavy,
        tries=80,
        quick=0,
        limit_s=90,
        per_process=40,
        memory_mb=6144,
        missing=_without_torch,
    ),
)
