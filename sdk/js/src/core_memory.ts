/** The C++ core in WebAssembly: its memory, its errors, and how its results are read. */
import { messageOf, RtmposeError } from "./errors.js";
import { CORE_WASM } from "./generated/core_wasm.js";
import type { Poses } from "./people.js";

/** Boxes of people or other objects, the highest score first. */
export interface Detections {
  count: number;
  /** `(N * 4)` x1, y1, x2, y2; they may reach past the image. */
  boxes: Float32Array;
  /** `(N)`, 0 to 1. */
  scores: Float32Array;
  /** `(N)` classes. */
  labels: Int32Array;
}

type Call = (...args: number[]) => number;

const OUT_POINTER = 4; // bytes
const ERROR_CODES: Record<number, "argument" | "model"> = { 1: "argument", 2: "model" };

/** One memory for everything of the page. */
export class CoreMemory {
  readonly calls: Record<string, Call>;
  readonly #memory: WebAssembly.Memory;

  /** @internal */
  constructor(instance: WebAssembly.Instance) {
    this.calls = instance.exports as unknown as Record<string, Call>;
    this.#memory = instance.exports["memory"] as WebAssembly.Memory;
  }

  /** Its size in bytes; for tests of leaks. */
  get size(): number {
    return this.#memory.buffer.byteLength;
  }

  // ---- views, good until the next allocation: memory that grows moves

  bytes(at: number, count: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, count);
  }

  floats(at: number, count: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, count);
  }

  words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.#memory.buffer, at, count);
  }

  view(): DataView {
    return new DataView(this.#memory.buffer);
  }

  text(at: number): string {
    if (at === 0) return "";
    const all = new Uint8Array(this.#memory.buffer, at);
    return new TextDecoder().decode(all.slice(0, all.indexOf(0)));
  }

  // ---- allocation

  allocate(size: number): number {
    const at = this.calls["malloc"](Math.max(size, 1)) >>> 0;
    if (at === 0) {
      throw new RtmposeError("core", `WebAssembly has no memory left for ${size} bytes`);
    }
    return at;
  }

  free(at: number): void {
    this.calls["free"](at);
  }

  /** Room that is freed at the end. */
  scratch<T>(use: (room: Scratch) => T): T {
    const room = new Scratch(this);
    try {
      return use(room);
    } finally {
      room.free();
    }
  }

  // ---- calls

  check(status: number): void {
    if (status === 0) return;
    const text = this.text(this.calls["rtmpose_last_error"]());
    throw new RtmposeError(ERROR_CODES[status] ?? "core", text);
  }

  /** What a call made, behind its last argument. */
  made(call: (out: number) => number): number {
    return this.scratch((room) => {
      const out = room.room(OUT_POINTER);
      this.check(call(out));
      return this.words(out, 1)[0];
    });
  }

  // ---- results, which are copied and released

  takeDetections(at: number): Detections {
    const [count, boxes, scores, labels] = this.words(at, 4);
    const found = {
      count,
      boxes: this.floats(boxes, count * 4).slice(),
      scores: this.floats(scores, count).slice(),
      labels: new Int32Array(this.#memory.buffer, labels, count).slice(),
    };
    this.calls["rtmpose_detections_release"](at);
    return found;
  }

  /** The people, and their ids where they have some. */
  takePoses(at: number): Poses & { ids: number[] } {
    const [count, keypointCount, boxes, boxScores, keypoints, scores, ids] = this.words(at, 7);
    const numbers = ids ? new BigInt64Array(this.#memory.buffer, ids, count) : [];
    const poses = {
      count,
      keypointCount,
      boxes: this.floats(boxes, count * 4).slice(),
      boxScores: this.floats(boxScores, count).slice(),
      keypoints: this.floats(keypoints, count * keypointCount * 2).slice(),
      scores: this.floats(scores, count * keypointCount).slice(),
      ids: Array.from(numbers, Number),
    };
    this.calls["rtmpose_poses_release"](at);
    return poses;
  }
}

/** Allocations that end together. */
export class Scratch {
  readonly #memory: CoreMemory;
  readonly #used: number[] = [];

  constructor(memory: CoreMemory) {
    this.#memory = memory;
  }

  room(size: number): number {
    const at = this.#memory.allocate(size);
    this.#used.push(at);
    return at;
  }

  bytes(values: Uint8Array): number {
    const at = this.room(values.length);
    this.#memory.bytes(at, values.length).set(values);
    return at;
  }

  floats(values: ArrayLike<number>): number {
    const at = this.room(values.length * 4);
    this.#memory.floats(at, values.length).set(values);
    return at;
  }

  integers(values: Int32Array): number {
    return this.bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  /** A text with a zero at the end; none for null. */
  text(text: string | null): number {
    return text === null ? 0 : this.bytes(new TextEncoder().encode(`${text}\0`));
  }

  free(): void {
    for (const at of this.#used) this.#memory.free(at);
  }
}

let loaded: Promise<CoreMemory> | undefined;

/** The core, started by the first call. */
export function loadCore(): Promise<CoreMemory> {
  loaded ??= instantiate().then((instance) => new CoreMemory(instance));
  return loaded;
}

async function instantiate(): Promise<WebAssembly.Instance> {
  if (!CORE_WASM) {
    const text = "this build of the package lacks its WebAssembly (Detector, PoseDetector, trackers)";
    throw new RtmposeError("core", `${text}: build it where emscripten is installed`);
  }
  if (typeof WebAssembly !== "object") {
    throw new RtmposeError("core", "WebAssembly is turned off here (--jitless, or lockdown mode)");
  }
  try {
    const bytes = Uint8Array.from(atob(CORE_WASM), (char) => char.charCodeAt(0));
    const module = await WebAssembly.compile(bytes);
    const instance = await WebAssembly.instantiate(module, imports(module));
    (instance.exports["_initialize"] as (() => void) | undefined)?.();
    return instance;
  } catch (error) {
    const text = `the package's WebAssembly could not start: ${messageOf(error)}`;
    const hint = /Content Security Policy|unsafe-eval/i.test(text)
      ? "; the page's Content-Security-Policy needs script-src 'wasm-unsafe-eval'"
      : "";
    throw new RtmposeError("core", text + hint, error);
  }
}

/** The core prints nothing and opens nothing: what the C library asks of a system does nothing. */
function imports(module: WebAssembly.Module): WebAssembly.Imports {
  const table: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind !== "function") throw new Error(`it wants ${from}.${name}`);
    table[from] ??= {};
    table[from][name] = name === "proc_exit" ? stop : () => 0;
  }
  return table;
}

function stop(): never {
  throw new Error("it has stopped");
}
