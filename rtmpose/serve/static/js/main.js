// The page: what the person does, and which part works on it.

import { addressOf, beginSession, callJson, explain, onTrouble } from "./api.js";
import { CameraRun, listCameras, openCamera, ServerFinder } from "./camera.js";
import { offerNothing } from "./downloads.js";
import { connectFiles, isVideo } from "./files.js";
import { listJobs, runVideo, showJob, watchJob } from "./jobs.js";
import { clearError, hideProgress, say, sayAgain, sayError, tokenDialog } from "./messages.js";
import { showPhoto } from "./photo.js";
import {
  openPrivate,
  privateAssets,
  PrivateFinder,
  runPrivateVideo,
  showPrivatePhoto,
} from "./private.js";
import { currentScene, redraw, showLegend, showScene, useKeypointSet } from "./scene.js";
import { connectSettings, keep, settings, useDefaults } from "./settings.js";
import { text, useLanguage } from "./texts.js";

const byId = (id) => document.getElementById(id);
const AGAIN_MS = 2000;

const page = {
  service: null,
  assets: null, // what private mode needs, where the service has it
  file: null, // the file that is shown
  isVideo: false, // whether that is one
  failed: false, // it waits for a service that does not answer
  run: null, // a player or a camera: stop(), useSettings()
  task: new AbortController(),
};
let goneTimer = 0;

/** End what runs; a signal for what begins. */
function begin() {
  page.task.abort();
  page.task = new AbortController();
  page.run?.stop();
  page.run = null;
  page.failed = false;
  showCameraButton(false);
  byId("camera-choice").hidden = true;
  byId("mirror-choice").hidden = true;
  byId("again").hidden = true;
  hideProgress();
  clearError();
  return page.task.signal;
}

async function openFiles(files) {
  const file = files[0];
  if (!file) return;
  await openFile(file);
  if (files.length > 1) say(() => [text("first_file", { count: files.length })]);
}

/** Work on a photo or a video. */
async function openFile(file) {
  const signal = begin();
  page.file = file;
  say();
  try {
    if (file.size === 0) throw new Error(text("file_empty", { name: file.name }));
    page.isVideo = await isVideo(file);
    // It may have been gone, or protected, when the page began.
    if (page.service === null) await loadService();
    if (signal.aborted) return;
    if (isPrivate()) await openPrivately(file, signal);
    else if (isTooLarge(file)) throw new Error(text("too_large", { name: file.name }));
    else if (!page.isVideo) await showPhoto(file, signal);
    else if (page.service && !page.service.jobs) throw new Error(text("jobs_off"));
    else await openVideo(file, signal);
  } catch (error) {
    failed(error, file.name, signal);
    // Not the people of one picture below the name of another.
    if (!signal.aborted && currentScene()?.name !== file.name) {
      showScene(null);
      offerNothing();
    }
  }
}

/** Whether the service would refuse a file before it was sent: browsers do not tell why then. */
function isTooLarge(file) {
  if (page.service === null) return false;
  const { upload_bytes: ofVideo, body_bytes: ofPhoto } = page.service.limits;
  return file.size > (page.isVideo ? ofVideo : ofPhoto);
}

/** Whether the model runs in the browser. */
function isPrivate() {
  return page.assets !== null && byId("place").value === "browser";
}

async function openPrivately(file, signal) {
  if (!page.isVideo) {
    await showPrivatePhoto(file, page.assets, signal);
    return;
  }
  showScene(null);
  offerNothing();
  const player = await runPrivateVideo(file, page.assets, signal, begin);
  if (signal.aborted) {
    player?.stop();
    return;
  }
  page.run = player;
  byId("again").hidden = false;
}

/** The place where the model runs was changed: what is shown begins again there. */
async function placeChanged() {
  const camera = page.run instanceof CameraRun;
  const { file } = page;
  const signal = begin();
  settings.place = byId("place").value;
  keep();
  say();
  try {
    if (isPrivate()) await openPrivate(page.assets);
    if (signal.aborted) return;
    if (camera) await toggleCamera();
    else if (file !== null) await openFile(file);
  } catch (error) {
    byId("place").value = "server";
    failed(error, "", signal);
  }
}

async function openVideo(file, signal) {
  showScene(null);
  offerNothing();
  say();
  const job = await runVideo(file, signal, begin);
  if (job === null || signal.aborted) return;
  page.run = await showJob(job, file, signal);
  byId("again").hidden = false;
}

/** Show a job of the list, now or when it has ended. */
async function openJob(job) {
  const signal = begin();
  page.file = null;
  showScene(null);
  offerNothing();
  try {
    const ended = await watchJob(job, signal, begin);
    if (ended !== null) page.run = await showJob(ended, null, signal);
  } catch (error) {
    failed(error, job.name, signal);
  }
}

function failed(error, name, signal) {
  if (error.name === "AbortError" || signal.aborted) return;
  hideProgress();
  say();
  page.failed = error.code === "gone";
  sayError(() => explain(error, name), error.code === "gone" ? "gone" : "file");
}

function showCameraButton(runs) {
  const words = runs ? "camera_stop" : "camera";
  byId("camera").classList.toggle("on", runs);
  byId("camera").dataset.text = words;
  byId("camera").textContent = text(words);
}

async function toggleCamera(deviceId) {
  const stops = page.run instanceof CameraRun && deviceId === undefined;
  const signal = begin();
  if (stops) {
    say();
    return;
  }
  page.file = null;
  showScene(null);
  offerNothing();
  showCameraButton(true);
  let engine = null;
  try {
    engine = isPrivate() ? (await openPrivate(page.assets)).provider : null;
  } catch (error) {
    showCameraButton(false);
    failed(error, "", signal);
    return;
  }
  const media = await openCamera(deviceId, settings.camera);
  if (media === null || signal.aborted) {
    for (const track of media?.getTracks() ?? []) track.stop();
    if (!signal.aborted) showCameraButton(false);
    return;
  }
  say(() => [text("camera_on")]);
  const finder = engine ? new PrivateFinder(engine) : new ServerFinder();
  page.run = new CameraRun(media, finder, cameraEnded);
  byId("mirror").checked = settings[page.run.mirrorSetting];
  byId("mirror-choice").hidden = false;
  settings.camera = await listCameras(media);
  keep();
}

/** The choice of a mirror holds for cameras of this kind: those that face the person, or others. */
function mirrorChanged() {
  if (!(page.run instanceof CameraRun)) return;
  settings[page.run.mirrorSetting] = byId("mirror").checked;
  keep();
  const scene = currentScene();
  if (scene !== null) scene.mirror = byId("mirror").checked;
  redraw();
}

/** The camera was unplugged, or taken away. */
function cameraEnded() {
  begin();
  say();
  sayError(() => text("camera_lost"), "camera");
}

/** Thresholds changed: a photo is looked at again, a camera goes on with them. */
function foundChanged() {
  if (page.run !== null) page.run.useSettings();
  else if (page.file !== null && !page.isVideo) openFile(page.file);
}

/** The model and what the service can do. */
async function loadService() {
  const found = await callJson("/v1/models");
  const [model] = found.models;
  page.service = found;
  useKeypointSet(model.keypoint_set);
  useDefaults(model.defaults);
  byId("max_people").placeholder = found.limits.people;
  byId("jobs-part").hidden = !found.jobs;
  showModel();
  redraw();
  page.assets = await privateAssets();
  byId("place-choice").hidden = page.assets === null;
  byId("place").value = page.assets === null ? "server" : settings.place;
  if (found.jobs) await listJobs(openJob);
}

function showModel() {
  if (page.service === null) return;
  const [model] = page.service.models;
  const network = model.networks.pose;
  const where = network ? `${network.engine}, ${network.device}` : "";
  const points = `${model.skeleton} (${model.keypoint_set.keypoints.length})`;
  const names = [model.detector, model.pose].filter((name) => name !== null);
  byId("model").textContent = [...names, points, where].filter(Boolean).join(" · ");
}

/** The service does not answer: say so, and look again until it does. */
function serviceGone() {
  if (goneTimer) return;
  sayError(() => text(isPrivate() ? "gone_private" : "gone"), "gone");
  const look = async () => {
    try {
      const answer = await fetch(addressOf("/healthz"), { cache: "no-store" });
      if (!answer.ok) throw new Error("not yet");
      goneTimer = 0;
      clearError("gone");
      say(() => [text("reconnected")]);
      await loadService();
      if (page.failed && page.file !== null) await openFile(page.file);
    } catch (error) {
      // Other errors are said where they come from.
      if (goneTimer || error.code === "gone") goneTimer = setTimeout(look, AGAIN_MS);
    }
  };
  goneTimer = setTimeout(look, AGAIN_MS);
}

function useTheme() {
  if (settings.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = settings.theme;
}

function connectChoices() {
  byId("language").value = settings.language;
  byId("theme").value = settings.theme;
  byId("language").addEventListener("change", async () => {
    settings.language = byId("language").value;
    keep();
    useLanguage(settings.language);
    showLegend();
    redraw();
    sayAgain();
    if (page.service?.jobs) await listJobs();
  });
  byId("theme").addEventListener("change", () => {
    settings.theme = byId("theme").value;
    keep();
    useTheme();
  });
  connectSettings({ onDrawn: redraw, onFound: foundChanged });
}

function connectKeys() {
  byId("place").addEventListener("change", placeChanged);
  byId("camera").addEventListener("click", () => toggleCamera());
  byId("camera-device").addEventListener("change", () => {
    settings.camera = byId("camera-device").value;
    keep();
    toggleCamera(settings.camera);
  });
  byId("mirror").addEventListener("change", mirrorChanged);
  byId("again").addEventListener("click", () => page.file && openFile(page.file));
  byId("error-close").addEventListener("click", () => clearError());
  // Another tab may have sent a video.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && page.service?.jobs) listJobs();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (byId("token-dialog").open) return;
    const onControl = event.target.closest("input, select, textarea, button, summary, a");
    const handled = onKey(event.key, onControl);
    if (handled) event.preventDefault();
  });
}

function onKey(key, onControl) {
  if (key === "Escape") {
    clearError();
    if (page.run instanceof CameraRun) toggleCamera();
    return true;
  }
  if (onControl?.matches("input, select, textarea")) return false;
  if (key === "o" || key === "O") byId("open").click();
  else if (key === "c" || key === "C") byId("camera").click();
  else if (onControl || !page.run?.toggle) return false;
  else if (key === " ") page.run.toggle();
  else if (key === "ArrowLeft") page.run.step(-1);
  else if (key === "ArrowRight") page.run.step(1);
  else return false;
  return true;
}

onTrouble({ token: () => tokenDialog(beginSession), gone: serviceGone });
useLanguage(settings.language);
connectChoices();
connectFiles(openFiles);
connectKeys();
loadService().catch((error) => {
  if (error.code === "gone") return;
  sayError(() => (error.status === 401 ? explain(error, "") : error.message));
});
