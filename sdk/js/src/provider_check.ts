import type { Graph } from "./graph.js";
import type { BgrImage } from "./images.js";
import type { Poses } from "./people.js";

const WIDTH = 160;
const HEIGHT = 120;
const BOXES = Float32Array.of(10, 5, 90, 115, 60, 20, 150, 100, -20, 40, 70, 140);
const MOST_SCORE_DIFFERENCE = 0.02;
const MOST_PIXELS = 1;
/** So many times slower than WebAssembly is no gain: a GPU in software, or none at all. */
const MOST_SLOWNESS = 2;

/**
 * Compares an engine with one that is known to be right, on a fixed image.
 *
 * Returns why the first is not to be trusted; empty where they agree.
 */
export async function isTrusted(tested: Graph, right: Graph): Promise<string> {
  const image = pattern();
  const expected = await right.run(image, BOXES);
  const found = await tested.run(image, BOXES);
  const reason = difference(found, expected) || (await slowness(tested, right, image));
  if (reason) return reason;

  // The detector as well; the pattern holds nobody, so mostly there is nobody to compare.
  const people = await right.run(image, null);
  return difference(await tested.run(image, null), people);
}

/** Compares second calls: the first ones compile. */
async function slowness(tested: Graph, right: Graph, image: BgrImage): Promise<string> {
  const time = async (graph: Graph): Promise<number> => {
    const start = performance.now();
    await graph.run(image, BOXES);
    return performance.now() - start;
  };
  const most = MOST_SLOWNESS * (await time(right));
  const taken = await time(tested);
  if (taken <= most) return "";
  return `it takes ${taken.toFixed(0)} ms where wasm takes ${(most / MOST_SLOWNESS).toFixed(0)} ms`;
}

function difference(found: Poses, expected: Poses): string {
  if (found.count !== expected.count) {
    return `it finds ${found.count} people instead of ${expected.count}`;
  }
  const scores = median(distances(found.scores, expected.scores));
  if (!(scores < MOST_SCORE_DIFFERENCE)) return `its scores are ${scores.toFixed(3)} off`;

  // Medians: of two peaks of the same height either may win.
  const pixels = median(distances(found.keypoints, expected.keypoints));
  if (!(pixels < MOST_PIXELS)) return `its keypoints are ${pixels.toFixed(1)} pixels off`;
  return "";
}

function distances(a: Float32Array, b: Float32Array): number[] {
  return Array.from(a, (value, i) => Math.abs(value - b[i]));
}

function median(values: number[]): number {
  if (values.length === 0) return 0;
  // Sorting would hide NaN anywhere in the array.
  if (values.some(Number.isNaN)) return Number.NaN;
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Rectangles and a gradient: edges in both directions, the same in every engine. */
function pattern(): BgrImage {
  const data = new Uint8Array(WIDTH * HEIGHT * 3);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const at = (y * WIDTH + x) * 3;
      const inside = (x >> 4) % 3 === 1 && (y >> 5) % 2 === 0;
      data[at] = inside ? 220 : x;
      data[at + 1] = inside ? 180 : y * 2;
      data[at + 2] = inside ? 160 : (x + y) >> 1;
    }
  }
  return { data, width: WIDTH, height: HEIGHT, scale: 1 };
}
