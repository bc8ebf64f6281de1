"""The table of docs/model-zoo.md: every network against the original's numbers. Needs
rtmpose[export].

python benchmarks/equality.py
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import seeded
from test_networks import config_of, outputs_of

from rtmpose.networks import build, count_multiply_adds, count_parameters


def main() -> None:
    print(
        "| network | parameters | multiply-adds (G) | original | largest difference, float32 |"
        " allowed |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    # One row per network: the same random weights and image as the original had.
    for name, record in seeded.records().items():
        network = build(config_of(record)).eval()
        network.load_state_dict(
            {k: torch.from_numpy(np.asarray(v)) for k, v in seeded.weights(record).items()}
        )
        found = outputs_of(network, torch.from_numpy(seeded.image(record)))
        worst = 0.0
        allowed = 1e-5
        # Allowed is three times what float32 itself costs, as the original measured it.
        for key, known in record["outputs"].items():
            limit = max(1e-5, 3 * record["fp32_vs_fp64_max_abs"].get(key, 0.0))
            difference = np.abs(
                found[key].ravel()[known["probe_index"]] - known["probe_value"]
            ).max()
            # The worst is the one nearest to its own limit.
            if difference / limit >= worst / allowed:
                worst = difference
                allowed = limit

        # Sizes are height first in the record.
        wh = (record["input"][3], record["input"][2])
        same = "=" if count_parameters(network) == record["params"] else "!="
        print(
            f"| {name} | {count_parameters(network):,} {same} |"
            f" {count_multiply_adds(network, wh) / 1e9:.4f} | {record['gflops_mmengine']:.4f} |"
            f" {worst:.1e} | {allowed:.1e} |"
        )


if __name__ == "__main__":
    main()
