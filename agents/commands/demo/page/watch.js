// The tab "Watch": an agent corrects a hand, step by step.

import { add, arrows, hand } from "./hands.js";
import { job } from "./job.js";
import { plot } from "./plot.js";

export function setUp(panel) {
  const steps = document.getElementById("steps"), scores = document.getElementById("scores");
  const kept = [], dropped = [];
  arrows(steps);
  job(panel.querySelector("form"), "api/watch", {
    begin() {
      kept.length = dropped.length = 0;
      steps.replaceChildren();
      scores.replaceChildren();
    },
    take(event) {
      if (event.end) return event.end;
      const signed = (value, plus = "") => `${value < 0 ? "−" : plus}${Math.abs(value).toFixed(2)}`;
      const note = event.step ? `${event.kept ? "kept" : "dropped"}, reward ${signed(event.reward, "+")}, mean |action| ${event.size.toFixed(2)}` : "as drawn";
      const shown = hand(event.hand, `Step ${event.step}`, `${event.step}: score ${signed(event.score)}, ${note}`);
      shown.classList.toggle("dropped", event.kept === false);
      add(steps, shown);
      (event.kept === false ? dropped : kept).push([event.step, event.score]);
      plot(scores, "Score of the rewarding judge, log-odds", "step", { kept, dropped }, { kept: "● kept", dropped: "○ dropped" });
    },
  });
}
