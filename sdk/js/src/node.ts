/** Entry point for Node, Bun and Deno: the engine is `onnxruntime-node`. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { download, setPlatform, type Ort } from "./engine.js";
import { RtmposeError } from "./errors.js";

setPlatform({
  provider: "cpu",
  async loadOrt(): Promise<Ort> {
    try {
      return (await import("onnxruntime-node")) as unknown as Ort;
    } catch (error) {
      throw new RtmposeError("engine", "install the engine: npm install onnxruntime-node", error);
    }
  },
  async readFile(path: string): Promise<Uint8Array> {
    if (/^https?:/.test(path)) return download(path);
    return readFile(path.startsWith("file:") ? fileURLToPath(path) : path);
  },
});

export * from "./index.js";
