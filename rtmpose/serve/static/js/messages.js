// What the page says: what it does, what went wrong.

import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);
let errorOf = null;
let errorWords = () => "";
let asking = null;
let said = () => ["", ""];

/** Say what happens; `words` makes the words and, where there are, the rates and times. */
export function say(words = () => [""]) {
  said = words;
  const [status, numbers = ""] = words();
  // Read aloud where it is new only.
  if (byId("status").textContent !== status) byId("status").textContent = status;
  byId("numbers").textContent = numbers;
}

/** Say it again, in the language of now. */
export function sayAgain() {
  say(said);
  byId("error-text").textContent = errorWords();
}

/**
 * Say what went wrong, until it is closed or something works; `words` are a text, or make it in the
 * language of the page; `about` names the trouble.
 */
export function sayError(words, about = "file") {
  errorOf = about;
  errorWords = typeof words === "function" ? words : () => words;
  byId("error-text").textContent = errorWords();
  byId("error").hidden = false;
}

/** Take the error away, if it is about that. */
export function clearError(about = errorOf) {
  if (about !== errorOf) return;
  byId("error").hidden = true;
  errorWords = () => "";
  byId("error-text").textContent = "";
}

/** Show a progress from 0 to 1, or without a number; `onCancel` is for the button. */
export function showProgress(words, value, onCancel) {
  byId("progress").hidden = false;
  byId("progress-text").textContent = words;
  if (value === null) byId("progress-bar").removeAttribute("value");
  else byId("progress-bar").value = value;
  byId("cancel").onclick = onCancel;
}

/** No progress any more. */
export function hideProgress() {
  byId("progress").hidden = true;
}

/** A time in words of a player: 1:02.5. */
export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

/** Ask for the token, until it is right (true) or the person gives up (false). */
export function tokenDialog(check) {
  asking ??= askForToken(check).finally(() => (asking = null));
  return asking;
}

function askForToken(check) {
  const dialog = byId("token-dialog");
  let right = false;
  byId("token-wrong").hidden = true;
  byId("token").value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
    // Browsers let a second Escape close it all the same.
    dialog.onclose = () => resolve(right);
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      right = await check(byId("token").value.trim());
      if (right) {
        dialog.close();
      } else {
        byId("token-wrong").textContent = text("token_wrong");
        byId("token-wrong").hidden = false;
        byId("token").select();
      }
    };
  });
}
