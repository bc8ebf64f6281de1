#!/usr/bin/env bash
# One would guess: onnx.version_converter lowers a model from opset 18 to 17 where the operators
# of both can say the same, as they can for Split into named sizes.
# What happens: it has no adapter for Split from 18 on downwards and ends with an assertion;
# upwards it works.
# Why it hurts: gated attention units, as in the heads of RTMPose, use Split. A model exported
# with today's default opset cannot be brought to a board whose engine ends at 17 or 13.
# What helps: to export with the older opset. rtmpose 0.1.0 lowers graphs by itself and compares
# the results: `rtmpose export --opset N` (rtmpose/exporting/opset.py).
# Seen: 18 -> 19 converted; 18 -> 17 and 18 -> 13: "No Adapter From Version $18 for Split"
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "onnx==1.23.2"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import onnx
from onnx import TensorProto, helper, version_converter

print("onnx", onnx.__version__)
node = helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1)
sizes = helper.make_tensor("sizes", TensorProto.INT64, [2], [2, 2])
inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2]) for n in "ab"]
graph = helper.make_graph([node], "split", inputs, outputs, [sizes])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
onnx.checker.check_model(model)

seen = {}
for opset in (19, 17, 13):
    try:
        version_converter.convert_version(model, opset)
        seen[opset] = "converted"
    except RuntimeError as error:
        seen[opset] = str(error).strip().splitlines()[0][-60:]
    print(f"18 -> {opset}: {seen[opset]}")

# Nothing in the graph needs 18: the same node is valid in 13.
older = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
onnx.checker.check_model(older)
print("the same graph as opset 13: valid")
surprise = seen[19] == "converted" and "No Adapter" in seen[17] and "No Adapter" in seen[13]
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
