/** A program of somebody else: it has to pass the compiler with the package's types. */
import {
  type Detections,
  Detector,
  type ImageSource,
  type ModelFolder,
  type Person,
  PoseDetector,
  PoseEstimator,
  PoseTracker,
  RtmposeError,
  type TrackedPerson,
} from "rtmpose";

export async function program(image: ImageSource, video: HTMLVideoElement): Promise<number[]> {
  const estimator = await PoseEstimator.create({
    model: new URL("https://example.org/model.onnx"),
    executionProviders: ["webgpu", { name: "wasm" }],
    threads: 2,
  });
  const people: Person[] = await estimator.estimate(image, { boxes: [[0, 0, 10, 20]] });
  const first: Float32Array | undefined = people[0]?.keypoints;
  const pixels = { data: new Uint8ClampedArray(4), width: 1, height: 1, format: "rgba" } as const;
  await estimator.estimate(pixels);

  const tracker = await PoseTracker.create({ estimator, smoothParams: [0.007, 1, 1] });
  const tracked: TrackedPerson[] = await tracker.track(video, { timeS: 0.5 });
  await tracker.dispose();
  await estimator[Symbol.asyncDispose]();

  // @ts-expect-error: settings have no such names.
  void PoseTracker.create({ estimator, det_interval: 5 });
  // @ts-expect-error: an image is more than a path.
  void estimator.estimate("photo.jpg");
  // @ts-expect-error: a tracker needs a model or an estimator.
  void PoseTracker.create({ detInterval: 5 });

  return first ? tracked.map((person) => person.id) : [];
}

export async function networks(frame: ImageData, boxThr: number | undefined): Promise<number> {
  const detector = await Detector.create({ model: "rtmdet.onnx", threads: undefined });
  const pose = await PoseDetector.create({ model: new Uint8Array(8), card: { id: "mine" } });
  const found: Detections = await detector.apply(frame, { boxThr, label: Detector.ALL });
  const people: Person[] = await pose.apply(frame, { boxes: found.boxes, boxScores: found.scores });
  const folder: ModelFolder = { "deploy.json": new Blob(), "end2end.onnx": new Uint8Array(8) };
  await (await PoseDetector.create({ model: folder })).dispose();
  await PoseDetector.create({ model: await fetch("/pose.onnx") });
  await PoseDetector.create({ model: new Blob() });
  people.push(...(await pose.findPeople(detector, frame, { personThr: 0 })));
  people.push(...(await pose.findPeople(null, frame)));
  const tracker = await PoseTracker.create({ detector, pose, detInterval: 5, detLabel: -1 });
  people.push(...(await tracker.track(frame)));
  const { signal } = new AbortController();
  await detector.apply(frame, { signal });
  people.push(...(await pose.findPeople(detector, frame, { signal })));
  people.push(...(await tracker.track(frame, { signal })));

  // @ts-expect-error: boxes belong to the pose detector.
  void detector.apply(frame, { boxes: [] });
  // @ts-expect-error: thresholds belong to the calls.
  void Detector.create({ model: "rtmdet.onnx", boxThr: 0.5 });
  // @ts-expect-error: people are found by a detector, or by null and a one-stage model.
  void pose.findPeople(frame);
  return people.length + tracker.skeleton.links.length;
}

export function isFatal(error: unknown): boolean {
  return error instanceof RtmposeError && error.code === "engine";
}
