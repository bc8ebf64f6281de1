// Results of a picture as files, in the same forms as the package writes.

const COCO18 =
  "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip" +
  " right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear";
const BODIES = { coco18: COCO18.split(" ") };
BODIES.body25 = [
  ...BODIES.coco18.slice(0, 8),
  "hip",
  ...BODIES.coco18.slice(8),
  ..."left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel".split(" "),
];
const FINGERS = ["thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger"];
const HAND = ["hand_root", ...FINGERS.flatMap((name) => [1, 2, 3, 4].map((k) => name + k))];
const MIDPOINTS = {
  neck: ["left_shoulder", "right_shoulder"],
  hip: ["left_hip", "right_hip"],
};

/** A picture and its people, in the form of the service's answers. */
export function pictureJson({ name, width, height, people }, set) {
  const images = [{ id: 0, file_name: name, width, height }];
  const annotations = people.map((person, i) => {
    const place = { id: i, image_id: 0, category_id: 1, iscrowd: 0 };
    return { ...place, ...annotationOf(person) };
  });
  const skeleton = set.links.map(([from, to]) => [from + 1, to + 1]);
  const category = { id: 1, name: "person", supercategory: "person", keypoints: set.keypoints };
  const categories = [{ ...category, skeleton }];
  return JSON.stringify({ images, annotations, categories }, null, 1);
}

/** The people of all frames (`{time_s, people}`), in the form of the package's JSON. */
export function videoJson(name, width, height, frames, set) {
  const source = { image: name, width, height, skeleton: set.name };
  const entries = frames.flatMap(({ time_s, people }, frame) => {
    const place = { ...source, frame, time_s, image_id: name, category_id: 1 };
    return people.map((person) => ({ ...place, ...annotationOf(person) }));
  });
  return JSON.stringify(entries, null, 1);
}

function annotationOf({ id, bbox, score, box_score, keypoints }) {
  const found = { bbox, area: bbox[2] * bbox[3], score, box_score, keypoints: keypoints.flat() };
  return id === null || id === undefined ? found : { ...found, track_id: id };
}

/** A row per person and frame (`{time_s, people}`): the columns of the package's CSV. */
export function csvOf(name, width, height, frames, set) {
  const head = ["source", "frame", "time_s", "person", "id", "filled"];
  head.push("box_x1", "box_y1", "box_x2", "box_y2", "box_score", "score");
  head.push("image_width", "image_height");
  for (const joint of set.keypoints) head.push(`${joint}_x`, `${joint}_y`, `${joint}_score`);
  const row = (person, i, at) => {
    const [x, y, w, h] = person.bbox;
    const box = [x, y, x + w, y + h].map((value) => Math.round(value * 100) / 100);
    const scores = [person.box_score ?? "", person.score];
    const start = [quoted(name), at, frames[at].time_s, i, person.id ?? -1, 0];
    return [...start, ...box, ...scores, width, height, ...person.keypoints.flat()];
  };
  const rows = frames.flatMap(({ people }, at) => people.map((person, i) => row(person, i, at)));
  return [head, ...rows].map((cells) => `${cells.join(",")}\r\n`).join("");
}

/** OpenPose's JSON: BODY_25 where there are feet, COCO 18 for other bodies, else as they are. */
export function openposeOf(people, set) {
  const layout = layoutOf(set);
  const entries = people.map((person, i) => {
    const fill = (sources) => sources.flatMap((ends) => pointOf(person.keypoints, ends));
    return {
      person_id: [person.id ?? i],
      pose_keypoints_2d: fill(layout.body),
      face_keypoints_2d: fill(layout.face),
      hand_left_keypoints_2d: fill(layout.left),
      hand_right_keypoints_2d: fill(layout.right),
      pose_keypoints_3d: [],
      face_keypoints_3d: [],
      hand_left_keypoints_3d: [],
      hand_right_keypoints_3d: [],
    };
  });
  return JSON.stringify({ version: 1.3, people: entries });
}

function layoutOf(set) {
  const place = new Map(set.keypoints.map((name, k) => [name, k]));
  const isBody = Object.values(MIDPOINTS).flat().every((name) => place.has(name));
  if (!isBody) {
    return { body: set.keypoints.map((_, k) => [k]), face: [], left: [], right: [] };
  }
  const ends = (names) => names.map((name) => (place.has(name) ? [place.get(name)] : []));
  // Face and hands where the model has them.
  const part = (names) => (names.some((name) => place.has(name)) ? ends(names) : []);
  const face = part(Array.from({ length: 68 }, (_, k) => `face-${k}`));
  const names = place.has("left_heel") ? BODIES.body25 : BODIES.coco18;
  const middles = (name) => (MIDPOINTS[name] ?? []).map((end) => place.get(end));
  return {
    body: names.map((name) => (place.has(name) ? [place.get(name)] : middles(name))),
    // OpenPose's face has two pupils after the 68 points.
    face: face.length ? [...face, [], []] : [],
    left: part(HAND.map((name) => `left_${name}`)),
    right: part(HAND.map((name) => `right_${name}`)),
  };
}

function pointOf(keypoints, ends) {
  if (ends.length === 0) return [0, 0, 0];
  const mean = (at) => ends.reduce((sum, k) => sum + keypoints[k][at], 0) / ends.length;
  const score = Math.min(...ends.map((k) => keypoints[k][2]));
  const rounded = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;
  return [rounded(mean(0), 3), rounded(mean(1), 3), rounded(score, 4)];
}

function quoted(words) {
  return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
}
