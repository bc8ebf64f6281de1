/**
 * Runs models on images for another program, which compares.
 *
 *     node run_models.mjs jobs.json    prints a list of results
 *
 * A job has `model`, `image` (BGR bytes of `width` x `height`), and `boxThr` for detectors and
 * one-stage models, or `boxes` for pose networks.
 */
import { readFileSync } from "node:fs";

import { Detector, PoseDetector } from "rtmpose";

const results = [];
for (const job of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const { kind, model, image, width, height, boxes, boxThr } = job;
  const pixels = { data: readFileSync(image), width, height, format: "bgr" };
  try {
    results.push(await run(kind, model, pixels, boxes, boxThr));
  } catch (error) {
    results.push({ error: `${error.code}: ${error.message}` });
  }
}
console.log(JSON.stringify(results));

async function run(kind, model, pixels, boxes, boxThr) {
  if (kind === "boxes") {
    const detector = await Detector.create({ model, threads: 1 });
    const found = await detector.apply(pixels, { boxThr });
    await detector.dispose();
    return { boxes: Array.from(found.boxes), scores: Array.from(found.scores) };
  }
  const pose = await PoseDetector.create({ model, threads: 1 });
  const people = await pose.apply(pixels, { boxes, boxThr });
  await pose.dispose();
  return {
    boxes: people.flatMap((person) => Array.from(person.box)),
    keypoints: people.flatMap((person) => Array.from(person.keypoints)),
    scores: people.flatMap((person) => Array.from(person.scores)),
  };
}
