#!/usr/bin/env bash
# One would guess: all builds of onnxruntime-web run the same graphs on WebAssembly, and the one
# with WebGPU only adds a faster device.
# What happens: the build with WebGPU has no kernels for float64. A graph that casts to double, as
# exports that compute sizes do, opens in the plain build and not in that one, also on "wasm".
# Why it hurts: a detector with a few lines of size arithmetic in double works in Node and in the
# plain build, and a page that switches to WebGPU cannot open it at all.
# What helps: whole numbers or float32 in the graph. rtmpose 0.1.0 writes its one-graph exports of
# RTMDet so (rtmpose/exporting/pipeline_detector.py).
# Seen: plain build 2.5; WebGPU build: could not find an implementation for Cast(13)
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "onnx==1.23.2"
venv/bin/python - <<'PYTHON'
import onnx
from onnx import TensorProto, helper

graph = helper.make_graph(
    [
        helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["d"], ["y"], to=TensorProto.FLOAT),
    ],
    "doubles",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.save(model, "doubles.onnx")
PYTHON
echo '{"type": "module"}' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund onnxruntime-web@1.30.0
cat > run.mjs <<'JS'
import { readFileSync } from "node:fs";

const model = new Uint8Array(readFileSync("doubles.onnx"));
async function run(build) {
  const ort = await import(build);
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  try {
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    const x = new ort.Tensor("float32", Float32Array.of(2.5), [1]);
    const { y } = await session.run({ x });
    return String(y.data[0]);
  } catch (error) {
    return String(error.message ?? error);
  }
}
const plain = await run("onnxruntime-web/wasm");
const webgpu = await run("onnxruntime-web/webgpu");
console.log("plain build:", plain);
console.log("WebGPU build:", webgpu.slice(0, 160));
const surprise = plain === "2.5" && webgpu.includes("Cast");
console.log(surprise ? "as described" : "changed");
process.exit(surprise ? 0 : 1);
JS
node run.mjs
