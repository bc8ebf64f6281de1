import { type EngineOptions, providersOf } from "./engine.js";
import { messageOf } from "./errors.js";
import type { RawImage } from "./images.js";
import type { Poses } from "./people.js";

const WIDTH = 160;
const HEIGHT = 120;
const MOST_SCORE_DIFFERENCE = 0.02;
const MOST_PIXELS = 1;
const MOST_OUTPUT_DIFFERENCE = 0.05;
/** So many times slower than WebAssembly is no gain: a GPU in software, or none at all. */
const MOST_SLOWNESS = 2;

/** Engines that have returned wrong numbers without an error. */
const DOUBTFUL = ["webgpu", "webnn", "webgl"];

/** People in {@link pattern}. */
export const PATTERN_BOXES = Float32Array.of(10, 5, 90, 115, 60, 20, 150, 100, -20, 40, 70, 140);

type Providers = ReturnType<typeof providersOf>;

/** A network, and which engine runs it. */
export interface Opened<T> {
  network: T;
  /** Such as `cpu`, `wasm` or `webgpu`. */
  provider: string;
  /** Why the first engine asked for does not run; empty where it does. */
  fallback: string;
}

/**
 * Opens a network with the engines asked for. Doubtful ones are compared with WebAssembly once.
 *
 * @param compare Why the first network is not to be trusted; empty where both agree.
 */
export async function openTrusted<T extends { release(): Promise<void> }>(
  options: EngineOptions,
  open: (providers: Providers) => Promise<T>,
  compare: (tested: T, right: T) => Promise<string>,
): Promise<Opened<T>> {
  const providers = providersOf(options);
  const first = nameOf(providers[0]);
  if (!DOUBTFUL.includes(first)) {
    try {
      return { network: await open(providers), provider: first, fallback: "" };
    } catch (error) {
      // The engine fails where one of several is not there; what is wrong otherwise stays so.
      const others = providers.slice(1);
      if (others.length === 0) throw error;
      const opened = await openTrusted({ ...options, executionProviders: others }, open, compare);
      const reasons = [`${first} is not used: ${messageOf(error)}`, opened.fallback];
      return { ...opened, fallback: reasons.filter(Boolean).join("; ") };
    }
  }

  const safe = await open(["wasm"]);
  let reason = "";
  try {
    // Alone: beside others the engine drops one that is not there, without an error.
    const fast = await open([providers[0]]);
    reason = await compare(fast, safe);
    if (!reason) {
      await safe.release();
      return { network: fast, provider: first, fallback: "" };
    }
    await fast.release();
  } catch (error) {
    reason = messageOf(error);
  }
  return { network: safe, provider: "wasm", fallback: `${first} is not used: ${reason}` };
}

/** Compares second calls: the first ones compile. */
export async function slowness(
  tested: () => Promise<unknown>,
  right: () => Promise<unknown>,
): Promise<string> {
  const time = async (run: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await run();
    return performance.now() - start;
  };
  const most = MOST_SLOWNESS * (await time(right));
  const taken = await time(tested);
  if (taken <= most) return "";
  return `it takes ${taken.toFixed(0)} ms where wasm takes ${(most / MOST_SLOWNESS).toFixed(0)} ms`;
}

/** How people differ from those that are known to be right; empty where they do not. */
export function difference(found: Poses, expected: Poses): string {
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

/** How the numbers of a network differ from those that are known to be right. */
export function outputDifference(found: Float32Array, expected: Float32Array): string {
  if (found.length !== expected.length) {
    return `it returns ${found.length} numbers instead of ${expected.length}`;
  }
  let apart = 0;
  let size = 0;
  expected.forEach((value, i) => {
    apart += Math.abs(found[i] - value);
    size += Math.abs(value);
  });
  const share = apart / Math.max(size, Number.EPSILON);
  if (share <= MOST_OUTPUT_DIFFERENCE) return "";
  return `its numbers are ${(100 * share).toFixed(0)} % off`;
}

/** Rectangles and a gradient: edges in both directions, the same in every engine. */
export function pattern(): RawImage {
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
  return { data, width: WIDTH, height: HEIGHT, format: "bgr", stride: WIDTH * 3, scale: 1 };
}

function nameOf(provider: string | { name: string }): string {
  return typeof provider === "string" ? provider : provider.name;
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
