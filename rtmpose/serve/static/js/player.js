// A video with the people of its frames, and the timeline below it.

import { onNextFrame, openVideo } from "./frames.js";
import { clock, say } from "./messages.js";
import { peopleWords, showScene } from "./scene.js";
import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);
const STEPS_A_SECOND = 25;

/**
 * Shows a video; `frames` are `{time_s, people}` in order, empty where only the video is shown.
 *
 * `time_s` is 0 at the first frame. `overlay` draws the people, `note` makes words that are said
 * below.
 */
export class Player {
  #video = document.createElement("video");
  #frames;
  #name;
  #overlay;
  #note;
  #url;
  #start = 0; // seconds of the first frame in the browser's time
  #end = 0;
  #stopped = false;

  constructor(url, frames, { name, overlay, note = () => "" }) {
    this.#url = url;
    this.#frames = frames;
    this.#name = name;
    this.#overlay = overlay;
    this.#note = note;
  }

  /** Load the video and show its first frame; an error where the browser cannot play it. */
  async open() {
    const { start, end } = await openVideo(this.#video, this.#url);
    if (this.#stopped) return;
    this.#start = start;
    this.#end = end;
    const count = this.#frames.length || Math.max(2, Math.round((end - start) * STEPS_A_SECOND));
    byId("timeline").max = count - 1;
    byId("timeline").oninput = () => this.#seek(Number(byId("timeline").value));
    byId("play").onclick = () => this.toggle();
    this.#video.onplay = () => this.#showButton();
    this.#video.onpause = () => this.#showButton();
    this.#video.onseeked = () => this.#show(this.#video.currentTime);
    byId("player").hidden = false;
    this.#showButton();
    this.#show(start);
    this.#follow();
  }

  toggle() {
    if (!this.#video.paused) this.#video.pause();
    // Another file may be opened before it plays.
    else this.#video.play().catch(() => {});
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
    const length = this.#end - this.#start;
    let time = at / STEPS_A_SECOND;
    if (this.#frames.length > 0) {
      // The middle of the frame: at its edge the one before could show.
      const here = this.#frames[at].time_s;
      const next = this.#frames[at + 1]?.time_s ?? length;
      time = (here + Math.max(next, here)) / 2;
    }
    this.#video.currentTime = this.#start + Math.min(time, length);
  }

  #follow() {
    onNextFrame(this.#video, (_, { mediaTime }) => {
      if (this.#stopped) return;
      if (!this.#video.seeking) this.#show(mediaTime);
      this.#follow();
    });
  }

  #show(mediaTime) {
    if (this.#stopped) return;
    const time = Math.max(0, mediaTime - this.#start);
    const at = this.#frames.length ? this.#frameAt(time) : Math.round(time * STEPS_A_SECOND);
    const people = this.#frames[at]?.people ?? [];
    byId("timeline").value = at;
    byId("moment").textContent = `${clock(time)} / ${clock(this.#end - this.#start)}`;
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
