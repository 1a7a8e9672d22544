// The tabs, and what their forms offer.

import * as draw from "./draw.js";
import { arrows, element } from "./hands.js";
import * as judge from "./judge.js";
import * as move from "./move.js";
import * as train from "./train.js";
import * as watch from "./watch.js";

const list = document.querySelector("[role=tablist]"), tabs = [...list.children];

function choose(tab) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`);
}

arrows(list);
list.addEventListener("focusin", (event) => choose(event.target));
list.addEventListener("click", (event) => { if (event.target !== list) choose(event.target); });
const named = tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
if (named) choose(named);

const choices = await (await fetch("api/choices")).json();
for (const [name, tab] of Object.entries({ draw, move, watch, train, judge })) tab.setUp(document.getElementById(name), choices);
for (const form of document.querySelectorAll("form")) {
  const { weights: chosen, sampler } = form.elements;
  if (!chosen) continue;
  chosen.replaceChildren(...Object.keys(choices.weights).map((name) => element("option", {}, name)));
  const offer = () => sampler?.replaceChildren(...["auto", ...choices.weights[chosen.value]].map((name) => element("option", {}, name)));
  chosen.addEventListener("change", offer);
  offer();
}
document.body.dataset.ready = "yes";
