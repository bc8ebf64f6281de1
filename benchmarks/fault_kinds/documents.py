"""Damaged text: boxes, annotations, model cards, keypoint sets, SDK folders, journals."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotated import coco_folder

from fault_kinds.commands import ENGINE, Ended, label, photo, run_command, tiny_models
from fault_kinds.damage import damage_json, damage_toml
from fault_kinds.engine import Kind, PromiseError
from rtmpose.cards.io import card_to_json
from rtmpose.model_card import Codec, ModelCard, Normalization


@dataclass
class Documents:
    """Undamaged documents, and the commands that read them."""

    folder: Path
    detector: str
    pose: str
    photo: str

    def write(self, name: str, text: str) -> str:
        """A file with that text, whatever characters are in it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return str(path)

    def predict(self, *more: str, pose: str = "", detector: str = "") -> Ended:
        """One image with the tiny networks."""
        models = ["--pose", pose or self.pose, "--detector", detector or self.detector]
        return run_command(["predict", self.photo, *models, *ENGINE, *more])

    def journal(self, output: Path) -> list[dict[str, Any]]:
        """The journal of a run whose other source failed, and which is left for that reason."""
        sources = [self.photo, self.write("broken.png", "no image")]
        models = ["--pose", self.pose, "--detector", self.detector]
        run_command(["predict", *sources, *models, *ENGINE, "--csv", str(output)])
        text = output.with_name(f"{output.name}.part").read_text()
        return [json.loads(line) for line in text.splitlines()]


def prepare(folder: Path) -> Documents:
    """Tiny networks, a photo and an annotated set."""
    os.environ["RTMPOSE_HOME"] = str(folder / "home")
    detector, pose = tiny_models(folder)
    coco_folder(folder / "set")
    return Documents(folder, detector, pose, photo(folder / "photo.png"))


# ---- boxes


def _boxes(documents: Documents, rng: random.Random) -> str:
    entries = [
        {"image": "photo.png", "bbox": [8, 4, 30, 40], "score": 0.9, "frame": 0},
        {"image_id": 7, "category_id": 1, "bbox": [1.5, 2.5, 20.0, 30.0], "score": 0.5},
    ]
    path = documents.write("boxes.json", damage_json(entries, rng))
    out = documents.folder / "poses.json"
    ended = documents.predict("--boxes", path, "--json", str(out))
    if ended.status == 0:
        _strict_json(out)
    return label(ended)


def _strict_json(path: Path) -> None:
    """Results never hold NaN or infinity, which no other reader takes."""

    def refuse(text: str) -> None:
        raise PromiseError(f"{text} in the results")

    json.loads(path.read_text(), parse_constant=refuse)


# ---- annotations


def _annotations(documents: Documents, rng: random.Random) -> str:
    content = json.loads((documents.folder / "set" / "annotations.json").read_text())
    text = damage_json(content, rng)
    path = documents.write("set/damaged.json", text)
    way = rng.randrange(5)
    if way <= 2:
        sheet = ["--sheet", str(documents.folder / "sheet.jpg")] if rng.random() < 0.2 else []
        ended = run_command(["data", "check", path, *sheet])
        if not ended.out.strip() and _is_set(text):
            raise PromiseError(f"data check does not report: {ended.err.strip()[:150]}")
    elif way == 3:
        out = str(documents.folder / "converted.json")
        ended = run_command(["data", "convert", path, "-o", out])
    else:
        sheet = str(documents.folder / "shown.jpg")
        ended = run_command(["data", "show", path, "-o", sheet])
    return label(ended)


def _is_set(text: str) -> bool:
    """Whether it is JSON with the three lists, whatever is in them but endless numbers."""
    if re.search(r"\d{200}", text):
        return False
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    lists = ("images", "annotations", "categories")
    return isinstance(content, dict) and all(isinstance(content.get(k), list) for k in lists)


def _yolo(documents: Documents, rng: random.Random) -> str:
    folder = documents.folder / "yolo"
    shutil.rmtree(folder, ignore_errors=True)
    points = " ".join(f"0.{k}5 0.{k}1 2" for k in range(1, 10)) + " 0.5 0.5 2" * 8
    for seed, split in enumerate(("train", "val")):
        photo(folder / "images" / split / "a.png", seed)
        label_text = _damaged_words(f"0 0.5 0.5 0.4 0.6 {points}", rng)
        documents.write(f"yolo/labels/{split}/a.txt", label_text)
    yaml = (
        "path: .\ntrain: images/train\nval: images/val\nkpt_shape: [17, 3]\nnames:\n  0: person\n"
    )
    documents.write(
        "yolo/data.yaml", damage_toml(yaml.replace(": ", "= "), rng).replace("= ", ": ")
    )
    return label(run_command(["data", "check", str(folder / "data.yaml")]))


def _damaged_words(line: str, rng: random.Random) -> str:
    words = line.split()
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(words))
        words[at] = rng.choice(("nan", "inf", "-1", "1e999", "x", "", "9" * 5000, "\x00", "1_0"))
    if rng.random() < 0.2:
        words = words[: rng.randrange(len(words))]
    return " ".join(words) + "\n"


# ---- models' documents


def tiny_card() -> ModelCard:
    """The card of the tiny pose network."""
    pixels = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
    return ModelCard("spot", "pose", "coco17", (48, 64), pixels, Codec("simcc", 2.0, (4.9, 5.66)))


def _cards(documents: Documents, rng: random.Random) -> str:
    text = damage_json(json.loads(card_to_json(tiny_card())), rng)
    model = documents.folder / "cards" / "spot.onnx"
    model.parent.mkdir(exist_ok=True)
    shutil.copy(documents.pose, model)
    documents.write("cards/spot.onnx.card.json", text)
    return label(documents.predict(pose=str(model)))


def _sdk(documents: Documents, rng: random.Random) -> str:
    folder = documents.folder / "sdk"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(documents.pose, folder / "end2end.onnx")
    deploy = {
        "version": "1.3.1",
        "task": "TopDown",
        "models": [{"name": "topdown", "net": "end2end.onnx", "weights": "", "backend": "onnx"}],
    }
    transforms = [
        {"type": "LoadImageFromFile"},
        {"type": "TopDownAffine", "image_size": [48, 64], "padding": 1.25},
        {"type": "Normalize", "mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]},
    ]
    params = {"flip_test": False, "simcc_split_ratio": 2.0, "sigma": [4.9, 5.66]}
    pipeline = {
        "pipeline": {
            "input": ["img"],
            "tasks": [
                {"type": "Task", "module": "Transform", "transforms": transforms},
                {"type": "Task", "module": "Net", "name": "topdown"},
                {"type": "Task", "component": "SimCCLabelDecode", "params": params},
            ],
        }
    }
    damaged = rng.random() < 0.5
    whole = json.dumps
    documents.write("sdk/deploy.json", damage_json(deploy, rng) if damaged else whole(deploy))
    text = whole(pipeline) if damaged else damage_json(pipeline, rng)
    documents.write("sdk/pipeline.json", text)
    return label(documents.predict(pose=str(folder)))


def _skeletons(documents: Documents, rng: random.Random) -> str:
    import rtmpose

    source = Path(rtmpose.__file__).parent / "skeletons" / "coco17.toml"
    path = documents.write("points.toml", damage_toml(source.read_text(), rng))
    drawing = ["-o", str(documents.folder / "drawn")] if rng.random() < 0.3 else []
    return label(documents.predict("--skeleton", path, *drawing))


# ---- our own records


def _records(documents: Documents, rng: random.Random) -> str:
    """The record of an earlier run, damaged, then resumed."""
    out = documents.folder / "records"
    shutil.rmtree(out, ignore_errors=True)
    # Files of each source have a short record; one file for all has the frames in its journal.
    options = ["--jsonl", str(out)]
    name = rng.choice((".rtmpose.done", ".rtmpose.part"))
    if rng.random() < 0.5:
        options, name = ["--csv", str(out / "all.csv")], "all.csv.part"
        lines = documents.journal(out / "all.csv")
    else:
        documents.predict(*options)
        lines = [json.loads(line) for line in (out / ".rtmpose.done").read_text().splitlines()]
        (out / ".rtmpose.done").unlink()
    damaged = [damage_json(line, rng) if rng.random() < 0.6 else json.dumps(line) for line in lines]
    documents.write(f"records/{name}", "\n".join(damaged) + "\n")
    ended = documents.predict(*options, "--resume")
    # Damage may be refused, but without --resume everything works again.
    again = documents.predict(*options)
    if again.status:
        raise PromiseError(f"a damaged record stops a new run: {again.err.strip()[:150]}")
    return label(ended)


Attempt = Callable[[Any, random.Random], str]


def _kind(name: str, tried: str, attempt: Attempt, tries: int, quick: int) -> Kind:
    promise = "works, or one line that names the file"
    if attempt is _annotations:
        promise += "; `data check` reports whatever stands in the lists"
    if attempt is _records:
        promise += "; a new run is never stopped"
    return Kind(
        name, tried, promise, prepare, attempt, tries, quick, per_process=60, memory_mb=2048
    )


_JSON = "a random node replaced, nested 30,000 deep, huge numbers, other types, text cut"

KINDS = (
    _kind("boxes", f"`--boxes` JSON: {_JSON}", _boxes, 150, 20),
    _kind(
        "annotations", f"COCO JSON of `data check, convert, show`: {_JSON}", _annotations, 300, 40
    ),
    _kind(
        "YOLO sets", "`data.yaml` and label files: values, words and lines changed", _yolo, 100, 15
    ),
    _kind("model cards", f"`NAME.card.json`: {_JSON}", _cards, 150, 20),
    _kind("SDK folders", f"`deploy.json` and `pipeline.json`: {_JSON}", _sdk, 150, 20),
    _kind("keypoint sets", "`--skeleton` TOML: values, lines and characters", _skeletons, 150, 20),
    _kind("records of runs", f"`.rtmpose.done` and `.part`: {_JSON}", _records, 100, 15),
)
