/// <reference lib="esnext.disposable" preserve="true" />
import { type BoxList, toBoxes, toScores } from "./boxes.js";
import type { EngineOptions } from "./engine.js";
import { RtmposeError } from "./errors.js";
import { Graph } from "./graph.js";
import { type BgrImage, type ImageSource, toBgr, toRaw } from "./images.js";
import type { ModelSource } from "./model_source.js";
import { type Person, type Poses, scaled, toPeople } from "./people.js";
import type { Opened } from "./provider_check.js";
import { type CallOptions, checkSignal, Queue } from "./queue.js";
import { checkMade, checkNumber, checkWhole } from "./ranges.js";
import { type Skeleton, skeletonOf } from "./skeleton.js";

/** How an estimator is made. */
export interface EstimatorOptions extends EngineOptions {
  /** What `rtmpose export MODEL --to pipeline` wrote. */
  model: ModelSource;
  /** Lowest score of a found box, 0.3; those below the threshold of the file are not there. */
  boxThr?: number | undefined;
  /** Lowest score of a person; 0 shows everybody. */
  personThr?: number | undefined;
  /** At most this many people. */
  maxPeople?: number | undefined;
  /** Larger canvases, photos and videos of browsers are shrunk to so many pixels, 2 ** 24. */
  maxPixels?: number | undefined;
}

/** How one image is looked at. */
export interface EstimateOptions extends CallOptions {
  /** Where people are, instead of finding them; the results are in their order. */
  boxes?: BoxList | undefined;
  /** Scores of `boxes`; without them all are 1. */
  boxScores?: ArrayLike<number> | undefined;
}

/** Finds people and their keypoints in images. */
export class PoseEstimator {
  /** The keypoint set: names, and what is drawn connected. */
  readonly skeleton: Skeleton;
  /** Which engine runs: `cpu`, `wasm`, `webgpu`, ... */
  readonly provider: string;
  /** Why the first of `executionProviders` is not used; empty where it is. */
  readonly fallback: string;
  readonly #graph: Graph;
  readonly #options: EstimatorOptions;
  readonly #queue = new Queue();
  #buffer: Uint8Array | undefined;
  #closed: Promise<void> | undefined;

  private constructor(opened: Opened<Graph>, options: EstimatorOptions) {
    checkMade(opened.network instanceof Graph, "PoseEstimator");
    this.#graph = opened.network;
    this.provider = opened.provider;
    this.fallback = opened.fallback;
    this.#options = options;
    const { skeleton, ownSkeleton } = this.#graph.card;
    this.skeleton = skeletonOf(skeleton, ownSkeleton);
  }

  /** Opens a model. */
  static async create(options: EstimatorOptions): Promise<PoseEstimator> {
    checkOptions(options);
    return new PoseEstimator(await Graph.open(options.model, options), options);
  }

  /** Name of the model, from its card. */
  get modelId(): string {
    return this.#graph.card.id;
  }

  /**
   * The people of an image, the highest box score first.
   *
   * Calls are queued: one image is looked at at a time.
   */
  async estimate(image: ImageSource, options: EstimateOptions = {}): Promise<Person[]> {
    checkSignal(options.signal);
    const boxes = options.boxes === undefined ? null : toBoxes(options.boxes);
    if (boxes === null && options.boxScores !== undefined) {
      throw new RtmposeError("boxes", "boxScores come with boxes");
    }
    const given = boxes && toScores(options.boxScores, boxes.length / 4);

    const { boxThr = 0.3, personThr = 0, maxPeople = Number.POSITIVE_INFINITY } = this.#options;
    const task = async (bgr: BgrImage): Promise<{ poses: Poses; scale: number }> => ({
      poses: await this.#graph.run(bgr, boxes && scaled(boxes, 1 / bgr.scale)),
      scale: bgr.scale,
    });
    const { poses, scale } = await this.#enqueue(image, task, options.signal);
    if (given) return toPeople({ ...poses, boxScores: given }, scale);
    const people = toPeople(poses, scale);
    const likely = people.filter((p) => p.boxScore >= boxThr && p.score >= personThr);
    return likely.slice(0, maxPeople);
  }

  /** Frees the network's memory, after the calls that are under way. */
  dispose(): Promise<void> {
    this.#closed ??= this.#queue.run(async () => {
      this.#buffer = undefined;
      await this.#graph.release();
    });
    return this.#closed;
  }

  declare [Symbol.asyncDispose]: () => Promise<void>;

  /** Converts an image, and gives it to a task that runs alone; for the tracker. @internal */
  static enqueue<T>(
    estimator: PoseEstimator,
    image: ImageSource,
    task: (bgr: BgrImage, run: Run) => Promise<T>,
  ): Promise<T> {
    return estimator.#enqueue(image, (bgr) =>
      task(bgr, (boxes) => estimator.#graph.run(bgr, boxes)),
    );
  }

  /** The keypoint set for the tracker: its name, or one of one's own as JSON. @internal */
  static skeletonText(estimator: PoseEstimator): string {
    const { skeleton, ownSkeleton } = estimator.#graph.card;
    return ownSkeleton || skeleton;
  }

  async #enqueue<T>(
    image: ImageSource,
    task: (bgr: BgrImage) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    if (this.#closed) throw new RtmposeError("disposed", "this estimator was disposed of");
    const onImage = async (): Promise<T> => {
      const { maxPixels = 2 ** 24 } = this.#options;
      const raw = await toRaw(image, maxPixels);
      const bgr = toBgr(raw, this.#buffer);
      // The caller's own array is not kept.
      if (raw.data.buffer !== bgr.data.buffer) this.#buffer = new Uint8Array(bgr.data.buffer);
      return task(bgr);
    };
    return this.#queue.run(onImage, signal);
  }
}

/** Poses in boxes of the image that was read, null: of people who are found. */
export type Run = (boxes: Float32Array | null) => Promise<Poses>;

// Older browsers do not know the symbol.
if (Symbol.asyncDispose) {
  PoseEstimator.prototype[Symbol.asyncDispose] = function (this: PoseEstimator) {
    return this.dispose();
  };
}

function checkOptions(options: EstimatorOptions): void {
  if (options === null || typeof options !== "object" || options.model === undefined) {
    throw new RtmposeError("argument", "create() needs an object with the model");
  }
  checkNumber("boxThr", options.boxThr, 0, 1);
  checkNumber("personThr", options.personThr, 0, 2);
  checkWhole("maxPeople", options.maxPeople, 0);
  checkWhole("maxPixels", options.maxPixels, 1);
}
