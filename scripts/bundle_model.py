r"""Put a trained model into the package: an ONNX file of half the size, calibrated for bf16, and
its row of models.toml.

    python scripts/bundle_model.py rtmpose-s_finetuned-halpe26_256x192 run/last.safetensors \
        --notes "..." --calibration calibration.json

Several checkpoints (trainings from one start with different seeds) become one network of their mean
weights: "Model soups", Wortsman et al., 2022. Name one twice for a double weight. Layers that
cannot be mixed, because the others have another activation there, are taken from the first one:
--from-first backbone.stem.

Writes ``rtmpose/assets/models/ID.onnx`` and its bf16 calibration ``SHA-vN.npz``, and prints what
models.toml needs. The calibration is measured once, so that users need not; on a CPU without bf16
that is not possible, and is left to them. Without a checkpoint the model that is there is only
calibrated again, after a change of the method.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from rtmpose.backends import bf16_calibration
from rtmpose.backends.openvino_network import read_network
from rtmpose.cards.io import ModelCard, calibration_from
from rtmpose.exporting.onnx import OnnxOptions, write_onnx
from rtmpose.networks import count_multiply_adds, count_parameters, load_network
from rtmpose.networks.fuse import fuse_norms
from rtmpose.paths import bundled_folder
from rtmpose.text_files import read_json
from rtmpose.zoo import find
from rtmpose.zoo.cache import sha256_of


def mean_network(
    checkpoints: list[str], from_first: tuple[str, ...] = ()
) -> tuple[nn.Module, ModelCard]:
    """The network whose weights, norms folded in, are the mean of those of ``checkpoints``; the
    first one's card, and its weights where the name starts with one of ``from_first``.
    """
    networks = [(fuse_norms(network), card) for network, card in map(load_network, checkpoints)]
    mean, card = networks[0]
    states = [network.state_dict() for network, _ in networks]
    averaged = {}
    for key, value in states[0].items():
        mixed = states[:1] if key.startswith(from_first) else states
        stacked = torch.stack([state[key].double() for state in mixed])
        averaged[key] = stacked.mean(0).to(value.dtype)
    mean.load_state_dict(averaged)
    return mean, card


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("id", help="id in the zoo, also the file's name")
    parser.add_argument(
        "checkpoints",
        nargs="*",
        help="best.safetensors or last.safetensors of one training or of several",
    )
    parser.add_argument(
        "--notes", default="", help="origin, data, recipe, measured accuracy: for the card"
    )
    parser.add_argument("--trained-on", default="")
    parser.add_argument(
        "--from-first", nargs="+", default=[], help="layers that are not averaged, by their start"
    )
    parser.add_argument("--calibration", type=Path, help="JSON with the fields of a calibration")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    path = bundled_folder() / f"{arguments.id}.onnx"
    if not arguments.checkpoints:
        put_calibration(path, find(arguments.id))
        return

    network, card = mean_network(arguments.checkpoints, tuple(arguments.from_first))
    calibration = card.calibration
    if arguments.calibration:
        calibration = calibration_from(read_json(arguments.calibration))
    card = replace(
        card,
        id=arguments.id,
        aliases=(),
        files=(),
        published={},
        notes=arguments.notes or card.notes,
        trained_on=arguments.trained_on or card.trained_on,
        params_m=round(count_parameters(network) / 1e6, 2),
        gflops=round(count_multiply_adds(network, card.input_wh) / 1e9, 3),
        calibration=calibration,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_onnx(network, card, path, OnnxOptions(nms=False, half_weights=True))
    put_calibration(path, card)

    # The rows for models.toml.
    print(f'bundled = "{path.name}"')
    print(f'sha256 = "{sha256_of(path)}"')
    print(f"params_m = {card.params_m}")
    print(f"gflops = {card.gflops}")
    print(f"{path.stat().st_size / 1e6:.2f} MB")


def put_calibration(path: Path, card: ModelCard) -> None:
    """Calibrate a model for bf16 and put the result next to the file, replacing older ones."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["RTMPOSE_HOME"] = home  # measured again, not taken from the cache
        _, record = bf16_calibration.find_medians(path, read_network(path), card)
        (file,) = Path(home).rglob("*.npz")
        for old in path.parent.glob(f"{file.name.split('-')[0]}-*.npz"):
            old.unlink()
        if record.agreement is not None:
            (path.parent / file.name).write_bytes(file.read_bytes())
    print(record)


if __name__ == "__main__":
    main()
