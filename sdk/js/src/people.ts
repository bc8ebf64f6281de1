/** Arrays for all people of an image. */
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

/** Coordinates in pixels of an image that is so many times larger. */
export function scaled(values: Float32Array, scale: number): Float32Array {
  return scale === 1 ? values : values.map((value) => value * scale);
}

/** The people of several calls as one list. */
export function joined(parts: readonly Poses[], keypointCount: number): Poses {
  return {
    count: parts.reduce((sum, part) => sum + part.count, 0),
    keypointCount,
    boxes: concatenated(parts.map((part) => part.boxes)),
    boxScores: concatenated(parts.map((part) => part.boxScores)),
    keypoints: concatenated(parts.map((part) => part.keypoints)),
    scores: concatenated(parts.map((part) => part.scores)),
  };
}

/** Some of the people, by their rows. */
export function selected(poses: Poses, rows: readonly number[]): Poses {
  const k = poses.keypointCount;
  const pick = (values: Float32Array, size: number): Float32Array =>
    concatenated(rows.map((row) => values.subarray(row * size, (row + 1) * size)));
  return {
    count: rows.length,
    keypointCount: k,
    boxes: pick(poses.boxes, 4),
    boxScores: pick(poses.boxScores, 1),
    keypoints: pick(poses.keypoints, 2 * k),
    scores: pick(poses.scores, k),
  };
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
