// What is shown: a picture, its people, the table of their joints.

import { drawPeople, drawSample, mirrored, nameOf } from "./draw.js";
import { jointName } from "./joints.js";
import { settings, threshold } from "./settings.js";
import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);
const LONGEST_VIEW = 1920;
const LONGEST_PICTURE = 8192;
const MOST_COLUMNS = 30;
const TABLE_EVERY_MS = 300;

let set = null;
let scene = null;
let tableAt = 0;
let tableTimer = 0;

/** The keypoint set of the model. */
export function useKeypointSet(value) {
  set = value;
  showLegend();
}

export function keypointSet() {
  return set;
}

/**
 * What is shown: `{picture, width, height, people, overlay, name, mirror}`, or null. With `mirror`
 * the view is a mirror image; the table and downloads are not.
 */
export function currentScene() {
  return scene;
}

/** Show a scene; `picture` is anything that a canvas can draw. */
export function showScene(value) {
  if (scene?.picture instanceof ImageBitmap && scene.picture !== value?.picture) {
    scene.picture.close();
  }
  scene = value;
  const shown = scene !== null;
  byId("view").hidden = !shown;
  byId("hint").hidden = shown;
  // Pictures that the service drew have no line styles.
  byId("legend").hidden = scene?.overlay === false;
  byId("drop").classList.toggle("filled", shown);
  redraw();
}

/** Draw the scene again, as the settings are now. */
export function redraw() {
  if (scene === null || set === null) {
    showTable();
    return;
  }
  paint(byId("view"), LONGEST_VIEW, scene.mirror === true);
  byId("view").setAttribute("aria-label", peopleWords());
  // Of a stream the table follows a few times a second, or nobody could read it.
  const wait = tableAt + TABLE_EVERY_MS - performance.now();
  clearTimeout(tableTimer);
  if (wait <= 0) showTable();
  else tableTimer = setTimeout(showTable, wait);
}

/** How many people are shown. */
export function peopleWords() {
  const count = scene?.people.length ?? 0;
  if (count === 0) return text("no_person");
  return count === 1 ? text("one_person") : text("some_people", { count });
}

/** The picture with what is drawn on it, in full size. */
export function pictureFile() {
  const canvas = document.createElement("canvas");
  paint(canvas, LONGEST_PICTURE, false);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Words and samples of the sides. */
export function showLegend() {
  const list = byId("legend");
  list.replaceChildren();
  if (set === null) return;
  for (const side of ["left", "right", "center"]) {
    const at = set.sides.indexOf(side);
    if (at < 0) continue;
    const item = document.createElement("li");
    const sample = document.createElement("canvas");
    sample.setAttribute("aria-hidden", "true");
    drawSample(sample, side, set.keypoint_colors[at]);
    item.append(sample, text(side));
    list.append(item);
  }
}

function paint(canvas, longest, mirror) {
  const { picture, width, height, people } = scene;
  const scale = Math.min(1, longest / Math.max(width, height));
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  if (mirror) context.setTransform(-1, 0, 0, 1, w, 0);
  context.drawImage(picture, 0, 0, w, h);
  // Words stay readable: the people are mirrored, not the drawing.
  context.resetTransform();
  const options = { ...settings, kpt_thr: threshold("kpt_thr") };
  if (scene.overlay === false) return;
  const drawn = mirror ? mirrored(people, width) : people;
  drawPeople(context, drawn, set, options, scale);
}

function showTable() {
  tableAt = performance.now();
  const people = (scene?.people ?? []).slice(0, MOST_COLUMNS);
  byId("no-people").hidden = people.length > 0;
  byId("no-people").textContent = text(scene === null ? "no_people" : "no_person");
  byId("table-part").hidden = people.length === 0;
  if (people.length === 0 || set === null) {
    byId("table").replaceChildren();
    return;
  }
  const body = document.createElement("tbody");
  body.append(row(text("person_score"), people.map((p) => cell(p.score))));
  body.append(row(text("box_score"), people.map((p) => cell(p.box_score))));
  body.append(row(text("all_points"), people.map((p) => countCell(p))));
  set.keypoints.forEach((name, k) => {
    const words = jointName(name, settings.language);
    body.append(row(words, people.map((p) => jointCell(p.keypoints[k]))));
  });
  byId("table").replaceChildren(headOf(people), body);
}

function headOf(people) {
  const head = document.createElement("thead");
  const line = head.insertRow();
  for (const words of [text("joint"), ...people.map((person, i) => nameOf(person, i))]) {
    const cellOfHead = document.createElement("th");
    cellOfHead.scope = "col";
    cellOfHead.textContent = words;
    line.append(cellOfHead);
  }
  return head;
}

function row(words, cells) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = words;
  line.append(head, ...cells);
  return line;
}

function cell(value) {
  const found = document.createElement("td");
  found.textContent = Number.isFinite(value) ? value.toFixed(2) : "–";
  return found;
}

function countCell(person) {
  const found = document.createElement("td");
  const seen = person.keypoints.filter(([, , score]) => score >= threshold("kpt_thr")).length;
  found.textContent = `${seen} / ${person.keypoints.length}`;
  return found;
}

function jointCell([x, y, score]) {
  const found = cell(score);
  found.title = `x ${x.toFixed(1)}, y ${y.toFixed(1)}`;
  found.dataset.point = `${x},${y},${score}`;
  found.classList.toggle("low", score < threshold("kpt_thr"));
  return found;
}
