/** The conformance cases: their images, and how far results are from what is expected. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { readPng } from "./png.mjs";

const FOLDER = new URL("../../../conformance/", import.meta.url);
const photos = new Map();

export function readCases() {
  const table = JSON.parse(readFileSync(new URL("cases.json", FOLDER), "utf8"));
  if (table.format !== 1) throw new Error(`cases of format ${table.format} are not known`);
  return table;
}

/** An image of a recipe, as RGB. */
export function compose({ width, height, parts }) {
  const data = new Uint8Array(width * height * 3);
  for (const { photo, from, to, repeat } of parts) {
    const source = readPhoto(photo);
    const [fromX, fromY, partWidth, partHeight] = from;
    for (let y = 0; y < partHeight * repeat; y++) {
      for (let x = 0; x < partWidth * repeat; x++) {
        const [outX, outY] = [to[0] + x, to[1] + y];
        if (outX < 0 || outY < 0 || outX >= width || outY >= height) continue;
        const row = fromY + Math.floor(y / repeat);
        const at = (row * source.width + fromX + Math.floor(x / repeat)) * 3;
        const out = (outY * width + outX) * 3;
        for (let c = 0; c < 3; c++) data[out + c] = source.data[at + c];
      }
    }
  }
  return { data, width, height, format: "rgb" };
}

function readPhoto(name) {
  if (!photos.has(name)) {
    photos.set(name, readPng(fileURLToPath(new URL(`images/${name}.png`, FOLDER))));
  }
  return photos.get(name);
}

// Which byte of an RGB pixel each byte of the others is; alpha is 128.
const ORDERS = {
  bgr: [2, 1, 0],
  rgb: [0, 1, 2],
  bgra: [2, 1, 0, null],
  rgba: [0, 1, 2, null],
  gray: [1],
};

/** The same image in another order of bytes. */
export function withPixels(image, format) {
  const order = ORDERS[format];
  const size = order.length;
  const data = new Uint8Array(image.width * image.height * size).fill(128);
  order.forEach((from, to) => {
    if (from === null) return;
    for (let at = from; to < data.length; at += 3, to += size) data[to] = image.data[at];
  });
  return { data, width: image.width, height: image.height, format };
}

/** Differences of all cases of a kind. */
export class Differences {
  boxes = [];
  boxScores = [];
  keypoints = [];
  scores = [];
  people = 0;
  cases = 0;
  ties = 0;

  /** Adds the people of an image; they are in the order of the expected ones. */
  add(people, expected, { repeat = 1, ties = [] } = {}) {
    const known = new Set(ties.map(([person, point]) => `${person},${point}`));
    this.cases += 1;
    this.people += people.length;
    people.forEach((person, n) => {
      this.boxes.push(farthest(person.box, expected.boxes[n]) / repeat);
      const boxScores = expected.box_scores ?? expected.scores;
      this.boxScores.push(Math.abs(person.boxScore - boxScores[n]));
      if (!expected.keypoints) return;
      expected.keypoints[n].forEach(([x, y], k) => {
        const [dx, dy] = [person.keypoints[2 * k] - x, person.keypoints[2 * k + 1] - y];
        const distance = Math.hypot(dx, dy) / repeat;
        this.keypoints.push(distance);
        if (distance > 0.5 && known.has(`${n},${k}`)) this.ties += 1;
        this.scores.push(Math.abs(person.scores[k] - expected.scores[n][k]));
      });
    });
  }

  line(kind) {
    const text = (name, values, digits) =>
      values.length === 0
        ? ""
        : `, ${name} median ${quantile(values, 0.5).toFixed(digits)}` +
          ` 95 % ${quantile(values, 0.95).toFixed(digits)}` +
          ` largest ${quantile(values, 1).toFixed(digits)}`;
    const jumps = this.keypoints.filter((value) => value > 0.5).length;
    return (
      `${kind}: ${this.cases} cases, ${this.people} people` +
      text("boxes", this.boxes, 4) +
      text("keypoints", this.keypoints, 4) +
      text("box scores", this.boxScores, 5) +
      text("keypoint scores", this.scores, 5) +
      (jumps ? `, ${jumps} of ${this.keypoints.length} keypoints jump (${this.ties} known)` : "")
    );
  }
}

export function quantile(values, part) {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

function farthest(a, b) {
  return Math.max(...b.map((value, i) => Math.abs(value - a[i])));
}

/** People in the order of the expected boxes, the nearest first. */
export function matched(people, boxes) {
  const left = [...people];
  return boxes.map((box) => {
    left.sort((a, b) => farthest(a.box, box) - farthest(b.box, box));
    return left.shift();
  });
}
