// The calendar with a script: another month without a new page, and the keys of a grid of days.

import { put, tell } from "./parts.mjs";

const DAY_MS = 24 * 60 * 60 * 1000;

const part = () => document.querySelector(".calendar");
/** What a screen reader is told of a month: its name, and what is missing of it. */
const said = () => part().dataset.told ?? part().dataset.heading ?? "";
const days = () => [...document.querySelectorAll(".month [data-date]")];
const dayOf = (date) => document.querySelector(`.month [data-date="${date}"]`);

/** One day of the grid is reached with Tab, the others from it with the arrows: the last one, today, or the first. */
function prepare(date) {
  const all = days();
  const inMonth = all.filter((day) => !day.closest("td").classList.contains("beside"));
  const one =
    (date && dayOf(date)) ?? all.find((day) => day.closest(".chosen")) ?? inMonth.find((day) => day.ariaCurrent) ?? inMonth[0];
  for (const day of all) day.tabIndex = day === one ? 0 : -1;
  return one;
}

/** Shows what an address of this page shows; returns whether it could be had. */
async function show(href, { push = true } = {}) {
  const target = new URL(href, location.href);
  part().setAttribute("aria-busy", "true");
  const shown = await put(part(), target.search);
  part().removeAttribute("aria-busy");
  if (!shown) return false;
  if (push) history.pushState(null, "", target);
  return true;
}

async function go(link) {
  const opens = "open" in link.dataset;
  const back = "close" in link.dataset ? new URLSearchParams(location.search).get("dag") : null;
  const month = document.querySelector("[data-month]")?.dataset.month;
  const id = link.id;
  if (!(await show(link.href))) {
    location.assign(link.href);
    return;
  }
  const opened = document.getElementById("valgt");
  if (opens && opened) opened.focus();
  else if ("close" in link.dataset) prepare(back)?.focus();
  else (document.getElementById(id) ?? document.getElementById("maaned"))?.focus();
  if (document.querySelector("[data-month]")?.dataset.month !== month || !opens) tell(said());
}

/** Goes to a day, in another month if it has to. */
async function move(date) {
  let day = dayOf(date);
  if (!day) {
    const address = new URL(document.getElementById("naeste").href);
    address.searchParams.set("maaned", date.slice(0, 7));
    address.searchParams.delete("dag");
    if (!(await show(address))) return;
    tell(said());
    day = dayOf(date);
  }
  prepare(date);
  day?.focus();
}

const iso = (time) => new Date(time).toISOString().slice(0, 10);

/** The same day of another month, or its last. */
function inMonth(date, months) {
  const [year, month, day] = date.split("-").map(Number);
  const last = new Date(Date.UTC(year, month + months, 0));
  return iso(Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), Math.min(day, last.getUTCDate())));
}

function aim(event, date) {
  const time = Date.parse(date);
  const weekday = (new Date(time).getUTCDay() + 6) % 7;
  switch (event.key) {
    case "ArrowLeft":
      return iso(time - DAY_MS);
    case "ArrowRight":
      return iso(time + DAY_MS);
    case "ArrowUp":
      return iso(time - 7 * DAY_MS);
    case "ArrowDown":
      return iso(time + 7 * DAY_MS);
    case "Home":
      return iso(time - weekday * DAY_MS);
    case "End":
      return iso(time + (6 - weekday) * DAY_MS);
    case "PageUp":
      return inMonth(date, event.shiftKey ? -12 : -1);
    case "PageDown":
      return inMonth(date, event.shiftKey ? 12 : 1);
    default:
      return null;
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest(".calendar a[data-go]");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link);
});

document.addEventListener("keydown", (event) => {
  const day = event.target.closest?.(".month [data-date]");
  if (!day || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && day.href) {
    event.preventDefault();
    day.click();
    return;
  }
  const date = aim(event, day.dataset.date);
  if (date === null) return;
  event.preventDefault();
  // A month that was turned to begins with the month's own day, also where it is shown beside this one.
  if (event.key.startsWith("Page")) turn(date);
  else move(date);
});

async function turn(date) {
  const address = new URL(document.getElementById("naeste").href);
  address.searchParams.set("maaned", date.slice(0, 7));
  if (!(await show(address))) return;
  tell(said());
  prepare(date)?.focus();
}

window.addEventListener("popstate", () => show(location.href, { push: false }));
document.addEventListener("put", () => prepare());
prepare();
