// Fills the parts of a page that are still being fetched or could not be, and lets a part be put in place of another.

const PENDING_SECONDS = 1; // What is being fetched lands within seconds.
const RETRY_SECONDS = 5; // When the API names no time.
const RETRY_AT_LEAST_SECONDS = 2;
const RETRY_AT_MOST_SECONDS = 60;
const GROWS = 1.5; // An outage of an hour is not asked after every two seconds.

const versions = new Map(); // Part → how often it was asked for; an older answer never replaces a newer one.
const tries = new Map();
const timers = new Map();

const messages = document.getElementById("meddelelser");

/** Says something to a screen reader. */
export function tell(text) {
  if (messages) messages.textContent = text;
}

/**
 * Puts in place of a part what the server makes of it now, for the address `search`. Returns the part that stands there then,
 * or null when it could not be had; with `changed` only, one in the state that it was in is left alone.
 */
export async function put(part, search, { changed = false } = {}) {
  const version = (versions.get(part.id) ?? 0) + 1;
  versions.set(part.id, version);
  let response;
  try {
    response = await fetch(part.dataset.part + search);
  } catch {
    return null; // The network is away; what is shown stays.
  }
  if (response.status === 401) {
    location.reload(); // The session is over.
    return null;
  }
  if (!response.ok) return null;
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  const fresh = template.content.querySelector(`#${part.id}`);
  if (!fresh || versions.get(part.id) !== version) return null;
  if (changed && fresh.dataset.mark === part.dataset.mark) return part;
  const hadFocus = part.contains(document.activeElement) ? document.activeElement.id : null;
  part.replaceWith(fresh);
  if (hadFocus) document.getElementById(hadFocus)?.focus();
  fresh.dispatchEvent(new CustomEvent("put", { bubbles: true }));
  watch(fresh);
  return fresh;
}

/** Looks again by and by at a part that is still being fetched, or could not be. */
function watch(part) {
  clearTimeout(timers.get(part.id));
  const waits = part.dataset.state === "pending";
  if (!waits && part.dataset.state !== "unavailable" && !("stale" in part.dataset)) {
    tries.delete(part.id);
    return;
  }
  const count = tries.get(part.id) ?? 0;
  tries.set(part.id, count + 1);
  const named = Math.max(RETRY_AT_LEAST_SECONDS, Number(part.dataset.retryAfter) || RETRY_SECONDS);
  const first = waits ? PENDING_SECONDS : named;
  timers.set(part.id, setTimeout(() => whenSeen(part.id), Math.max(first, Math.min(first * GROWS ** count, RETRY_AT_MOST_SECONDS)) * 1000));
}

/** Nobody reads a page in the background. */
async function whenSeen(id) {
  if (document.hidden) {
    document.addEventListener("visibilitychange", () => whenSeen(id), { once: true });
    return;
  }
  const part = document.getElementById(id);
  const version = versions.get(id);
  const fresh = await put(part, location.search, { changed: true });
  if (fresh && fresh !== part) {
    tries.delete(id);
    if (fresh.dataset.state !== "pending") told(fresh);
  } else if (document.getElementById(id) === part && versions.get(id) === (version ?? 0) + 1) {
    watch(part);
  }
}

function told(part) {
  if (part.dataset.told) tell(part.dataset.told); // A part of several says itself which of them are missing.
  else tell(part.dataset.state === "unavailable" ? messages?.dataset.toldUnavailable : `${part.dataset.heading ?? ""} ${messages?.dataset.toldReady ?? ""}`.trim());
}

for (const part of document.querySelectorAll("[data-part]")) watch(part);
