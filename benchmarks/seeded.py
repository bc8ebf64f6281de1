"""A model with random weights, where trained ones are not available: as fast as the trained one,
but its outputs mean nothing.

python benchmarks/seeded.py rtmpose-m seeded-m.onnx (or .safetensors) [--seed 21]
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from rtmpose import zoo
from rtmpose.exporting.onnx import write_onnx
from rtmpose.networks import build, config_for, save_safetensors


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a name from `rtmpose models list`")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=21)
    arguments = parser.parse_args()
    # The seed makes two runs the same file.
    torch.manual_seed(arguments.seed)
    card = zoo.find(arguments.model)
    network = build(config_for(card)).eval()
    # A card with another name: the zoo's numbers do not hold for it.
    card = replace(card, id=f"seeded-{card.id}", aliases=(), files=(), published={})
    if arguments.out.suffix == ".safetensors":  # for `rtmpose export`
        save_safetensors(arguments.out, network, card)
    else:
        write_onnx(network, card, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
