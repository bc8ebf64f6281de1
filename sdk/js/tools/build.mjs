/**
 * Builds dist/: WebAssembly and the keypoint sets from ../core, the first with emscripten, and the
 * TypeScript sources.
 *
 *     node tools/build.mjs               without emscripten: no Detector, PoseDetector, tracker
 *     node tools/build.mjs --need-core   without emscripten it fails
 *     node tools/build.mjs --without-core
 */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const CORE = join(HERE, "..", "core");
const GENERATED = join(HERE, "src", "generated");

const EXPORTS = [
  "malloc",
  "free",
  "rtmpose_last_error",
  "rtmpose_detections_release",
  "rtmpose_poses_release",
  // what comes before and after networks
  "rtmpose_bare_model_create",
  "rtmpose_bare_model_create_from_folder",
  "rtmpose_bare_model_batch",
  "rtmpose_bare_model_check",
  "rtmpose_bare_model_get_info",
  "rtmpose_bare_model_close",
  "rtmpose_bare_input_of_image",
  "rtmpose_bare_input_of_boxes",
  "rtmpose_bare_input_release",
  "rtmpose_bare_detections",
  "rtmpose_bare_poses",
  "rtmpose_bare_people",
  // the tracker
  "rtmpose_tracker_params_init",
  "rtmpose_tracker_create_bare",
  "rtmpose_tracker_destroy",
  "rtmpose_tracker_lowest_score",
  "rtmpose_stream_create",
  "rtmpose_stream_destroy",
  "rtmpose_stream_reset",
  "rtmpose_stream_wants_detection",
  "rtmpose_stream_begin",
  "rtmpose_stream_finish",
];

const needCore = process.argv.includes("--need-core");
mkdirSync(GENERATED, { recursive: true });
write("skeletons.ts", skeletons());
if (!isCurrent(join(GENERATED, "core_wasm.ts"))) {
  write("core_wasm.ts", `export const CORE_WASM: string =\n  "${await coreWasm()}";\n`);
}

rmSync(join(HERE, "dist"), { recursive: true, force: true });
const tsc = join(HERE, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [tsc, "-p", HERE], { stdio: "inherit" });
copyFileSync(join(HERE, "..", "..", "LICENSE"), join(HERE, "LICENSE"));

function write(name, text) {
  writeFileSync(join(GENERATED, name), `// Made by tools/build.mjs; do not edit.\n${text}`);
}

/** The published keypoint sets: names, and what is drawn connected. */
function skeletons() {
  const text = readFileSync(join(CORE, "src", "skeletons.inc"), "utf8");
  const tables = Array.from(text.matchAll(/R"json\((.*?)\)json"/gs), (m) => JSON.parse(m[1]));
  const lines = tables.map(({ name, keypoints, links }) =>
    JSON.stringify({ name, keypoints, links }),
  );
  const head = 'import type { Skeleton } from "../skeleton.js";\n\n';
  return `${head}export const PUBLISHED: readonly Skeleton[] = [\n  ${lines.join(",\n  ")},\n];\n`;
}

/** Whether a WebAssembly is there that is newer than every source of the core. */
function isCurrent(file) {
  if (process.argv.includes("--without-core") || !existsSync(file)) return false;
  if (statSync(file).size < 1000) return false; // made without emscripten
  const made = statSync(file).mtimeMs;
  const all = readdirSync(CORE, { recursive: true });
  const sources = all.filter((name) => /(pp|\.h|\.inc|\.txt)$/.test(name));
  const files = [fileURLToPath(import.meta.url), ...sources.map((name) => join(CORE, name))];
  return files.every((name) => statSync(name).mtimeMs < made);
}

/** The core as base64, so that bundlers and CDNs have one file less to find. */
async function coreWasm() {
  if (process.argv.includes("--without-core")) return "";
  const found = spawnSync("em++", ["--version"]).status === 0;
  if (!found || !existsSync(join(CORE, "include", "rtmpose_core.h"))) {
    if (needCore) throw new Error("the package needs emscripten (em++)");
    console.warn("without emscripten (em++): no Detector, PoseDetector and tracker");
    return "";
  }

  const folder = mkdtempSync(join(tmpdir(), "rtmpose-js-"));
  try {
    const options = ["-std=c++17", "-O2", "-msimd128", "-fwasm-exceptions", "-DRTMPOSE_STATIC"];
    const include = [join(CORE, "include"), jsonInclude(folder), join(CORE, "src")];
    options.push(...include.map((name) => `-I${name}`));
    const objects = await compile(coreSources(), options, folder);
    const out = join(folder, "core.wasm");
    const exported = EXPORTS.map((name) => `_${name}`).join(",");
    const link = ["-sSTANDALONE_WASM", "--no-entry", "-sALLOW_MEMORY_GROWTH"];
    link.push(`-sEXPORTED_FUNCTIONS=${exported}`, ...objects, "-o", out);
    execFileSync("em++", ["-O2", "-fwasm-exceptions", ...link], { stdio: "inherit" });
    return readFileSync(out).toString("base64");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Object files, as many at a time as there are cores. */
async function compile(sources, options, folder) {
  const objects = sources.map((_, i) => join(folder, `${i}.o`));
  let next = 0;
  const work = async () => {
    while (next < sources.length) {
      const i = next++;
      const args = [...options, "-c", sources[i], "-o", objects[i]];
      const { stderr } = await promisify(execFile)("em++", args);
      if (stderr) process.stderr.write(stderr);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return objects;
}

/** Sources of the core that need no engine, as its CMakeLists.txt lists them. */
function coreSources() {
  const text = readFileSync(join(CORE, "CMakeLists.txt"), "utf8");
  const list = /set\(core_sources\s+([^)]*)\)/.exec(text);
  if (!list) throw new Error("sdk/core/CMakeLists.txt has no list core_sources");
  return list[1].trim().split(/\s+/).map((name) => join(CORE, name));
}

/**
 * A folder with the JSON library alone: the system's other headers are not for WebAssembly.
 *
 * NLOHMANN_JSON names the folder that holds nlohmann/json.hpp, where it is not the system's.
 */
function jsonInclude(folder) {
  const from = join(process.env.NLOHMANN_JSON ?? "/usr/include", "nlohmann");
  if (!existsSync(from)) throw new Error("the package needs nlohmann's JSON headers");
  symlinkSync(from, join(folder, "nlohmann"));
  return folder;
}
