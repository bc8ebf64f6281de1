// Skeletons on a canvas. Sides differ in line style and shape of the points, not in color alone.

const DASHES = { left: [], right: [7, 5], center: [1.5, 4] };
const FONT = "system-ui, sans-serif";

/**
 * Draw people.
 *
 * @param context of a canvas that holds the picture already
 * @param people `{id, bbox, score, keypoints: [[x, y, score], ...]}`, in pixels of the picture
 * @param set the keypoint set: names, links, sides, colors
 * @param options `points`, `links`, `boxes`, `ids`, `scores`, `kpt_thr`
 * @param scale pixels of the canvas per pixel of the picture
 */
export function drawPeople(context, people, set, options, scale) {
  const { width, height } = context.canvas;
  const unit = Math.max(1, Math.max(width, height) / 640);
  context.save();
  context.lineCap = "round";
  context.lineJoin = "round";
  people.forEach((person, number) => {
    const points = person.keypoints.map(([x, y, score]) => {
      return { x: (x + 0.5) * scale, y: (y + 0.5) * scale, seen: score >= options.kpt_thr, score };
    });
    if (options.links) drawLinks(context, points, set, unit);
    if (options.points) drawPoints(context, points, set, unit, options.scores);
    drawBox(context, person, number, options, scale, unit);
  });
  context.restore();
}

/** People of a picture of that width, as they are in its mirror image. */
export function mirrored(people, width) {
  return people.map((person) => {
    const [x, y, w, h] = person.bbox;
    const keypoints = person.keypoints.map(([px, py, score]) => [width - 1 - px, py, score]);
    return { ...person, bbox: [width - x - w, y, w, h], keypoints };
  });
}

/** An example of one side, for the legend. */
export function drawSample(canvas, side, color) {
  const context = canvas.getContext("2d");
  canvas.width = 112;
  canvas.height = 36;
  context.lineCap = "round";
  stroke(context, [{ x: 14, y: 18 }, { x: 98, y: 18 }], side, color, 2);
  for (const x of [14, 98]) fillPoint(context, { x, y: 18 }, side, color, 2);
}

function drawLinks(context, points, set, unit) {
  set.links.forEach(([from, to], i) => {
    const ends = [points[from], points[to]];
    if (!ends.every((end) => end.seen)) return;
    stroke(context, ends, sideOfLink(set, from, to), set.link_colors[i], unit);
  });
}

function sideOfLink(set, from, to) {
  const sides = [set.sides[from], set.sides[to]];
  if (sides[0] === sides[1]) return sides[0];
  return sides.includes("center") ? sides.find((side) => side !== "center") : "center";
}

function stroke(context, [from, to], side, color, unit) {
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x, to.y);
  // A dark line below, so that it shows on every ground.
  context.setLineDash([]);
  context.strokeStyle = "rgb(0 0 0 / 55%)";
  context.lineWidth = 4.5 * unit;
  context.stroke();
  context.setLineDash((DASHES[side] ?? []).map((length) => length * unit));
  context.strokeStyle = color;
  context.lineWidth = 2.5 * unit;
  context.stroke();
  context.setLineDash([]);
}

function drawPoints(context, points, set, unit, withScores) {
  points.forEach((point, k) => {
    if (!point.seen) return;
    fillPoint(context, point, set.sides[k], set.keypoint_colors[k], unit);
    if (withScores) label(context, point.score.toFixed(2), point.x + 5 * unit, point.y, 9 * unit);
  });
}

function fillPoint(context, { x, y }, side, color, unit) {
  const size = 3.2 * unit;
  context.beginPath();
  if (side === "right") {
    context.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  } else if (side === "left") {
    context.arc(x, y, size, 0, 2 * Math.PI);
  } else {
    context.moveTo(x, y - size * 1.3);
    context.lineTo(x + size * 1.3, y);
    context.lineTo(x, y + size * 1.3);
    context.lineTo(x - size * 1.3, y);
    context.closePath();
  }
  context.fillStyle = color;
  context.fill();
  context.strokeStyle = "#000000";
  context.lineWidth = unit;
  context.stroke();
}

function drawBox(context, person, number, options, scale, unit) {
  const [x, y, width, height] = person.bbox.map((value) => value * scale);
  if (options.boxes) {
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1.5 * unit;
    context.strokeRect(x, y, width, height);
  }
  const parts = [];
  if (options.ids) parts.push(nameOf(person, number));
  if (options.scores) parts.push(person.score.toFixed(2));
  if (!parts.length) return;
  const size = 13 * unit;
  label(context, parts.join("  "), Math.max(0, x), Math.max(size * 0.8, y), size);
}

/** How a person is called: by id, or by place in the list. */
export function nameOf(person, number) {
  return person.id === null || person.id === undefined ? `(${number + 1})` : `#${person.id}`;
}

function label(context, words, x, y, size) {
  context.font = `600 ${size}px ${FONT}`;
  context.textBaseline = "middle";
  const width = context.measureText(words).width + size * 0.5;
  context.fillStyle = "rgb(0 0 0 / 75%)";
  context.fillRect(x, y - size * 0.7, width, size * 1.4);
  context.fillStyle = "#ffffff";
  context.fillText(words, x + size * 0.25, y);
}
