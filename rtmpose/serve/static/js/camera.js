// The camera: its newest frame goes to the service or to the model in this browser, again and
// again.

import { callJson } from "./api.js";
import { offerPicture } from "./downloads.js";
import { onNextFrame } from "./frames.js";
import { clearError, say, sayError } from "./messages.js";
import { peopleWords, showScene, useKeypointSet } from "./scene.js";
import { chosen, settings } from "./settings.js";
import { PoseStream } from "./stream.js";
import { text } from "./texts.js";

const LONGEST_SIDE = 1280;
const QUALITY = 0.85;
const RATE_OVER_MS = 2000;
const byId = (id) => document.getElementById(id);

/**
 * Open the camera that was chosen, or the one of last time, else any; null where that is not
 * possible, which was said then.
 */
export async function openCamera(chosenId, lastId) {
  if (!navigator.mediaDevices?.getUserMedia) {
    sayError(() => text("camera_context"), "camera");
    return null;
  }
  say(() => [text("camera_wait")]);
  try {
    const media = await mediaOf(chosenId ?? lastId).catch((error) => {
      // The one of last time may not be connected.
      if (chosenId || !lastId || !isMissing(error)) throw error;
      return mediaOf(null);
    });
    clearError("camera");
    return media;
  } catch (error) {
    say();
    sayError(() => text(reasonOf(error)), "camera");
    return null;
  }
}

function mediaOf(id) {
  const ideal = { width: { ideal: 1280 }, height: { ideal: 720 } };
  const video = id ? { ...ideal, deviceId: { exact: id } } : ideal;
  return navigator.mediaDevices.getUserMedia({ video, audio: false });
}

function isMissing(error) {
  return error.name === "NotFoundError" || error.name === "OverconstrainedError";
}

function reasonOf(error) {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "camera_refused";
  if (isMissing(error)) return "camera_none";
  return "camera_busy";
}

/** List the cameras, where there are several; the id of the one that is used. */
export async function listCameras(media) {
  const all = await navigator.mediaDevices.enumerateDevices();
  const cameras = all.filter((device) => device.kind === "videoinput");
  const used = media.getVideoTracks()[0].getSettings().deviceId;
  byId("camera-choice").hidden = cameras.length < 2;
  byId("camera-device").replaceChildren(
    ...cameras.map((device, i) => {
      const label = device.label || `${text("camera")} ${i + 1}`;
      return new Option(label, device.deviceId, false, device.deviceId === used);
    }),
  );
  return used ?? null;
}

/** The setting that says whether a camera is shown as in a mirror: those that face the person are. */
function mirrorSetting(media) {
  const { facingMode } = media.getVideoTracks()[0].getSettings();
  return facingMode === "user" ? "mirror_front" : "mirror_other";
}

/** Works on the frames of an opened camera until `stop`. */
export class CameraRun {
  /** Which setting says whether it is shown as in a mirror. */
  mirrorSetting;
  #media;
  #video = document.createElement("video");
  #canvas = document.createElement("canvas");
  #finder;
  #stopped = false;
  #shownAt = [];
  #dropped = 0;

  /**
   * `finder` has `free`, `find(bitmap, blob)`, `use()`, `stop()`; see ServerFinder. `onEnded` is
   * told when the camera is gone.
   */
  constructor(media, finder, onEnded) {
    this.#media = media;
    this.mirrorSetting = mirrorSetting(media);
    this.#finder = finder;
    finder.onPeople = (frame, people, result) => this.#show(frame, people, result);
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = media;
    media.getVideoTracks()[0].onended = onEnded;
    this.#begin();
  }

  useSettings() {
    this.#finder.use();
  }

  stop() {
    this.#stopped = true;
    this.#finder.stop();
    for (const track of this.#media.getTracks()) track.stop();
    this.#video.srcObject = null;
  }

  async #begin() {
    await this.#video.play();
    offerPicture();
    this.#next();
  }

  #next() {
    if (this.#stopped) return;
    onNextFrame(this.#video, async (now) => {
      try {
        if (this.#finder.free && !this.#stopped) await this.#take(now);
        else this.#dropped += 1;
      } finally {
        this.#next();
      }
    });
  }

  async #take(taken) {
    const { videoWidth, videoHeight } = this.#video;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(videoWidth, videoHeight));
    this.#canvas.width = Math.round(videoWidth * scale);
    this.#canvas.height = Math.round(videoHeight * scale);
    const { width, height } = this.#canvas;
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, width, height);
    const bitmap = await createImageBitmap(this.#canvas);
    const frame = { bitmap, taken, close: () => bitmap.close() };
    await this.#finder.find(frame, this.#canvas);
  }

  #show(frame, people, { width, height, engine }) {
    if (this.#stopped) {
      frame.close();
      return;
    }
    const first = this.#shownAt.length === 0;
    const mirror = settings[this.mirrorSetting];
    showScene({ picture: frame.bitmap, width, height, people, name: "camera", mirror });
    const now = performance.now();
    this.#shownAt = [...this.#shownAt, now].filter((at) => now - at < RATE_OVER_MS);
    const span = now - this.#shownAt[0];
    const fps = span > 0 ? ((this.#shownAt.length - 1) * 1000) / span : 0;
    const ms = Math.round(now - frame.taken);
    const numbers = { fps: fps.toFixed(1), ms, dropped: this.#dropped };
    const where = () => (engine ? ` · ${text("browser_engine", { engine })}` : "");
    if (first) clearError();
    say(() => [peopleWords(), text("numbers_camera", numbers) + where()]);
  }
}

/** Finds the people of frames through the service. */
export class ServerFinder {
  onPeople = () => {};
  #stream;

  constructor() {
    this.#stream = new PoseStream(chosen(), {
      onReady: (message) => {
        // A service that was started again may have another model.
        useKeypointSet(message.keypoint_set);
        clearError("stream");
      },
      onResult: (message, frame) => this.onPeople(frame, message.people, message),
      onError: (message) => sayError(message.message, "stream"),
      onLost: (why) => this.#lost(why),
    });
  }

  get free() {
    return this.#stream.free;
  }

  async find(frame, canvas) {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    this.#stream.send(blob, frame);
  }

  use() {
    this.#stream.use(chosen());
  }

  stop() {
    this.#stream.close();
  }

  #lost(why) {
    say();
    if (why === "busy") {
      sayError(() => text("stream_busy"), "stream");
      return;
    }
    // A refused stream says nothing of the reason: another request finds out whether the token is
    // wanted or the service is gone, and says so.
    callJson("/v1/models").catch(() => {});
  }
}
