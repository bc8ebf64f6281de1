/** The package in a browser: the same results as in Node. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { PoseEstimator } from "rtmpose";

import { readPng } from "./helpers/png.mjs";
import { POSE_FOLDER, writeFolder } from "./helpers/sdk_folder.mjs";
import { serve } from "./helpers/server.mjs";
import { DETECTOR, MODEL, NO_MODEL, NO_TRACKER, POSE } from "./helpers/setup.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const NO_BROWSER = existsSync(CHROMIUM) ? false : "chromium is not installed";
const path = (name) => fileURLToPath(new URL(name, import.meta.url));

const FOLDERS = {
  dist: path("../dist"),
  ort: path("../node_modules/onnxruntime-web/dist"),
  pages: path("pages"),
  images: path("../../conformance/images"),
  "model.onnx": MODEL,
  "detector.onnx": DETECTOR,
  "pose.onnx": POSE,
};
const PHOTO = "/images/541055.png";
const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--enable-unsafe-swiftshader"];

describe("browser", { skip: NO_MODEL || NO_BROWSER }, () => {
  let browser;
  let server;
  let folder;
  let page;
  let expected;

  before(async () => {
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    folder = mkdtempSync(join(tmpdir(), "rtmpose-folder-"));
    server = await serve({ ...FOLDERS, folder: writeFolder(folder, POSE_FOLDER) });
    page = await open(server);

    // What Node finds in the same photo.
    const estimator = await PoseEstimator.create({ model: MODEL });
    expected = await estimator.estimate(readPng(path("../../conformance/images/541055.png")));
    await estimator.dispose();
    assert.ok(expected.length >= 4);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open({ url }) {
    const opened = await browser.newPage();
    opened.on("pageerror", (error) => console.log(`page: ${error.message}`));
    await opened.goto(`${url}/pages/index.html`);
    await opened.waitForFunction(() => globalThis.calls !== undefined);
    return opened;
  }

  function same(people) {
    assert.equal(people.length, expected.length);
    people.forEach((person, i) => {
      near(person.box, expected[i].box, 0.1);
      near(person.scores, expected[i].scores, 1e-3);
      const moved = Array.from(expected[i].keypoints, (v, k) => Math.abs(v - person.keypoints[k]));
      moved.sort((a, b) => a - b);
      assert.ok(moved[Math.floor(moved.length * 0.95)] < 0.5, `person ${i}: keypoints`);
    });
  }

  function near(found, right, most) {
    assert.equal(found.length, right.length);
    right.forEach((value, i) => assert.ok(Math.abs(value - found[i]) <= most));
  }

  it("finds with threads what Node finds, in several kinds of image", async () => {
    const opened = await page.evaluate(() => calls.open({ threads: 2 }));
    assert.deepEqual([opened.provider, opened.isolated], ["wasm", true]);
    for (const kind of ["pixels", "blob", "element", "frame"]) {
      same(await page.evaluate(([k, url]) => calls.estimate(k, url), [kind, PHOTO]));
    }
  });

  it("shrinks what is too large for a canvas, and answers in pixels of the image", async () => {
    await page.evaluate(() => calls.open({ maxPixels: 320 * 180 }));
    const people = await page.evaluate((url) => calls.estimate("blob", url), PHOTO);
    assert.ok(people.length >= 4);
    people.slice(0, 4).forEach((person, i) => near(person.box, expected[i].box, 12));
    await page.evaluate(() => calls.open());
  });

  it("follows people", { skip: NO_TRACKER }, async () => {
    const ids = await page.evaluate((url) => calls.track("bitmap", url, 3), PHOTO);
    assert.deepEqual(ids[0], [1, 2, 3, 4]);
    assert.deepEqual(ids, [ids[0], ids[0], ids[0]]);
  });

  it("finds and follows people by networks of their own", { skip: NO_TRACKER }, async () => {
    const found = await page.evaluate((url) => calls.networks(url), PHOTO);
    assert.equal(found.provider, "wasm");
    same(found.people);
    found.inBoxes.forEach(({ keypoints }, i) => near(keypoints, found.people[i].keypoints, 1e-3));
    assert.deepEqual(found.ids[0], found.ids[0].map((_, n) => n + 1));
    assert.deepEqual(found.ids[1], found.ids[0]);

    // Of the pose network alone, opened as a folder.
    const boxes = found.inBoxes.map((person) => person.box);
    const folders = await page.evaluate(([url, all]) => calls.folders(url, all), [PHOTO, boxes]);
    for (const people of folders) assert.deepEqual(people, found.inBoxes);
  });

  it("says that the engine's files are not where they should be", async () => {
    const other = await open(server);
    const { code, message } = await other.evaluate(() => calls.noEngineFiles());
    await other.close();
    assert.equal(code, "engine");
    assert.match(message, /the \.wasm and \.mjs files of onnxruntime-web/);
  });

  it("says what is wrong", async () => {
    const faults = await page.evaluate(() => calls.faults());
    const codes = Object.fromEntries(Object.entries(faults).map(([k, v]) => [k, v?.code]));
    assert.deepEqual(codes, {
      closed: "image",
      empty: "image",
      text: "image",
      path: "model",
      provider: "engine",
    });
  });

  it("runs in a worker", async () => {
    const boxes = await page.evaluate((url) => calls.worker(url), PHOTO);
    assert.equal(boxes.length, expected.length, String(boxes));
    boxes.forEach((box, i) => near(box, expected[i].box, 0.1));
  });

  it("uses WebGPU where it is right, and says where it is not", async () => {
    const asked = { executionProviders: ["webgpu", "wasm"] };
    const opened = await page.evaluate((options) => calls.open(options), asked);
    console.log(`asked for webgpu: ${opened.provider} ${opened.fallback}`);
    assert.ok(opened.provider === "webgpu" || opened.fallback.startsWith("webgpu is not used"));
    same(await page.evaluate((url) => calls.estimate("pixels", url), PHOTO));
  });

  it("says that there is no WebGPU", async () => {
    const other = await open(server);
    const opened = await other.evaluate(() => {
      const gpu = { requestAdapter: async () => null };
      Object.defineProperty(navigator, "gpu", { value: gpu });
      return calls.open({ executionProviders: ["webgpu", "wasm"] });
    });
    await other.close();
    assert.equal(opened.provider, "wasm");
    assert.match(opened.fallback, /^webgpu is not used: .*webgpu/);
  });

  it("works without isolation, on one thread", async () => {
    const plain = await serve(FOLDERS, { isolated: false });
    try {
      const other = await open(plain);
      const opened = await other.evaluate(() => calls.open());
      assert.equal(opened.isolated, false);
      same(await other.evaluate((url) => calls.estimate("blob", url), PHOTO));
      await other.close();
    } finally {
      await plain.close();
    }
  });

  /** What opening a detector says in a page of a server of its own. */
  async function whyNot(settings, options) {
    const other = await serve(FOLDERS, settings);
    try {
      const opened = await open(other);
      const why = await opened.evaluate((asked) => calls.whyNot(asked), options);
      await opened.close();
      return why;
    } finally {
      await other.close();
    }
  }

  it("says that a page's policy forbids WebAssembly", { skip: NO_TRACKER }, async () => {
    const policy = "script-src 'self' 'unsafe-inline'";
    const { code, message } = await whyNot({ policy });
    assert.equal(code, "core");
    assert.match(message, /Content-Security-Policy needs script-src 'wasm-unsafe-eval'/);
    assert.equal(await whyNot({ policy: `${policy} 'wasm-unsafe-eval' blob:` }), null);
  });

  it("takes WebAssembly of a wrong type, and names the types", { skip: NO_TRACKER }, async () => {
    assert.equal(await whyNot({ types: { ".wasm": "text/plain" } }, { threads: 1 }), null);
    const { code, message } = await whyNot({ types: { ".mjs": "text/plain" } });
    assert.equal(code, "engine");
    assert.match(message, /serve its \.mjs files as text\/javascript/);
  });

  it("says that a server answers with a page where a model should be", async () => {
    const { code, message } = await whyNot({}, { model: "/pages/index.html" });
    assert.equal(code, "model");
    assert.match(message, /index\.html is a web page/);
  });
});
