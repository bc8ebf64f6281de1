#!/usr/bin/env bash
# One would guess: an ONNX file says hard swish either as the operator HardSwish (opset 14 and newer) or
# as x * HardSigmoid(x) with alpha 1/6 and beta 1/2, which is the operator's definition and what exporters
# write for older opsets; OpenVINO computes both in the same way, as a part of the convolution before.
# What happens: only the operator joins the convolution. The product stays: HardSigmoid runs as a slow
# reference layer of its own (Math), followed by a multiplication (Subgraph). The outputs are equal.
# Why it hurts: pose networks with hard swish exported for opset 13 take longer than the same ones with
# SiLU: RTMPose-s with ten of them, in 8 bits, four crops, one thread: 30.6 instead of 21.4 ms (SiLU 23.3).
# What helps: the operator. rtmpose 0.1.0 puts it in the product's place when it reads a network for
# OpenVINO (rtmpose/backends/openvino_network.py).
# Seen: layers beside convolutions and reorders: HardSwish none; product Math and Subgraph
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "openvino==2026.4.1" "onnx==1.22.0" "numpy==2.4.6"
cd "$folder"
export HOME="$folder"
cat > layers.py <<'PYTHON'
import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
weights = [rng.normal(0, 0.1, (16, 16, 3, 3)).astype(np.float32) for _ in range(2)]
image = rng.normal(0, 1, (1, 16, 32, 32)).astype(np.float32)


def network(product):
    if product:
        middle = [
            helper.make_node("HardSigmoid", ["a"], ["gate"], alpha=1 / 6, beta=0.5),
            helper.make_node("Mul", ["a", "gate"], ["b"]),
        ]
    else:
        middle = [helper.make_node("HardSwish", ["a"], ["b"])]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1]),
        *middle,
        helper.make_node("Conv", ["b", "w1"], ["y"], pads=[1, 1, 1, 1]),
    ]
    shape = [1, 16, 32, 32]
    graph = helper.make_graph(
        nodes,
        "two convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


outputs = []
for product in (False, True):
    name = "product" if product else "HardSwish"
    onnx.save(network(product), f"{name}.onnx")
    compiled = openvino.Core().compile_model(f"{name}.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs.append(compiled(image)[0])
    kinds = [
        node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ops()
    ]
    others = sorted(set(kinds) - {"Input", "Output", "Const", "Constant", "Reorder", "Convolution"})
    print(name, "runs", kinds.count("Convolution"), "convolutions and", others or "nothing else")
print("largest difference of the outputs", float(np.abs(outputs[0] - outputs[1]).max()))
PYTHON
found="$(venv/bin/python layers.py)"
echo "$found"
echo "$found" | grep -q "^HardSwish runs 2 convolutions and nothing else$" \
  && echo "$found" | grep -q "^product runs 2 convolutions and \['Math', 'Subgraph'\]$" \
  && echo "as described" || { echo changed; exit 1; }
