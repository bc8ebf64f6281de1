import { RtmposeError } from "./errors.js";

/** What a model file says about itself. */
export interface ModelCard {
  /** Such as `rtmpose-s_body8-halpe26_256x192`. */
  id: string;
  /** Name of the keypoint set, such as `halpe26`; empty for detectors. */
  skeleton: string;
  /** `pipeline` for one-graph exports, else empty. */
  kind: string;
  /** Lowest box score that the graph lets through; NaN where the file does not say. */
  boxThr: number;
  /** Names and links of a keypoint set of one's own, as JSON text; empty for published sets. */
  ownSkeleton: string;
}

const METADATA_FIELD = 14; // ModelProto.metadata_props
const LENGTH_DELIMITED = 2;

/**
 * Reads the model card of an ONNX file: the engines do not show it to JavaScript.
 *
 * Fields are skipped by their lengths, so the weights are not touched.
 */
export function readCard(bytes: Uint8Array): ModelCard {
  const entries = new Map<string, string>();
  try {
    for (const [field, value] of fields(bytes)) {
      if (field === METADATA_FIELD) addEntry(entries, value);
    }
  } catch (error) {
    throw new RtmposeError("model", "this is not an ONNX file, or it is cut off", error);
  }
  return toCard(entries);
}

function addEntry(entries: Map<string, string>, message: Uint8Array): void {
  const text = new TextDecoder();
  let key = "";
  let value = "";
  for (const [field, content] of fields(message)) {
    if (field === 1) key = text.decode(content);
    if (field === 2) value = text.decode(content);
  }
  entries.set(key, value);
}

function toCard(entries: Map<string, string>): ModelCard {
  let card: Record<string, unknown> = {};
  try {
    card = JSON.parse(entries.get("rtmpose.card") ?? "{}") as Record<string, unknown>;
  } catch {
    // A card that is no JSON is as good as none: the graph's inputs decide.
  }
  const own = card["own_skeleton"];
  return {
    id: String(card["id"] ?? ""),
    skeleton: String(card["skeleton"] ?? ""),
    kind: entries.get("rtmpose.kind") ?? "",
    boxThr: Number(entries.get("rtmpose.box_thr") ?? Number.NaN),
    ownSkeleton: own ? JSON.stringify(own) : "",
  };
}

/** The length-delimited fields of a protobuf message. */
function* fields(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;

  // Lengths reach past 32 bits in big files, so no bit operators.
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 63; factor *= 128) {
      if (at >= bytes.length) throw new RangeError("a number reaches past the end");
      const byte = bytes[at++];
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError("a number has too many bytes");
  };

  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    let length = 0;
    if (wire === 0) varint();
    else if (wire === 1) length = 8;
    else if (wire === 5) length = 4;
    else if (wire === LENGTH_DELIMITED) length = varint();
    else throw new RangeError(`wire type ${wire}`);
    if (at + length > bytes.length) throw new RangeError("a field reaches past the end");
    if (wire === LENGTH_DELIMITED) {
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
    }
    at += length;
  }
}
