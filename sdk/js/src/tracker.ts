import { type BoxList, toBoxes, toScores } from "./boxes.js";
import { Core, type Wanted } from "./core.js";
import { RtmposeError } from "./errors.js";
import { type EstimatorOptions, PoseEstimator, type Run } from "./estimator.js";
import type { BgrImage, ImageSource } from "./images.js";
import { type Person, type Poses, toPeople } from "./people.js";
import { Queue } from "./queue.js";
import { checkNames, type TrackerOptions } from "./tracker_params.js";

/** A person of a video. */
export interface TrackedPerson extends Person {
  /** From 1; the same in all frames of one stream, and never used twice. */
  id: number;
}

/** How one frame is looked at. */
export interface TrackOptions {
  /** Seconds of this frame; without it frames are taken to come 30 times a second. */
  timeS?: number;
  /** Whether people are looked for now; without it `detInterval` says. */
  detect?: boolean;
  /** Boxes that were found elsewhere, instead of looking. */
  boxes?: BoxList;
  /** Scores of `boxes`; without them all are 1. */
  boxScores?: ArrayLike<number>;
}

/** What the tracker remembers of one video or camera; each has ids of its own. */
export interface TrackStream {
  track(image: ImageSource, options?: TrackOptions): Promise<TrackedPerson[]>;
  /** Forgets the people; ids go on. */
  reset(): void;
  dispose(): void;
}

const ESTIMATOR_OPTIONS = [
  "model",
  "ort",
  "executionProviders",
  "threads",
  "wasmPaths",
  "sessionOptions",
  "maxPixels",
  "estimator",
] as const;

/** Follows people through videos. */
export class PoseTracker {
  readonly estimator: PoseEstimator;
  readonly #core: Core;
  readonly #tracker: number;
  readonly #ownsEstimator: boolean;
  readonly #streams = new Set<Stream>();
  readonly #stream: Stream;
  #closed: Promise<void> | undefined;

  private constructor(estimator: PoseEstimator, core: Core, options: TrackerOptions) {
    this.estimator = estimator;
    this.#core = core;
    this.#ownsEstimator = !("estimator" in options);
    const { name, own } = PoseEstimator.keypointSet(estimator);
    this.#tracker = core.createTracker(own || name, estimator.skeleton.keypoints.length, options);
    this.#stream = this.#newStream();
  }

  /** Opens a model, or takes an estimator that is there already. */
  static async create(options: TrackerOptions): Promise<PoseTracker> {
    if (options === null || typeof options !== "object") {
      throw new RtmposeError("argument", "create() needs an object with the model");
    }
    checkNames(options, ESTIMATOR_OPTIONS);
    const core = await Core.load();
    if ("estimator" in options) return new PoseTracker(options.estimator, core, options);

    // The tracker has thresholds of its own.
    const { model, ...rest } = options;
    const engine = { ...rest, personThr: undefined } as Partial<EstimatorOptions>;
    const estimator = await PoseEstimator.create({ ...engine, model });
    try {
      return new PoseTracker(estimator, core, options);
    } catch (error) {
      await estimator.dispose();
      throw error;
    }
  }

  /** The people in the next frame with ids, in the order of the ids. */
  track(image: ImageSource, options: TrackOptions = {}): Promise<TrackedPerson[]> {
    return this.#stream.track(image, options);
  }

  /** Forgets the people; ids go on. */
  reset(): void {
    this.#stream.reset();
  }

  /** The memory for one more video or camera. */
  createStream(): TrackStream {
    if (this.#closed) throw new RtmposeError("disposed", "this tracker was disposed of");
    return this.#newStream();
  }

  /** Frees everything, its streams and the network it opened included. */
  dispose(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  declare [Symbol.asyncDispose]: () => Promise<void>;

  async #close(): Promise<void> {
    const streams = Array.from(this.#streams);
    await Promise.all(streams.map((stream) => stream.close()));
    this.#core.destroyTracker(this.#tracker);
    if (this.#ownsEstimator) await this.estimator.dispose();
  }

  #newStream(): Stream {
    const handle = this.#core.createStream(this.#tracker);
    const stream = new Stream(this.#core, handle, this.estimator, () => {
      this.#streams.delete(stream);
    });
    this.#streams.add(stream);
    return stream;
  }
}

if (Symbol.asyncDispose) {
  PoseTracker.prototype[Symbol.asyncDispose] = function (this: PoseTracker) {
    return this.dispose();
  };
}

class Stream implements TrackStream {
  readonly #core: Core;
  readonly #handle: number;
  readonly #estimator: PoseEstimator;
  readonly #forget: () => void;
  readonly #queue = new Queue();
  #closed: Promise<void> | undefined;

  constructor(core: Core, handle: number, estimator: PoseEstimator, forget: () => void) {
    this.#core = core;
    this.#handle = handle;
    this.#estimator = estimator;
    this.#forget = forget;
  }

  async track(image: ImageSource, options: TrackOptions = {}): Promise<TrackedPerson[]> {
    if (this.#closed) throw new RtmposeError("disposed", "this stream was disposed of");
    const given = checkFrame(options);
    return this.#queue.run(() =>
      PoseEstimator.enqueue(this.#estimator, image, async (bgr, run) => {
        const tracked = await this.#frame(bgr, run, options, given);
        const people = toPeople(tracked, bgr.scale);
        return people.map((person, i) => ({ id: tracked.ids[i], ...person }));
      }),
    );
  }

  reset(): void {
    if (this.#closed) throw new RtmposeError("disposed", "this stream was disposed of");
    // After the frames that are under way.
    void this.#queue.run(async () => this.#core.resetStream(this.#handle));
  }

  dispose(): void {
    void this.close();
  }

  /** Frees the memory after the frames that are under way. */
  close(): Promise<void> {
    this.#closed ??= this.#queue.run(async () => {
      this.#core.destroyStream(this.#handle);
      this.#forget();
    });
    return this.#closed;
  }

  async #frame(bgr: BgrImage, run: Run, options: TrackOptions, given: Poses | null) {
    // Found people have poses already: the graph finds both at once.
    const look = given === null && (options.detect ?? this.#core.wantsDetection(this.#handle));
    const found = look ? await run(null) : given;
    const time = options.timeS ?? Number.NaN;
    const boxes = given && bgr.scale !== 1 ? given.boxes.map((v) => v / bgr.scale) : found?.boxes;
    const wanted = this.#core.begin(
      this.#handle,
      bgr.width,
      bgr.height,
      time,
      boxes ?? null,
      found?.boxScores ?? new Float32Array(0),
    );
    try {
      const { keypoints, scores } = await posesIn(wanted, look ? found : null, run);
      return this.#core.finish(this.#handle, keypoints, scores, wanted.sources.length);
    } catch (error) {
      // The frame is half done: only a reset makes the stream usable again.
      this.#core.resetStream(this.#handle);
      throw error;
    }
  }
}

/** The poses in the wanted boxes: those of found people, and new ones where people are followed. */
async function posesIn(wanted: Wanted, found: Poses | null, run: Run) {
  const rows = Array.from(wanted.sources, (source) => (found ? source : -1));
  const missing = rows.flatMap((row, i) => (row < 0 ? [i] : []));
  const boxes = missing.flatMap((i) => Array.from(wanted.boxes.subarray(i * 4, i * 4 + 4)));
  const followed = missing.length ? await run(Float32Array.from(boxes)) : null;

  const k = followed?.keypointCount ?? found?.keypointCount ?? 0;
  const keypoints = new Float32Array(rows.length * k * 2);
  const scores = new Float32Array(rows.length * k);
  let next = 0;
  rows.forEach((row, i) => {
    const from = (row < 0 ? followed : found) as Poses;
    const at = row < 0 ? next++ : row;
    keypoints.set(from.keypoints.subarray(at * k * 2, (at + 1) * k * 2), i * k * 2);
    scores.set(from.scores.subarray(at * k, (at + 1) * k), i * k);
  });
  return { keypoints, scores };
}

/** Checks the options of a frame; the boxes given, without poses. */
function checkFrame(options: TrackOptions): Poses | null {
  const { timeS, detect, boxes, boxScores } = options;
  if (timeS !== undefined && !Number.isFinite(timeS)) {
    throw new RtmposeError("argument", `timeS is a number of seconds, not ${String(timeS)}`);
  }
  if (detect !== undefined && typeof detect !== "boolean") {
    throw new RtmposeError("argument", `detect is true or false, not ${String(detect)}`);
  }
  if (boxes === undefined) {
    if (boxScores !== undefined) throw new RtmposeError("boxes", "boxScores come with boxes");
    return null;
  }
  const flat = toBoxes(boxes);
  const count = flat.length / 4;
  const nothing = new Float32Array(0);
  return {
    count,
    keypointCount: 0,
    boxes: flat,
    boxScores: toScores(boxScores, count),
    keypoints: nothing,
    scores: nothing,
  };
}
