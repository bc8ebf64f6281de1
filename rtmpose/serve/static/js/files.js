// Files as they come from people: opened, dropped or pasted; told apart by their content.

import { sayError } from "./messages.js";
import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);
const VIDEO_NAME = /\.(mp4|m4v|mov|3gp|mkv|webm|avi|mpe?g|ts|mts|m2ts|flv|wmv|ogv)$/i;
const HEAD_BYTES = 12;
const PHOTO_STARTS = ["\xff\xd8\xff", "\x89PNG", "GIF8", "BM", "II*\0", "MM\0*"];
const VIDEO_STARTS = ["\x1aE\xdf\xa3", "FLV", "\0\0\x01\xba", "\0\0\x01\xb3", "0&\xb2u"];
const STILL_BRAND = /^(hei|hev|mif|msf|avi[fs])/;

/** Whether a file is a video: by its first bytes, which no name can change, else by its name. */
export async function isVideo(file) {
  let head = "";
  try {
    const bytes = await file.slice(0, HEAD_BYTES).arrayBuffer();
    head = String.fromCharCode(...new Uint8Array(bytes));
  } catch {
    // Moved, changed since it was chosen, or a folder.
    throw new Error(text("file_gone", { name: file.name }));
  }
  const startsWith = (start) => head.startsWith(start);
  if (head.slice(4, 8) === "ftyp") return !STILL_BRAND.test(head.slice(8));
  if (startsWith("RIFF")) return head.slice(8) === "AVI ";
  if (PHOTO_STARTS.some(startsWith)) return false;
  if (VIDEO_STARTS.some(startsWith)) return true;
  return file.type.startsWith("video/") || VIDEO_NAME.test(file.name);
}

/** Call `open` with the files that a person chooses, drops or pastes. */
export function connectFiles(open) {
  byId("open").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async () => {
    const files = [...byId("file").files];
    // The same file can be chosen again.
    byId("file").value = "";
    await open(files);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
  document.addEventListener("dragleave", () => byId("drop").classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    await take(event.dataTransfer, open);
  });
  document.addEventListener("paste", async (event) => {
    if (event.target.closest?.("input, textarea")) return;
    event.preventDefault();
    await take(event.clipboardData, open);
  });
}

async function take(data, open) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.());
  if (entries.some((entry) => entry?.isDirectory)) sayError(() => text("folder"));
  else if (data.files.length > 0) await open([...data.files]);
  else if (data.types.length > 0) sayError(() => text("no_file"));
}
