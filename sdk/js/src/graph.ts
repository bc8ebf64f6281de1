import { readCard, type ModelCard } from "./card.js";
import {
  type EngineOptions,
  type ModelSource,
  openEngine,
  openSession,
  type Ort,
  type OrtSession,
  type OrtTensor,
  providersOf,
  readModel,
} from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";
import type { BgrImage } from "./images.js";
import type { Poses } from "./people.js";
import { isTrusted } from "./provider_check.js";

const INPUTS = ["image", "boxes_in", "detect"];
const OUTPUTS = ["keypoints", "scores", "boxes", "box_scores"];

/** Engines that have returned wrong numbers without an error. */
const DOUBTFUL = ["webgpu", "webnn", "webgl"];

/** The whole pipeline in one network: an image in, people out. */
export class Graph {
  readonly card: ModelCard;
  /** Which engine runs, such as `cpu`, `wasm` or `webgpu`. */
  readonly provider: string;
  /** Why the first engine asked for does not run; empty where it does. */
  readonly fallback: string;
  readonly #ort: Ort;
  readonly #session: OrtSession;

  constructor(ort: Ort, session: OrtSession, card: ModelCard, provider: string, fallback = "") {
    this.#ort = ort;
    this.#session = session;
    this.card = card;
    this.provider = provider;
    this.fallback = fallback;
  }

  static async open(model: ModelSource, options: EngineOptions): Promise<Graph> {
    const providers = providersOf(options);
    const first = nameOf(providers[0]);
    const bytes = await readModel(model);
    const card = readCard(bytes);
    const ort = await openEngine(options);

    // Engines whose results need no second look.
    const open = async (names: typeof providers): Promise<OrtSession> => {
      const session = await openSession(ort, bytes, options, names);
      checkForm(session, card);
      return session;
    };
    if (!DOUBTFUL.includes(first)) return new Graph(ort, await open(providers), card, first);

    // The others are compared with WebAssembly once.
    const safe = new Graph(ort, await open(["wasm"]), card, "wasm");
    let reason = "";
    try {
      // Alone: beside others the engine drops one that is not there, without an error.
      const fast = new Graph(ort, await open([providers[0]]), card, first);
      reason = await isTrusted(fast, safe);
      if (!reason) {
        await safe.release();
        return fast;
      }
      await fast.release();
    } catch (error) {
      reason = messageOf(error);
    }
    return new Graph(ort, safe.#session, card, "wasm", `${first} is not used: ${reason}`);
  }

  /**
   * The people of an image.
   *
   * @param boxes Where they are `(N * 4)`; null: they are found.
   */
  async run(image: BgrImage, boxes: Float32Array | null): Promise<Poses> {
    const { height, width, data } = image;
    const given = boxes ?? new Float32Array(0);
    let results: Record<string, OrtTensor>;
    try {
      results = await this.#session.run({
        image: this.#tensor("uint8", data, [height, width, 3]),
        boxes_in: this.#tensor("float32", given, [given.length / 4, 4]),
        detect: this.#tensor("bool", Uint8Array.of(boxes ? 0 : 1), []),
      });
    } catch (error) {
      throw new RtmposeError("engine", `the network failed: ${messageOf(error)}`, error);
    }
    const [count, keypointCount] = results["scores"].dims;
    return {
      count,
      keypointCount,
      boxes: results["boxes"].data as Float32Array,
      boxScores: results["box_scores"].data as Float32Array,
      keypoints: results["keypoints"].data as Float32Array,
      scores: results["scores"].data as Float32Array,
    };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  #tensor(type: string, data: Uint8Array | Float32Array, dims: number[]): OrtTensor {
    return new this.#ort.Tensor(type as never, data as never, dims) as OrtTensor;
  }
}

function nameOf(provider: string | { name: string }): string {
  return typeof provider === "string" ? provider : provider.name;
}

/** Refuses networks that are not the one graph, and says what to do. */
function checkForm(session: OrtSession, card: ModelCard): void {
  const { inputNames, outputNames } = session;
  const fits =
    INPUTS.every((name) => inputNames.includes(name)) &&
    OUTPUTS.every((name) => outputNames.includes(name));
  if (fits) return;
  void session.release();
  const id = card.id || "this model";
  const inputs = inputNames.join(", ");
  throw new RtmposeError(
    "model",
    `${id} (with the inputs ${inputs}) is not a whole pipeline; ` +
      "make one with: rtmpose export MODEL --to pipeline",
  );
}
