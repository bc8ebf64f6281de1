/** A program of somebody else: it has to pass the compiler with the package's types. */
import {
  type ImageSource,
  type Person,
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

export function isFatal(error: unknown): boolean {
  return error instanceof RtmposeError && error.code === "engine";
}
