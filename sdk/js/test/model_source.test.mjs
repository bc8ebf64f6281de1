/** Where models come from: bytes of all kinds, weights in a second file, and what is no model. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runInNewContext } from "node:vm";

import { PoseDetector, PoseEstimator } from "rtmpose";

import { withWeightsOutside } from "./helpers/outside.mjs";
import { fails, NO_CORE, SMALL_POSE } from "./helpers/setup.mjs";

const bytes = new Uint8Array(readFileSync(SMALL_POSE));
const image = { data: new Uint8Array(64 * 48 * 3).fill(90), width: 64, height: 48 };

/** Keypoints of a fixed image. */
async function keypoints(model) {
  const pose = await PoseDetector.create({ model, threads: 1 });
  const [person] = await pose.apply(image);
  await pose.dispose();
  return person.keypoints;
}

describe("models", { skip: NO_CORE }, () => {
  let folder;
  let server;
  let url;
  let expected;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "rtmpose-models-"));
    copyFileSync(SMALL_POSE, join(folder, "pose.onnx"));
    const { model, weights } = withWeightsOutside(bytes, "outside.onnx.data");
    writeFileSync(join(folder, "outside.onnx"), model);
    writeFileSync(join(folder, "outside.onnx.data"), weights);
    server = createServer((request, response) => {
      response.end(readFileSync(join(folder, new URL(request.url, "http://x").pathname)));
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    url = `http://127.0.0.1:${server.address().port}`;
    expected = await keypoints(SMALL_POSE);
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  it("opens what gives its bytes", async () => {
    const foreign = runInNewContext("new Uint8Array(size)", { size: bytes.length });
    foreign.set(bytes);
    const kinds = {
      blob: new Blob([bytes]),
      response: await fetch(`${url}/pose.onnx`),
      foreign,
      part: new Uint8Array([0, ...bytes]).subarray(1),
    };
    for (const [kind, model] of Object.entries(kinds)) {
      assert.deepEqual(await keypoints(model), expected, kind);
    }
  });

  it("reads weights in a second file", async () => {
    for (const model of [join(folder, "outside.onnx"), `${url}/outside.onnx?version=2`]) {
      assert.deepEqual(await keypoints(model), expected, model);
    }
  });

  it("says where weights are missing, cut off or out of reach", async () => {
    const { model, weights } = withWeightsOutside(bytes, "gone.data");
    const create = (source) => () => PoseDetector.create({ model: source });
    await fails(create(model), "model", /a second file, gone\.data: give the path or the URL/);
    writeFileSync(join(folder, "gone.onnx"), model);
    await fails(create(join(folder, "gone.onnx")), "model", /gone\.data, which cannot be read/);
    writeFileSync(join(folder, "gone.data"), weights.subarray(0, 10));
    await fails(create(join(folder, "gone.onnx")), "model", /gone\.data, .* is too short/);
    for (const name of ["../gone.data", "/gone.data", "c:gone.data"]) {
      writeFileSync(join(folder, "away.onnx"), withWeightsOutside(bytes, name).model);
      await fails(create(join(folder, "away.onnx")), "model", /outside of its folder/);
    }
  });

  it("names what is there instead of a model", async () => {
    const create = (model) => () => PoseEstimator.create({ model });
    const text = (value) => new TextEncoder().encode(value);
    await fails(create(text("\n<!DOCTYPE html><html>")), "model", /web page/);
    await fails(create(text("version https://git-lfs.github.com/spec/v1\n")), "model", /LFS/);
    await fails(create(text("PK\u0003\u0004...")), "model", /zip archive/);
    await fails(create(new Response("", { status: 403 })), "model", /answered 403/);
    await fails(create(new Blob([])), "model", /is empty/);
    const { port } = server.address();
    await new Promise((done) => server.close(done).closeAllConnections());
    await fails(create(`http://127.0.0.1:${port}/x.onnx`), "model", /fetch failed \(.+\)/);
  });
});

describe("pixels that are no bytes", { skip: NO_CORE }, () => {
  it("says what to do with them", async () => {
    const pose = await PoseDetector.create({ model: SMALL_POSE, threads: 1 });
    const side = { width: 4, height: 4 };
    const run = (data, more = {}) => () => pose.apply({ data, ...side, ...more });
    await fails(run(new Uint16Array(48)), "image", /Uint16Array: take the upper byte/);
    await fails(run(new Float32Array(48)), "image", /Float32Array: of floats from 0 to 1/);
    await fails(run(new Uint8Array(96)), "image", /16 bits a channel/);
    await fails(run(new Uint8Array(32)), "image", /gray with alpha, or 16 bits/);
    await fails(run(new Uint8Array(64), { depth: "float" }), "image", /8 bits a channel/);
    await fails(run(new Uint8Array(0)), "image", /transferred to a worker/);
    await fails(() => pose.apply(Promise.resolve(image)), "image", /await it/);
    await pose.dispose();
  });
});
