// Sends a booking once, however often the button is pressed; the server books once anyway.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches(".booking-form")) return;
  if ("sent" in form.dataset) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "";
  const button = form.querySelector("button[data-sending]");
  button.setAttribute("aria-disabled", "true");
  button.dataset.words = button.textContent;
  button.textContent = button.dataset.sending;
});

// The browser may bring a page back as it was left.
window.addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  for (const form of document.querySelectorAll(".booking-form[data-sent]")) {
    delete form.dataset.sent;
    const button = form.querySelector("button[data-sending]");
    button.removeAttribute("aria-disabled");
    button.textContent = button.dataset.words;
  }
});
