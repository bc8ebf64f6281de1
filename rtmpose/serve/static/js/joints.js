// Names of keypoints as people read them. Files keep the names of the keypoint set.

const SIDES_ZH = { left: "左", right: "右" };
const PARTS_ZH = {
  ankle: "踝",
  back_paw: "后爪",
  belly: "腹部",
  big_toe: "大脚趾",
  ear: "耳",
  elbow: "肘",
  eye: "眼",
  face: "面部",
  finger: "手指",
  forefinger: "食指",
  front_paw: "前爪",
  hand_root: "掌根",
  head: "头部",
  head_bottom: "头部下端",
  head_top: "头顶",
  heel: "脚跟",
  hip: "髋",
  knee: "膝",
  kpt: "点",
  middle_finger: "中指",
  neck: "颈部",
  nose: "鼻子",
  pelvis: "骨盆",
  pinky_finger: "小指",
  ring_finger: "无名指",
  root_of_tail: "尾根",
  shoulder: "肩",
  small_toe: "小脚趾",
  thorax: "胸部",
  thumb: "拇指",
  toe: "脚趾",
  upper_neck: "上颈部",
  wrist: "腕",
};
// Without a side.
const MIDDLE_ZH = { hip: "髋部中点", wrist: "手腕" };

/** The name of a keypoint in a language; of one that is not known, its own. */
export function jointName(name, language) {
  const own = name.replaceAll("_", " ");
  if (language !== "zh") return own;
  const [, side, part, number] = /^(?:(left|right)_)?([a-z_]+?)-?(\d*)$/.exec(name) ?? [];
  const known = side === undefined ? (MIDDLE_ZH[part] ?? PARTS_ZH[part]) : PARTS_ZH[part];
  if (known === undefined) return own;
  const words = (SIDES_ZH[side] ?? "") + known;
  return number === "" ? words : `${words} ${number}`;
}
