/** Entry point for Node, Bun and Deno: the engine is `onnxruntime-node`. */
import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { setPlatform, type Ort } from "./engine.js";
import { messageOf, RtmposeError } from "./errors.js";
import { addressIn, addressOfFolder, download } from "./model_source.js";

setPlatform({
  provider: "cpu",
  async loadOrt(): Promise<Ort> {
    try {
      return (await import("onnxruntime-node")) as unknown as Ort;
    } catch (error) {
      throw new RtmposeError("engine", whyNoEngine(error), error);
    }
  },
  async readFile(path: string): Promise<Uint8Array> {
    if (isAddress(path)) return download(path);
    return readFile(fileOf(path));
  },
  async readBeside(path: string): Promise<string | null> {
    if (isAddress(path)) return null;
    try {
      return await readFile(fileOf(path), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw new RtmposeError("model", `${path} cannot be read: ${messageOf(error)}`, error);
    }
  },
  async isFolder(path: string): Promise<boolean> {
    if (isAddress(path)) return path.endsWith("/") && !path.startsWith("data:");
    try {
      return (await stat(fileOf(path))).isDirectory();
    } catch {
      return false; // the file's reader says what is wrong
    }
  },
  async fileIn(folder: string, name: string): Promise<string> {
    if (isAddress(folder)) return addressIn(folder, name);

    // The folder may come from anybody: no link leads out of it.
    const root = await realpath(fileOf(folder));
    const file = await realpath(join(root, name));
    const way = relative(root, file);
    if (way.startsWith("..") || isAbsolute(way)) throw new Error("it lies outside of the folder");
    return file;
  },
  folderOf: (path) => (isAddress(path) ? addressOfFolder(path) : dirname(fileOf(path))),
});

function isAddress(path: string): boolean {
  return /^(https?|data|blob):/.test(path);
}

function fileOf(path: string): string {
  return path.startsWith("file:") ? fileURLToPath(path) : path;
}

/** A package that is not there is another fault than one that does not fit the machine. */
function whyNoEngine(error: unknown): string {
  const text = messageOf(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ERR_MODULE_NOT_FOUND" && text.includes("'onnxruntime-node'")) {
    return "onnxruntime-node is not installed: npm install --ignore-scripts onnxruntime-node";
  }
  const place = `${process.platform} on ${process.arch}`;
  return (
    `onnxruntime-node is installed, but cannot be loaded (${place}): ${text}. It has libraries for ` +
    "Windows, macOS and Linux with glibc; install it anew on this machine, or give another engine, " +
    'such as onnxruntime-web: { ort: await import("onnxruntime-web") }'
  );
}

export * from "./index.js";
