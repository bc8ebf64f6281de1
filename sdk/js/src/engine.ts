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


/** How sessions are opened. */
export interface EngineOptions {
  /** ONNX Runtime, where the package of the entry point is not to be used. */
  ort?: Ort | undefined;
  /**
   * Engines to try in this order: `cpu`, `cuda`, `dml`, `coreml` in Node, `webgpu`, `wasm` in
   * browsers. By default `cpu` and `wasm`.
   */
  executionProviders?: readonly (string | { name: string })[] | undefined;
  /** CPU threads; without it ONNX Runtime chooses. In browsers more than one need isolation. */
  threads?: number | undefined;
  /** Where the `.wasm` files of onnxruntime-web lie: a folder's URL, or one URL per file. */
  wasmPaths?: string | Record<string, string> | undefined;
  /** More options for `InferenceSession.create`. */
  sessionOptions?: Record<string, unknown> | undefined;
}

/** Names of {@link EngineOptions}. */
export const ENGINE_OPTIONS = [
  "ort",
  "executionProviders",
  "threads",
  "wasmPaths",
  "sessionOptions",
] as const satisfies readonly (keyof EngineOptions)[];

/** What differs between Node and browsers. */
export interface Platform {
  loadOrt(): Promise<Ort>;
  /** A file, by its path or URL. */
  readFile(path: string): Promise<Uint8Array>;
  /** A text file next to a model; null where there is none, or none can be. */
  readBeside(path: string): Promise<string | null>;
  /** Whether a path is a folder's; an URL's is where it ends with a slash. */
  isFolder(path: string): Promise<boolean>;
  /** The path of a file in a folder. */
  fileIn(folder: string, name: string): Promise<string>;
  /** The folder of a file. */
  folderOf(path: string): string;
  /** Used where the caller names no execution provider. */
  provider: string;
}

let platform: Platform | undefined;

/** Called once by the entry points. */
export function setPlatform(value: Platform): void {
  platform = value;
}

/** What the entry point brings. */
export function currentPlatform(): Platform {
  if (!platform) {
    throw new RtmposeError("engine", "import 'rtmpose', 'rtmpose/node' or 'rtmpose/web'");
  }
  return platform;
}

/** The engine, with its settings for the whole page made; the options are checked. */
export async function openEngine(options: EngineOptions): Promise<Ort> {
  providersOf(options);
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
    throw new RtmposeError("engine", text + hintFor(messageOf(error)), error);
  }
}

/** What to do where the engine's own text only says that its WebAssembly is not there. */
function hintFor(text: string): string {
  if (/_Cuda|_TensorRT/.test(text) && /shared library/.test(text)) {
    return (
      "; onnxruntime-node has CUDA's files on Linux with x64 only, where it is installed without " +
      "--ignore-scripts"
    );
  }
  if (!/wasm|dynamically imported module/i.test(text)) return "";
  if (/unsafe-eval|Content Security Policy/i.test(text)) {
    return "; the page's Content-Security-Policy needs script-src 'wasm-unsafe-eval'";
  }
  return (
    "; does the server have the .wasm and .mjs files of onnxruntime-web (its folder dist), with the " +
    "types application/wasm and text/javascript? wasmPaths says where"
  );
}
