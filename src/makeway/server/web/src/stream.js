// One stream of server-sent events, opened again for as long as it takes.
//
// Tells: {kind: "state", open} · {kind: "news", topics} some events at once · {kind: "again"} after
// a break, when nobody knows what was missed.
const GATHER_MS = 150, AGAIN_MS = 2000;

export function listen(address, tell) {
  let source = null, timer = 0, broken = false, topics = new Set();

  const flush = () => {
    timer = 0;
    tell({ kind: "news", topics: [...topics] });
    topics = new Set();
  };
  const news = (topic) => {
    topics.add(topic);
    if (!timer) timer = setTimeout(flush, GATHER_MS);
  };
  const open = () => {
    source = new EventSource(address);
    source.onopen = () => {
      tell({ kind: "state", open: true });
      if (broken) tell({ kind: "again" });
      broken = false;
    };
    source.onerror = () => {
      broken = true;
      tell({ kind: "state", open: false });
      // The browser tries again by itself unless it was refused: then we do.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN_MS);
    };
    // A message is a few topics: who wants to know more asks for the page again.
    source.onmessage = (event) => event.data.split(" ").forEach(news);
  };
  open();
  return () => source.close();
}
