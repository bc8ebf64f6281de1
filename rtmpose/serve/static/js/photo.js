// A photo: sent to the service, shown with its people.

import { call, callJson } from "./api.js";
import { clearError, say } from "./messages.js";
import { offerPicture } from "./downloads.js";
import { peopleWords, showScene } from "./scene.js";
import { chosen, settings } from "./settings.js";
import { text } from "./texts.js";

const SMALLEST = 16; // of a picture that the service draws
const LARGEST = 8192; // of a picture that is shown

/** People of an answer of the service: of a single photo nobody has an id. */
export function peopleOf(annotations) {
  return annotations.map(({ bbox, score, box_score, keypoints }) => {
    const points = [];
    for (let at = 0; at < keypoints.length; at += 3) points.push(keypoints.slice(at, at + 3));
    return { id: null, bbox, score, box_score, keypoints: points };
  });
}

/** Find the people of a photo through the service, and show them. */
export async function showPhoto(file, signal) {
  say(() => [text("ask_server")]);
  const answer = await callJson("/v1/poses", { method: "POST", body: formOf(file), signal });
  const { width, height } = answer.images[0];
  const picture = await pictureOf(file, width, height, signal);
  if (signal.aborted) return;
  const people = peopleOf(answer.annotations);
  clearError();
  showScene({ picture, width, height, people, name: file.name });
  offerPicture(answer);
  const { total, decode, detect, pose } = answer.timing_ms;
  const ms = { ms: total, decode, detect, pose };
  for (const name of Object.keys(ms)) ms[name] = Math.round(ms[name]);
  say(() => [peopleWords(), text("numbers_photo", ms)]);
}

function formOf(file) {
  const form = new FormData();
  form.append("image", file, file.name);
  form.append("kpt_thr", String(settings.kpt_thr));
  for (const [name, value] of Object.entries(chosen())) form.append(name, String(value));
  return form;
}

// Photos that the browser cannot show, such as HEIC and TIFF, or shows lying down, come back from
// the service as JPEG.
async function pictureOf(file, width, height, signal) {
  try {
    const picture = await createImageBitmap(file);
    if (picture.width === width && picture.height === height) return picture;
    picture.close();
  } catch {
    // Below.
  }
  const form = new FormData();
  form.append("image", file, file.name);
  // No keypoint has such a score: nothing is drawn.
  form.append("kpt_thr", "100");
  form.append("output_size", String(Math.min(Math.max(width, height, SMALLEST), LARGEST)));
  const headers = { Accept: "image/jpeg" };
  const answer = await call("/v1/poses", { method: "POST", body: form, headers, signal });
  return createImageBitmap(await answer.blob());
}
