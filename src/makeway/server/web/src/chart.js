// Draw the charts of a page: all of them over one time axis, with one cursor and the same marks.
//
// A group asks its `data-charts` address for
//   {from, to, live, marks: [{at, kind, text}], panels: [{name, unit, limit, lines: [{label, points}]}]}
// with instants in seconds since 1970 and points [instant, value]. Each panel stands in a
// `figure[data-panel=name]`: a canvas for eyes, and a table of the same points for everybody else.
// What is evidence (`[data-from][data-to]`) lights up its stretch of time when it is pointed at.
import uPlot from "uplot";
import { axisText, short } from "./amounts.js";

const LINES = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const TWOS = Array.from({ length: 50 }, (_, at) => 2 ** at);  // sizes are read in powers of two
const EVERY_MS = 2000, HEIGHT = 132, ROWS_MAX = 40;

export function startCharts() {
  for (const group of document.querySelectorAll("[data-charts]")) new Group(group).start();
}

class Group {
  constructor(root) {
    this.root = root;
    this.plots = new Map();
    this.lit = null;
    this.data = null;
  }

  start() {
    this.load();
    setInterval(() => { if (!document.hidden && this.data?.live) this.load(); }, EVERY_MS);
    document.addEventListener("makeway:news", () => this.load());
    document.addEventListener("makeway:theme", () => this.draw(true));
    new ResizeObserver(() => this.resize()).observe(this.root);
    for (const kind of ["pointerover", "focusin", "pointerout", "focusout"]) {
      document.addEventListener(kind, (event) => this.light(event));
    }
  }

  async load() {
    if (this.loading) return;
    this.loading = true;
    try {
      const answer = await fetch(this.root.dataset.charts, { headers: { accept: "application/json" } });
      if (answer.ok) { this.data = await answer.json(); this.draw(false); }
    } catch { /* the sign at the top says that the service is away */ } finally { this.loading = false; }
  }

  draw(anew) {
    if (!this.data) return;
    const style = getComputedStyle(document.documentElement);
    for (const panel of this.data.panels) {
      const figure = this.figure(panel);
      const data = aligned(panel);
      const shape = panel.lines.map((line) => line.label).join("\n");
      const old = this.plots.get(panel.name);
      if (old && old.shape === shape && !anew) { old.plot.setData(data); }
      else {
        old?.plot.destroy();
        const canvas = figure.querySelector("[data-canvas]");
        this.plots.set(panel.name, { shape, plot: new uPlot(this.options(panel, canvas, style), data, canvas) });
      }
      tabled(figure, panel);
    }
    this.root.dataset.ready = "";
  }

  figure(panel) {
    const found = this.root.querySelector(`[data-panel="${CSS.escape(panel.name)}"]`);
    if (found) return found;
    const made = this.root.querySelector("template").content.firstElementChild.cloneNode(true);
    made.dataset.panel = panel.name;
    made.querySelector("[data-title]").textContent = panel.title;
    this.root.append(made);
    return made;
  }

  options(panel, canvas, style) {
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--ink-2"), font: "11px system-ui", grid: { stroke: color("--rule"), width: 1 }, ticks: { show: false } };
    const group = this;
    return {
      width: Math.max(200, canvas.clientWidth), height: HEIGHT,
      legend: { show: panel.lines.length > 1, live: false },
      cursor: { sync: { key: group.root.id }, y: false, drag: { x: true, y: false } },
      scales: { x: { time: true, range: () => [group.data.from, group.data.to] }, y: { range: ranged(panel) } },
      axes: [
        { ...axis, size: 26, space: 80, values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step)) },
        { ...axis, size: 62, space: 28, ...(panel.unit === "bytes" ? { incrs: TWOS } : {}), values: (_, splits) => splits.map((one) => axisText(one, panel.unit)) },
      ],
      series: [{}, ...panel.lines.map((line, at) => ({
        label: line.label, stroke: color(LINES[at % LINES.length]), width: 1.5, spanGaps: false,
        points: { show: line.points.length < 30, size: 4 },
      }))],
      hooks: { drawClear: [(plot) => group.under(plot, color)], draw: [(plot) => group.over(plot, panel, color)] },
    };
  }

  under(plot, color) {
    if (!this.lit) return;
    const { ctx, bbox } = plot;
    const left = plot.valToPos(this.lit[0], "x", true), right = plot.valToPos(this.lit[1], "x", true);
    ctx.fillStyle = color("--lit");
    ctx.fillRect(left - 3, bbox.top, Math.max(6, right - left + 6), bbox.height);
  }

  over(plot, panel, color) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    if (panel.limit != null) {
      const y = plot.valToPos(panel.limit, "y", true);
      ctx.strokeStyle = ctx.fillStyle = color("--bad");
      ctx.setLineDash([5, 4]);
      ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
      ctx.textAlign = "left";
      ctx.font = `${11 * devicePixelRatio}px system-ui`;
      ctx.fillText(`${panel.limitText ?? "limit"} ${short(panel.limit, panel.unit)}`, bbox.left + 6, y - 5);
    }
    ctx.setLineDash([2, 3]);
    ctx.strokeStyle = color("--ink-2");
    for (const mark of this.data.marks) {
      const x = plot.valToPos(mark.at, "x", true);
      ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
    }
    ctx.restore();
  }

  resize() {
    for (const { plot } of this.plots.values()) {
      const width = plot.root.parentElement.clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }

  light(event) {
    const evidence = event.target.closest?.("[data-from][data-to]");
    if (!evidence) return;
    const on = event.type === "pointerover" || event.type === "focusin";
    this.lit = on ? [Number(evidence.dataset.from), Number(evidence.dataset.to)] : null;
    this.root.toggleAttribute("data-lit", on);
    for (const { plot } of this.plots.values()) plot.redraw(false);
  }
}

function clock(at, step) {
  const time = new Date(at * 1000), two = (number) => String(number).padStart(2, "0");
  const text = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (step >= 86400) return time.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  if (step >= 60) return text;
  const seconds = step >= 1 ? two(time.getSeconds()) : (time.getSeconds() + time.getMilliseconds() / 1000).toFixed(1).padStart(4, "0");
  return `${text}:${seconds}`;
}

function ranged(panel) {
  return (_, low, high) => {
    if (low == null) return [0, panel.limit ?? 1];
    const top = Math.max(high, panel.limit ?? high);
    const bottom = panel.zero ? Math.min(0, low) : low;
    const air = (top - bottom || Math.abs(top) || 1) * 0.08;
    return [panel.zero ? bottom : bottom - air, top + air];
  };
}

function aligned(panel) {
  if (panel.lines.length === 1) {
    const [line] = panel.lines;
    return [line.points.map((one) => one[0]), line.points.map((one) => one[1])];
  }
  if (!panel.lines.length) return [[]];
  return uPlot.join(panel.lines.map((line) => [
    line.points.map((one) => one[0]), line.points.map((one) => one[1]),
  ]));
}

function tabled(figure, panel) {
  const body = figure.querySelector("tbody");
  const rows = panel.lines.flatMap((line) => {
    const by = Math.max(1, Math.ceil(line.points.length / ROWS_MAX));
    return line.points.filter((_, at) => at % by === 0 || at === line.points.length - 1)
      .map(([at, value]) => [new Date(at * 1000).toLocaleTimeString(), line.label, short(value, panel.unit)]);
  });
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
}
