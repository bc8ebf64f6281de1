/** Where the bytes of a model come from. */
import { currentPlatform } from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";
import { withWeights } from "./weights_beside.js";

/** What gives its bytes when asked: a `Response` of `fetch`, a `Blob`, a `File`. */
export interface BytesSource {
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A file: a path (Node), an URL, the bytes, or what gives them. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array | BytesSource;

/** The bytes of a model, with all of its weights. */
export async function readModel(source: ModelSource): Promise<Uint8Array> {
  const bytes = await bytesOf(source);
  const name = nameOf(source);
  checkStart(bytes, name);
  return withWeights(bytes, name, isPath(source) ? (file) => readBeside(name, file) : null);
}

/** What a model is called in errors: its path. */
export function nameOf(source: ModelSource): string {
  const path = isPath(source) ? String(source) : "data:";
  return path.startsWith("data:") ? "the model" : path;
}

/** Whether a model is named, so that other files may lie next to it. */
export function isPath(source: unknown): source is string | URL {
  // By its tag: an URL of another realm is no instance of this one's class.
  return typeof source === "string" || tagOf(source) === "[object URL]";
}

/** The bytes of what is no path; null where it is something else. */
export async function bytesIn(source: unknown): Promise<Uint8Array | null> {
  const tag = tagOf(source);
  if (tag === "[object Uint8Array]") return ofThisRealm(source as Uint8Array);
  if (/^\[object (Shared)?ArrayBuffer\]$/.test(tag)) return new Uint8Array(source as ArrayBuffer);
  const { arrayBuffer, ok, status } = (source ?? {}) as Partial<BytesSource & Response>;
  if (typeof arrayBuffer !== "function") return null;
  if (ok === false) throw new Error(`the server answered ${status}`);
  return new Uint8Array(await (source as BytesSource).arrayBuffer());
}

/** The URL of a file below one that ends with a slash. */
export function addressIn(folder: string, name: string): string {
  return folder + name.split("/").map(encodeURIComponent).join("/");
}

/** The URL up to its last slash. */
export function addressOfFolder(address: string): string {
  return address.replace(/[?#].*$/, "").replace(/[^/]*$/, "");
}

/** The bytes behind an URL. */
export async function download(url: string): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new Error(`${messageOf(error)}${whyNotFetched(error)}`, { cause: error });
  }
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

// Node says in the cause what is wrong, browsers do not say it at all.
function whyNotFetched(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  if (cause) return ` (${messageOf(cause) || String(cause.code)})`;
  return ": is the server there, and does it let pages of this one read its files (CORS)?";
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

/** The same bytes as an array of this realm; test runners bring those of another one. */
function ofThisRealm(bytes: Uint8Array): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  const { buffer, byteOffset, byteLength } = bytes as Uint8Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

async function bytesOf(source: ModelSource): Promise<Uint8Array> {
  const path = isPath(source) ? String(source) : null;
  let bytes: Uint8Array | null;
  try {
    bytes = path === null ? await bytesIn(source) : await currentPlatform().readFile(path);
  } catch (error) {
    const isFolder = (error as { code?: unknown } | null)?.code === "EISDIR";
    const text = isFolder
      ? `${path} is a folder: give the .onnx file in it`
      : `${nameOf(source)} cannot be read: ${messageOf(error)}`;
    throw new RtmposeError("model", text, error);
  }
  if (bytes) return ofThisRealm(bytes);
  const text = "model is a path, an URL or the bytes of an .onnx file, a Blob or a Response";
  throw new RtmposeError("argument", text);
}

async function readBeside(path: string, name: string): Promise<Uint8Array> {
  const platform = currentPlatform();
  const file = await platform.fileIn(platform.folderOf(path), name);
  return ofThisRealm(await platform.readFile(file));
}

/** Refuses what is often there instead of a model. */
function checkStart(bytes: Uint8Array, name: string): void {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 64)).trimStart();
  let why = "";
  if (bytes.length === 0) why = "is empty: an unfinished download or export?";
  else if (start.startsWith("<")) {
    why = "is a web page, no model: some servers answer so where there is no such file";
  } else if (start.startsWith("version https://git-lfs")) {
    why = "is only a pointer of Git LFS: run git lfs pull";
  } else if (start.startsWith("PK\u0003\u0004")) {
    why = "is a zip archive: unpack it, and give the .onnx file in it";
  }
  if (why) throw new RtmposeError("model", `${name} ${why}`);
}
