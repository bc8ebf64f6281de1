/** Arrays for all people of an image, as the graph returns them. */
export interface Poses {
  count: number;
  keypointCount: number;
  /** `(N * 4)` x1, y1, x2, y2. */
  boxes: Float32Array;
  /** `(N)`. */
  boxScores: Float32Array;
  /** `(N * K * 2)` x, y. */
  keypoints: Float32Array;
  /** `(N * K)`. */
  scores: Float32Array;
}

/** One person of an image. */
export interface Person {
  /** x1, y1, x2, y2 in image pixels; may reach past the image. */
  box: Float32Array;
  boxScore: number;
  /** `(K * 2)` x, y in image pixels: the point k is at `2 * k` and `2 * k + 1`. */
  keypoints: Float32Array;
  /** `(K)`; about 0 to 1.25; show points from 0.3. */
  scores: Float32Array;
  /** Box score times the mean of the keypoint scores above 0.2. */
  score: number;
}

const SEEN = 0.2;

/** The people of an image as objects with arrays of their own. */
export function toPeople(poses: Poses, scale: number): Person[] {
  const k = poses.keypointCount;
  const people: Person[] = [];
  for (let i = 0; i < poses.count; i++) {
    const scores = poses.scores.slice(i * k, (i + 1) * k);
    const boxScore = poses.boxScores[i];
    people.push({
      box: scaled(poses.boxes.slice(i * 4, i * 4 + 4), scale),
      boxScore,
      keypoints: scaled(poses.keypoints.slice(i * k * 2, (i + 1) * k * 2), scale),
      scores,
      score: boxScore * meanOfSeen(scores),
    });
  }
  return people;
}

function meanOfSeen(scores: Float32Array): number {
  const seen = scores.filter((score) => score > SEEN);
  return seen.length ? seen.reduce((sum, score) => sum + score, 0) / seen.length : 0;
}

function scaled(values: Float32Array, scale: number): Float32Array {
  return scale === 1 ? values : values.map((value) => value * scale);
}
