import type { OutputTensor } from "./core_model.js";
import {
  type EngineOptions,
  openSession,
  type Ort,
  type OrtSession,
  type OrtTensor,
  type providersOf,
} from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";

/** A network that takes one batch of images, opened. */
export class Network {
  readonly #ort: Ort;
  readonly #session: OrtSession;

  private constructor(ort: Ort, session: OrtSession) {
    this.#ort = ort;
    this.#session = session;
  }

  static async open(
    ort: Ort,
    bytes: Uint8Array,
    options: EngineOptions,
    providers: ReturnType<typeof providersOf>,
  ): Promise<Network> {
    return new Network(ort, await openSession(ort, bytes, options, providers));
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  /** Pixels `(N, 3, H, W)` to all outputs, in their order. */
  async run(pixels: Float32Array, dims: readonly number[]): Promise<OutputTensor[]> {
    const [name] = this.inputNames;
    const tensor = new this.#ort.Tensor("float32" as never, pixels as never, dims) as OrtTensor;
    try {
      const results = await this.#session.run({ [name]: tensor });
      return this.outputNames.map((output) => results[output] as unknown as OutputTensor);
    } catch (error) {
      throw new RtmposeError("engine", `the network failed: ${messageOf(error)}`, error);
    }
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}
