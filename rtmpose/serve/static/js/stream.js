// The stream of the service: frames out, people in. It connects again when it is lost.

import { addressOf } from "./api.js";

const PING_MS = 20_000;
const LONGEST_PAUSE_MS = 8000;
const MOST_ON_THE_WAY = 2;
const TRY_LATER = 1013;

/** A stream; `handlers` are onReady, onResult(message, extra), onError(message), onLost(code). */
export class PoseStream {
  #socket = null;
  #handlers;
  #settings;
  #sent = 0;
  #waiting = new Map();
  #pause = 500;
  #timer = 0;
  #ping = 0;
  #closed = false;

  constructor(settings, handlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#connect();
  }

  /** Whether a frame can be sent now without waiting behind others. */
  get free() {
    const open = this.#socket?.readyState === WebSocket.OPEN;
    return open && this.#waiting.size < MOST_ON_THE_WAY;
  }

  /** Send a frame; `extra` comes back with its result, or is dropped (`close` is called). */
  send(blob, extra) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      extra.close();
      return;
    }
    this.#waiting.set(this.#sent, extra);
    this.#sent += 1;
    this.#socket.send(blob);
  }

  /** Use other settings; people get new ids. */
  use(settings) {
    this.#settings = settings;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#sendSettings();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#ping);
    this.#socket?.close();
    this.#forget();
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${addressOf("/v1/stream")}`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#sent = 0;
      this.#sendSettings();
      this.#ping = setInterval(() => socket.send('{"type":"ping","t":0}'), PING_MS);
    };
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = (event) => this.#lost(event.code);
  }

  #sendSettings() {
    this.#socket.send(JSON.stringify({ type: "settings", ...this.#settings }));
  }

  #receive(message) {
    if (message.type === "ready") {
      this.#pause = 500;
      this.#handlers.onReady(message);
      return;
    }
    if (message.frame !== undefined) {
      const extra = this.#waiting.get(message.frame);
      this.#waiting.delete(message.frame);
      // Results come in order: earlier frames were dropped for newer ones.
      for (const number of this.#waiting.keys()) {
        if (number < message.frame) this.#drop(number);
      }
      if (message.type === "result" && extra) this.#handlers.onResult(message, extra);
      else extra?.close();
    }
    if (message.type === "error") this.#handlers.onError(message);
  }

  #drop(number) {
    this.#waiting.get(number)?.close();
    this.#waiting.delete(number);
  }

  #forget() {
    for (const number of [...this.#waiting.keys()]) this.#drop(number);
  }

  #lost(code) {
    clearInterval(this.#ping);
    this.#forget();
    if (this.#closed) return;
    this.#handlers.onLost(code === TRY_LATER ? "busy" : "gone");
    this.#timer = setTimeout(() => this.#connect(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }
}
