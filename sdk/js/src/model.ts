import { CoreImage, type CoreInput, CoreModel, type ModelInfo } from "./core_model.js";
import { type CoreMemory, loadCore } from "./core_memory.js";
import { ENGINE_OPTIONS, type EngineOptions, openEngine } from "./engine.js";
import { RtmposeError } from "./errors.js";
import { PUBLISHED } from "./generated/skeletons.js";
import { type ImageSource, toRaw } from "./images.js";
import { type Description, type ModelFiles, type ModelFolder, readFiles } from "./model_files.js";
import type { ModelSource } from "./model_source.js";
import { Network } from "./network.js";
import { type Declaration, readNetwork } from "./onnx_file.js";
import {
  type Opened,
  openTrusted,
  outputDifference,
  pattern,
  PATTERN_BOXES,
  slowness,
} from "./provider_check.js";
import { Queue } from "./queue.js";
import { checkNames, checkWhole } from "./ranges.js";

/** How a model file is opened. */
export interface ModelOptions extends EngineOptions {
  /**
   * An `.onnx` file with one network: a detector, a pose network or a one-stage model; or a folder of
   * the deployment SDK: its path (Node), its URL with a slash at the end, or its files.
   */
  model: ModelSource | ModelFolder;
  /**
   * Its model card as JSON text or object, instead of the one inside. In Node a file next to the
   * model, `FILE.onnx.card.json`, is read where there is one. Without any card the model is
   * recognized by its name, layers and outputs.
   */
  card?: string | object | undefined;
  /** Larger canvases, photos and videos of browsers are shrunk to so many pixels, 2 ** 24. */
  maxPixels?: number | undefined;
}

/** An image in the core's memory. */
export interface ReadImage {
  image: CoreImage;
  /** Pixels of the caller's image per pixel of this one. */
  scale: number;
}

/** A network with all that must be known to run it. */
export class Model {
  readonly core: CoreMemory;
  readonly described: CoreModel;
  readonly info: ModelInfo;
  /** Name of a published keypoint set, or one of the model's own as JSON; empty for neither. */
  readonly skeletonText: string;
  readonly provider: string;
  readonly fallback: string;
  readonly #network: Network;
  readonly #queue = new Queue();
  readonly #maxPixels: number;
  #closed: Promise<void> | undefined;

  private constructor(
    core: CoreMemory,
    described: CoreModel,
    opened: Opened<Network>,
    description: Description,
    maxPixels: number,
  ) {
    this.core = core;
    this.described = described;
    this.info = described.info;
    this.skeletonText = skeletonText(this.info, description);
    this.#network = opened.network;
    this.provider = opened.provider;
    this.fallback = opened.fallback;
    this.#maxPixels = maxPixels;
  }

  static async open(options: ModelOptions): Promise<Model> {
    if (options === null || typeof options !== "object" || options.model === undefined) {
      throw new RtmposeError("argument", "create() needs an object with the model");
    }
    checkNames(options, [...ENGINE_OPTIONS, "model", "card", "maxPixels"]);
    checkWhole("maxPixels", options.maxPixels, 1);
    const core = await loadCore();
    const ort = await openEngine(options);
    const files = await readFiles(options.model, options.card);
    let described: CoreModel | undefined;
    let network: Network | undefined;
    try {
      const opened = await openTrusted(
        options,
        (providers) => Network.open(ort, files.bytes, options, providers),
        async (tested, right) => {
          described = await describe(core, files, right);
          return compare(core, described, tested, right);
        },
      );
      network = opened.network;
      described ??= await describe(core, files, network);
      const { description } = files;
      return new Model(core, described, opened, description, options.maxPixels ?? 2 ** 24);
    } catch (error) {
      described?.close();
      await network?.release();
      throw error;
    }
  }

  /** Reads an image, and gives it to a task that runs alone. */
  async enqueue<T>(
    name: string,
    source: ImageSource,
    task: (read: ReadImage) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const onImage = async (): Promise<T> => {
      const raw = await toRaw(source, this.#maxPixels);
      const image = new CoreImage(this.core, raw);
      try {
        return await task({ image, scale: raw.scale });
      } finally {
        image.free();
      }
    };
    return this.alone(name, onImage, signal);
  }

  /** Runs a task alone. */
  async alone<T>(name: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#closed) throw new RtmposeError("disposed", `this ${name} was disposed of`);
    return this.#queue.run(task, signal);
  }

  /** Runs the network on an input, and reads its outputs; the input is released. */
  run<T>(input: CoreInput, read: (outputs: Awaited<ReturnType<Network["run"]>>) => T): Promise<T> {
    return runOn(this.#network, input, read);
  }

  /** Frees the memory, after the calls that are under way. */
  dispose(): Promise<void> {
    this.#closed ??= this.#queue.run(async () => {
      this.described.close();
      await this.#network.release();
    });
    return this.#closed;
  }
}

async function runOn<T>(
  network: Network,
  input: CoreInput,
  read: (outputs: Awaited<ReturnType<Network["run"]>>) => T,
): Promise<T> {
  try {
    return read(await network.run(input.pixels(), input.dims));
  } finally {
    input.release();
  }
}

/** The keypoint set as trackers take it. */
function skeletonText({ skeleton }: ModelInfo, description: Description): string {
  const card = "card" in description ? description.card : null;

  // The core has read the card: it is JSON.
  const own = (JSON.parse(card ?? "{}") as { own_skeleton?: object | null }).own_skeleton;
  if (own) return JSON.stringify(own);
  return PUBLISHED.some(({ name }) => name === skeleton.name) ? skeleton.name : "";
}

/** What a model is, by its file and by what its network returns for a black image. */
async function describe(
  core: CoreMemory,
  { path, bytes, description }: ModelFiles,
  network: Network,
): Promise<CoreModel> {
  const { inputs, outputs, layers } = readNetwork(bytes);
  const [first, ...others] = network.inputNames;
  const input = inputs.find(({ name }) => name === first);
  if (!input || others.length > 0) {
    const names = network.inputNames.join(", ");
    const hint = names.includes("boxes_in") ? "; open it with PoseEstimator" : "";
    const text = `${path} does not take one batch of images: its inputs are ${names}${hint}`;
    throw new RtmposeError("model", text);
  }
  const unknown = (name: string): Declaration => ({ name, type: "other", dims: [] });
  const declared = network.outputNames.map(
    (output) => outputs.find(({ name }) => name === output) ?? unknown(output),
  );
  const model = new CoreModel(core, path, description, layers, input, declared);
  try {
    const { inputWidth, inputHeight } = model.info;
    const dims = [Math.max(1, model.batch), 3, inputHeight, inputWidth];
    const black = new Float32Array(dims.reduce((a, b) => a * b));
    model.check(await network.run(black, dims));
    return model;
  } catch (error) {
    model.close();
    throw error;
  }
}

/** Compares what two engines return for a fixed image. */
async function compare(
  core: CoreMemory,
  model: CoreModel,
  tested: Network,
  right: Network,
): Promise<string> {
  const image = new CoreImage(core, pattern());
  const ones = new Float32Array(PATTERN_BOXES.length / 4).fill(1);
  const one = model.info.kind === "pose" && model.batch === 1;
  const boxes = one ? PATTERN_BOXES.subarray(0, 4) : PATTERN_BOXES;
  const input = (): CoreInput =>
    model.info.kind === "pose"
      ? model.inputOfBoxes(image, boxes, ones.subarray(0, boxes.length / 4))
      : model.inputOfImage(image);
  const numbers = (network: Network): Promise<Float32Array> =>
    runOn(network, input(), (outputs) => {
      const floats = outputs.filter(({ data }) => data instanceof Float32Array);
      return Float32Array.from(floats.flatMap(({ data }) => Array.from(data as Float32Array)));
    });
  try {
    const expected = await numbers(right);
    return (
      outputDifference(await numbers(tested), expected) ||
      (await slowness(
        () => numbers(tested),
        () => numbers(right),
      ))
    );
  } finally {
    image.free();
  }
}
