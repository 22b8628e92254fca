// Ask again every so often for what no event tells of: logs as they are printed. A log keeps its
// end in sight unless its reader has scrolled up.
export function startFollowing(htmx) {
  const due = new WeakMap();
  setInterval(() => {
    if (document.hidden) return;
    for (const part of document.querySelectorAll("[data-every]")) {
      const now = Date.now(), next = due.get(part) ?? 0;
      if (now < next) continue;
      due.set(part, now + Number(part.dataset.every));
      htmx.trigger(part, "tick");
    }
  }, 250);

  let down = new Map();
  const logs = () => document.querySelectorAll("[data-tail]");
  document.addEventListener("htmx:beforeSwap", () => {
    down = new Map([...logs()].map((log) => [
      log.id, log.scrollHeight - log.scrollTop - log.clientHeight < 40,
    ]));
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const log of logs()) if (down.get(log.id) ?? true) log.scrollTop = log.scrollHeight;
  });
  for (const log of logs()) log.scrollTop = log.scrollHeight;
}
