#!/usr/bin/env bash
# One would guess: `pip install "onnxruntime-gpu[cuda,cudnn]"` brings all libraries that a GPU
# session loads, so that naming CUDAExecutionProvider is enough.
# What happens: the session does not look into the packages that the extras installed. It runs on
# the CPU, with one line in the log (libcublasLt not found). Only after preload_dlls() are they
# found; then all that is missing on a machine without a GPU is the driver's own library.
# Why it hurts: the session opens, results are right, and pose is twenty times slower than it was
# meant to be.
# What helps: onnxruntime.preload_dlls() before the first session. It prints to the standard
# output. rtmpose 0.1.0 calls it for GPU devices (rtmpose/backends/cuda_libraries.py) and makes a
# session that fell back to the CPU an error.
# Seen: plain: libcublasLt.so.13 missing; after preload_dlls(): libcuda.so.1 missing
# Needs 2.5 GB; a machine without CUDA of its own, with or without a GPU.
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "onnxruntime-gpu[cuda,cudnn]==1.31.1" "onnx==1.23.2"
cd "$folder"
cat > session.py <<'PYTHON'
import sys

import onnxruntime as ort
from onnx import TensorProto, helper

value = [
    helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y")
]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
opset = [helper.make_opsetid("", 17)]
model = helper.make_model(graph, opset_imports=opset, ir_version=8)
if sys.argv[1] == "preload":
    ort.preload_dlls()
providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
session = ort.InferenceSession(model.SerializeToString(), providers=providers)
print("runs on", session.get_providers()[0])
PYTHON
venv/bin/python -c 'import onnxruntime; print("onnxruntime-gpu", onnxruntime.__version__)'
plain="$(venv/bin/python session.py plain 2>&1)"
preloaded="$(venv/bin/python session.py preload 2>&1)"
missing() { grep -o "lib[A-Za-z]*\.so\.[0-9]*: cannot open" <<< "$1" || echo "nothing"; }
echo "plain:         $(grep -o 'runs on.*' <<< "$plain"); missing: $(missing "$plain")"
echo "preload_dlls(): $(grep -o 'runs on.*' <<< "$preloaded"); missing: $(missing "$preloaded")"
if grep -q "libcublasLt" <<< "$plain" && ! grep -q "libcublasLt" <<< "$preloaded"; then
  echo "as described"
else
  echo "changed"
  exit 1
fi
