/** Arguments, errors, life cycle and files in Node. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import * as ort from "onnxruntime-node";
import { PoseEstimator, PoseTracker } from "rtmpose";

import { fails, MODEL, NO_MODEL, NO_TRACKER, readPhoto, SMALL_POSE } from "./helpers/setup.mjs";

const photo = readPhoto("541055_half");
const NO_MEMORY_CHECK = global.gc ? false : "node runs without --expose-gc";

describe("files that are no pipeline", () => {
  const create = (model, options = {}) => PoseEstimator.create({ model, ...options });

  it("says what is wrong", async () => {
    await fails(() => create("nothing.onnx"), "model", /nothing\.onnx cannot be read/);
    await fails(() => create(import.meta.filename), "model", /not an ONNX file/);
    await fails(() => create(new Uint8Array(0)), "model", /is empty/);
    await fails(() => create(7), "argument", /a path, an URL or the bytes/);
    await fails(() => PoseEstimator.create(), "argument", /needs an object/);
    await fails(() => create(new Uint8Array(0), { threads: -1 }), "argument", /threads/);
    await fails(() => create("x", { boxThr: "high" }), "argument", /boxThr/);
    await fails(() => create("x", { maxPeople: 1.5 }), "argument", /maxPeople/);
    await fails(() => create("x", { executionProviders: [] }), "argument", /executionProviders/);
    await fails(() => create(new Uint8Array(0), { ort: {} }), "argument", /ort is not/);
  });

  it("refuses a network that is not the whole pipeline", async () => {
    const text = /is not a whole pipeline; make one with: rtmpose .* or PoseDetector/;
    await fails(() => create(SMALL_POSE), "model", text);
  });
});

describe("estimator", { skip: NO_MODEL }, () => {
  let estimator;

  before(async () => {
    estimator = await PoseEstimator.create({ model: MODEL, threads: 1 });
  });
  after(() => estimator.dispose());

  it("returns people with arrays of their own", async () => {
    const [first, ...others] = await estimator.estimate(photo);
    assert.ok(others.length >= 3);
    const { keypoints, links } = estimator.skeleton;
    assert.equal(keypoints.length, 26);
    assert.ok(links.length > 15);
    assert.equal(first.box.length, 4);
    assert.ok(first.keypoints instanceof Float32Array);
    assert.equal(first.keypoints.length, 52);
    assert.equal(first.keypoints.buffer.byteLength, 52 * 4);
    assert.equal(first.scores.length, 26);
    assert.ok(first.score > 0.3 && first.score <= first.boxScore * 1.25);
    assert.equal(estimator.provider, "cpu");
    assert.equal(estimator.fallback, "");
  });

  it("takes rows with gaps, and buffers that are part of others", async () => {
    const expected = await estimator.estimate(photo);
    const stride = photo.width * 3 + 5;
    const padded = new Uint8Array(stride * photo.height + 11);
    for (let y = 0; y < photo.height; y++) {
      const row = photo.data.subarray(y * photo.width * 3, (y + 1) * photo.width * 3);
      padded.set(row, 11 + y * stride);
    }
    const image = { ...photo, data: padded.subarray(11), format: "rgb", stride };
    assert.deepEqual(await estimator.estimate(image), expected);
    const buffer = Buffer.from(photo.data);
    assert.deepEqual(await estimator.estimate({ ...photo, data: buffer }), expected);
  });

  it("answers calls at the same time as if they came one by one", async () => {
    const small = { data: new Uint8Array(8 * 8 * 4), width: 8, height: 8 };
    const images = [photo, small, photo];
    const calls = images.map((image) => estimator.estimate(image));
    const [a, nobody, b] = await Promise.all(calls);
    assert.deepEqual(a, b);
    assert.deepEqual(nobody, []);
  });

  it("filters", async () => {
    const strict = { model: MODEL, boxThr: 0.6, maxPeople: 2, personThr: 0.5 };
    const other = await PoseEstimator.create(strict);
    const people = await other.estimate(photo);
    assert.ok(people.length > 0 && people.length <= 2);
    assert.ok(people.every((person) => person.boxScore >= 0.6 && person.score >= 0.5));
    await other.dispose();
  });

  it("estimates in given boxes", async () => {
    const options = { boxes: [[70, 40, 110, 160]], boxScores: [0.5] };
    const [person] = await estimator.estimate(photo, options);
    assert.deepEqual(Array.from(person.box), [70, 40, 110, 160]);
    assert.equal(person.boxScore, 0.5);
    const flat = await estimator.estimate(photo, { boxes: Float32Array.of(70, 40, 110, 160) });
    assert.deepEqual(flat[0].keypoints, person.keypoints);
    assert.deepEqual(await estimator.estimate(photo, { boxes: [] }), []);
  });

  it("refuses images that are none", async () => {
    const run = (image) => () => estimator.estimate(image);
    const data = new Uint8Array(12);
    await fails(run(null), "image", /not null/);
    await fails(run("photo.jpg"), "image", /not the text "photo.jpg"/);
    await fails(run(readFileSync(import.meta.filename)), "image", /nothing to look at/);
    await fails(run({ ...photo, width: "320" }), "image", /width is the text "320"/);
    await fails(run({ data, width: 0, height: 4 }), "image", /0x4/);
    await fails(run({ data, width: -2, height: 2 }), "image", /-2x2/);
    await fails(run({ data, width: 1.5, height: 2 }), "image", /1.5x2/);
    await fails(run({ data, width: 5, height: 5 }), "image", /decoded first/);
    await fails(run({ data: [1, 2, 3], width: 1, height: 1 }), "image", /Uint8Array, not Array/);
    await fails(run({ data, width: 2, height: 2, format: "hsv" }), "image", /no pixel format/);
    await fails(run({ data, width: 2, height: 2, format: "rgba" }), "image", /need 16 bytes/);
    await fails(run({ data, width: 2, height: 2, format: "rgb", stride: 5 }), "image", /stride/);
    await fails(run({ data, width: 1e5, height: 1e5 }), "image", /too large/);
  });

  it("refuses boxes that are none", async () => {
    const run = (boxes, boxScores) => () => estimator.estimate(photo, { boxes, boxScores });
    await fails(run([[0, 0, Number.NaN, 9]]), "boxes", /not finite/);
    await fails(run([[0, 0, 2e9, 9]]), "boxes", /lies in no image/);
    await fails(run([[9, 9, 5, 20]]), "boxes", /has no size/);
    await fails(run([1, 2, 3]), "boxes", /four numbers/);
    await fails(run([[1, 2, 3]]), "boxes", /four numbers/);
    await fails(run("boxes"), "boxes", /array of numbers/);
    await fails(run([[0, 0, 9, 9]], [1, 2]), "boxes", /as many scores/);
    await fails(run(undefined, [1]), "boxes", /come with boxes/);
  });

  it("opens bytes and URLs with an engine that is given", async () => {
    const bytes = readFileSync(MODEL);
    const server = createServer((request, response) => {
      response.writeHead(request.url === "/model.onnx" ? 200 : 404);
      response.end(request.url === "/model.onnx" ? bytes : "");
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${server.address().port}`;
    for (const model of [new Uint8Array(bytes).buffer, pathToFileURL(MODEL), `${url}/model.onnx`]) {
      const other = await PoseEstimator.create({ model, ort });
      await other.dispose();
    }
    await fails(() => PoseEstimator.create({ model: `${url}/no.onnx` }), "model", /answered 404/);
    server.close();
  });

  it("is disposed of once, after the calls under way", async () => {
    const other = await PoseEstimator.create({ model: MODEL });
    const running = other.estimate(photo);
    await Promise.all([other[Symbol.asyncDispose](), other.dispose()]);
    assert.ok((await running).length > 0);
    await fails(() => other.estimate(photo), "disposed", /was disposed of/);
  });

  it("keeps its memory over 1000 images", { skip: NO_MEMORY_CHECK }, async () => {
    const small = { data: new Uint8Array(64 * 48 * 3).fill(90), width: 64, height: 48 };
    const boxes = [[5, 5, 30, 40]];
    const loop = async (count) => {
      for (let i = 0; i < count; i++) await estimator.estimate(small, { boxes });
      global.gc();
      return process.memoryUsage().rss;
    };
    const before = await loop(200);
    const grown = ((await loop(1000)) - before) / 2 ** 20;
    console.log(`1000 images: ${grown.toFixed(1)} MiB more`);
    assert.ok(grown < 10);
  });

  it("gives its memory back when opened again and again", { skip: NO_MEMORY_CHECK }, async () => {
    const cycle = async (count) => {
      for (let i = 0; i < count; i++) {
        const other = await PoseEstimator.create({ model: MODEL, threads: 1 });
        await other.dispose();
      }
      global.gc();
      return process.memoryUsage().rss;
    };
    const before = await cycle(4);
    const grown = ((await cycle(8)) - before) / 2 ** 20;
    console.log(`8 sessions: ${grown.toFixed(1)} MiB more`);
    assert.ok(grown < 60);
  });
});

describe("tracker", { skip: NO_TRACKER }, () => {
  let estimator;

  before(async () => {
    estimator = await PoseEstimator.create({ model: MODEL, threads: 1 });
  });
  after(() => estimator.dispose());

  it("gives ids, stream by stream", async () => {
    const tracker = await PoseTracker.create({ estimator, detInterval: 2 });
    const other = tracker.createStream();
    for (let i = 0; i < 3; i++) {
      const people = await tracker.track(photo);
      assert.deepEqual(people.map((p) => p.id), people.map((_, n) => n + 1));
      assert.equal(people[0].keypoints.length, 52);
    }
    assert.equal((await other.track(photo))[0].id, 1);

    // Ids go on after a reset, so that none is used twice.
    tracker.reset();
    const [first] = await tracker.track(photo);
    assert.ok(first.id > 1);
    await tracker.dispose();
    await fails(() => tracker.track(photo), "disposed", /disposed/);
    await fails(async () => tracker.createStream(), "disposed", /disposed/);
    assert.ok((await estimator.estimate(photo)).length > 0);
  });

  it("goes on after a frame that failed", async () => {
    const tracker = await PoseTracker.create({ estimator });
    await tracker.track(photo);
    await fails(() => tracker.track({ ...photo, width: 3 }), "image", /bytes/);
    assert.ok((await tracker.track(photo)).length > 0);
    await tracker.dispose();
  });

  it("has nobody in empty frames and without boxes", async () => {
    const tracker = await PoseTracker.create({ estimator });
    const black = { data: new Uint8Array(64 * 64), width: 64, height: 64 };
    assert.deepEqual(await tracker.track(black), []);
    assert.deepEqual(await tracker.track(photo, { boxes: [] }), []);
    assert.deepEqual(await tracker.track(black, { detect: false }), []);
    await tracker.dispose();
  });

  it("refuses settings and times that make no sense", async () => {
    const create = (options) => () => PoseTracker.create({ estimator, ...options });
    await fails(create({ detInterval: 0 }), "argument", /detInterval/);
    await fails(create({ det_interval: 1 }), "argument", /no option det_interval/);
    await fails(create({ smoothParams: [1, 2] }), "argument", /three numbers/);
    await fails(create({ smooth: 1 }), "argument", /true or false/);
    await fails(create({ trackIouThr: Number.NaN }), "argument", /trackIouThr/);
    const tracker = await create({})();
    const track = (options) => () => tracker.track(photo, options);
    await fails(track({ timeS: Number.NaN }), "argument", /timeS/);
    await fails(track({ detect: 1 }), "argument", /detect/);
    await fails(track({ boxScores: [1] }), "boxes", /come with boxes/);
    await tracker.dispose();
  });

  it("keeps its memory over 1000 frames", { skip: NO_MEMORY_CHECK }, async () => {
    const { loadCore } = await import("../dist/core_memory.js");
    const core = await loadCore();
    const tracker = await PoseTracker.create({ estimator });
    const small = { data: new Uint8Array(64 * 48 * 3).fill(90), width: 64, height: 48 };
    const run = async (count) => {
      for (let i = 0; i < count; i++) {
        const boxes = [[5 + (i % 3), 5, 30, 40]];
        await tracker.track(small, { boxes });
      }
      return core.size;
    };
    const before = await run(100);
    assert.equal(await run(1000), before);
    for (let i = 0; i < 1000; i++) (await PoseTracker.create({ estimator })).dispose();
    await tracker.dispose();
    assert.equal(core.size, before);
  });
});
