/**
 * The people of a photo.
 *
 *     npm install
 *     rtmpose export rtmpose-s-finetuned --to pipeline --output .
 *     node photo.mjs rtmdet-*.onnx ../../../rtmpose/assets/photos/000000252219.jpg
 */
import { readFileSync } from "node:fs";

import jpeg from "jpeg-js";
import { PoseEstimator, RtmposeError } from "rtmpose";

const [model, photo] = process.argv.slice(2);
try {
  const estimator = await PoseEstimator.create({ model });
  const image = jpeg.decode(readFileSync(photo), { useTArray: true }); // RGBA
  const people = await estimator.estimate(image);

  const names = estimator.skeleton.keypoints;
  for (const [number, person] of people.entries()) {
    const box = Array.from(person.box, Math.round);
    console.log(`person ${number}: box ${box}, score ${person.score.toFixed(2)}`);
    for (const point of ["nose", "left_wrist", "right_wrist"]) {
      const k = names.indexOf(point);
      const [x, y] = person.keypoints.subarray(2 * k, 2 * k + 2);
      console.log(`  ${point} ${x.toFixed(1)} ${y.toFixed(1)} (${person.scores[k].toFixed(2)})`);
    }
  }
  await estimator.dispose();
} catch (error) {
  if (!(error instanceof RtmposeError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
