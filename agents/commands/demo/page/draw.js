// The tab "Draw".

import { add, arrows, hand } from "./hands.js";
import { job } from "./job.js";

export function setUp(panel) {
  const grids = [...panel.querySelectorAll(".hands")];
  const who = document.getElementById("who");
  grids.forEach(arrows);
  job(panel.querySelector("form"), "api/draw", {
    begin() {
      grids.forEach((grid) => grid.replaceChildren());
      who.textContent = "";
    },
    take(event) {
      if (event.agent) who.textContent = event.agent;
      if (event.summary) return event.summary.join("\n");
      for (const found of event.hands ?? []) {
        for (const grid of grids) {
          const one = found[grid.dataset.side], title = `Hand ${grid.children.length + 1}, ${grid.dataset.side} the agent`;
          if (one) add(grid, hand(one, title));
        }
      }
    },
  });
}
