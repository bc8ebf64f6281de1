/** The tracker of the C++ core in WebAssembly, call by call; see rtmpose_core.h. */
import { messageOf, RtmposeError } from "./errors.js";
import { CORE_WASM } from "./generated/core_wasm.js";
import type { Poses } from "./people.js";
import { PARAMS_SIZE, type TrackerParams, writeParams } from "./tracker_params.js";

/** Boxes in which poses are wanted. */
export interface Wanted {
  /** `(N * 4)`. */
  boxes: Float32Array;
  /** Which of the found boxes each is; -1 for somebody who is followed. */
  sources: Int32Array;
}

/** People with ids, in the order of the ids. */
export interface TrackedPoses extends Poses {
  ids: number[];
}

type Call = (...args: number[]) => number;

const OUT_POINTER = 4; // bytes

/** One memory for all trackers of the page. */
export class Core {
  readonly #calls: Record<string, Call>;
  readonly #memory: WebAssembly.Memory;
  static #loaded: Promise<Core> | undefined;

  private constructor(instance: WebAssembly.Instance) {
    this.#calls = instance.exports as unknown as Record<string, Call>;
    this.#memory = instance.exports["memory"] as WebAssembly.Memory;
  }

  static load(): Promise<Core> {
    Core.#loaded ??= instantiate().then((instance) => new Core(instance));
    return Core.#loaded;
  }

  /** @returns A tracker of poses that are computed elsewhere. */
  createTracker(skeleton: string, keypoints: number, params: Partial<TrackerParams>): number {
    return this.#scratch(PARAMS_SIZE, (settings) => {
      this.#calls["rtmpose_tracker_params_init"](settings, PARAMS_SIZE);
      writeParams(new DataView(this.#memory.buffer), settings, params);
      return this.#withText(skeleton, (name) =>
        this.#made((out) =>
          this.#calls["rtmpose_tracker_create_bare"](name, keypoints, 0, settings, out),
        ),
      );
    });
  }

  destroyTracker(tracker: number): void {
    this.#calls["rtmpose_tracker_destroy"](tracker);
  }

  createStream(tracker: number): number {
    return this.#made((out) => this.#calls["rtmpose_stream_create"](tracker, out));
  }

  destroyStream(stream: number): void {
    this.#calls["rtmpose_stream_destroy"](stream);
  }

  resetStream(stream: number): void {
    this.#check(this.#calls["rtmpose_stream_reset"](stream));
  }

  wantsDetection(stream: number): boolean {
    return this.#calls["rtmpose_stream_wants_detection"](stream) === 1;
  }

  /**
   * First half of a frame.
   *
   * @param boxes What was found `(N * 4)`; null where nobody was looked for.
   */
  begin(
    stream: number,
    width: number,
    height: number,
    timeS: number,
    boxes: Float32Array | null,
    scores: Float32Array,
  ): Wanted {
    // Nobody found is another thing than not looked for: room for one box keeps the pointer real.
    const size = boxes ? Math.max(boxes.length, 4) * 4 : 0;
    return this.#scratch(size + scores.length * 4 + 4, (at) => {
      const boxesAt = boxes ? at : 0;
      const scoresAt = boxes ? at + size : 0;
      if (boxes) {
        this.#floats(boxesAt, boxes.length).set(boxes);
        this.#floats(scoresAt, scores.length).set(scores);
      }
      const count = boxes ? boxes.length / 4 : 0;
      const args = [stream, width, height, timeS, boxesAt, scoresAt, 0, count];
      const wanted = this.#made((out) => this.#calls["rtmpose_stream_begin"](...args, out));
      const result = this.#readWanted(wanted);
      this.#calls["rtmpose_detections_release"](wanted);
      return result;
    });
  }

  /** Second half of a frame: the poses in the wanted boxes. */
  finish(stream: number, keypoints: Float32Array, scores: Float32Array, count: number) {
    return this.#scratch((keypoints.length + scores.length) * 4 + 4, (at) => {
      const scoresAt = at + keypoints.length * 4;
      this.#floats(at, keypoints.length).set(keypoints);
      this.#floats(scoresAt, scores.length).set(scores);
      const poses = this.#made((out) =>
        this.#calls["rtmpose_stream_finish"](stream, at, scoresAt, count, out),
      );
      const result = this.#readPoses(poses);
      this.#calls["rtmpose_poses_release"](poses);
      return result;
    });
  }

  /** Bytes of the core's memory; for tests of leaks. */
  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  #readWanted(at: number): Wanted {
    const [count, boxes, , labels] = this.#words(at, 4);
    return {
      boxes: this.#floats(boxes, count * 4).slice(),
      sources: new Int32Array(this.#memory.buffer, labels, count).slice(),
    };
  }

  #readPoses(at: number): TrackedPoses {
    const [count, keypointCount, boxes, boxScores, keypoints, scores, ids] = this.#words(at, 7);
    return {
      count,
      keypointCount,
      boxes: this.#floats(boxes, count * 4).slice(),
      boxScores: this.#floats(boxScores, count).slice(),
      keypoints: this.#floats(keypoints, count * keypointCount * 2).slice(),
      scores: this.#floats(scores, count * keypointCount).slice(),
      ids: Array.from(new BigInt64Array(this.#memory.buffer, ids, count), Number),
    };
  }

  // ---- memory

  #floats(at: number, count: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, count);
  }

  #words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.#memory.buffer, at, count);
  }

  #scratch<T>(bytes: number, use: (at: number) => T): T {
    const at = this.#calls["malloc"](bytes);
    if (at === 0) throw new RtmposeError("tracker", "the tracker has no memory left");
    try {
      return use(at);
    } finally {
      this.#calls["free"](at);
    }
  }

  #withText<T>(text: string, use: (at: number) => T): T {
    const bytes = new TextEncoder().encode(`${text}\0`);
    return this.#scratch(bytes.length, (at) => {
      new Uint8Array(this.#memory.buffer, at, bytes.length).set(bytes);
      return use(text ? at : 0);
    });
  }

  /** What a call made, behind its last argument. */
  #made(call: (out: number) => number): number {
    return this.#scratch(OUT_POINTER, (out) => {
      this.#check(call(out));
      return this.#words(out, 1)[0];
    });
  }

  #check(status: number): void {
    if (status === 0) return;
    const start = this.#calls["rtmpose_last_error"]();
    const bytes = new Uint8Array(this.#memory.buffer, start);
    const text = new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
    throw new RtmposeError(status === 1 ? "argument" : "tracker", text);
  }
}

async function instantiate(): Promise<WebAssembly.Instance> {
  if (!CORE_WASM) {
    const text = "this build of the package has no tracker: build it where emscripten is installed";
    throw new RtmposeError("tracker", text);
  }
  try {
    const bytes = Uint8Array.from(atob(CORE_WASM), (char) => char.charCodeAt(0));
    const module = await WebAssembly.compile(bytes);
    const instance = await WebAssembly.instantiate(module, imports(module));
    (instance.exports["_initialize"] as (() => void) | undefined)?.();
    return instance;
  } catch (error) {
    const text = `the tracker's WebAssembly could not start: ${messageOf(error)}`;
    throw new RtmposeError("tracker", text, error);
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
