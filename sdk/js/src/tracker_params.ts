import { RtmposeError } from "./errors.js";
import type { Detector } from "./detector.js";
import type { EstimatorOptions, PoseEstimator } from "./estimator.js";
import type { PoseDetector } from "./pose_detector.js";
import { checkNumber, checkWhole } from "./ranges.js";

/** Settings of the tracker; the names are those of the published one in camel case. */
export interface TrackerParams {
  /** Frames from one detection to the next, 1. */
  detInterval: number;
  /** Class of a person, 0; -1 for any. Of trackers with a detector of their own. */
  detLabel: number;
  /** Lowest score of a detected box, 0.3. */
  detThr: number;
  /** Smallest detected box: root of its area in pixels; -1 (as it is without) for any. */
  detMinBboxSize: number;
  /** Overlap of a followed and a detected box of one person, 0.7. */
  detNmsThr: number;
  /** At most this many people per frame; -1 (as it is without) for any number. */
  poseMaxNumBboxes: number;
  /** Lowest score of a keypoint that counts as seen, 0.5. */
  poseKptThr: number;
  /** Fewest seen keypoints of a followed person; -1 (as it is without) for half of all. */
  poseMinKeypoints: number;
  /** From the keypoints' extent to the followed box, 1.25. */
  poseBboxScale: number;
  /** Smallest followed box; -1 (as it is without) for any. */
  poseMinBboxSize: number;
  /** Similarity above which two poses are one, 0.5. */
  poseNmsThr: number;
  /** Lowest overlap with the predicted box, 0.4. */
  trackIouThr: number;
  /** Frames a lost person is remembered, 10. */
  trackMaxMissing: number;
  /** Uncertainty of a box's place per height, 0.05. */
  stdWeightPosition: number;
  /** The same of its velocity per frame, 0.00625. */
  stdWeightVelocity: number;
  /** One-euro filter: beta, fc_min, fc_derivative: 0.007, 1, 1. */
  smoothParams: readonly [number, number, number];
  /** Whether keypoints are smoothed, true. */
  smooth: boolean;
  /** Whether left and right limbs exchanged for a moment are put right, true. */
  repairSwaps: boolean;
  /** Seconds that somebody who was seen for long is remembered, 1. */
  rememberS: number;
  /** Sightings before a doubtful new track gets an id, 2. */
  confirm: number;
  /** Lowest person score of a new track: 0.12 for keypoint sets of whole people, else 0. */
  personThr: number;
  /** Whether without a detector each frame is one person's box, false. */
  wholeImage: boolean;
}

/** A tracker's networks, opened already; it does not dispose of them. */
export interface TrackerNetworks {
  /** Without it boxes come with the frames; one-stage models need none. */
  detector?: Detector | null | undefined;
  pose: PoseDetector;
}

/**
 * How a tracker is made: with a one-graph model, with an estimator that is there already, or with a
 * detector and a pose detector.
 */
export type TrackerOptions = { [Name in keyof TrackerParams]?: TrackerParams[Name] | undefined } &
  (
    | Omit<EstimatorOptions, "boxThr" | "personThr" | "maxPeople">
    | { estimator: PoseEstimator }
    | TrackerNetworks
  );

type Kind = "whole" | "number" | "flag" | "triple";

/** Where each setting lies in rtmpose_tracker_params, and its least value; see rtmpose.h. */
export const FIELDS: Record<keyof TrackerParams, readonly [number, Kind, number]> = {
  detInterval: [4, "whole", 1],
  detLabel: [8, "whole", -1],
  detThr: [12, "number", 0],
  detMinBboxSize: [16, "number", -1],
  detNmsThr: [20, "number", 0],
  poseMaxNumBboxes: [24, "whole", -1],
  poseKptThr: [28, "number", 0],
  poseMinKeypoints: [32, "whole", -1],
  poseBboxScale: [36, "number", 0],
  poseMinBboxSize: [40, "number", -1],
  poseNmsThr: [44, "number", 0],
  trackIouThr: [48, "number", 0],
  trackMaxMissing: [52, "whole", 0],
  stdWeightPosition: [60, "number", 0],
  stdWeightVelocity: [64, "number", 0],
  smoothParams: [68, "triple", 0],
  smooth: [80, "flag", 0],
  repairSwaps: [84, "flag", 0],
  rememberS: [88, "number", 0],
  confirm: [92, "whole", 0],
  personThr: [96, "number", 0],
  wholeImage: [100, "flag", 0],
};

/** Size of rtmpose_tracker_params in bytes. */
export const PARAMS_SIZE = 104;

/** Writes the settings that are given over the defaults in the core's memory. */
export function writeParams(view: DataView, at: number, params: Partial<TrackerParams>): void {
  for (const [name, [offset, kind, low]] of Object.entries(FIELDS)) {
    const value = params[name as keyof TrackerParams];
    if (value === undefined) continue;
    if (kind === "triple") {
      triple(name, value).forEach((part, i) => view.setFloat32(at + offset + 4 * i, part, true));
    } else if (kind === "flag") {
      if (typeof value !== "boolean") throw wrong(name, "true or false", value);
      view.setInt32(at + offset, Number(value), true);
    } else if (kind === "whole") {
      checkWhole(name, value, low);
      view.setInt32(at + offset, value as number, true);
    } else {
      checkNumber(name, value, low);
      view.setFloat32(at + offset, value as number, true);
    }
  }
}

function triple(name: string, value: unknown): number[] {
  if (!Array.isArray(value) || value.length !== 3) throw wrong(name, "three numbers", value);
  for (const part of value) checkNumber(name, part, 0);
  return value as number[];
}

function wrong(name: string, expected: string, value: unknown): RtmposeError {
  return new RtmposeError("argument", `${name} is ${expected}, not ${String(value)}`);
}
