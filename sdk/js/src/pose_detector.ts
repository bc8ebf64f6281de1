import { type BoxList, toBoxes, toScores } from "./boxes.js";
import type { CoreImage, DetectParams } from "./core_model.js";
import { type DetectOptions, Detector, detectParams } from "./detector.js";
import { RtmposeError } from "./errors.js";
import type { ImageSource } from "./images.js";
import { Model, type ModelOptions, type ReadImage } from "./model.js";
import { joined, type Person, type Poses, selected, toPeople } from "./people.js";
import { type CallOptions, checkSignal } from "./queue.js";
import { checkMade, checkNames, checkNumber } from "./ranges.js";
import type { Skeleton } from "./skeleton.js";

/** People per call of a network that takes any number. */
const LARGEST_BATCH = 64;

/** Where people are. */
export interface PoseOptions extends CallOptions {
  /**
   * Without boxes the whole image is the box of one person; an empty list is nobody. One-stage
   * models find people themselves, and take no boxes.
   */
  boxes?: BoxList | undefined;
  /** Scores of `boxes`; without them all are 1. */
  boxScores?: ArrayLike<number> | undefined;
  /** One-stage models: lowest score of a person, 0.3. */
  boxThr?: number | undefined;
}

/** Which people are wanted. */
export interface FindOptions extends DetectOptions {
  /**
   * Lowest person score (box score times the mean of the keypoint scores above 0.2); 0: everybody,
   * also twice; -1, the default: as the keypoint set needs it.
   */
  personThr?: number | undefined;
}

/** Finds the keypoints of people in boxes, or of everybody where the model is a one-stage one. */
export class PoseDetector {
  /** The keypoint set: names, and what is drawn connected. */
  readonly skeleton: Skeleton;
  readonly #model: Model;

  private constructor(model: Model) {
    checkMade(model instanceof Model, "PoseDetector");
    this.#model = model;
    this.skeleton = model.info.skeleton;
  }

  /** Opens the `.onnx` file of a pose network or a one-stage model. */
  static async create(options: ModelOptions): Promise<PoseDetector> {
    const model = await Model.open(options);
    if (model.info.kind !== "detector") return new PoseDetector(model);
    await model.dispose();
    const text = `${model.info.id} is a detector, not a pose model; open it with Detector`;
    throw new RtmposeError("model", text);
  }

  /** Name of the model, from its card. */
  get modelId(): string {
    return this.#model.info.id;
  }

  /** Whether the model finds people by itself, without boxes. */
  get isOneStage(): boolean {
    return this.#model.info.kind === "one-stage";
  }

  /** Which engine runs: `cpu`, `wasm`, `webgpu`, ... */
  get provider(): string {
    return this.#model.provider;
  }

  /** Why the first of `executionProviders` is not used; empty where it is. */
  get fallback(): string {
    return this.#model.fallback;
  }

  /** The person in each box, in the order of the boxes. Calls are queued. */
  async apply(image: ImageSource, options: PoseOptions = {}): Promise<Person[]> {
    checkNames(options, ["boxes", "boxScores", "boxThr", "signal"]);
    checkSignal(options.signal);
    checkNumber("boxThr", options.boxThr, 0, 1);
    const boxes = options.boxes === undefined ? null : toBoxes(options.boxes);
    if (boxes === null && options.boxScores !== undefined) {
      throw new RtmposeError("boxes", "boxScores come with boxes");
    }
    if (boxes && this.isOneStage) {
      throw new RtmposeError("boxes", "a one-stage model finds people by itself: it takes no boxes");
    }
    const scores = toScores(options.boxScores, boxes ? boxes.length / 4 : 1);
    const task = async (read: ReadImage): Promise<Person[]> => {
      if (this.isOneStage) return toPeople(await this.#everybody(read, options.boxThr), read.scale);
      const places = boxes && read.scale !== 1 ? boxes.map((v) => v / read.scale) : boxes;
      return toPeople(await this.#inBoxes(read.image, places, scores), read.scale);
    };
    return this.#model.enqueue("pose detector", image, task, options.signal);
  }

  /**
   * The people of an image: boxes by the detector, the pose in each of them, each person once, and
   * nobody who is too doubtful.
   *
   * @param detector Null for one-stage models.
   */
  async findPeople(
    detector: Detector | null,
    image: ImageSource,
    options: FindOptions = {},
  ): Promise<Person[]> {
    const params = detectParams(options, ["personThr"]);
    const { personThr = -1 } = options;
    checkNumber("personThr", personThr, -1);
    if (detector !== null && !(detector instanceof Detector)) {
      throw new RtmposeError("argument", "findPeople needs a Detector, or null and a one-stage model");
    }
    if (!detector && !this.isOneStage) {
      throw new RtmposeError("argument", "findPeople needs a detector, but for one-stage models");
    }
    const task = async (read: ReadImage): Promise<Person[]> => {
      const found = await this.#found(detector, read, params, options.signal);
      return toPeople(this.#model.described.people(found, personThr), read.scale);
    };
    return this.#model.enqueue("pose detector", image, task, options.signal);
  }

  /** Frees the network's memory, after the calls that are under way. */
  dispose(): Promise<void> {
    return this.#model.dispose();
  }

  declare [Symbol.asyncDispose]: () => Promise<void>;

  // ---- for the tracker, in pixels of the image that was read

  /** The keypoint set: its name, or one of the model's own as JSON. @internal */
  static skeletonText(pose: PoseDetector): string {
    return pose.#model.skeletonText;
  }

  /** Reads an image, and gives it to a task that runs alone. @internal */
  static enqueue<T>(
    pose: PoseDetector,
    image: ImageSource,
    task: (read: ReadImage) => Promise<T>,
  ): Promise<T> {
    return pose.#model.enqueue("pose detector", image, task);
  }

  /** Poses in boxes. @internal */
  static inBoxes(pose: PoseDetector, read: ReadImage, boxes: Float32Array): Promise<Poses> {
    return pose.#inBoxes(read.image, boxes, new Float32Array(boxes.length / 4).fill(1));
  }

  /** Everybody whom a one-stage model finds. @internal */
  static everybody(pose: PoseDetector, read: ReadImage, boxThr: number): Promise<Poses> {
    return pose.#everybody(read, boxThr);
  }

  // ----

  /** Everybody, also twice. */
  async #found(
    detector: Detector | null,
    read: ReadImage,
    params: DetectParams,
    signal: AbortSignal | undefined,
  ): Promise<Poses> {
    if (this.isOneStage || !detector) {
      const people = await this.#everybody(read, params.boxThr);
      const most = params.maxPeople < 0 ? people.count : Math.min(params.maxPeople, people.count);
      return selected(people, Array.from({ length: most }, (_, row) => row));
    }
    const { boxes, scores } = await Detector.find(detector, read, params);
    signal?.throwIfAborted();
    return this.#inBoxes(read.image, boxes, scores);
  }

  #everybody(read: ReadImage, boxThr = -1): Promise<Poses> {
    const input = this.#model.described.inputOfImage(read.image);
    return this.#model.run(input, (outputs) => input.poses(outputs, boxThr));
  }

  /** Poses in boxes `(N * 4)`, null: of the whole image, by as many calls as the batch needs. */
  async #inBoxes(
    image: CoreImage,
    boxes: Float32Array | null,
    scores: Float32Array,
  ): Promise<Poses> {
    const most = this.#model.described.batch || LARGEST_BATCH;
    const parts: Poses[] = [];
    for (let start = 0; start < scores.length; start += most) {
      const places = boxes && boxes.subarray(start * 4, (start + most) * 4);
      const theirs = scores.subarray(start, start + most);
      const input = this.#model.described.inputOfBoxes(image, places, theirs);
      parts.push(await this.#model.run(input, (outputs) => input.poses(outputs, -1)));
    }
    return joined(parts, this.skeleton.keypoints.length);
  }
}

if (Symbol.asyncDispose) {
  PoseDetector.prototype[Symbol.asyncDispose] = function (this: PoseDetector) {
    return this.dispose();
  };
}
