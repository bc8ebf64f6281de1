/** Detector, PoseDetector and trackers of both, in Node. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";

import * as real from "onnxruntime-node";

import { Detector, PoseDetector, PoseEstimator, PoseTracker } from "rtmpose";

import { withPixels } from "./helpers/cases.mjs";
import {
  DETECTOR,
  fails,
  MODEL,
  NO_MODEL,
  NO_NETWORKS,
  POSE,
  readPhoto,
  SMALL_POSE,
} from "./helpers/setup.mjs";

const photo = readPhoto("541055_half");
const NO_MEMORY_CHECK = global.gc ? false : "node runs without --expose-gc";
const BOX = [70, 40, 110, 160];

describe("files", { skip: NO_NETWORKS }, () => {
  let folder;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rtmpose models ü "));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("says what is wrong", async () => {
    const detector = (model, options = {}) => () => Detector.create({ model, ...options });
    const pose = (model, options = {}) => () => PoseDetector.create({ model, ...options });
    await fails(detector("nothing.onnx"), "model", /nothing\.onnx cannot be read/);
    await fails(detector(folder), "model", /is a folder without deploy\.json/);
    await fails(detector(new Uint8Array(0)), "model", /is empty/);
    await fails(pose(import.meta.filename), "model", /not an ONNX file/);
    await fails(() => Detector.create(), "argument", /needs an object/);
    await fails(detector(POSE), "model", /not a detector.*open it with PoseDetector/);
    await fails(pose(DETECTOR), "model", /is a detector.*open it with Detector/);
    await fails(pose(POSE, { card: "{" }), "model", /card/);
    await fails(pose(POSE, { card: { id: "x" } }), "model", /card .* is not valid/);
    await fails(pose(POSE, { maxPixels: 0 }), "argument", /maxPixels/);
    for (const Class of [Detector, PoseDetector, PoseEstimator, PoseTracker]) {
      const text = new RegExp(`use await ${Class.name}\\.create`);
      await fails(async () => new Class({ model: POSE }), "argument", text);
    }
  });

  it("takes the next engine where one is not there", async () => {
    const asked = [];
    const create = (model, options) => {
      asked.push(options.executionProviders[0]);
      const missing = "OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library";
      if (asked.at(-1) === "cuda") return Promise.reject(new Error(missing));
      return real.InferenceSession.create(model, options);
    };
    const ort = { Tensor: real.Tensor, env: real.env, InferenceSession: { create } };
    const open = (executionProviders) =>
      PoseDetector.create({ model: SMALL_POSE, ort, executionProviders, threads: 1 });
    const pose = await open(["cuda", "cpu"]);
    assert.deepEqual(asked, ["cuda", "cpu"]);
    assert.equal(pose.provider, "cpu");
    assert.match(pose.fallback, /^cuda is not used: .*shared library.*without --ignore-scripts/);
    await pose.dispose();
    await fails(() => open(["cuda"]), "engine", /opened with cuda: .*--ignore-scripts/);
  });

  it("sends one-graph models to the estimator", { skip: NO_MODEL }, async () => {
    const text = /open it with PoseEstimator/;
    await fails(() => PoseDetector.create({ model: MODEL }), "model", text);
  });

  it("opens bytes, addresses of files and odd paths", async () => {
    const path = join(folder, "a model #1 %20.onnx");
    copyFileSync(SMALL_POSE, path);
    for (const model of [path, pathToFileURL(path), readFileSync(path)]) {
      const pose = await PoseDetector.create({ model, threads: 1 });
      assert.equal((await pose.apply(photo, { boxes: [BOX] })).length, 1);
      await pose.dispose();
    }
  });

  it("believes a card next to the file more than the one inside", async () => {
    const path = join(folder, "model.onnx");
    copyFileSync(SMALL_POSE, path);
    const inside = await PoseDetector.create({ model: path, threads: 1 });
    const size = { id: "mine", skeleton: "halpe26", input_wh: [144, 192] };
    const color = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], color: "rgb" };
    const card = { ...size, normalization: color, codec: { kind: "simcc", split_ratio: 8 / 3 } };
    writeFileSync(`${path}.card.json`, JSON.stringify(card));
    const beside = await PoseDetector.create({ model: path, threads: 1 });
    assert.equal(beside.modelId, "mine");
    const boxes = [BOX];
    assert.deepEqual(await beside.apply(photo, { boxes }), await inside.apply(photo, { boxes }));
    const wrong = { ...card, skeleton: "coco17" };
    await fails(() => PoseDetector.create({ model: path, card: wrong }), "model", /26 keypoints/);
    await Promise.all([inside.dispose(), beside.dispose()]);
  });
});

describe("networks", { skip: NO_NETWORKS }, () => {
  let detector;
  let pose;

  before(async () => {
    detector = await Detector.create({ model: DETECTOR, threads: 2 });
    pose = await PoseDetector.create({ model: POSE, threads: 2 });
  });
  after(() => Promise.all([detector.dispose(), pose.dispose()]));

  it("says what the models are", () => {
    assert.match(detector.modelId, /rtmdet/);
    assert.equal(detector.provider, "cpu");
    assert.equal(detector.fallback, "");
    assert.match(pose.modelId, /rtmpose/);
    assert.equal(pose.isOneStage, false);
    assert.equal(pose.skeleton.name, "halpe26");
    assert.equal(pose.skeleton.keypoints[0], "nose");
    assert.ok(pose.skeleton.links.length > 15);
  });

  it("returns boxes with arrays of their own", async () => {
    const found = await detector.apply(photo);
    assert.ok(found.count >= 3);
    assert.equal(found.boxes.length, 4 * found.count);
    assert.equal(found.boxes.buffer.byteLength, 16 * found.count);
    assert.ok(found.labels instanceof Int32Array);
    assert.deepEqual(Array.from(found.scores), Array.from(found.scores).sort((a, b) => b - a));
    const two = await detector.apply(photo, { maxPeople: 2, label: Detector.ALL });
    assert.deepEqual(two.boxes, found.boxes.slice(0, 8));
    assert.equal((await detector.apply(photo, { boxThr: 1 })).count, 0);
    assert.equal((await detector.apply(photo, { label: 7 })).count, 0);
  });

  it("looks in given boxes, in the whole image, and nowhere", async () => {
    const [person] = await pose.apply(photo, { boxes: [BOX], boxScores: [0.5] });
    assert.deepEqual(Array.from(person.box), BOX);
    assert.equal(person.boxScore, 0.5);
    assert.equal(person.keypoints.length, 52);
    const flat = await pose.apply(photo, { boxes: Float32Array.from(BOX) });
    assert.deepEqual(flat[0].keypoints, person.keypoints);
    assert.deepEqual(await pose.apply(photo, { boxes: [] }), []);
    const [whole, ...others] = await pose.apply(photo);
    assert.deepEqual(Array.from(whole.box), [0, 0, photo.width, photo.height]);
    assert.deepEqual(others, []);
  });

  it("takes more people than go into one call", async () => {
    const small = await PoseDetector.create({ model: SMALL_POSE, threads: 1 });
    const boxes = Array.from({ length: 70 }, (_, i) => [i, i / 2, i + 50, i / 2 + 100]);
    const people = await small.apply(photo, { boxes });
    assert.equal(people.length, 70);
    const [last] = await small.apply(photo, { boxes: boxes.slice(69) });
    assert.deepEqual(people[69].box, last.box);
    people[69].keypoints.forEach((v, k) => assert.ok(Math.abs(v - last.keypoints[k]) < 1));
    await small.dispose();
  });

  it("finds people once each", async () => {
    const people = await pose.findPeople(detector, photo);
    assert.ok(people.length >= 3);
    const { boxes } = await detector.apply(photo);
    assert.deepEqual(people[0].box, boxes.slice(0, 4));
    assert.ok(people.every((person) => person.score >= 0.12));
    const all = await pose.findPeople(detector, photo, { personThr: 0, boxThr: 0.1 });
    assert.ok(all.length >= people.length);
    assert.equal((await pose.findPeople(detector, photo, { maxPeople: 1 })).length, 1);
    await fails(() => pose.findPeople(null, photo), "argument", /needs a detector/);
    await fails(() => pose.findPeople(pose, photo), "argument", /needs a Detector/);
  });

  it("takes pixels as decoders, canvases and other realms have them", async () => {
    const { width, height } = photo;
    const boxes = [BOX];
    const [expected] = await pose.apply(photo, { boxes });
    const same = async (image) => {
      assert.deepEqual(await pose.apply(image, { boxes }), [expected], image.format);
    };
    for (const format of ["rgba", "bgra", "bgr"]) await same(withPixels(photo, format));
    await same({ data: Buffer.from(photo.data), width, height, channels: 3, format: "raw" });
    await same({ ...withPixels(photo, "rgba"), format: undefined });
    const data = runInNewContext(`new Uint8ClampedArray(${photo.data.length})`);
    data.set(photo.data);
    await same({ data, width, height });
    const stride = width * 3 + 7;
    const gaps = new Uint8Array(stride * height);
    for (let y = 0; y < height; y++) {
      gaps.set(photo.data.subarray(y * width * 3, (y + 1) * width * 3), y * stride);
    }
    await same({ data: gaps, width, height, format: "rgb", stride });
  });

  it("says what to give instead", async () => {
    const run = (image) => () => pose.apply(image);
    const { data, width, height } = photo;
    await fails(run(Buffer.from("JPEG")), "image", /have to be decoded first; then give/);
    await fails(run({ data, info: { width, height } }), "image", /give \{ data, \.\.\.info \}/);
    await fails(run({ bitmap: photo }), "image", /give its property bitmap/);
    await fails(run({ data, rows: height, cols: width }), "image", /width: cols/);
    await fails(run({ data, width, height, stride: 4 * width }), "image", /need|format/);
    await fails(run({ data: new Uint16Array(3), width: 1, height: 1 }), "image", /not Uint16Array/);
    const typo = () => pose.apply(photo, { box: [BOX] });
    await fails(typo, "argument", /no option box; there are: boxes/);
    await fails(() => Detector.create({ model: DETECTOR, boxThr: 1 }), "argument", /no option boxThr/);
  });

  it("refuses images, boxes and numbers that are none", async () => {
    const run = (image) => () => detector.apply(image);
    await fails(run(null), "image", /not null/);
    await fails(run({ data: new Uint8Array(3), width: 5, height: 5 }), "image", /decoded first/);
    await fails(() => detector.apply(photo, { boxThr: Number.NaN }), "argument", /boxThr/);
    await fails(() => detector.apply(photo, { label: -3 }), "argument", /label/);
    await fails(() => detector.apply(photo, { maxPeople: 0.5 }), "argument", /maxPeople/);
    await fails(() => pose.apply(photo, { boxes: [[9, 9, 5, 20]] }), "boxes", /has no size/);
    await fails(() => pose.apply(photo, { boxScores: [1] }), "boxes", /come with boxes/);
    await fails(() => pose.apply(photo, { boxThr: 2 }), "argument", /boxThr/);
  });

  it("answers calls at the same time as if they came one by one", async () => {
    const one = await pose.findPeople(detector, photo);
    const calls = [1, 2, 3].map(() => pose.findPeople(detector, photo));
    const boxes = detector.apply(photo);
    for (const people of await Promise.all(calls)) assert.deepEqual(people, one);
    assert.ok((await boxes).count >= one.length);
  });

  it("is disposed of once, after the calls under way", async () => {
    const other = await PoseDetector.create({ model: SMALL_POSE, threads: 1 });
    const running = other.apply(photo);
    await Promise.all([other[Symbol.asyncDispose](), other.dispose()]);
    assert.equal((await running).length, 1);
    await fails(() => other.apply(photo), "disposed", /pose detector was disposed of/);
    const gone = await Detector.create({ model: DETECTOR, threads: 1 });
    await gone.dispose();
    await fails(() => gone.apply(photo), "disposed", /detector was disposed of/);
    await fails(() => pose.findPeople(gone, photo), "disposed", /detector was disposed of/);
    assert.equal((await pose.apply(photo)).length, 1);
  });

  it("keeps its memory, also without dispose()", { skip: NO_MEMORY_CHECK }, async () => {
    const { loadCore } = await import("../dist/core_memory.js");
    const core = await loadCore();
    const small = { data: new Uint8Array(64 * 48 * 3).fill(90), width: 64, height: 48 };
    const run = async (count) => {
      for (let i = 0; i < count; i++) {
        await pose.findPeople(detector, small);
        await fails(() => pose.apply(small, { boxes: [[0, 0, 0, 0]] }), "boxes", /no size/);
      }
    };
    await run(10);
    const before = core.size;
    await run(40);
    assert.equal(core.size, before);
    const model = readFileSync(SMALL_POSE);
    for (let i = 0; i < 4; i++) await PoseDetector.create({ model, threads: 1 });
    await new Promise((done) => setTimeout(done));
    global.gc();
    await new Promise((done) => setTimeout(done, 50));
    await run(1);
  });
});

describe("tracker of networks", { skip: NO_NETWORKS }, () => {
  let detector;
  let pose;

  before(async () => {
    detector = await Detector.create({ model: DETECTOR, threads: 2 });
    pose = await PoseDetector.create({ model: SMALL_POSE, threads: 1 });
  });
  after(() => Promise.all([detector.dispose(), pose.dispose()]));

  it("gives ids, and leaves the networks open", async () => {
    const tracker = await PoseTracker.create({ detector, pose, detInterval: 2 });
    for (let i = 0; i < 3; i++) {
      const people = await tracker.track(photo);
      assert.ok(people.length >= 3);
      assert.deepEqual(people.map((p) => p.id), people.map((_, n) => n + 1));
    }
    assert.equal(tracker.skeleton.name, "halpe26");
    assert.throws(() => tracker.estimator, /no estimator/);
    await tracker.dispose();
    await fails(() => tracker.track(photo), "disposed", /disposed/);
    assert.equal((await pose.apply(photo)).length, 1);
  });

  it("takes boxes, or the whole image", async () => {
    const tracker = await PoseTracker.create({ pose, confirm: 1 });
    await fails(() => tracker.track(photo, { time: 1 }), "argument", /no option time; .*timeS/);
    const [first] = await tracker.track(photo, { boxes: [BOX] });
    assert.equal(first.id, 1);
    assert.equal((await tracker.track(photo))[0].id, 1);
    await tracker.dispose();
    const whole = await PoseTracker.create({ pose, wholeImage: true, personThr: 0, confirm: 1 });
    assert.equal((await whole.track(photo)).length, 1);
    await whole.dispose();
  });

  it("refuses what is no network", async () => {
    const create = (options) => () => PoseTracker.create(options);
    await fails(create({ detector, pose: detector }), "argument", /pose is a PoseDetector/);
    await fails(create({ detector: pose, pose }), "argument", /detector is a Detector/);
    await fails(create({ estimator: pose }), "argument", /estimator is a PoseEstimator/);
    await fails(create({ detector, pose, detLabel: -2 }), "argument", /detLabel/);
  });
});
