/** Calls that are given up, in Node. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Detector, PoseDetector, PoseTracker } from "rtmpose";

import { DETECTOR, fails, NO_NETWORKS, readPhoto, SMALL_POSE } from "./helpers/setup.mjs";

const photo = readPhoto("541055_half");
const aborts = (promise) => assert.rejects(promise, { name: "AbortError" });

describe("signal", { skip: NO_NETWORKS }, () => {
  let detector;
  let pose;

  before(async () => {
    detector = await Detector.create({ model: DETECTOR, threads: 1 });
    pose = await PoseDetector.create({ model: SMALL_POSE, threads: 1 });
  });
  after(async () => {
    await detector.dispose();
    await pose.dispose();
  });

  it("leaves calls out that wait, and only these", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const order = [];
    const first = pose.apply(photo).then(() => order.push("first"));
    const unread = { width: 1, height: 1 };
    Object.defineProperty(unread, "data", { get: () => assert.fail("the image was read") });
    const left = aborts(pose.apply(unread, { signal })).then(() => order.push("left"));
    const last = pose.apply(photo).then(() => order.push("last"));
    controller.abort();
    await Promise.all([first, left, last]);
    assert.deepEqual(order, ["left", "first", "last"]);
  });

  it("gives calls up in all classes, under way or not begun", async () => {
    const tracker = await PoseTracker.create({ detector, pose });
    for (const call of [
      (options) => detector.apply(photo, options),
      (options) => pose.apply(photo, options),
      (options) => pose.findPeople(detector, photo, options),
      (options) => tracker.track(photo, options),
    ]) {
      const controller = new AbortController();
      const given = aborts(call({ signal: controller.signal }));
      await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      await given;
      await aborts(call({ signal: AbortSignal.abort() }));
      const reason = new Error("mine");
      await assert.rejects(call({ signal: AbortSignal.abort(reason) }), reason);

      // A signal that is never used changes nothing.
      await call({ signal: new AbortController().signal });
    }
    await tracker.dispose();
  });

  it("leaves the tracker as it was where a frame was not begun", async () => {
    const [one, other] = await Promise.all([1, 2].map(() => PoseTracker.create({ detector, pose })));
    await one.track(photo);
    await other.track(photo);
    const controller = new AbortController();
    const frames = [one.track(photo), one.track(photo, { signal: controller.signal })];
    controller.abort();
    await aborts(frames[1]);
    await frames[0];
    await other.track(photo);
    assert.deepEqual(await one.track(photo), await other.track(photo));
    await one.dispose();
    await other.dispose();
  });

  it("refuses what is no signal", async () => {
    for (const signal of [null, 1, "abort", {}, new AbortController()]) {
      const text = /signal is an AbortSignal/;
      await fails(() => detector.apply(photo, { signal }), "argument", text);
      await fails(() => pose.apply(photo, { signal }), "argument", text);
    }
    await detector.apply(photo, { signal: undefined });
  });
});
