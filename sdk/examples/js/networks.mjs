/**
 * The people of a photo, by a detector and a pose network of their own files.
 *
 *     npm install
 *     node networks.mjs DETECTOR.onnx POSE.onnx photo.jpg
 *
 * DETECTOR.onnx and POSE.onnx lie in rtmpose/assets/models; POSE.onnx alone may be a one-stage
 * model: node networks.mjs - RTMO.onnx photo.jpg
 */
import { readFileSync } from "node:fs";

import jpeg from "jpeg-js";
import { Detector, PoseDetector, RtmposeError } from "rtmpose";

const [detectorFile, poseFile, photo] = process.argv.slice(2);
try {
  const detector = detectorFile === "-" ? null : await Detector.create({ model: detectorFile });
  const pose = await PoseDetector.create({ model: poseFile });
  const image = jpeg.decode(readFileSync(photo), { useTArray: true }); // RGBA
  const people = await pose.findPeople(detector, image);

  for (const [number, person] of people.entries()) {
    const box = Array.from(person.box, Math.round);
    const [x, y] = person.keypoints;
    const name = pose.skeleton.keypoints[0];
    console.log(`person ${number}: box ${box}, ${name} ${x.toFixed(1)} ${y.toFixed(1)}`);
  }
  await Promise.all([detector?.dispose(), pose.dispose()]);
} catch (error) {
  if (!(error instanceof RtmposeError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
