/** Weights in files next to a model: they are put into it, so that all engines read them alike. */
import { messageOf, RtmposeError } from "./errors.js";
import { guarded } from "./onnx_file.js";
import { bytesOf, fieldMap, fields, textEntries } from "./protobuf.js";

const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR = { raw: 9, external: 13, location: 14 };
const EXTERNAL = 1; // of TENSOR.location
const WITH_LENGTH = 2; // protobuf's wire type

/** Reads a file by its name, as the model gives it. */
type ReadBeside = (name: string) => Promise<Uint8Array>;

/** A model file with all of its weights inside: as it is where nothing lies outside. */
export async function withWeights(
  file: Uint8Array,
  path: string,
  read: ReadBeside | null,
): Promise<Uint8Array> {
  const names = guarded(() => outsideFiles(file));
  if (names.size === 0) return file;
  const weights = new Map<string, Uint8Array>();
  for (const name of names) weights.set(name, await readWeights(name, path, read));
  return guarded(() => replaced(file, MODEL_GRAPH, (graph) => graphWith(graph, weights, path)));
}

function outsideFiles(file: Uint8Array): Set<string> {
  const names = new Set<string>();
  for (const [field, graph] of fields(file)) {
    if (field !== MODEL_GRAPH) continue;
    for (const [part, tensor] of fields(bytesOf(graph))) {
      const place = part === GRAPH_INITIALIZER ? placeOf(bytesOf(tensor)) : null;
      if (place) names.add(place.get("location") ?? "");
    }
  }
  return names;
}

/** Where a tensor's weights are; null where they are inside. */
function placeOf(tensor: Uint8Array): Map<string, string> | null {
  if (fieldMap(tensor).get(TENSOR.location) !== EXTERNAL) return null;
  return textEntries(tensor, TENSOR.external);
}

async function readWeights(
  name: string,
  path: string,
  read: ReadBeside | null,
): Promise<Uint8Array> {
  if (name === "" || /^\/|[\\:\0]/.test(name) || name.split("/").includes("..")) {
    throw new RtmposeError("model", `${path} names weights that lie outside of its folder: ${name}`);
  }
  if (read === null) {
    const text = `the weights of ${path} lie in a second file, ${name}: give the path or the URL`;
    throw new RtmposeError("model", text);
  }
  try {
    return await read(name);
  } catch (error) {
    const text = `the weights of ${path} lie in ${name}, which cannot be read: ${messageOf(error)}`;
    throw new RtmposeError("model", text, error);
  }
}

function graphWith(
  graph: Uint8Array,
  weights: ReadonlyMap<string, Uint8Array>,
  path: string,
): Uint8Array {
  return replaced(graph, GRAPH_INITIALIZER, (tensor) => {
    const place = placeOf(tensor);
    if (!place) return tensor;
    const name = place.get("location") ?? "";
    const all = weights.get(name) ?? new Uint8Array(0);
    const start = Number(place.get("offset") ?? 0);
    const end = place.has("length") ? start + Number(place.get("length")) : all.length;
    if (!(start >= 0 && start <= end && end <= all.length)) {
      throw new RtmposeError("model", `${name}, the weights of ${path}, is too short: cut off?`);
    }
    const inside = replaced(tensor, TENSOR.external, () => null, [TENSOR.location]);
    return joined([inside, ...part(TENSOR.raw, all.subarray(start, end))]);
  });
}

// ---- protobuf, written

/** A message with one kind of part replaced, null: left out; fields of `dropped` are left out, too. */
function replaced(
  message: Uint8Array,
  field: number,
  replace: (value: Uint8Array) => Uint8Array | null,
  dropped: readonly number[] = [],
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [number, value, whole] of fields(message)) {
    if (dropped.includes(number)) continue;
    const other = number === field ? replace(bytesOf(value)) : undefined;
    if (other === null) continue;
    pieces.push(...(other === undefined || other === value ? [whole] : part(field, other)));
  }
  return joined(pieces);
}

function part(field: number, value: Uint8Array): Uint8Array[] {
  return [varint(field * 8 + WITH_LENGTH), varint(value.length), value];
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.from([...bytes, value]);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const out = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
