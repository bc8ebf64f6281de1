/** The conformance cases that every language runs; see sdk/conformance/README.md. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { PoseEstimator, PoseTracker } from "rtmpose";

import {
  compose,
  Differences,
  matched,
  quantile,
  readCases,
  withPixels,
} from "./helpers/cases.mjs";
import { MODEL, NO_MODEL, NO_TRACKER } from "./helpers/setup.mjs";

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

// Crops of the graph differ from those of the recorded cases in the last bits, and a tracker carries
// that on from frame to frame: of its scores 95 % keep the bar that 99 % of the others do.
function check(differences, kind, share = 0.99) {
  console.log(differences.line(kind));
  assert.ok(quantile(differences.boxes, 0.5) <= 0.01, "boxes: median");
  assert.ok(quantile(differences.boxes, 1) <= 1, "boxes: largest");
  assert.ok(quantile(differences.keypoints, 0.5) <= 0.01, "keypoints: median");
  assert.ok(quantile(differences.keypoints, 0.95) < 0.5, "keypoints: 95 %");
  assert.ok(quantile(differences.boxScores, 1) <= 1e-3, "box scores");
  assert.ok(quantile(differences.scores, share) <= 1e-3, `keypoint scores: ${share}`);
}

describe("conformance", { skip: NO_MODEL }, () => {
  let estimator;

  before(async () => {
    estimator = await PoseEstimator.create({ model: MODEL, boxThr: 0.1, threads: 1 });
  });
  after(() => estimator.dispose());

  it("detects the same people", async () => {
    const differences = new Differences();
    for (const { name, image, pixels, box_thr: thr, expected } of of("detect")) {
      const all = await estimator.estimate(withPixels(imageOf(image), pixels));
      const people = all.filter((person) => person.boxScore >= thr);
      assert.equal(people.length, expected.boxes.length, name);
      const scaled = { repeat: repeatOf(image) };
      differences.add(matched(people, expected.boxes), expected, scaled);
    }
    check(differences, "detect");
  });

  it("finds the same keypoints", async () => {
    const differences = new Differences();
    for (const { name, image, pixels, boxes, expected, ties } of of("pose")) {
      const source = withPixels(imageOf(image), pixels);
      const whole = [[0, 0, source.width, source.height]];
      const people = await estimator.estimate(source, { boxes: boxes ?? whole });
      assert.equal(people.length, expected.boxes.length, name);
      differences.add(people, expected, { repeat: repeatOf(image), ties });
    }
    check(differences, "pose");
  });

  it("follows the same people", { skip: NO_TRACKER }, async () => {
    const differences = new Differences();
    for (const { name, params, detects, frames } of of("track")) {
      const settings = Object.fromEntries(Object.entries(params).map(toOption));
      const tracker = await PoseTracker.create({ estimator, ...settings });
      for (const { image, time_s: timeS, boxes, expected } of frames) {
        const detect = detects ? undefined : false;
        const people = await tracker.track(compose(image), { timeS, boxes, detect });
        const ids = people.map((person) => person.id);
        assert.deepEqual(ids, expected.ids, name);
        differences.add(people, expected);
      }
      await tracker.dispose();
    }
    check(differences, "track", 0.95);
  });
});

/** A setting under its name in JavaScript. */
function toOption([name, value]) {
  const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const isFlag = name === "smooth" || name === "repair_swaps";
  return [camel, isFlag ? value === 1 : value];
}
