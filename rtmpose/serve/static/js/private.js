// Private mode: the model runs in the browser, and pictures stay on the machine.

import { addressOf, callJson } from "./api.js";
import { offerPicture, offerVideo } from "./downloads.js";
import { openVideo, seek } from "./frames.js";
import { clearError, hideProgress, say, showProgress } from "./messages.js";
import { Player } from "./player.js";
import { keypointSet, peopleWords, showScene } from "./scene.js";
import { chosen, threshold } from "./settings.js";
import { text } from "./texts.js";

const VIDEO_FPS = 25;
const WORKER = addressOf("/static/js/private_worker.js");
const STATIC = addressOf("/static/");

let worker = null;
let opened = null;
let count = 0;
const waiting = new Map();

/** What the service has for it, or null. */
export async function privateAssets() {
  const found = await callJson("/v1/web");
  return found.available ? found : null;
}

/** Load it, once; `{provider, fallback, model}`. */
export function openPrivate(assets) {
  opened ??= open(assets).catch((error) => {
    opened = null;
    worker?.terminate();
    worker = null;
    throw new Error(text("private_failed", { reason: error.message }));
  });
  return opened;
}

async function open(assets) {
  say(() => [text("loading_private")]);
  worker = new Worker(WORKER, { type: "module" });
  worker.onmessage = ({ data: { n, result, error } }) => {
    const { resolve, reject } = waiting.get(n);
    waiting.delete(n);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  };
  const failed = new Promise((_, reject) => {
    worker.onerror = (event) => reject(new Error(event.message || "worker"));
  });
  const found = await Promise.race([ask("open", { assets }), failed]);
  const names = keypointSet().keypoints;
  if (found.keypoints.join() !== names.join()) throw new Error(found.model);
  // Remarks about the engine are for those who look after it.
  if (found.fallback) console.info(found.fallback);
  // Of the two builds of the engine the one that is used.
  const other = found.kind === "webgpu" ? /simd-threaded\.(mjs|wasm)$|wasm\.bundle/ : /asyncify|webgpu/;
  const files = assets.files.filter((name) => !other.test(name));
  const kept = await keepForLater(assets.version, files);
  const engine = () => text("browser_engine", { engine: found.provider });
  say(() => [`${text("privately")} ${kept ? text("offline_ready") : ""}`, engine()]);
  return found;
}

/** Keep everything, so that the page works without the service; whether that was possible. */
async function keepForLater(version, files) {
  if (!navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register(addressOf("/sw.js"));
    const { active } = await navigator.serviceWorker.ready;
    const resources = performance.getEntriesByType("resource").map(({ name }) => new URL(name));
    const scripts = resources.filter(({ pathname }) => pathname.startsWith(STATIC));
    const paths = ["/", "/v1/models", "/v1/web"].map(addressOf);
    const more = [...scripts.map(({ pathname }) => pathname), WORKER, ...files];
    const channel = new MessageChannel();
    const answered = new Promise((resolve) => (channel.port1.onmessage = resolve));
    const addresses = [...new Set([...paths, ...more])];
    active.postMessage({ version, addresses }, [channel.port2]);
    return await answered;
  } catch (error) {
    // Private windows may have no room: it works as long as the service is there.
    console.info(`not kept: ${error.message}`);
    return false;
  }
}

function ask(kind, message, transfer = []) {
  count += 1;
  const n = count;
  const answer = new Promise((resolve, reject) => waiting.set(n, { resolve, reject }));
  worker.postMessage({ n, kind, ...message }, transfer);
  return answer;
}

/** A photo, without the service. */
export async function showPrivatePhoto(file, assets, signal) {
  const { provider } = await openPrivate(assets);
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(text("file_unreadable_here", { name: file.name }));
  }
  const started = performance.now();
  const copy = await createImageBitmap(picture);
  const found = await ask("photo", { picture: copy }, [copy]);
  if (signal.aborted) return;
  const ms = Math.round(performance.now() - started);
  const most = chosen().max_people ?? Infinity;
  const people = found
    .filter((p) => p.box_score >= threshold("box_thr") && p.score >= threshold("person_thr"))
    .slice(0, most);
  clearError();
  const { width, height } = picture;
  showScene({ picture, width, height, people, name: file.name });
  offerPicture();
  say(() => [peopleWords(), text("numbers_private", { ms, engine: provider })]);
}

/** Finds the people of a camera's frames in the browser. */
export class PrivateFinder {
  onPeople = () => {};
  free = false;
  #engine;
  #stopped = false;

  constructor(engine) {
    this.#engine = engine;
    this.use();
  }

  async find(frame) {
    this.free = false;
    const { width, height } = frame.bitmap;
    const picture = await createImageBitmap(frame.bitmap);
    const message = { picture, timeS: frame.taken / 1000 };
    const people = await ask("frame", message, [picture]);
    this.onPeople(frame, people, { width, height, engine: this.#engine });
    this.free = !this.#stopped;
  }

  async use() {
    this.free = false;
    await begin();
    this.free = !this.#stopped;
  }

  stop() {
    this.#stopped = true;
    this.free = false;
  }
}

function begin() {
  return ask("begin", { thresholds: { person_thr: threshold("person_thr"), ...chosen() } });
}

/** A video, looked at 25 times a second; a player. */
export async function runPrivateVideo(file, assets, signal, cancel) {
  const { provider } = await openPrivate(assets);
  const url = URL.createObjectURL(file);
  const video = document.createElement("video");
  let ends;
  try {
    ends = await openVideo(video, url);
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(text("file_unreadable_here", { name: file.name }));
  }
  const { start, end } = ends;
  await begin();
  const frames = [];
  const total = Math.max(1, Math.round((end - start) * VIDEO_FPS));
  const started = performance.now();
  for (let at = 0; at < total && !signal.aborted; at++) {
    const state = text("job_running", { frames: at, total });
    showProgress(text("waiting_video", { name: file.name, state }), at / total, cancel);
    await seek(video, Math.min(start + (at + 0.5) / VIDEO_FPS, end));
    const picture = await createImageBitmap(video);
    const people = await ask("frame", { picture, timeS: at / VIDEO_FPS }, [picture]);
    frames.push({ time_s: at / VIDEO_FPS, people });
  }
  video.removeAttribute("src");
  if (signal.aborted) {
    URL.revokeObjectURL(url);
    return null;
  }
  hideProgress();
  const ms = Math.round((performance.now() - started) / total);
  const note = () => text("numbers_private", { ms, engine: provider });
  const size = { width: video.videoWidth, height: video.videoHeight };
  const player = new Player(url, frames, { name: file.name, overlay: true, note });
  await player.open();
  clearError();
  offerVideo(frames, file.name, size);
  return player;
}
