// Keeps the control page's figures up to date while it is looked at.

const EVERY_MS = 2000;
const table = document.getElementById("registre");

async function update() {
  if (document.hidden) return;
  let response;
  try {
    response = await fetch(location.pathname);
  } catch {
    return; // Away for a moment; the next look finds out.
  }
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const row of table.tBodies[0].rows) {
    const now = fresh.getElementById(row.id);
    if (!now) continue;
    row.dataset.condition = now.dataset.condition;
    // The buttons stay, and with them the focus.
    for (const index of [1, 2]) row.cells[index].innerHTML = now.cells[index].innerHTML;
    for (const [index, button] of row.querySelectorAll("button").entries()) {
      const pressed = now.querySelectorAll("button")[index].getAttribute("aria-pressed");
      if (pressed) button.setAttribute("aria-pressed", pressed);
      else button.removeAttribute("aria-pressed");
    }
  }
}

if (table) setInterval(update, EVERY_MS);
