// The list of files that can be had of what is shown.

import { addressOf } from "./api.js";
import { csvOf, openposeOf, pictureJson, videoJson } from "./formats.js";
import { currentScene, keypointSet, pictureFile } from "./scene.js";
import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);
const LABELS = { annotated: "download_video", openpose: "download_openpose" };

/** Files of a picture: made here when they are asked for. `answer` is the service's, if any. */
export function offerPicture(answer = null) {
  const json = () => {
    if (answer !== null) return JSON.stringify(answer, null, 1);
    return pictureJson(currentScene(), keypointSet());
  };
  const stem = () => currentScene().name.replace(/\.[^.]*$/, "") || "picture";
  const people = () => currentScene().people;
  offer([
    button("download_json", () => save(json(), "application/json", `${stem()}.json`)),
    button("download_csv", () => {
      const { name, width, height } = currentScene();
      const csv = csvOf(name, width, height, [{ time_s: 0, people: people() }], keypointSet());
      save(csv, "text/csv", `${stem()}.csv`);
    }),
    button("download_openpose", () => {
      const name = `${stem()}_keypoints.json`;
      save(openposeOf(people(), keypointSet()), "application/json", name);
    }),
    pictureButton(stem),
  ]);
}

/** Files of a video that the service has not seen. */
export function offerVideo(frames, name, { width, height }) {
  const stem = name.replace(/\.[^.]*$/, "");
  const json = () => videoJson(name, width, height, frames, keypointSet());
  const csv = () => csvOf(name, width, height, frames, keypointSet());
  offer([
    button("download_json", () => save(json(), "application/json", `${stem}.json`)),
    button("download_csv", () => save(csv(), "text/csv", `${stem}.csv`)),
    pictureButton(() => stem),
  ]);
}

/** Files of a job, from the service, and the frame that is shown. */
export function offerJob(job) {
  const links = job.files.map((file) => {
    const link = document.createElement("a");
    const words = LABELS[file.format];
    if (words) link.dataset.text = words;
    link.href = addressOf(`/v1/jobs/${job.id}/files/${encodeURIComponent(file.name)}`);
    link.download = "";
    link.textContent = words ? text(words) : file.format.toUpperCase();
    return link;
  });
  offer([...links, pictureButton(() => job.name.replace(/\.[^.]*$/, ""))]);
}

/** Nothing to be had. */
export function offerNothing() {
  offer([]);
}

/** Give a file to the person at the page. */
export function save(content, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function pictureButton(stem) {
  const name = () => `${stem()}-people.png`;
  return button("download_picture", async () => save(await pictureFile(), "image/png", name()));
}

function button(words, onClick) {
  const found = document.createElement("button");
  found.type = "button";
  found.dataset.text = words;
  found.textContent = text(words);
  found.addEventListener("click", onClick);
  return found;
}

function offer(elements) {
  byId("downloads").replaceChildren(
    ...elements.map((element) => {
      const item = document.createElement("li");
      item.append(element);
      return item;
    }),
  );
  byId("downloads").hidden = elements.length === 0;
  byId("no-downloads").hidden = elements.length > 0;
}
