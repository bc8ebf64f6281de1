import { readMetadata } from "./onnx_file.js";

/** What the file of a one-graph export says about itself. */
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

const CARD_KEY = "rtmpose.card";

/** The text of a file's card; null where it has none. */
export function cardText(file: Uint8Array): string | null {
  return readMetadata(file).get(CARD_KEY) ?? null;
}

/** Reads the card of a one-graph export. */
export function readCard(file: Uint8Array): ModelCard {
  const entries = readMetadata(file);
  let card: Record<string, unknown> = {};
  try {
    card = JSON.parse(entries.get(CARD_KEY) ?? "{}") as Record<string, unknown>;
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
