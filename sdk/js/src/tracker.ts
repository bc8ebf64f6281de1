import { type BoxList, toBoxes, toScores } from "./boxes.js";
import { loadCore } from "./core_memory.js";
import { type CoreStream, CoreTracker, type Wanted } from "./core_tracker.js";
import { Detector } from "./detector.js";
import { ENGINE_OPTIONS } from "./engine.js";
import { RtmposeError } from "./errors.js";
import { type EstimatorOptions, PoseEstimator } from "./estimator.js";
import {
  estimatorSource,
  type Found,
  type FrameSource,
  networkSource,
  type ReadFrame,
} from "./frame_source.js";
import type { ImageSource } from "./images.js";
import { joined, type Person, type Poses, scaled, selected, toPeople } from "./people.js";
import { PoseDetector } from "./pose_detector.js";
import { type CallOptions, checkSignal, Queue } from "./queue.js";
import { checkMade, checkNames } from "./ranges.js";
import type { Skeleton } from "./skeleton.js";
import { FIELDS, type TrackerNetworks, type TrackerOptions } from "./tracker_params.js";

/** A person of a video. */
export interface TrackedPerson extends Person {
  /** From 1; the same in all frames of one stream, and never used twice. */
  id: number;
}

/** How one frame is looked at. */
export interface TrackOptions extends CallOptions {
  /** Seconds of this frame; without it frames are taken to come 30 times a second. */
  timeS?: number | undefined;
  /** Whether people are looked for now; without it `detInterval` says. */
  detect?: boolean | undefined;
  /** Boxes that were found elsewhere, instead of looking. */
  boxes?: BoxList | undefined;
  /** Scores of `boxes`; without them all are 1. */
  boxScores?: ArrayLike<number> | undefined;
}

/** What the tracker remembers of one video or camera; each has ids of its own. */
export interface TrackStream {
  track(image: ImageSource, options?: TrackOptions): Promise<TrackedPerson[]>;
  /** Forgets the people; ids go on. */
  reset(): void;
  dispose(): void;
}

const NETWORK_OPTIONS = ["model", ...ENGINE_OPTIONS, "maxPixels", "estimator", "detector", "pose"];

/** Follows people through videos. */
export class PoseTracker {
  /** The keypoint set: names, and what is drawn connected. */
  readonly skeleton: Skeleton;
  readonly #estimator: PoseEstimator | null;
  readonly #source: FrameSource;
  readonly #tracker: CoreTracker;
  readonly #ownsEstimator: boolean;
  readonly #streams = new Set<Stream>();
  readonly #stream: Stream;
  #closed: Promise<void> | undefined;

  private constructor(
    networks: PoseEstimator | TrackerNetworks,
    tracker: (source: FrameSource) => CoreTracker,
    ownsEstimator: boolean,
  ) {
    checkMade(typeof tracker === "function", "PoseTracker");
    const single = networks instanceof PoseEstimator;
    this.#estimator = single ? networks : null;
    this.#ownsEstimator = ownsEstimator;
    this.skeleton = single ? networks.skeleton : networks.pose.skeleton;
    this.#source = single
      ? estimatorSource(networks)
      : networkSource(networks.detector ?? null, networks.pose);
    this.#tracker = tracker(this.#source);
    this.#stream = this.#newStream();
  }

  /** Opens a one-graph model, or takes networks that are there already. */
  static async create(options: TrackerOptions): Promise<PoseTracker> {
    if (options === null || typeof options !== "object") {
      throw new RtmposeError("argument", "create() needs an object with the model");
    }
    checkNames(options, [...Object.keys(FIELDS), ...NETWORK_OPTIONS]);
    const core = await loadCore();
    const tracker = (source: FrameSource): CoreTracker => {
      const { skeletonText, keypointCount, oneStage, finds } = source;
      const params = finds ? { ...options, wholeImage: undefined } : options;
      return new CoreTracker(core, skeletonText, keypointCount, oneStage, params);
    };
    if ("pose" in options) return new PoseTracker(checkedNetworks(options), tracker, false);
    if ("estimator" in options) {
      if (!(options.estimator instanceof PoseEstimator)) {
        throw new RtmposeError("argument", "estimator is a PoseEstimator");
      }
      return new PoseTracker(options.estimator, tracker, false);
    }

    // The tracker has thresholds of its own.
    const { model, ...rest } = options;
    const engine = { ...rest, personThr: undefined } as Partial<EstimatorOptions>;
    const estimator = await PoseEstimator.create({ ...engine, model });
    try {
      return new PoseTracker(estimator, tracker, true);
    } catch (error) {
      await estimator.dispose();
      throw error;
    }
  }

  /** The estimator of a one-graph model. */
  get estimator(): PoseEstimator {
    if (this.#estimator) return this.#estimator;
    throw new RtmposeError("argument", "this tracker has a pose detector, and no estimator");
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
    this.#tracker.destroy();
    if (this.#ownsEstimator) await this.#estimator?.dispose();
  }

  #newStream(): Stream {
    const memory = this.#tracker.createStream();
    const stream = new Stream(memory, this.#source, this.#tracker.lowestScore, () => {
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
  readonly #memory: CoreStream;
  readonly #source: FrameSource;
  readonly #lowestScore: number;
  readonly #forget: () => void;
  readonly #queue = new Queue();
  #closed: Promise<void> | undefined;

  constructor(memory: CoreStream, source: FrameSource, lowestScore: number, forget: () => void) {
    this.#memory = memory;
    this.#source = source;
    this.#lowestScore = lowestScore;
    this.#forget = forget;
  }

  async track(image: ImageSource, options: TrackOptions = {}): Promise<TrackedPerson[]> {
    if (this.#closed) throw new RtmposeError("disposed", "this stream was disposed of");
    const given = checkFrame(options);
    if (given && this.#source.oneStage) {
      throw new RtmposeError("boxes", "a one-stage model finds people by itself: it takes no boxes");
    }
    const { signal } = options;
    const task = (): Promise<TrackedPerson[]> =>
      this.#source.enqueue(image, this.#lowestScore, async (frame) => {
        // The networks may have been busy with other streams.
        signal?.throwIfAborted();
        const tracked = await this.#frame(frame, options, given);
        const people = toPeople(tracked, frame.scale);
        return people.map((person, i) => ({ id: tracked.ids[i], ...person }));
      });
    return this.#queue.run(task, signal);
  }

  reset(): void {
    if (this.#closed) throw new RtmposeError("disposed", "this stream was disposed of");
    // After the frames that are under way.
    void this.#queue.run(async () => this.#memory.reset());
  }

  dispose(): void {
    void this.close();
  }

  /** Frees the memory after the frames that are under way. */
  close(): Promise<void> {
    this.#closed ??= this.#queue.run(async () => {
      this.#memory.destroy();
      this.#forget();
    });
    return this.#closed;
  }

  async #frame(frame: ReadFrame, options: TrackOptions, given: Found | null) {
    const found = given
      ? { ...given, boxes: scaled(given.boxes, 1 / frame.scale) }
      : await this.#look(frame, options);
    const { width, height } = frame;
    const wanted = this.#memory.begin(width, height, options.timeS ?? Number.NaN, found);
    try {
      const { keypoints, scores } = await posesIn(wanted, found?.poses ?? null, frame);
      return this.#memory.finish(keypoints, scores, wanted.sources.length);
    } catch (error) {
      // The frame is half done: only a reset makes the stream usable again.
      this.#memory.reset();
      throw error;
    }
  }

  /** Who is found in a frame; null where nobody is looked for. */
  async #look(frame: ReadFrame, options: TrackOptions): Promise<Found | null> {
    const wanted =
      this.#source.oneStage || (options.detect ?? this.#memory.wantsDetection());
    return wanted && frame.find ? frame.find() : null;
  }
}

/** The poses in the wanted boxes: those that were found, and new ones in the other boxes. */
async function posesIn(wanted: Wanted, found: Poses | null, frame: ReadFrame): Promise<Poses> {
  const rows = Array.from(wanted.sources, (source) => (found ? source : -1));
  const missing = rows.flatMap((row, i) => (row < 0 ? [i] : []));
  const boxes = missing.flatMap((i) => Array.from(wanted.boxes.subarray(i * 4, i * 4 + 4)));
  const estimated = missing.length ? await frame.estimate(Float32Array.from(boxes)) : null;
  if (!found || !estimated) {
    const nobody = joined([], 0);
    return estimated ?? (found ? selected(found, rows) : nobody);
  }

  // Found people first, then those who were estimated in their order.
  let next = found.count;
  const order = rows.map((row) => (row < 0 ? next++ : row));
  return selected(joined([found, estimated], found.keypointCount), order);
}

/** Refuses what are no networks of this package. */
function checkedNetworks({ detector, pose }: TrackerNetworks): TrackerNetworks {
  if (!(pose instanceof PoseDetector)) {
    throw new RtmposeError("argument", "pose is a PoseDetector, and detector a Detector");
  }
  if (detector && !(detector instanceof Detector)) {
    throw new RtmposeError("argument", "detector is a Detector");
  }
  return { detector, pose };
}

/** Checks the options of a frame; the boxes given. */
function checkFrame(options: TrackOptions): Found | null {
  checkNames(options, ["timeS", "detect", "boxes", "boxScores", "signal"]);
  checkSignal(options.signal);
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
  return { boxes: flat, scores: toScores(boxScores, flat.length / 4) };
}
