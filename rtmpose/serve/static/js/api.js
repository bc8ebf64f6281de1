// Requests to the service: errors with a code, the token asked for where it is wanted.

import { text } from "./texts.js";

/** What went wrong; `code` is the service's, or "gone" where it does not answer. */
export class ApiError extends Error {
  constructor(code, message, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

// A proxy may show the service below a prefix.
const ROOT = new URL("../../", import.meta.url);

let askForToken = async () => false;
let onGone = () => {};

/** The address of a path of the service. */
export function addressOf(path) {
  const { pathname, search } = new URL(`.${path}`, ROOT);
  return pathname + search;
}

/** What asks for the token, and what is told when the service does not answer. */
export function onTrouble({ token, gone }) {
  askForToken = token;
  onGone = gone;
}

/** The answer to a request; the token is asked for, and the request sent again, where needed. */
export async function call(path, options = {}) {
  for (;;) {
    const response = await send(path, options);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (response.status !== 401 || !(await askForToken())) throw error;
  }
}

/** The JSON of an answer. */
export async function callJson(path, options) {
  return (await call(path, options)).json();
}

/** Show a token: whether it is the right one. */
export async function beginSession(token) {
  const headers = { Authorization: `Bearer ${token}` };
  return (await send("/v1/session", { method: "POST", headers })).ok;
}

/** Send a file with its progress (0 to 1); the JSON of the answer. */
export async function upload(path, file, onProgress, signal) {
  for (;;) {
    const { status, body } = await sendFile(path, file, onProgress, signal);
    if (status >= 200 && status < 300) return body;
    if (status === 401 && (await askForToken())) continue;
    if (isGone(status, body)) throw gone();
    const error = body?.error ?? {};
    throw new ApiError(error.code ?? "refused", error.message ?? `HTTP ${status}`, status);
  }
}

/** Words for a person about what went wrong with a file of that name. */
export function explain(error, name) {
  if (error.code === "gone") return text("gone");
  if (["no_image", "no_heic", "no_video"].includes(error.code)) return text(error.code, { name });
  if (error.status === 401) return text("token_note");
  if (error.status === 413) return text("too_large", { name });
  if (error.status === 429) return text("too_fast");
  if (error.status >= 500) return text("server_trouble", { reason: error.message });
  if (error instanceof ApiError) return text("file_unreadable", { name, reason: error.message });
  return error.message;
}

async function send(path, options) {
  try {
    return await fetch(addressOf(path), { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw gone();
  }
}

async function errorOf(response) {
  const body = await response.json().catch(() => null);
  if (isGone(response.status, body)) return gone();
  const { code = "refused", message = `HTTP ${response.status}` } = body?.error ?? {};
  return new ApiError(code, message, response.status);
}

/** Whether it is a proxy that answers, because the service does not. */
function isGone(status, body) {
  return [502, 503, 504].includes(status) && !body?.error?.code;
}

function gone() {
  onGone();
  return new ApiError("gone", text("gone"));
}

// fetch tells nothing of how much of a body was sent.
function sendFile(path, file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", addressOf(path));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => resolve({ status: request.status, body: request.response });
    request.onerror = () => reject(gone());
    request.onabort = () => reject(new DOMException("canceled", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
