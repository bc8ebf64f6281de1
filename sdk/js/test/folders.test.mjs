/** Folders of the deployment SDK: from a disk, from a server, and as files. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { Detector, PoseDetector } from "rtmpose";

import { serve } from "./helpers/server.mjs";
import { DETECTOR_FOLDER, POSE_FOLDER, writeFolder } from "./helpers/sdk_folder.mjs";
import { DETECTOR, fails, NO_NETWORKS, POSE, readPhoto } from "./helpers/setup.mjs";

const photo = readPhoto("541055_half");
const boxes = [[70, 40, 110, 160]];

describe("folders of the deployment SDK", { skip: NO_NETWORKS }, () => {
  let root;
  let folder;

  before(() => {
    root = mkdtempSync(join(tmpdir(), "rtmpose folders ü "));
    folder = made("a pose #1 %20", POSE_FOLDER);
  });
  after(() => rmSync(root, { recursive: true }));

  function made(name, files, options) {
    mkdirSync(join(root, name));
    return writeFolder(join(root, name), files, options);
  }

  const open = (model, options = {}) => PoseDetector.create({ model, threads: 1, ...options });

  async function people(model) {
    const pose = await open(model);
    const found = await pose.apply(photo, { boxes });
    const { modelId, skeleton } = pose;
    await pose.dispose();
    return { found, modelId, skeleton: skeleton.name };
  }

  it("finds what the file with a card finds", async () => {
    const { found } = await people(POSE);
    const expected = { found, modelId: "a pose #1 %20", skeleton: "halpe26" };
    for (const model of [folder, `${folder}/`]) assert.deepEqual(await people(model), expected);
    assert.deepEqual((await people(pathToFileURL(folder))).found, found);
    const names = ["deploy.json", "pipeline.json", "end2end.onnx"];
    const bytes = names.map((name) => [name, readFileSync(join(folder, name))]);
    const blobs = bytes.map(([name, content]) => [name, new Blob([content])]);
    for (const files of [bytes, blobs]) {
      assert.deepEqual((await people(Object.fromEntries(files))).found, found);
    }
  });

  it("is read from a server", async () => {
    const server = await serve({ pose: folder });
    try {
      const { found } = await people(`${server.url}/pose/`);
      assert.deepEqual(found, (await people(POSE)).found);
      await fails(() => open(`${server.url}/nothing/`), "model", /folder without deploy\.json.*404/);
    } finally {
      await server.close();
    }
  });

  it("finds boxes", async () => {
    // Without a word about rectangles the network gets a square.
    const card = {
      id: "square",
      classes: ["person"],
      input_wh: [320, 320],
      normalization: { mean: [103.53, 116.28, 123.675], std: [57.375, 57.12, 58.395], color: "bgr" },
      codec: { kind: "rtmdet" },
    };
    const square = await Detector.create({ model: DETECTOR, card, threads: 1 });
    const model = made("detector", DETECTOR_FOLDER);
    const detector = await Detector.create({ model, threads: 1 });
    const found = await detector.apply(photo);
    assert.ok(found.count >= 3);
    assert.deepEqual(found, await square.apply(photo));
    await fails(() => open(model), "model", /is a detector.*open it with Detector/);
    await Promise.all([square.dispose(), detector.dispose()]);
  });

  it("believes a card that is given more", async () => {
    await fails(() => open(folder, { card: "{" }), "model", /card/);
  });

  it("says what is wrong", async () => {
    const { deploy, pipeline } = POSE_FOLDER;
    const network = new Uint8Array(8);
    const files = (changed) => ({
      "deploy.json": Buffer.from(deploy),
      "pipeline.json": Buffer.from(pipeline),
      "end2end.onnx": network,
      ...changed,
    });
    const wrong = (changed, text) => fails(() => open(files(changed)), "model", text);
    const named = (net) => ({ "deploy.json": Buffer.from(JSON.stringify({ models: [{ net }] })) });
    await wrong({ "pipeline.json": undefined }, /without pipeline\.json/);
    await wrong({ "end2end.onnx": undefined }, /names end2end\.onnx.*cannot be read/);
    await wrong({ "end2end.onnx": "text" }, /a file is a Blob, or bytes/);
    await wrong({ "end2end.onnx": new Uint8Array(0) }, /is empty/);
    await wrong({ "deploy.json": Buffer.from("{") }, /does not name the network's file/);
    for (const net of [undefined, "", 5]) await wrong(named(net), /does not name the network/);
    for (const net of ["../up.onnx", "/up.onnx", "C:\\up.onnx", "http://a/b"]) {
      await wrong(named(net), /lies outside of the folder/);
    }
    const real = { "end2end.onnx": readFileSync(POSE_FOLDER.network) };
    await wrong({ ...real, "pipeline.json": Buffer.from("[") }, /pipeline\.json is not JSON/);
    await wrong({ ...real, "pipeline.json": Buffer.from("{}") }, /not a complete deployment SDK/);
  });

  it("follows no link out of the folder", async () => {
    const model = made("link", POSE_FOLDER, { link: true });
    await fails(() => open(model), "model", /lies outside of the folder/);
    const empty = join(root, "empty");
    mkdirSync(empty);
    writeFileSync(join(empty, "deploy.json"), POSE_FOLDER.deploy);
    await fails(() => open(empty), "model", /folder without pipeline\.json/);
  });
});
