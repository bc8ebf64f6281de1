/// <reference lib="esnext.disposable" preserve="true" />
import { type BoxList, toBoxes, toScores } from "./boxes.js";
import type { EngineOptions, ModelSource } from "./engine.js";
import { RtmposeError } from "./errors.js";
import { Graph } from "./graph.js";
import { type BgrImage, type ImageSource, toBgr } from "./images.js";
import { type Person, type Poses, toPeople } from "./people.js";
import { Queue } from "./queue.js";
import { checkNumber, checkWhole } from "./ranges.js";
import { type Skeleton, skeletonOf } from "./skeleton.js";

/** How an estimator is made. */
export interface EstimatorOptions extends EngineOptions {
  /** What `rtmpose export MODEL --to pipeline` wrote. */
  model: ModelSource;
  /** Lowest score of a found box, 0.3; those below the threshold of the file are not there. */
  boxThr?: number;
  /** Lowest score of a person; 0 shows everybody. */
  personThr?: number;
  /** At most this many people. */
  maxPeople?: number;
  /** Larger canvases, photos and videos of browsers are shrunk to so many pixels, 2 ** 24. */
  maxPixels?: number;
}

/** How one image is looked at. */
export interface EstimateOptions {
  /** Where people are, instead of finding them; the results are in their order. */
  boxes?: BoxList;
  /** Scores of `boxes`; without them all are 1. */
  boxScores?: ArrayLike<number>;
}

/** Finds people and their keypoints in images. */
export class PoseEstimator {
  /** The keypoint set: names, and what is drawn connected. */
  readonly skeleton: Skeleton;
  readonly #graph: Graph;
  readonly #options: EstimatorOptions;
  readonly #queue = new Queue();
  #buffer: Uint8Array | undefined;
  #closed: Promise<void> | undefined;

  private constructor(graph: Graph, options: EstimatorOptions) {
    this.#graph = graph;
    this.#options = options;
    this.skeleton = skeletonOf(graph.card.skeleton, graph.card.ownSkeleton);
  }

  /** Opens a model. */
  static async create(options: EstimatorOptions): Promise<PoseEstimator> {
    checkOptions(options);
    return new PoseEstimator(await Graph.open(options.model, options), options);
  }

  /** Which engine runs: `cpu`, `wasm`, `webgpu`, ... */
  get provider(): string {
    return this.#graph.provider;
  }

  /** Why the first of `executionProviders` is not used; empty where it is. */
  get fallback(): string {
    return this.#graph.fallback;
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
    const boxes = options.boxes === undefined ? null : toBoxes(options.boxes);
    if (boxes === null && options.boxScores !== undefined) {
      throw new RtmposeError("boxes", "boxScores come with boxes");
    }
    const given = boxes && toScores(options.boxScores, boxes.length / 4);

    const { boxThr = 0.3, personThr = 0, maxPeople = Number.POSITIVE_INFINITY } = this.#options;
    const { poses, scale } = await this.#enqueue(image, async (bgr) => ({
      poses: await this.#run(bgr, boxes),
      scale: bgr.scale,
    }));
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
      task(bgr, (boxes) => estimator.#run(bgr, boxes)),
    );
  }

  /** Names of the keypoint set for the tracker. @internal */
  static keypointSet(estimator: PoseEstimator): { name: string; own: string } {
    const { skeleton, ownSkeleton } = estimator.#graph.card;
    return { name: skeleton, own: ownSkeleton };
  }

  async #enqueue<T>(image: ImageSource, task: (bgr: BgrImage) => Promise<T>): Promise<T> {
    if (this.#closed) throw new RtmposeError("disposed", "this estimator was disposed of");
    return this.#queue.run(async () => {
      const { maxPixels = 2 ** 24 } = this.#options;
      const bgr = await toBgr(image, maxPixels, this.#buffer);
      // The caller's own array is not kept.
      const own = !("data" in image) || image.data.buffer !== bgr.data.buffer;
      if (own) this.#buffer = new Uint8Array(bgr.data.buffer);
      return task(bgr);
    });
  }

  #run(bgr: BgrImage, boxes: Float32Array | null): Promise<Poses> {
    if (!boxes || bgr.scale === 1) return this.#graph.run(bgr, boxes);
    return this.#graph.run(bgr, boxes.map((value) => value / bgr.scale));
  }
}

/** Poses in boxes of the image, null: of people who are found. */
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
