import { PUBLISHED } from "./generated/skeletons.js";

/** A keypoint set: what the points are, and which are drawn connected. */
export interface Skeleton {
  name: string;
  keypoints: readonly string[];
  links: readonly (readonly [number, number])[];
}

/** The set that a model file names, or brings along; empty where it does neither. */
export function skeletonOf(name: string, own: string): Skeleton {
  if (own) {
    const { keypoints = [], links = [] } = JSON.parse(own) as Partial<Skeleton>;
    return { name, keypoints, links };
  }
  const found = PUBLISHED.find((skeleton) => skeleton.name === name);
  return found ?? { name, keypoints: [], links: [] };
}
