// A video with the people of its frames, and the timeline below it.

import { onNextFrame } from "./frames.js";
import { clock, say } from "./messages.js";
import { peopleWords, showScene } from "./scene.js";
import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);

/**
 * Shows a video; `frames` are `{time_s, people}` in order, empty where only the video is shown.
 *
 * `overlay` draws the people, `note` makes words that are said below.
 */
export class Player {
  #video = document.createElement("video");
  #frames;
  #name;
  #overlay;
  #note;
  #url;
  #stopped = false;

  constructor(url, frames, { name, overlay, note = () => "" }) {
    this.#url = url;
    this.#frames = frames;
    this.#name = name;
    this.#overlay = overlay;
    this.#note = note;
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.preload = "auto";
  }

  /** Load the video and show its first frame; an error where the browser cannot play it. */
  async open() {
    this.#video.src = this.#url;
    await new Promise((resolve, reject) => {
      this.#video.onloadeddata = resolve;
      this.#video.onerror = () => reject(new Error(this.#video.error?.message || "video"));
    });
    const last = this.#frames.length - 1;
    byId("timeline").max = last > 0 ? last : Math.max(1, Math.round(this.#video.duration * 25));
    byId("timeline").oninput = () => this.#seek(Number(byId("timeline").value));
    byId("play").onclick = () => this.toggle();
    this.#video.onplay = () => this.#showButton();
    this.#video.onpause = () => this.#showButton();
    this.#video.onseeked = () => this.#show(this.#video.currentTime);
    byId("player").hidden = false;
    this.#showButton();
    this.#show(0);
    this.#follow();
  }

  toggle() {
    if (!this.#video.paused) this.#video.pause();
    else this.#video.play();
  }

  /** Go that many frames on. */
  step(count) {
    this.#video.pause();
    const most = Number(byId("timeline").max);
    const at = Math.min(Math.max(Number(byId("timeline").value) + count, 0), most);
    byId("timeline").value = at;
    this.#seek(at);
  }

  stop() {
    this.#stopped = true;
    this.#video.pause();
    this.#video.onseeked = null;
    this.#video.removeAttribute("src");
    this.#video.load();
    if (this.#url.startsWith("blob:")) URL.revokeObjectURL(this.#url);
    byId("player").hidden = true;
  }

  useSettings() {}

  #seek(at) {
    const { duration } = this.#video;
    if (this.#frames.length === 0) {
      this.#video.currentTime = Math.min(at / 25, duration);
      return;
    }
    // The middle of the frame: at its edge the one before could show.
    const next = this.#frames[at + 1]?.time_s ?? duration;
    const here = this.#frames[at].time_s;
    this.#video.currentTime = Math.min((here + Math.max(next, here)) / 2, duration);
  }

  #follow() {
    onNextFrame(this.#video, (_, { mediaTime }) => {
      if (this.#stopped) return;
      if (!this.#video.seeking) this.#show(mediaTime);
      this.#follow();
    });
  }

  #show(time) {
    if (this.#stopped) return;
    const at = this.#frames.length ? this.#frameAt(time) : Math.round(time * 25);
    const people = this.#frames[at]?.people ?? [];
    byId("timeline").value = at;
    byId("moment").textContent = `${clock(time)} / ${clock(this.#video.duration)}`;
    byId("timeline").setAttribute("aria-valuetext", byId("moment").textContent);
    const { videoWidth: width, videoHeight: height } = this.#video;
    const size = { width, height };
    showScene({ picture: this.#video, ...size, people, overlay: this.#overlay, name: this.#name });
    say(() => [
      this.#frames.length ? peopleWords() : "",
      this.#note(),
    ]);
  }

  /** The last frame that began by then. */
  #frameAt(time) {
    let [low, high] = [0, this.#frames.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#frames[middle].time_s <= time + 0.001) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #showButton() {
    byId("play").dataset.text = this.#video.paused ? "play" : "pause";
    byId("play").textContent = text(byId("play").dataset.text);
  }
}
