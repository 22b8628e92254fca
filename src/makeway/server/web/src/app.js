// What every page does: keep itself up to date, draw charts, copy commands, listen to keys.
import { Idiomorph } from "idiomorph";
import htmx from "htmx.org";
import { startCharts } from "./chart.js";
import { startFollowing } from "./follow.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startSignIn } from "./signin.js";
import { startSwitches } from "./switches.js";

// The Content-Security-Policy allows neither evaluated code nor styles written into a page.
Object.assign(htmx.config, {
  allowEval: false, includeIndicatorStyles: false, selfRequestsOnly: true, historyCacheSize: 0,
});

// What a person has opened stays open, what they type stays typed, and a chart keeps its canvas.
const kept = new Set(["open"]);
const gentle = {
  morphStyle: "innerHTML",
  callbacks: {
    beforeAttributeUpdated: (name, node) => !(kept.has(name) && node.tagName === "DETAILS"),
    beforeNodeMorphed: (old) => !(old instanceof Element && old.hasAttribute("data-keep")),
  },
};
htmx.defineExtension("morph", {
  isInlineSwap: (style) => style === "morph",
  handleSwap: (style, target, fragment) => {
    if (style !== "morph") return false;
    return Idiomorph.morph(target, fragment.children, gentle) || [target];
  },
});

startSwitches();
startKeys();
startSignIn();
startFollowing(htmx);
startLive(htmx);
startCharts();
