import type { Detections } from "./core_memory.js";
import type { DetectParams } from "./core_model.js";
import { RtmposeError } from "./errors.js";
import type { ImageSource } from "./images.js";
import { Model, type ModelOptions, type ReadImage } from "./model.js";
import { scaled } from "./people.js";
import { type CallOptions, checkSignal } from "./queue.js";
import { checkMade, checkNames, checkNumber, checkWhole } from "./ranges.js";

/** Which boxes are wanted. */
export interface DetectOptions extends CallOptions {
  /** Lowest score of a box, 0.3. */
  boxThr?: number | undefined;
  /** Class to keep; {@link Detector.ALL}, or {@link Detector.PEOPLE}, which is the default. */
  label?: number | undefined;
  /** At most this many boxes; -1, the default, for any number. */
  maxPeople?: number | undefined;
}

/** Finds boxes of people in images. */
export class Detector {
  /** Class of a call: people, where the model knows them. */
  static readonly PEOPLE = -2;
  /** Class of a call: all. */
  static readonly ALL = -1;

  readonly #model: Model;

  private constructor(model: Model) {
    checkMade(model instanceof Model, "Detector");
    this.#model = model;
  }

  /** Opens a detector's `.onnx` file. */
  static async create(options: ModelOptions): Promise<Detector> {
    const model = await Model.open(options);
    if (model.info.kind === "detector") return new Detector(model);
    await model.dispose();
    const text = `${model.info.id} is not a detector: it finds keypoints; open it with PoseDetector`;
    throw new RtmposeError("model", text);
  }

  /** Name of the model, from its card. */
  get modelId(): string {
    return this.#model.info.id;
  }

  /** Names of the classes; empty where the model has none. */
  get classNames(): readonly string[] {
    return this.#model.info.classNames;
  }

  /** Which engine runs: `cpu`, `wasm`, `webgpu`, ... */
  get provider(): string {
    return this.#model.provider;
  }

  /** Why the first of `executionProviders` is not used; empty where it is. */
  get fallback(): string {
    return this.#model.fallback;
  }

  /** The boxes in an image, the highest score first. Calls are queued. */
  async apply(image: ImageSource, options: DetectOptions = {}): Promise<Detections> {
    const params = detectParams(options);
    const task = async (read: ReadImage): Promise<Detections> => {
      const found = await this.#find(read, params);
      return { ...found, boxes: scaled(found.boxes, read.scale) };
    };
    return this.#model.enqueue("detector", image, task, options.signal);
  }

  /** Frees the network's memory, after the calls that are under way. */
  dispose(): Promise<void> {
    return this.#model.dispose();
  }

  declare [Symbol.asyncDispose]: () => Promise<void>;

  /** Boxes in an image that was read already, in its pixels. @internal */
  static find(detector: Detector, read: ReadImage, params: DetectParams): Promise<Detections> {
    return detector.#model.alone("detector", () => detector.#find(read, params));
  }

  #find(read: ReadImage, params: DetectParams): Promise<Detections> {
    const input = this.#model.described.inputOfImage(read.image);
    return this.#model.run(input, (outputs) => input.detections(outputs, params));
  }
}

// Older browsers do not know the symbol.
if (Symbol.asyncDispose) {
  Detector.prototype[Symbol.asyncDispose] = function (this: Detector) {
    return this.dispose();
  };
}

/**
 * Options of a call, checked, with the defaults.
 *
 * @param others Names of more options, which are checked elsewhere.
 */
export function detectParams(
  options: DetectOptions,
  others: readonly string[] = [],
): DetectParams {
  checkNames(options, ["boxThr", "label", "maxPeople", "signal", ...others]);
  checkSignal(options.signal);
  const { boxThr = 0.3, label = Detector.PEOPLE, maxPeople = -1 } = options;
  checkNumber("boxThr", boxThr, 0, 1);
  checkWhole("label", label, Detector.PEOPLE);
  checkWhole("maxPeople", maxPeople, -1);
  return { boxThr, label, maxPeople };
}
