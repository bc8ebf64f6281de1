"""Coverage-guided fuzzing of the package's own readers, with atheris (``pip install atheris``).

    python benchmarks/fuzz.py [TARGET ...] [--seconds 180] [--seed 1]

Each target gives bytes to a reader as a file. The reader may take them, or refuse them with an
error of the package; any other exception, and any input that takes ten seconds, is a find. It
starts from the small files in ``tests/fuzz_seeds``, which an ordinary test reads too. Prints a
table in Markdown; the exit status is 1 if something was found, and the input stays in a folder that
is named.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from rtmpose.errors import RtmposeError

SEEDS = Path(__file__).parents[1] / "tests" / "fuzz_seeds"
SEPARATOR = b"\n=====\n"
"""Between the files of a target that reads several."""

INPUT_TIMEOUT_S = 10
MAX_BYTES = 4096
MEMORY_MB = 3000
WORDS = ["null", "true", "NaN", "-1", "1e400", "[[", "{}", "\\ud800", "99999999999999999999"]
WORDS += [f'"{key}"' for key in ("id", "image_id", "bbox", "keypoints", "images", "annotations")]
"""What libFuzzer puts into inputs."""


# ---- targets: each takes a folder of its own and the bytes


def read_boxes(folder: Path, data: bytes) -> None:
    """``--boxes`` of predict and track, and of an evaluation."""
    from rtmpose.cli import boxes_file
    from rtmpose.datasets import load_boxes

    path = _file(folder, "boxes.json", data)
    with suppress(RtmposeError):
        boxes_file.read_boxes(path)
    load_boxes(path, {1})


def read_coco(folder: Path, data: bytes) -> None:
    """What ``data check`` does, and what all other commands do."""
    from rtmpose.datasets import read
    from rtmpose.datasets.check import check, drawable
    from rtmpose.datasets.formats import read_annotations

    path = _file(folder, "coco.json", data)
    annotations = read_annotations(path)
    check(annotations, open_images=False)
    with suppress(RtmposeError):
        drawable(annotations)
    dataset = read(path)
    for image_id in dataset.images:
        dataset.boxes(image_id)
        dataset.keypoints(image_id)


def read_yolo(folder: Path, data: bytes) -> None:
    """``data.yaml``, a label file, and an image."""
    from rtmpose.datasets.check import check
    from rtmpose.datasets.formats import read_annotations

    settings, _, labels = data.partition(SEPARATOR)
    image = folder / "images" / "train" / "a.png"
    if not image.exists():
        image.parent.mkdir(parents=True)
        image.write_bytes(cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
        (folder / "labels" / "train").mkdir(parents=True)
    _file(folder / "labels" / "train", "a.txt", labels)
    annotations = read_annotations(_file(folder, "data.yaml", settings), "yolo")
    check(annotations, open_images=False)
    annotations.dataset()


def read_card(folder: Path, data: bytes) -> None:
    """A card next to a model."""
    from rtmpose.cards.io import embedded_card

    _file(folder, "model.bin.card.json", data)
    embedded_card(folder / "model.bin")


def read_sdk(folder: Path, data: bytes) -> None:
    """``deploy.json`` and ``pipeline.json`` of the original's deployment SDK."""
    from rtmpose.zoo.sdk_folder import read_sdk

    deploy, _, pipeline = data.partition(SEPARATOR)
    _file(folder, "deploy.json", deploy)
    _file(folder, "pipeline.json", pipeline)
    _file(folder, "end2end.onnx", b"")
    read_sdk(folder)


def read_skeleton(folder: Path, data: bytes) -> None:
    """A keypoint set in TOML."""
    from rtmpose.skeletons import load_skeleton

    load_skeleton(_file(folder, "skeleton.toml", data))


def read_safetensors(folder: Path, data: bytes) -> None:
    """The header of a safetensors file, with the length in front of it made right."""
    from rtmpose.cards.io import embedded_card

    _file(folder, "true.safetensors", len(data).to_bytes(8, "little") + data)
    embedded_card(folder / "true.safetensors")
    embedded_card(_file(folder, "any.safetensors", data))


def read_onnx(folder: Path, data: bytes) -> None:
    """Properties and outputs of an ONNX file."""
    from rtmpose.cards.io import embedded_card
    from rtmpose.onnx_file import onnx_outputs

    onnx_outputs(data)
    embedded_card(_file(folder, "model.onnx", data))


TARGETS: dict[str, Callable[[Path, bytes], None]] = {
    "boxes": read_boxes,
    "coco": read_coco,
    "yolo": read_yolo,
    "card": read_card,
    "sdk": read_sdk,
    "skeleton": read_skeleton,
    "safetensors": read_safetensors,
    "onnx": read_onnx,
}


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def try_input(target: str, folder: Path, data: bytes) -> str:
    """Give bytes to a reader.

    Returns:
        The error of the package that refused them; empty where they were taken.
    """
    try:
        TARGETS[target](folder, data)
    except RtmposeError as error:
        return str(error) or "an error without a word"
    return ""


# ---- fuzzing


def fuzz(target: str, folder: Path, seconds: int, seed: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import logging

    import atheris

    # Modules are imported on the first call, so that atheris sees their branches.
    logging.disable(logging.CRITICAL)
    work = folder / "work"
    corpus = folder / "corpus"
    work.mkdir()
    corpus.mkdir()
    with atheris.instrument_imports(include=["rtmpose", "tomllib"]):
        for path in sorted((SEEDS / target).iterdir()):
            try_input(target, work, path.read_bytes())

    words = folder / "words.txt"
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in WORDS)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={INPUT_TIMEOUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-seed={seed}",
        f"-dict={words}",
        f"-artifact_prefix={folder}/found-",
        "-print_final_stats=1",
    ]
    arguments = [sys.argv[0], *options, str(corpus), str(SEEDS / target)]
    atheris.Setup(arguments, lambda data: try_input(target, work, data))
    atheris.Fuzz()


def run(target: str, seconds: int, seed: int) -> bool:
    """Fuzz one target in a process of its own and print a row; whether nothing was found."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    command = [sys.executable, __file__, target, f"--seconds={seconds}", f"--seed={seed}"]
    result = subprocess.run(
        [*command, f"--folder={folder}"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    output = result.stderr + result.stdout
    counts = re.findall(r"number_of_executed_units:\s*(\d+)|^#(\d+)\s", output, re.MULTILINE)
    executions = max((int(a or b) for a, b in counts), default=0)
    found = result.returncode != 0
    text = f"{folder}" if found else "nothing"
    print(f"| {target} | {seconds} | {executions:,} | {text} |", flush=True)
    if found:
        (folder / "log.txt").write_text(output)
    return not found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=180, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.folder:
        fuzz(arguments.targets[0], arguments.folder, arguments.seconds, arguments.seed)
    print("| target | seconds | executions | found |")
    print("|---|--:|--:|---|")
    targets = arguments.targets or list(TARGETS)
    sound = [run(target, arguments.seconds, arguments.seed) for target in targets]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
