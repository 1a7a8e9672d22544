// The tab "Draw".

import { add, arrows, hand } from "./hands.js";
import { job } from "./job.js";

export function setUp(panel) {
  const grids = [...panel.querySelectorAll(".hands")];
  const who = document.getElementById("who");
  grids.forEach(arrows);
  job(panel.querySelector("form"), "api/draw", {
    unit: "hands",
    begin() {
      grids.forEach((grid) => grid.replaceChildren());
      who.textContent = "";
    },
    take(event) {
      if (event.agent) who.textContent = event.agent;
      if (event.summary) return event.summary.join("\n");
      for (const found of event.hands ?? []) {
        for (const grid of grids) {
          const side = grid.dataset.side, one = found[side];
          if (!one) continue;
          const changed = side === "with" && one.picture !== found.without.picture;
          const shown = hand(one, `Hand ${grid.children.length + 1}, ${side} the agent${changed ? ", changed" : ""}`);
          shown.classList.toggle("changed", changed);
          add(grid, shown);
        }
      }
    },
  });
}
