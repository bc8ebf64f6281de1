/** What comes before and after the networks, by the C++ core; see rtmpose_core.h. */
import type { CoreMemory, Detections, Scratch } from "./core_memory.js";
import type { PixelFormat, RawImage } from "./images.js";
import type { Description } from "./model_files.js";
import type { Declaration } from "./onnx_file.js";
import type { Poses } from "./people.js";
import type { Skeleton } from "./skeleton.js";

/** What a network returned. */
export interface OutputTensor {
  type: string;
  dims: readonly number[];
  data: unknown;
}

/** What a model finds. */
export type ModelKind = "detector" | "pose" | "one-stage";

/** What a model is. */
export interface ModelInfo {
  kind: ModelKind;
  id: string;
  inputWidth: number;
  inputHeight: number;
  skeleton: Skeleton;
  classNames: string[];
}

/** Which boxes of a detector count. */
export interface DetectParams {
  boxThr: number;
  label: number;
  maxPeople: number;
}

// Sizes and places of the structs of rtmpose.h and rtmpose_core.h, with pointers of four bytes.
const TENSOR_SIZE = 20;
const IMAGE_SIZE = 32;
const INFO_SIZE = 48;
const DETECT_PARAMS_SIZE = 16;

const ELEMENTS: Record<string, number> = { float32: 0, int64: 1, int32: 2 };
const OTHER_ELEMENT = 3;
const FORMATS: Record<PixelFormat, number> = { bgr: 0, rgb: 1, bgra: 2, rgba: 3, gray: 4 };
const KINDS: readonly ModelKind[] = ["detector", "pose", "one-stage"];

/** Handles of models that were forgotten without dispose(). */
const forgotten = new FinalizationRegistry<[CoreMemory, number]>(([core, handle]) => {
  core.calls["rtmpose_bare_model_close"](handle);
});

/** A model whose network is run elsewhere. */
export class CoreModel {
  readonly #core: CoreMemory;
  readonly #handle: number;

  /**
   * @param description Without a card in it the model is recognized by the rest.
   * @param layers Names of its layers and weights.
   */
  constructor(
    core: CoreMemory,
    path: string,
    description: Description,
    layers: string,
    input: Declaration,
    outputs: readonly Declaration[],
  ) {
    this.#core = core;
    this.#handle = core.scratch((room) => {
      const declared = (all: readonly Declaration[]): number => writeTensors(core, room, all);
      const network = [declared([input]), declared(outputs), outputs.length];
      if ("card" in description) {
        const at = [path, description.card, layers].map((text) => room.text(text));
        return core.made((out) => core.calls["rtmpose_bare_model_create"](...at, ...network, out));
      }
      const at = [path, description.deploy, description.pipeline].map((text) => room.text(text));
      const create = core.calls["rtmpose_bare_model_create_from_folder"];
      return core.made((out) => create(...at, ...network, out));
    });
    forgotten.register(this, [core, this.#handle], this);
  }

  /** Frees its memory. */
  close(): void {
    forgotten.unregister(this);
    this.#core.calls["rtmpose_bare_model_close"](this.#handle);
  }

  /** The size of a batch that the file fixes; 0 where it may vary. */
  get batch(): number {
    return this.#core.calls["rtmpose_bare_model_batch"](this.#handle);
  }

  /** Takes what the network returned for a black image; needed once, before any other use. */
  check(outputs: readonly OutputTensor[]): void {
    const core = this.#core;
    core.scratch((room) => {
      const at = writeTensors(core, room, outputs);
      core.check(core.calls["rtmpose_bare_model_check"](this.#handle, at, outputs.length));
    });
  }

  get info(): ModelInfo {
    const core = this.#core;
    return core.scratch((room) => {
      const at = room.room(INFO_SIZE);
      core.words(at, 1)[0] = INFO_SIZE;
      core.check(core.calls["rtmpose_bare_model_get_info"](this.#handle, at));
      const [, kind, inputWidth, inputHeight, points, pairs, id, name, names, links, classes, of] =
        core.words(at, INFO_SIZE / 4);
      const texts = (from: number, count: number): string[] =>
        Array.from(core.words(from, count), (text) => core.text(text));
      const ends = Array.from(core.words(links, pairs * 2));
      return {
        kind: KINDS[kind - 1],
        id: core.text(id),
        inputWidth,
        inputHeight,
        skeleton: {
          name: core.text(name),
          keypoints: texts(names, points),
          links: Array.from({ length: pairs }, (_, i) => [ends[2 * i], ends[2 * i + 1]] as const),
        },
        classNames: texts(of, classes),
      };
    });
  }

  /** What a detector or one-stage network gets for an image. */
  inputOfImage(image: CoreImage): CoreInput {
    const core = this.#core;
    const { calls } = core;
    const made = image.use((at) =>
      core.made((out) => calls["rtmpose_bare_input_of_image"](this.#handle, at, out)),
    );
    return new CoreInput(core, made);
  }

  /** What a pose network gets for people in boxes; null: the whole image is one person's. */
  inputOfBoxes(image: CoreImage, boxes: Float32Array | null, scores: Float32Array): CoreInput {
    const core = this.#core;
    const made = core.scratch((room) =>
      image.use((at) => {
        const given = boxes ? [room.floats(boxes), room.floats(scores), boxes.length / 4] : [0, 0, 0];
        const args = [this.#handle, at, ...given];
        return core.made((out) => core.calls["rtmpose_bare_input_of_boxes"](...args, out));
      }),
    );
    return new CoreInput(core, made);
  }

  /** Each person once, and nobody who is too doubtful. */
  people(poses: Poses, personThr: number): Poses {
    const core = this.#core;
    const people = core.scratch((room) => {
      const { boxes, boxScores, keypoints, scores, count } = poses;
      const arrays = [boxes, boxScores, keypoints, scores].map((values) => room.floats(values));
      const args = [this.#handle, ...arrays, count, personThr];
      return core.made((out) => core.calls["rtmpose_bare_people"](...args, out));
    });
    return core.takePoses(people);
  }
}

/** Pixels in the core's memory. */
export class CoreImage {
  readonly width: number;
  readonly height: number;
  readonly #core: CoreMemory;
  readonly #pixels: number;
  readonly #format: number;
  readonly #stride: number;

  constructor(core: CoreMemory, image: RawImage) {
    const { data, width, height, format, stride } = image;
    this.width = width;
    this.height = height;
    this.#core = core;
    this.#format = FORMATS[format];
    this.#stride = stride;
    this.#pixels = core.allocate(data.length);
    core.bytes(this.#pixels, data.length).set(data);
  }

  free(): void {
    this.#core.free(this.#pixels);
  }

  /** Calls with the address of an rtmpose_image. */
  use<T>(call: (at: number) => T): T {
    const core = this.#core;
    return core.scratch((room) => {
      const at = room.room(IMAGE_SIZE);
      const words = [IMAGE_SIZE, this.#format, this.#pixels, this.width, this.height, 0];
      core.words(at, IMAGE_SIZE / 4).set([...words, this.#stride, 0]);
      return call(at);
    });
  }
}

/** What a network gets; its outputs are read with it. */
export class CoreInput {
  readonly dims: readonly number[];
  readonly #core: CoreMemory;
  readonly #handle: number;

  constructor(core: CoreMemory, handle: number) {
    this.#core = core;
    this.#handle = handle;
    const [count, height, width] = core.words(handle, 3);
    this.dims = [count, 3, height, width];
  }

  /** A copy: the memory may move while the network runs. */
  pixels(): Float32Array {
    const at = this.#core.words(this.#handle, 4)[3];
    return this.#core.floats(at, this.dims.reduce((a, b) => a * b)).slice();
  }

  release(): void {
    this.#core.calls["rtmpose_bare_input_release"](this.#handle);
  }

  detections(outputs: readonly OutputTensor[], params: DetectParams): Detections {
    const core = this.#core;
    const found = core.scratch((room) => {
      const settings = room.room(DETECT_PARAMS_SIZE);
      const view = core.view();
      view.setUint32(settings, DETECT_PARAMS_SIZE, true);
      view.setFloat32(settings + 4, params.boxThr, true);
      view.setInt32(settings + 8, params.label, true);
      view.setInt32(settings + 12, params.maxPeople, true);
      const args = [this.#handle, writeTensors(core, room, outputs), outputs.length, settings];
      return core.made((out) => core.calls["rtmpose_bare_detections"](...args, out));
    });
    return core.takeDetections(found);
  }

  /** @param boxThr Lowest score of a person of one-stage models. */
  poses(outputs: readonly OutputTensor[], boxThr: number): Poses {
    const core = this.#core;
    const poses = core.scratch((room) => {
      const args = [this.#handle, writeTensors(core, room, outputs), outputs.length, boxThr];
      return core.made((out) => core.calls["rtmpose_bare_poses"](...args, out));
    });
    return core.takePoses(poses);
  }
}

/** Tensors in the core's memory, one after the other. */
function writeTensors(
  core: CoreMemory,
  room: Scratch,
  tensors: readonly (OutputTensor | Declaration)[],
): number {
  const fields = tensors.map((tensor) => {
    const { data } = tensor as { data?: unknown };
    const name = room.text("name" in tensor ? tensor.name : "");
    const shape = BigInt64Array.from(tensor.dims, BigInt);
    return [
      name,
      ELEMENTS[tensor.type] ?? OTHER_ELEMENT,
      tensor.dims.length,
      room.bytes(new Uint8Array(shape.buffer)),
      ArrayBuffer.isView(data)
        ? room.bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
        : 0,
    ];
  });
  const at = room.room(TENSOR_SIZE * tensors.length);
  core.words(at, (TENSOR_SIZE / 4) * tensors.length).set(fields.flat());
  return at;
}
