/** What tests need from outside, and why they are skipped without it. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { RtmposeError } from "rtmpose";

import { readPng } from "./png.mjs";

const ROOT = new URL("../../../../", import.meta.url);
const MODELS = new URL("rtmpose/assets/models/", ROOT);
const bundled = (name) => fileURLToPath(new URL(name, MODELS));

/** A one-graph export of the cases' models with `--box-thr 0.1`. */
export const MODEL = process.env.RTMPOSE_MODEL ?? "";

/** The cases' models, each with its own file. */
export const DETECTOR = bundled("rtmdet-nano_finetuned_320x320.onnx");
export const POSE = bundled("rtmpose-s_finetuned-halpe26_256x192.onnx");
export const SMALL_POSE = bundled("rtmpose-s-pruned_finetuned-halpe26_192x144.onnx");

export const NO_MODEL = existsSync(MODEL)
  ? false
  : "RTMPOSE_MODEL is not the file that rtmpose export --to pipeline wrote";

const { CORE_WASM } = await import("../../dist/generated/core_wasm.js");

/** Why Detector, PoseDetector and trackers are not tested. */
export const NO_CORE = CORE_WASM ? false : "built without emscripten: no WebAssembly";

export const NO_TRACKER = NO_MODEL || NO_CORE;

/** Why networks with files of their own are not tested. */
export const NO_NETWORKS =
  NO_CORE || (process.env.RTMPOSE_NETWORKS === "no" ? "RTMPOSE_NETWORKS=no" : false);

/** A photo of the cases. */
export function readPhoto(name) {
  return readPng(fileURLToPath(new URL(`sdk/conformance/images/${name}.png`, ROOT)));
}

/** Checks that a task fails with an error of this package. */
export async function fails(task, code, text) {
  await assert.rejects(task, (error) => {
    assert.ok(error instanceof RtmposeError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  });
}
