/** What a program says where something is not there or does not fit, and how others load us. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import { DETECTOR, NO_CORE, SMALL_POSE } from "./helpers/setup.mjs";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

describe("missing parts", () => {
  let folder;
  let installed;

  before(() => {
    // The package alone, as a program installs it.
    folder = mkdtempSync(join(tmpdir(), "rtmpose-program-"));
    installed = join(folder, "node_modules", "rtmpose");
    mkdirSync(installed, { recursive: true });
    cpSync(join(PACKAGE, "package.json"), join(installed, "package.json"));
    cpSync(join(PACKAGE, "dist"), join(installed, "dist"), { recursive: true });
  });
  after(() => rmSync(folder, { recursive: true }));

  function run(program, { common = false } = {}) {
    const file = join(folder, common ? "program.cjs" : "program.mjs");
    writeFileSync(file, program);
    const options = { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] };
    return execFileSync(process.execPath, [file], options).trim();
  }

  const open = (name) => `import { ${name} } from "rtmpose";
    await ${name}.create({ model: ${JSON.stringify(DETECTOR)} })
      .then(() => console.log("opened"), (error) => console.log(error.code, error.message));`;

  it("says that the engine is not installed", () => {
    for (const name of ["PoseEstimator", ...(NO_CORE ? [] : ["Detector"])]) {
      const text = /^engine onnxruntime-node is not installed: npm install --ignore-scripts /;
      assert.match(run(open(name)), text);
    }
  });

  it("says that the engine does not fit the machine", () => {
    const engine = join(folder, "node_modules", "onnxruntime-node");
    mkdirSync(engine);
    const text = "libonnxruntime.so.1: cannot open shared object file";
    writeFileSync(join(engine, "index.js"), `throw new Error("${text}");`);
    const expected = `engine onnxruntime-node is installed, but cannot be loaded (${process.platform}`;
    const output = run(open("PoseEstimator"));
    assert.ok(output.startsWith(expected), output);
    assert.ok(output.includes(text), output);
    rmSync(engine, { recursive: true });
  });

  it("says that the build has no WebAssembly", () => {
    const file = join(installed, "dist", "generated", "core_wasm.js");
    cpSync(file, `${file}.kept`);
    writeFileSync(file, 'export const CORE_WASM = "";');
    assert.match(run(open("Detector")), /^core this build of the package lacks its WebAssembly/);
    cpSync(`${file}.kept`, file);
  });

  it("is loaded by require() and by import, as one package", { skip: NO_CORE }, () => {
    const modules = join(PACKAGE, "node_modules");
    const engines = ["onnxruntime-node", "onnxruntime-common"];
    for (const name of engines) symlinkSync(join(modules, name), join(folder, "node_modules", name));
    const program = `const { Detector, RtmposeError } = require("rtmpose");
      const image = { data: new Uint8Array(12), width: 2, height: 2 };
      (async () => {
        const other = await import("rtmpose");
        const detector = await Detector.create({ model: ${JSON.stringify(DETECTOR)}, threads: 1 });
        const { count } = await detector.apply(image);
        await detector.dispose();
        console.log(count, other.RtmposeError === RtmposeError);
      })();`;
    assert.equal(run(program, { common: true }), "0 true");
    for (const name of engines) rmSync(join(folder, "node_modules", name));
  });
});

describe("worker threads", { skip: NO_CORE }, () => {
  it("runs in several at the same time, each with networks of its own", async () => {
    const program = `
      const { parentPort } = require("node:worker_threads");
      import(${JSON.stringify(new URL("../dist/node.js", import.meta.url).href)}).then(
        async ({ PoseDetector }) => {
          const model = ${JSON.stringify(SMALL_POSE)};
          const pose = await PoseDetector.create({ model, threads: 1 });
          // Memory that threads share is as good as any.
          const data = new Uint8Array(new SharedArrayBuffer(64 * 48 * 3)).fill(90);
          const [person] = await pose.apply({ data, width: 64, height: 48 });
          await pose.dispose();
          parentPort.postMessage(Array.from(person.keypoints));
        });`;
    const results = await Promise.all(
      [1, 2].map(
        () =>
          new Promise((done, fail) => {
            const worker = new Worker(program, { eval: true });
            worker.on("message", done);
            worker.on("error", fail);
          }),
      ),
    );
    assert.equal(results[0].length, 52);
    assert.deepEqual(results[0], results[1]);
  });
});
