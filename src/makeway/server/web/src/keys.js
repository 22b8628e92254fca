// Keys: `/` goes to the search, `?` shows them all, `g` and a letter goes to a page, `t` turns the
// light. Nothing is taken from who writes into a field, or from the browser's own keys.
const AFTER_MS = 1200;

export function startKeys() {
  let led = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (Date.now() < led) {
      led = 0;
      const link = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") led = Date.now() + AFTER_MS;
    else if (event.key === "/") focus(event, document.getElementById("search"));
    else if (event.key === "?") shown(event);
    else if (event.key === "t") document.getElementById("theme")?.click();
    else if (event.key === "j" || event.key === "k") step(event, event.key === "j" ? 1 : -1);
  });
}

function focus(event, field) {
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

function shown(event) {
  const list = document.getElementById("keys");
  if (!list) return;
  event.preventDefault();
  if (list.open) list.close(); else list.showModal();
}

function step(event, by) {
  const rows = [...document.querySelectorAll("main tbody a[data-row]")];
  if (!rows.length) return;
  event.preventDefault();
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))].focus();
}
