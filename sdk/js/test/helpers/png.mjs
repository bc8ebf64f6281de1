/** Reads 8-bit RGB PNG files without interlacing: those of the conformance cases. */
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";

export function readPng(path) {
  const file = readFileSync(path);
  const packed = [];
  let width = 0;
  let height = 0;
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const kind = file.toString("latin1", at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
    if (kind === "IDAT") packed.push(body);
    at += 12 + length;
  }
  return { data: unfilter(inflateSync(Buffer.concat(packed)), width, height), width, height };
}

/** Each row is stored as differences to its neighbors. */
function unfilter(lines, width, height) {
  const size = width * 3;
  const out = new Uint8Array(size * height);
  for (let y = 0; y < height; y++) {
    const kind = lines[y * (size + 1)];
    for (let i = 0; i < size; i++) {
      const at = y * size + i;
      const left = i >= 3 ? out[at - 3] : 0;
      const up = y > 0 ? out[at - size] : 0;
      const corner = y > 0 && i >= 3 ? out[at - size - 3] : 0;
      const guess = [0, left, up, (left + up) >> 1, nearest(left, up, corner)][kind];
      out[at] = lines[y * (size + 1) + 1 + i] + guess;
    }
  }
  return out;
}

function nearest(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
