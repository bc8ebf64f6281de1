/** The estimator in a worker: workers have no import map, so the engine is given. */
import * as ort from "/ort/ort.wasm.bundle.min.mjs";
import { PoseEstimator } from "/dist/web.js";

onmessage = async ({ data: url }) => {
  try {
    const options = { ort, model: "/model.onnx", wasmPaths: "/ort/", threads: 1 };
    const estimator = await PoseEstimator.create(options);
    const people = await estimator.estimate(await (await fetch(url)).blob());
    await estimator.dispose();
    postMessage(people.map((person) => Array.from(person.box)));
  } catch (error) {
    postMessage(String(error));
  }
};
