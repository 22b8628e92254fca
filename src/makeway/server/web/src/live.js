// Refresh what is shown when something happened, by one stream of events for all tabs.
//
// The stream lives in a SharedWorker; where there is none, in the page. A page says in `data-live`
// which topics concern it. However much happens, it asks again at most once a second, and not at
// all while nobody looks at it.
import { listen } from "./stream.js";

const PAUSE_MS = 1000;

export function startLive(htmx) {
  const main = document.querySelector("[data-live]");
  const sign = document.getElementById("live");
  if (!main || !sign) return;
  const wanted = new Set(main.dataset.live.split(" "));
  let due = false, last = 0, timer = 0;

  const refresh = () => {
    timer = 0;
    if (!due || document.hidden) return;
    due = false;
    last = Date.now();
    htmx.trigger(main, "live");
    document.dispatchEvent(new Event("makeway:news"));
  };
  const want = () => {
    due = true;
    if (!timer) timer = setTimeout(refresh, Math.max(50, last + PAUSE_MS - Date.now()));
  };
  const heard = (message) => {
    if (message.kind === "state") tell(sign, message.open);
    if (message.kind === "news" && message.topics.some((topic) => wanted.has(topic))) want();
    if (message.kind === "again") want();
  };
  document.addEventListener("visibilitychange", () => { if (due && !document.hidden) want(); });

  const name = sign.dataset.worker;
  if (!("SharedWorker" in window)) { listen(sign.dataset.events, heard); return; }
  const { port } = new SharedWorker(name, { name: "makeway", type: "classic" });
  port.onmessage = (event) => heard(event.data);
  port.start();
  port.postMessage({ events: sign.dataset.events });
  addEventListener("pagehide", () => port.postMessage({ leaves: true }));
  addEventListener("pageshow", (event) => {
    if (event.persisted) { port.postMessage({ events: sign.dataset.events }); want(); }
  });
}

function tell(sign, open) {
  sign.dataset.state = open ? "live" : "lost";
  const word = sign.querySelector("[data-word]");
  const said = open ? "live" : "reconnecting…";
  if (word.textContent !== said) word.textContent = said;
}
