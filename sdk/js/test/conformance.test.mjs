/** The conformance cases that every language runs; see sdk/conformance/README.md. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Detector, PoseDetector, PoseEstimator, PoseTracker } from "rtmpose";

import {
  compose,
  Differences,
  matched,
  quantile,
  readCases,
  withPixels,
} from "./helpers/cases.mjs";
import { POSE_FOLDER, writeFolder } from "./helpers/sdk_folder.mjs";
import { DETECTOR, MODEL, NO_MODEL, NO_NETWORKS, NO_TRACKER, POSE } from "./helpers/setup.mjs";

const table = readCases();
const of = (kind) => table.cases.filter((item) => item.kind === kind);
const images = new Map();

function imageOf(name) {
  if (!images.has(name)) images.set(name, compose(table.images[name]));
  return images.get(name);
}

function repeatOf(name) {
  return Math.max(1, ...table.images[name].parts.map((part) => part.repeat));
}

function check(differences, kind) {
  console.log(differences.line(kind));
  assert.ok(quantile(differences.boxes, 0.5) <= 0.01, "boxes: median");
  assert.ok(quantile(differences.boxes, 1) <= 1, "boxes: largest");
  assert.ok(quantile(differences.keypoints, 0.5) <= 0.01, "keypoints: median");
  assert.ok(quantile(differences.keypoints, 0.95) < 0.5, "keypoints: 95 %");
  assert.ok(quantile(differences.boxScores, 1) <= 1e-3, "box scores");
  assert.ok(quantile(differences.scores, 0.99) <= 1e-3, "keypoint scores: 99 %");
}

/** @param detect People with boxes from a score on. */
async function checkDetections(detect) {
  const differences = new Differences();
  for (const { name, image, pixels, box_thr: thr, expected } of of("detect")) {
    const people = await detect(withPixels(imageOf(image), pixels), thr);
    assert.equal(people.length, expected.boxes.length, name);
    differences.add(matched(people, expected.boxes), expected, { repeat: repeatOf(image) });
  }
  check(differences, "detect");
}

/** @param estimate People in boxes; without boxes the whole image is one person. */
async function checkPoses(estimate) {
  const differences = new Differences();
  for (const { name, image, pixels, boxes, expected, ties } of of("pose")) {
    const people = await estimate(withPixels(imageOf(image), pixels), boxes ?? undefined);
    assert.equal(people.length, expected.boxes.length, name);
    differences.add(people, expected, { repeat: repeatOf(image), ties });
  }
  check(differences, "pose");
}

/** @param create A tracker with settings; detects: whether it looks for people. */
async function checkTracks(create) {
  const differences = new Differences();
  for (const { name, params, detects, frames } of of("track")) {
    const settings = Object.fromEntries(Object.entries(params).map(toOption));
    const tracker = await create(settings, detects);
    for (const { image, time_s: timeS, boxes, expected } of frames) {
      const detect = detects ? undefined : false;
      const people = await tracker.track(compose(image), { timeS, boxes, detect });
      const ids = people.map((person) => person.id);
      assert.deepEqual(ids, expected.ids, name);
      differences.add(people, expected);
    }
    await tracker.dispose();
  }
  check(differences, "track");
}

describe("conformance of the one-graph model", { skip: NO_MODEL }, () => {
  let estimator;

  before(async () => {
    estimator = await PoseEstimator.create({ model: MODEL, boxThr: 0.1, threads: 1 });
  });
  after(() => estimator.dispose());

  it("detects the same people", () =>
    checkDetections(async (image, thr) => {
      const people = await estimator.estimate(image);
      return people.filter((person) => person.boxScore >= thr);
    }));

  it("finds the same keypoints", () =>
    checkPoses((image, boxes) =>
      estimator.estimate(image, { boxes: boxes ?? [[0, 0, image.width, image.height]] }),
    ));

  it("follows the same people", { skip: NO_TRACKER }, () =>
    checkTracks((settings) => PoseTracker.create({ estimator, ...settings })));
});

describe("conformance of a detector and a pose detector", { skip: NO_NETWORKS }, () => {
  let detector;
  let pose;

  before(async () => {
    detector = await Detector.create({ model: DETECTOR, threads: 2 });
    pose = await PoseDetector.create({ model: POSE, threads: 2 });
  });
  after(() => Promise.all([detector.dispose(), pose.dispose()]));

  it("detects the same people", () =>
    checkDetections(async (image, boxThr) => {
      const { boxes, scores, labels } = await detector.apply(image, { boxThr });
      return Array.from(scores, (boxScore, i) => {
        assert.equal(labels[i], 0);
        return { box: boxes.subarray(4 * i, 4 * i + 4), boxScore };
      });
    }));

  it("finds the same keypoints", () =>
    checkPoses((image, boxes) => pose.apply(image, { boxes })));

  it("finds the same keypoints with a folder of the deployment SDK", async () => {
    const model = mkdtempSync(join(tmpdir(), "rtmpose-folder-"));
    try {
      writeFolder(model, POSE_FOLDER);
      const other = await PoseDetector.create({ model, threads: 2 });
      await checkPoses((image, boxes) => other.apply(image, { boxes }));
      await other.dispose();
    } finally {
      rmSync(model, { recursive: true });
    }
  });

  it("follows the same people", () =>
    checkTracks((settings, detects) =>
      PoseTracker.create({ detector: detects ? detector : null, pose, ...settings }),
    ));
});

/** A setting under its name in JavaScript. */
function toOption([name, value]) {
  const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const isFlag = ["smooth", "repair_swaps", "whole_image"].includes(name);
  return [camel, isFlag ? value === 1 : value];
}
