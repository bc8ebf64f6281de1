/** A server in Node: its types have no browser, and what is no image must be refused all the same. */
import { Detector, type ImageSource, PoseDetector, PoseTracker, RtmposeError } from "rtmpose";

export async function serve(pixels: Buffer, width: number, height: number): Promise<number> {
  const image: ImageSource = { data: pixels, width, height, format: "bgr" };
  const detector = await Detector.create({ model: new URL("file:///models/rtmdet.onnx") });
  const pose = await PoseDetector.create({ model: pixels });
  const tracker = await PoseTracker.create({ detector, pose });
  const people = await pose.findPeople(detector, image);
  people.push(...(await tracker.track(image, { timeS: 0.5, detect: true })));
  people.push(...(await pose.apply(new Blob([pixels]))));

  // @ts-expect-error: an image is more than a path.
  void pose.apply("photo.jpg");
  // @ts-expect-error: pixels are bytes.
  void pose.apply({ data: [0, 0, 0], width, height });
  return people.length;
}

export function codeOf(error: unknown): string {
  return error instanceof RtmposeError ? error.code : "other";
}
