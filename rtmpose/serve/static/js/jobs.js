// Videos: sent to the service, watched while they are worked on, shown when they are done.

import { addressOf, call, callJson, upload } from "./api.js";
import { offerJob } from "./downloads.js";
import { clearError, hideProgress, say, sayError, showProgress } from "./messages.js";
import { Player } from "./player.js";
import { peopleOf } from "./photo.js";
import { chosen, settings } from "./settings.js";
import { text } from "./texts.js";

const FORMATS = ["json", "jsonl", "csv", "openpose"];
const LARGEST_TIMELINE = 256 * 2 ** 20;
const EVERY_MS = 700;
const byId = (id) => document.getElementById(id);
const ENDED = ["done", "failed", "canceled"];
const LIST_EVERY_MS = 2000;

let opener = () => {};
let listTimer = 0;

/** Send a video; the job when it has ended, or null where it was canceled. */
export async function runVideo(file, signal, cancel) {
  const wanted = { ...chosen(), formats: FORMATS, kpt_thr: settings.kpt_thr };
  const query = new URLSearchParams({ name: file.name, settings: JSON.stringify(wanted) });
  const send = (part) => {
    const percent = Math.round(part * 100);
    showProgress(text("uploading", { name: file.name, percent }), part, cancel);
  };
  send(0);
  // A token that is wanted is asked for before the whole video was sent.
  await call("/v1/jobs?limit=1", { signal });
  const job = await upload(`/v1/jobs?${query}`, file, send, signal);
  clearError();
  return watchJob(job, signal, cancel);
}

/** Follow a job to its end. */
export async function watchJob(job, signal, cancel) {
  const stop = async () => {
    cancel();
    await call(`/v1/jobs/${job.id}/cancel`, { method: "POST" }).catch(() => {});
    await listJobs();
  };
  while (!ENDED.includes(job.state)) {
    const words = text("waiting_video", { name: job.name, state: stateWords(job) });
    showProgress(words, job.total ? job.frames / job.total : null, stop);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    if (signal.aborted) return null;
    try {
      job = await callJson(`/v1/jobs/${job.id}`, { signal });
      clearError("gone");
    } catch (error) {
      // The job goes on, or begins again, when the service is back or has time.
      if (error.code !== "gone" && ![429, 503].includes(error.status)) throw error;
    }
  }
  hideProgress();
  await listJobs();
  return job;
}

/** Show a job that is done; `file` is the video where it is at hand. A player. */
export async function showJob(job, file, signal) {
  if (job.state !== "done") {
    const reason = job.error ?? stateWords(job);
    sayError(text("file_unreadable", { name: job.name, reason }));
    return null;
  }
  say(() => [text("ask_server")]);
  const jsonl = job.files.find((entry) => entry.format === "jsonl");
  const fits = jsonl !== undefined && jsonl.bytes <= LARGEST_TIMELINE;
  const frames = fits ? await framesOf(job, jsonl, signal) : [];
  const drawn = addressOf(`/v1/jobs/${job.id}/files/annotated.mp4`);
  const attempts = [];
  if (file && fits) attempts.push([URL.createObjectURL(file), true]);
  attempts.push([drawn, false]);
  offerJob(job);
  const noteOf = (overlay) => {
    if (!fits) return () => text("video_large");
    return () => (overlay ? "" : text("video_annotated"));
  };
  for (const [url, overlay] of attempts) {
    const player = new Player(url, frames, { name: job.name, overlay, note: noteOf(overlay) });
    try {
      await player.open();
    } catch {
      player.stop();
      continue;
    }
    clearError();
    return player;
  }
  sayError(text("file_unreadable_here", { name: job.name }));
  return null;
}

/** The list of the jobs of the service, again and again while one of them is worked on. */
export async function listJobs(open = opener) {
  opener = open;
  clearTimeout(listTimer);
  let found;
  try {
    found = await callJson("/v1/jobs?limit=20");
  } catch {
    return;
  }
  byId("no-jobs").hidden = found.jobs.length > 0;
  byId("jobs").replaceChildren(...found.jobs.map((job) => jobItem(job)));
  clearTimeout(listTimer);
  const busy = found.jobs.some((job) => !ENDED.includes(job.state));
  if (busy) listTimer = setTimeout(() => listJobs(), LIST_EVERY_MS);
}

function jobItem(job) {
  const item = document.createElement("li");
  const words = document.createElement("span");
  const state = `${stateWords(job)} · ${moment(job.created)}`;
  words.textContent = text("waiting_video", { name: job.name, state });
  const bar = document.createElement("div");
  bar.className = "bar";
  if (job.state !== "failed" && job.state !== "canceled") {
    bar.append(button("show", job.name, () => opener(job)));
  }
  bar.append(
    button("remove", job.name, async () => {
      await call(`/v1/jobs/${job.id}`, { method: "DELETE" }).catch(() => {});
      await listJobs();
    }),
  );
  item.append(words, bar);
  return item;
}

function button(words, name, onClick) {
  const found = document.createElement("button");
  found.type = "button";
  found.textContent = text(words);
  found.setAttribute("aria-label", `${text(words)}: ${name}`);
  found.addEventListener("click", onClick);
  return found;
}

// The same video may have been sent twice.
function moment(seconds) {
  const style = { dateStyle: "short", timeStyle: "short" };
  return new Date(1000 * seconds).toLocaleString(document.documentElement.lang, style);
}

function stateWords(job) {
  const total = job.total ?? "?";
  const words = text(`job_${job.state}`, { frames: job.frames, total });
  return job.error ? `${words}: ${job.error}` : words;
}

async function framesOf(job, entry, signal) {
  const answer = await call(`/v1/jobs/${job.id}/files/${entry.name}`, { signal });
  const lines = (await answer.text()).trim().split("\n").slice(1);
  return lines.map((line) => {
    const { time_s, people } = JSON.parse(line);
    const found = peopleOf(people);
    found.forEach((person, i) => (person.id = people[i].track_id ?? null));
    return { time_s, people: found };
  });
}
