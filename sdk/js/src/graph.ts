import { readCard, type ModelCard } from "./card.js";
import {
  type EngineOptions,
  openEngine,
  openSession,
  type Ort,
  type OrtSession,
  type OrtTensor,
} from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";
import { type BgrImage, toBgr } from "./images.js";
import { type ModelSource, readModel } from "./model_source.js";
import type { Poses } from "./people.js";
import {
  difference,
  type Opened,
  openTrusted,
  pattern,
  PATTERN_BOXES,
  slowness,
} from "./provider_check.js";

const INPUTS = ["image", "boxes_in", "detect"];
const OUTPUTS = ["keypoints", "scores", "boxes", "box_scores"];

/** The whole pipeline in one network: an image in, people out. */
export class Graph {
  readonly card: ModelCard;
  readonly #ort: Ort;
  readonly #session: OrtSession;

  constructor(ort: Ort, session: OrtSession, card: ModelCard) {
    this.#ort = ort;
    this.#session = session;
    this.card = card;
  }

  static async open(model: ModelSource, options: EngineOptions): Promise<Opened<Graph>> {
    const ort = await openEngine(options);
    const bytes = await readModel(model);
    const card = readCard(bytes);
    return openTrusted(
      options,
      async (providers) => {
        const session = await openSession(ort, bytes, options, providers);
        checkForm(session, card);
        return new Graph(ort, session, card);
      },
      compare,
    );
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

/** Compares people in given boxes, then those that are found: in the pattern mostly nobody. */
async function compare(tested: Graph, right: Graph): Promise<string> {
  const image = toBgr(pattern());
  const expected = await right.run(image, PATTERN_BOXES);
  const apart = difference(await tested.run(image, PATTERN_BOXES), expected);
  if (apart) return apart;
  const slow = await slowness(
    () => tested.run(image, PATTERN_BOXES),
    () => right.run(image, PATTERN_BOXES),
  );
  if (slow) return slow;
  const people = await right.run(image, null);
  return difference(await tested.run(image, null), people);
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
      "make one with: rtmpose export MODEL --to pipeline, " +
      "or open it with Detector or PoseDetector",
  );
}
