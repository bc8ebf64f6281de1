/** What a model is read from: an `.onnx` file with its card, or a folder of the deployment SDK. */
import { cardText } from "./card.js";
import { currentPlatform } from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";
import { bytesIn, isPath, type ModelSource, nameOf, readModel } from "./model_source.js";
import { withWeights } from "./weights_beside.js";

/**
 * The files of a deployment SDK's folder by their names: `deploy.json`, `pipeline.json` and the
 * network's. Of an `<input type="file" webkitdirectory>`:
 * `Object.fromEntries(Array.from(input.files, (file) => [file.name, file]))`.
 */
export type ModelFolder = Readonly<Record<string, Blob | ArrayBuffer | Uint8Array>>;

/** What says what a network is: a card, which may be missing, or the texts of a folder. */
export type Description = { card: string | null } | { deploy: string; pipeline: string };

/** A network with what says what it is. */
export interface ModelFiles {
  /** For errors; of a folder its own. */
  path: string;
  bytes: Uint8Array;
  description: Description;
}

interface Folder {
  path: string;
  /** Throws where the file is not there. */
  read(name: string): Promise<Uint8Array>;
}

const DEPLOY = "deploy.json";
const PIPELINE = "pipeline.json";

/** Reads a model; a card that is given counts more than what the files say. */
export async function readFiles(
  model: ModelSource | ModelFolder,
  card: string | object | undefined,
): Promise<ModelFiles> {
  const given = typeof card === "object" ? JSON.stringify(card) : card;
  const folder = await folderOf(model);
  if (folder) return readFolder(folder, given);
  const source = model as ModelSource;
  const bytes = await readModel(source);
  const text = given ?? (await cardBeside(source)) ?? cardText(bytes);
  return { path: nameOf(source), bytes, description: { card: text } };
}

/** A card next to the model's file; null where there is none. */
async function cardBeside(source: ModelSource): Promise<string | null> {
  if (!isPath(source)) return null;
  return currentPlatform().readBeside(`${source}.card.json`);
}

// ---- folders

async function folderOf(model: ModelSource | ModelFolder): Promise<Folder | null> {
  if (isPath(model)) {
    const path = String(model);
    const platform = currentPlatform();
    if (!(await platform.isFolder(path))) return null;
    return { path, read: async (name) => platform.readFile(await platform.fileIn(path, name)) };
  }
  if (model === null || typeof model !== "object" || !(DEPLOY in model)) return null;
  return { path: "the folder", read: (name) => bytesOf(model, name) };
}

async function bytesOf(files: ModelFolder, name: string): Promise<Uint8Array> {
  const file: unknown = Object.hasOwn(files, name) ? files[name] : undefined;

  const bytes = await bytesIn(file);
  if (bytes) return bytes;
  const names = Object.keys(files).join(", ");
  throw new Error(file === undefined ? `there are ${names}` : "a file is a Blob, or bytes");
}

async function readFolder(folder: Folder, card: string | undefined): Promise<ModelFiles> {
  const { path } = folder;
  const deploy = await textIn(folder, DEPLOY);
  const pipeline = await textIn(folder, PIPELINE);
  const name = networkName(deploy, path);
  let bytes: Uint8Array;
  try {
    bytes = await folder.read(name);
  } catch (error) {
    const text = `${path} names ${name} as the network, which cannot be read: ${messageOf(error)}`;
    throw new RtmposeError("model", text, error);
  }
  if (bytes.length === 0) throw new RtmposeError("model", `${name} in ${path} is empty`);
  bytes = await withWeights(bytes, `${name} in ${path}`, (file) => folder.read(file));
  return { path, bytes, description: card === undefined ? { deploy, pipeline } : { card } };
}

async function textIn(folder: Folder, name: string): Promise<string> {
  try {
    return new TextDecoder().decode(await folder.read(name));
  } catch (error) {
    const text =
      `${folder.path} is a folder without ${name}: give an .onnx file, or a folder of the ` +
      `deployment SDK (${messageOf(error)})`;
    throw new RtmposeError("model", text, error);
  }
}

/** The network's file, as deploy.json names it: in the folder, wherever that comes from. */
function networkName(deploy: string, path: string): string {
  let name: unknown;
  try {
    name = (JSON.parse(deploy) as { models: { net: unknown }[] }).models[0].net;
  } catch (error) {
    const text = `${DEPLOY} in ${path} does not name the network's file: ${messageOf(error)}`;
    throw new RtmposeError("model", text, error);
  }
  if (typeof name !== "string" || name === "") {
    throw new RtmposeError("model", `${DEPLOY} in ${path} does not name the network's file`);
  }
  if (/^\/|[\\:\0]/.test(name) || name.split("/").includes("..")) {
    const text = `${DEPLOY} in ${path} names ${name} as the network, which lies outside of the folder`;
    throw new RtmposeError("model", text);
  }
  return name;
}
