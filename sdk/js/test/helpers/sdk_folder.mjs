/** Folders of the deployment SDK for the cases' models. */
import { copyFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { DETECTOR, POSE } from "./setup.mjs";

const MEAN = [123.675, 116.28, 103.53];
const STD = [58.395, 57.12, 57.375];

/** The texts and the network of a pose network's folder. */
export const POSE_FOLDER = folder(
  POSE,
  "topdownposeestimator",
  [{ type: "TopDownAffine", image_size: [192, 256] }, { type: "Normalize", mean: MEAN, std: STD, to_rgb: true }],
  { component: "SimCCLabelDecode", params: { simcc_split_ratio: 2.0 } },
);

/** The same of a detector's. */
export const DETECTOR_FOLDER = folder(
  DETECTOR,
  "rtmdet",
  [
    { type: "Resize", size: [320, 320], keep_ratio: true },
    { type: "Pad", size: [320, 320] },
    { type: "Normalize", mean: MEAN.toReversed(), std: STD.toReversed(), to_rgb: false },
  ],
  { component: "ResizeBBox", params: { score_thr: 0.0 } },
);

/** Writes a folder that is there already; returns its path. */
export function writeFolder(path, { network, deploy, pipeline }, { link = false } = {}) {
  writeFileSync(join(path, "deploy.json"), deploy);
  writeFileSync(join(path, "pipeline.json"), pipeline);
  writeFileSync(join(path, "detail.json"), "{}");
  (link ? symlinkSync : copyFileSync)(network, join(path, "end2end.onnx"));
  return path;
}

function folder(network, name, transforms, decode) {
  const tasks = [{ module: "Transform", transforms }, { module: "Net" }, { name: "post", ...decode }];
  return {
    network,
    deploy: JSON.stringify({ models: [{ name, net: "end2end.onnx" }] }),
    pipeline: JSON.stringify({ pipeline: { tasks } }),
  };
}
