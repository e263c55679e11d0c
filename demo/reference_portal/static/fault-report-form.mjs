// The form's counter: says how many characters are left, takes no more at the limit, and says that too (§3.5).

import { LIMIT, check, fit } from "./fault-report.mjs";

const field = document.getElementById("tekst");
const counter = document.getElementById("taeller");
const counterAloud = document.getElementById("taeller-oplaest");
const full = document.getElementById("fyldt");
const texts = document.getElementById("felt").dataset;

const ALOUD_AFTER_MS = 1000; // Once a person pauses, and not at every key.

let before = field.value;
let saying = 0;

function changed() {
  const { text, caret, leftOut } = fit(before, field.value, field.selectionEnd);
  if (leftOut) {
    field.value = text;
    field.setSelectionRange(caret, caret);
  }
  before = field.value;
  show(leftOut);
}

function show(leftOut) {
  const { length, left } = check(field.value);
  counter.hidden = false;
  counter.textContent =
    length > LIMIT ? texts.excess.replace("{excess}", length - LIMIT) : texts.left.replace("{left}", left);
  counter.classList.toggle("limit-exceeded", length > LIMIT);
  clearTimeout(saying);
  saying = setTimeout(() => {
    counterAloud.textContent = counter.textContent;
  }, ALOUD_AFTER_MS);
  const message = left === 0 || leftOut ? texts.full : "";
  const more = leftOut > 1 ? `. ${texts.leftOut.replace("{count}", leftOut)}` : "";
  // Emptied first, so that it is read aloud each time that something was not taken.
  if (leftOut) full.textContent = "";
  requestAnimationFrame(() => {
    full.textContent = message + more;
  });
}

field.addEventListener("input", (event) => {
  // What is being composed is not there yet; it is looked at when it is.
  if (!event.isComposing) changed();
});
field.addEventListener("compositionend", changed);
// The browser may put back what was written before, without saying so.
window.addEventListener("pageshow", () => {
  before = field.value;
  show(0);
});
