import { messageOf, RtmposeError } from "./errors.js";

/** What is used of a tensor of ONNX Runtime. */
export interface OrtTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
}

/** What is used of a session of ONNX Runtime. */
export interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

/** What is used of `onnxruntime-node`, `onnxruntime-web`, or another package of that interface. */
export interface Ort {
  InferenceSession: {
    create(model: Uint8Array, options?: Record<string, unknown>): Promise<unknown>;
  };
  Tensor: new (type: never, data: never, dims: readonly number[]) => unknown;
  env?: unknown;
}

/** A file: a path (Node), an URL, or the bytes. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array;

/** How sessions are opened. */
export interface EngineOptions {
  /** ONNX Runtime, where the package of the entry point is not to be used. */
  ort?: Ort;
  /**
   * Engines to try in this order: `cpu`, `cuda`, `dml`, `coreml` in Node, `webgpu`, `wasm` in
   * browsers. By default `cpu` and `wasm`.
   */
  executionProviders?: readonly (string | { name: string })[];
  /** CPU threads; without it ONNX Runtime chooses. In browsers more than one need isolation. */
  threads?: number;
  /** Where the `.wasm` files of onnxruntime-web lie: a folder's URL, or one URL per file. */
  wasmPaths?: string | Record<string, string>;
  /** More options for `InferenceSession.create`. */
  sessionOptions?: Record<string, unknown>;
}

/** What differs between Node and browsers. */
export interface Platform {
  loadOrt(): Promise<Ort>;
  readFile(path: string): Promise<Uint8Array>;
  /** Used where the caller names no execution provider. */
  provider: string;
}

let platform: Platform | undefined;

/** Called once by the entry points. */
export function setPlatform(value: Platform): void {
  platform = value;
}

function currentPlatform(): Platform {
  if (!platform) {
    throw new RtmposeError("engine", "import 'rtmpose', 'rtmpose/node' or 'rtmpose/web'");
  }
  return platform;
}

/** The engine, with its settings for the whole page made. */
export async function openEngine(options: EngineOptions): Promise<Ort> {
  const ort = options.ort ?? (await currentPlatform().loadOrt());
  if (typeof ort.InferenceSession?.create !== "function") {
    throw new RtmposeError("argument", "ort is not onnxruntime-node or onnxruntime-web");
  }
  const { threads, wasmPaths } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 0)) {
    throw new RtmposeError("argument", `threads is a whole number from 0, not ${threads}`);
  }

  // WebAssembly has one setting for all sessions, which counts when the first one is opened.
  const wasm = (ort.env as { wasm?: { numThreads?: number; wasmPaths?: unknown } } | undefined)
    ?.wasm;
  if (wasm && threads) wasm.numThreads = threads;
  if (wasm && wasmPaths !== undefined) wasm.wasmPaths = wasmPaths;
  return ort;
}

/** Names of the engines to try. */
export function providersOf(options: EngineOptions): readonly (string | { name: string })[] {
  const { executionProviders } = options;
  if (executionProviders === undefined) return [currentPlatform().provider];
  if (!Array.isArray(executionProviders) || executionProviders.length === 0) {
    throw new RtmposeError("argument", "executionProviders is an array with at least one name");
  }
  return executionProviders;
}

/** Opens a network. */
export async function openSession(
  ort: Ort,
  model: Uint8Array,
  options: EngineOptions,
  providers: readonly (string | { name: string })[],
): Promise<OrtSession> {
  const settings: Record<string, unknown> = {
    executionProviders: providers,
    logSeverityLevel: 3, // errors only
    ...options.sessionOptions,
  };
  if (options.threads) settings["intraOpNumThreads"] = options.threads;
  try {
    return (await ort.InferenceSession.create(model, settings)) as OrtSession;
  } catch (error) {
    const names = providers.map((p) => (typeof p === "string" ? p : p.name)).join(", ");
    const text = `the model could not be opened with ${names}: ${messageOf(error)}`;
    throw new RtmposeError("engine", text, error);
  }
}

/** The bytes of a model. */
export async function readModel(source: ModelSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new RtmposeError("argument", "model is a path, an URL or the bytes of an .onnx file");
  }
  const path = String(source);
  try {
    return await currentPlatform().readFile(path);
  } catch (error) {
    throw new RtmposeError("model", `${path} cannot be read: ${messageOf(error)}`, error);
  }
}

/** The bytes behind an URL. */
export async function download(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
