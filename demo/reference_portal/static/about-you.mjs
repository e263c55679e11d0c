// Fills »Oplysninger om dig« while it is open: sections as they land, and again when a register has recovered.

import { put as putPart } from "./parts.mjs";

const page = document.getElementById("oversigt");
const messages = document.getElementById("meddelelser");

const RETRY_SECONDS = 5; // When the API names no time; as a person would press »Prøv igen«.
const RETRY_AT_LEAST_SECONDS = 2;
const RETRY_AT_MOST_SECONDS = 60;
const GROWS = 1.5; // An outage of an hour is not asked after every two seconds.
const TOGETHER_MS = 300; // What lands so close together is one message to a screen reader.

const versions = new Map(); // Section → how often it was asked for; an older answer never replaces a newer one.
let underWay = [];
let tries = 0;
let changes = [];
let telling = 0;
let redrawing = 0;

const sections = () => [...page.querySelectorAll("[data-section]")];
const failed = (section) => section.dataset.state === "unavailable";
const lacks = (section) => failed(section) || "stale" in section.dataset; // What is stale is on its way already.
const waits = (section) => section.dataset.state === "pending";

/** Makes a section's button open and close it. */
function prepare(section, open) {
  const button = section.querySelector(".accordion-button");
  if (button && globalThis.DKFDS) {
    button.setAttribute("aria-expanded", String(open));
    new globalThis.DKFDS.Accordion(section).init();
  }
  section.querySelector(".show-all a")?.addEventListener("click", showAll);
  section.classList.add("is-prepared");
}

/** »Vis alle« without a new page; the focus goes on to the first item that was hidden. */
function showAll(event) {
  event.preventDefault();
  const hidden = unfold(event.target.closest("[data-section]"));
  if (hidden.length) focus(hidden[0]);
}

/** Shows all rows of a section. Returns those that were hidden. */
function unfold(section) {
  const hidden = [...section.querySelectorAll("tr[hidden]")];
  for (const row of hidden) row.hidden = false;
  section.dataset.whole = "";
  section.querySelector(".show-all")?.remove();
  return hidden;
}

/** Opens the section that an item of the timeline stands in, and leads to it. Returns whether there is one. */
function lead(goal) {
  const target = document.getElementById(goal);
  const section = target?.closest("[data-section]");
  if (!section) return false;
  const button = section.querySelector(".accordion-button");
  if (button?.getAttribute("aria-expanded") === "false") button.click();
  if (target.hidden) unfold(section);
  focus(target === section ? (button ?? section) : target);
  return true;
}

/** Draws the timeline anew, when there is one: from what the server says now, as the sections are. */
async function redraw() {
  const drawn = document.getElementById("tidslinje");
  if (!drawn) return;
  const hadFocus = drawn.contains(document.activeElement);
  const fresh = await putPart(drawn, "", { changed: true });
  if (fresh === null) {
    if (document.getElementById("tidslinje") === drawn) later(RETRY_SECONDS * 1000);
  } else if (hadFocus && !fresh.contains(document.activeElement)) focus(fresh.querySelector("h2"));
}

function later(wait) {
  clearTimeout(redrawing);
  redrawing = setTimeout(redraw, wait);
}

function focus(element) {
  if (!element.matches("a, button, textarea")) element.tabIndex = -1;
  element.focus();
}

/** Puts in place what the server makes of a section now. */
async function replace(id) {
  const version = (versions.get(id) ?? 0) + 1;
  versions.set(id, version);
  const whole = "whole" in document.getElementById(`afsnit-${id}`).dataset;
  let response;
  try {
    response = await fetch(`${page.dataset.sectionPath}${id}${whole ? "?hele" : ""}`);
  } catch {
    return; // The network is away; what is shown stays, and is asked for again.
  }
  if (response.status === 401 || response.status === 404) {
    location.reload(); // The session is over, or the page is no longer this citizen's.
    return;
  }
  if (!response.ok) return;
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  if (versions.get(id) !== version) return;
  put(document.getElementById(`afsnit-${id}`), template.content.querySelector("[data-section]"));
}

function put(old, section) {
  if (old.dataset.mark === section.dataset.mark) {
    if ("retryAfter" in section.dataset) old.dataset.retryAfter = section.dataset.retryAfter;
    return;
  }
  const hadFocus = old.contains(document.activeElement) ? document.activeElement.id : null;
  const open = old.querySelector(".accordion-button")?.getAttribute("aria-expanded") === "true";
  if ("whole" in old.dataset) section.dataset.whole = "";
  old.replaceWith(section);
  prepare(section, open);
  arrange();
  if (hadFocus !== null) {
    const next = document.getElementById(hadFocus) ?? section.querySelector("button, h3");
    focus(next ?? section.closest(".overview:not([hidden])")?.querySelector("h2") ?? document.querySelector("h1"));
  }
  tries = 0;
  later(TOGETHER_MS);
  if (old.dataset.state !== section.dataset.state) tell(section);
}

/** Hides an overview without anything to show, and shows what else depends on all of the sections. */
function arrange() {
  let shown = false;
  for (const overview of page.querySelectorAll(".overview")) {
    overview.hidden = [...overview.querySelectorAll("[data-section]")].every((one) => one.dataset.state === "empty");
    shown ||= !overview.hidden;
  }
  document.getElementById("ingen").hidden = shown;
  document.getElementById("til-tidslinje").hidden = !shown;
  document.getElementById("igen").hidden = !sections().some(failed);
}

/** Tells a screen reader what has come, and what could not. */
function tell(section) {
  changes.push(section);
  clearTimeout(telling);
  telling = setTimeout(() => {
    const { toldReady, toldEmpty, toldUnavailable } = page.dataset;
    const said = Object.entries({ ready: toldReady, empty: toldEmpty, unavailable: toldUnavailable }).map(([state, text]) => {
      const headings = changes.filter((one) => one.dataset.state === state).map((one) => one.dataset.heading);
      return headings.length ? text.replace("{sections}", headings.join(", ")) : "";
    });
    messages.textContent = said.filter(Boolean).join(" ");
    changes = [];
  }, TOGETHER_MS);
}

function listen() {
  const events = new EventSource(page.dataset.events);
  const ended = () => {
    events.close();
    settle();
  };
  events.addEventListener("section", ({ data }) => {
    const { id, mark } = JSON.parse(data);
    if (document.getElementById(`afsnit-${id}`)?.dataset.mark !== mark) underWay.push(replace(id));
  });
  events.addEventListener("settled", ended);
  events.addEventListener("broken", ended);
  events.addEventListener("closing", ended);
  events.addEventListener("error", ended);
}

/** After the last event: looks at what is still waiting, and listens again later when something is lacking. */
async function settle() {
  await Promise.all(underWay);
  underWay = [];
  await Promise.all(sections().filter(waits).map((section) => replace(section.dataset.section)));
  const unfinished = sections().filter((section) => waits(section) || lacks(section));
  if (!unfinished.length) return;
  const named = unfinished.map((section) => Number(section.dataset.retryAfter)).filter(Boolean);
  const first = Math.max(RETRY_AT_LEAST_SECONDS, named.length ? Math.min(...named) : RETRY_SECONDS);
  const wait = Math.max(first, Math.min(first * GROWS ** tries, RETRY_AT_MOST_SECONDS));
  tries += 1;
  setTimeout(whenSeen, wait * 1000);
}

/** Nobody reads a page in the background. */
function whenSeen() {
  if (!document.hidden) listen();
  else document.addEventListener("visibilitychange", whenSeen, { once: true });
}

const opened = new Set([location.hash.slice(1), ...new URLSearchParams(location.search).getAll("vis").map((id) => `afsnit-${id}`)]);
for (const section of sections()) prepare(section, opened.has(section.id));
if (location.hash.startsWith("#post-")) lead(location.hash.slice(1));
document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // To be opened elsewhere.
  const link = event.target.closest("#tidslinje [data-goal]");
  // The address is kept, so that the browser's way back leads to the timeline.
  if (link && lead(link.dataset.goal)) {
    event.preventDefault();
    history.pushState(null, "", `#${link.dataset.goal}`);
  }
});
if (sections().some((section) => waits(section) || lacks(section))) listen();
