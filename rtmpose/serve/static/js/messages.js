// What the page says: what it does, what went wrong.

import { text } from "./texts.js";

const byId = (id) => document.getElementById(id);
let errorOf = null;
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
}

/** Say what went wrong, until it is closed or something works; `about` names the trouble. */
export function sayError(words, about = "file") {
  errorOf = about;
  byId("error-text").textContent = words;
  byId("error").hidden = false;
}

/** Take the error away, if it is about that. */
export function clearError(about = errorOf) {
  if (about !== errorOf) return;
  byId("error").hidden = true;
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

/** Ask for the token, until it is right. */
export function tokenDialog(check) {
  const dialog = byId("token-dialog");
  if (dialog.open) return new Promise((resolve) => dialog.addEventListener("close", resolve));
  byId("token-wrong").hidden = true;
  byId("token").value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      if (await check(byId("token").value.trim())) {
        dialog.close();
        resolve(true);
      } else {
        byId("token-wrong").textContent = text("token_wrong");
        byId("token-wrong").hidden = false;
        byId("token").select();
      }
    };
  });
}
