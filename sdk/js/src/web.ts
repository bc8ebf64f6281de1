/** Entry point for browsers and workers: the engine is `onnxruntime-web`. */
import { addressIn, download, setPlatform, type Ort } from "./engine.js";
import { RtmposeError } from "./errors.js";

setPlatform({
  provider: "wasm",
  async loadOrt(): Promise<Ort> {
    try {
      return (await import("onnxruntime-web")) as unknown as Ort;
    } catch (error) {
      const text = "onnxruntime-web is not there: install it, or give it as the option ort";
      throw new RtmposeError("engine", text, error);
    }
  },
  readFile: download,
  readBeside: () => Promise.resolve(null),
  isFolder: (path) => Promise.resolve(path.endsWith("/")),
  fileIn: (folder, name) => Promise.resolve(addressIn(folder, name)),
});

export * from "./index.js";
