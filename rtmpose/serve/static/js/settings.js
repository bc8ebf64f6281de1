// What the person at the page has chosen, kept for the next visit.

import { browserLanguage } from "./texts.js";

const KEY = "rtmpose.settings";
const DRAWN = { points: true, links: true, boxes: false, ids: true, scores: false };
const THRESHOLDS = ["kpt_thr", "box_thr", "person_thr", "max_people"];

/** The settings; thresholds that are null are the service's own. */
export const settings = {
  language: browserLanguage(),
  theme: "auto",
  place: "server",
  camera: null, // the id of the one used last
  mirror_front: true, // cameras that face the person are shown as in a mirror
  mirror_other: false,
  ...DRAWN,
  kpt_thr: 0.3,
  box_thr: null,
  person_thr: null,
  max_people: null,
  ...stored(),
};

const byId = (id) => document.getElementById(id);
let defaults = { box_thr: 0.3, person_thr: 0.12, kpt_thr: 0.3 };

/** Show the settings in their controls; call when one changed what is drawn or what is found. */
export function connectSettings({ onDrawn, onFound }) {
  for (const name of Object.keys(DRAWN)) {
    byId(name).checked = settings[name];
    byId(name).addEventListener("change", () => {
      settings[name] = byId(name).checked;
      keep();
      onDrawn();
    });
  }
  for (const name of THRESHOLDS) {
    const changed = name === "kpt_thr" ? onDrawn : later(onFound);
    byId(name).addEventListener("input", () => {
      if (!byId(name).checkValidity()) return;
      settings[name] = byId(name).value === "" ? null : Number(byId(name).value);
      keep();
      showThresholds();
      changed();
    });
  }
  byId("usual").addEventListener("click", () => {
    for (const name of THRESHOLDS) settings[name] = null;
    settings.kpt_thr = defaults.kpt_thr;
    keep();
    showThresholds();
    onDrawn();
    onFound();
  });
  showThresholds();
}

/** The service's own thresholds, which hold where nothing was chosen. */
export function useDefaults(values) {
  defaults = values;
  showThresholds();
}

/** The value of a threshold that holds now. */
export function threshold(name) {
  return settings[name] ?? defaults[name];
}

/** Thresholds that were chosen, for a request. */
export function chosen() {
  const found = {};
  for (const name of ["box_thr", "person_thr", "max_people"]) {
    if (settings[name] !== null) found[name] = settings[name];
  }
  return found;
}

/** Remember the settings. */
export function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage may be switched off: then they last as long as the page.
  }
}

function showThresholds() {
  for (const name of THRESHOLDS) {
    const value = settings[name] ?? defaults[name] ?? "";
    if (document.activeElement !== byId(name) || settings[name] === null) byId(name).value = value;
    const output = document.querySelector(`output[for=${name}]`);
    if (output) output.textContent = Number(value).toFixed(2);
  }
}

function later(callback) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(callback, 250);
  };
}

function stored() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return found !== null && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}
