// Hold the one stream for all tabs. A tab that has gone is forgotten; with the last one the worker
// itself ends.
import { listen } from "./stream.js";

const ports = new Set();
let begun = false, open = null;

function tell(message) {
  if (message.kind === "state") open = message.open;
  for (const port of ports) port.postMessage(message);
}

self.onconnect = (event) => {
  const [port] = event.ports;
  port.onmessage = ({ data }) => {
    if (data.leaves) { ports.delete(port); return; }
    ports.add(port);
    if (!begun) { begun = true; listen(data.events, tell); }
    if (open !== null) port.postMessage({ kind: "state", open });
  };
  port.start();
};
