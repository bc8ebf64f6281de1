import { RtmposeError } from "./errors.js";

/** Coordinates beyond this lie in no image. */
const FARTHEST = 1e6;

/** Boxes as x1, y1, x2, y2 in image pixels: one array each, or one array for all. */
export type BoxList =
  | Float32Array
  | Float64Array
  | readonly number[]
  | readonly ArrayLike<number>[];

/** Checked boxes as one array `(N * 4)`. */
export function toBoxes(boxes: BoxList): Float32Array {
  if (!isArrayLike(boxes)) throw new RtmposeError("boxes", "boxes are an array of numbers");
  const flat = flatten(boxes);
  if (flat.length % 4 !== 0) {
    throw new RtmposeError("boxes", `boxes have four numbers each: ${flat.length} are no multiple`);
  }

  const out = Float32Array.from(flat);
  for (let i = 0; i < out.length; i += 4) {
    const box = out.subarray(i, i + 4);
    const text = `box ${i / 4} (${Array.from(box).join(", ")})`;
    if (!box.every((value) => Math.abs(value) <= FARTHEST)) {
      throw new RtmposeError("boxes", `${text} is not finite, or lies in no image`);
    }
    if (!(box[2] > box[0] && box[3] > box[1])) {
      const hint = "boxes are x1, y1, x2, y2, not x, y, width, height";
      throw new RtmposeError("boxes", `${text} has no size: ${hint}`);
    }
  }
  return out;
}

/** Checked scores of `count` boxes; all 1 without any. */
export function toScores(scores: ArrayLike<number> | undefined, count: number): Float32Array {
  if (scores === undefined) return new Float32Array(count).fill(1);
  if (!isArrayLike(scores) || scores.length !== count) {
    throw new RtmposeError("boxes", `${count} boxes need as many scores, not ${scores?.length}`);
  }
  const out = Float32Array.from(scores);
  if (!out.every(Number.isFinite)) throw new RtmposeError("boxes", "a box score is not finite");
  return out;
}

function flatten(boxes: BoxList): number[] {
  const first = boxes[0];
  if (first === undefined || typeof first === "number") {
    return Array.from(boxes as ArrayLike<number>);
  }
  const rows = Array.from(boxes as readonly ArrayLike<number>[]);
  for (const row of rows) {
    if (!isArrayLike(row) || row.length !== 4) {
      throw new RtmposeError("boxes", "each box has four numbers: x1, y1, x2, y2");
    }
  }
  return rows.flatMap((row) => Array.from(row));
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}
