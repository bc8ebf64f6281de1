/** What tests need from outside, and why they are skipped without it. */
import { existsSync } from "node:fs";

/** A one-graph export of the cases' models with `--box-thr 0.1`. */
export const MODEL = process.env.RTMPOSE_MODEL ?? "";

export const NO_MODEL = existsSync(MODEL)
  ? false
  : "RTMPOSE_MODEL is not the file that rtmpose export --to pipeline wrote";

const { CORE_WASM } = await import("../../dist/generated/core_wasm.js");

export const NO_TRACKER = NO_MODEL || (CORE_WASM ? false : "built without emscripten: no tracker");
