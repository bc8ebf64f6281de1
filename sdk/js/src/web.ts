/** Entry point for browsers and workers: the engine is `onnxruntime-web`. */
import { setPlatform, type Ort } from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";
import { addressIn, addressOfFolder, download } from "./model_source.js";

setPlatform({
  provider: "wasm",
  async loadOrt(): Promise<Ort> {
    try {
      return (await import("onnxruntime-web")) as unknown as Ort;
    } catch (error) {
      const text =
        `onnxruntime-web cannot be loaded (${messageOf(error)}): install it, serve its .mjs files ` +
        "as text/javascript, or give it as the option ort";
      throw new RtmposeError("engine", text, error);
    }
  },
  readFile: download,
  readBeside: () => Promise.resolve(null),
  isFolder: (path) => Promise.resolve(path.endsWith("/") && !path.startsWith("data:")),
  fileIn: (folder, name) => Promise.resolve(addressIn(folder, name)),
  folderOf: addressOfFolder,
});

export * from "./index.js";
