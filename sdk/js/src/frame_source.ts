/** Where a tracker gets the people of a frame from. */
import type { Detections } from "./core_memory.js";
import { Detector } from "./detector.js";
import { PoseEstimator } from "./estimator.js";
import type { ImageSource } from "./images.js";
import type { Poses } from "./people.js";
import { PoseDetector } from "./pose_detector.js";

/** What was found in a frame, in its pixels. */
export interface Found extends Pick<Detections, "boxes" | "scores"> {
  /** Classes of the boxes; without them all are people. */
  labels?: Int32Array;
  /** The people in these boxes, where they were found with their poses. */
  poses?: Poses;
}

/** One frame that was read. */
export interface ReadFrame {
  width: number;
  height: number;
  /** Pixels of the caller's image per pixel of this one. */
  scale: number;
  /** Looks for people; null where nothing can. */
  find: (() => Promise<Found>) | null;
  /** Poses in boxes. */
  estimate(boxes: Float32Array): Promise<Poses>;
}

/** One or more networks that find people. */
export interface FrameSource {
  /** Name of a published keypoint set, or one of one's own as JSON. */
  skeletonText: string;
  keypointCount: number;
  /** Whether it has something that finds people. */
  finds: boolean;
  /** Whether people are looked for in every frame, and come with their poses. */
  oneStage: boolean;
  /**
   * Reads a frame, and gives it to a task that runs alone.
   *
   * @param lowestScore Of boxes that are of use.
   */
  enqueue<T>(
    image: ImageSource,
    lowestScore: number,
    task: (frame: ReadFrame) => Promise<T>,
  ): Promise<T>;
}

/** People by a one-graph model, which finds boxes and poses at once. */
export function estimatorSource(estimator: PoseEstimator): FrameSource {
  return {
    skeletonText: PoseEstimator.skeletonText(estimator),
    keypointCount: estimator.skeleton.keypoints.length,
    finds: true,
    oneStage: false,
    enqueue: (image, _lowestScore, task) =>
      PoseEstimator.enqueue(estimator, image, ({ width, height, scale }, run) =>
        task({
          width,
          height,
          scale,
          find: async () => {
            const poses = await run(null);
            return { boxes: poses.boxes, scores: poses.boxScores, poses };
          },
          estimate: (boxes) => run(boxes),
        }),
      ),
  };
}

/** People by networks of their own files. */
export function networkSource(detector: Detector | null, pose: PoseDetector): FrameSource {
  return {
    skeletonText: PoseDetector.skeletonText(pose),
    keypointCount: pose.skeleton.keypoints.length,
    finds: detector !== null,
    oneStage: pose.isOneStage,
    enqueue: (image, lowestScore, task) =>
      PoseDetector.enqueue(pose, image, (read) => {
        const everybody = async (): Promise<Found> => {
          const poses = await PoseDetector.everybody(pose, read, lowestScore);
          return { boxes: poses.boxes, scores: poses.boxScores, poses };
        };
        const params = { boxThr: lowestScore, label: Detector.ALL, maxPeople: -1 };
        const boxes = detector && (() => Detector.find(detector, read, params));
        return task({
          width: read.image.width,
          height: read.image.height,
          scale: read.scale,
          find: pose.isOneStage ? everybody : boxes,
          estimate: (places) => PoseDetector.inBoxes(pose, read, places),
        });
      }),
  };
}
