// The tab "Move": sliders along principal directions, and the way from one hand to another.

import { add, arrows, element, hand } from "./hands.js";
import { job, say, settings } from "./job.js";
import { post } from "./net.js";

export function setUp(panel) {
  const form = panel.querySelector("form"), place = document.getElementById("moved"), sliders = document.getElementById("sliders");
  const level = document.getElementById("level");
  let taken = null, next = null, asking = false, changed = false;

  const shifts = () => [...sliders.querySelectorAll("input")].map((slider) => Number(slider.value));

  async function ask() {  // one request at a time: what changes meanwhile is asked for once it is answered
    changed = true;
    if (asking) return;
    asking = true;
    while (changed) {
      changed = false;
      const wanted = next ?? taken, others = wanted.weights !== taken?.weights;  // with other directions
      next = null;
      try {
        const found = await post("api/move", JSON.stringify({ ...wanted, shifts: others ? [] : shifts() }), { "content-type": "application/json" });
        taken = wanted;  // not before: after a refusal, the sliders still move the hand that is shown
        place.replaceChildren(hand(found.hand, `The hand of seed ${taken.seed}, moved`, found.hand.verdict));
        if (others) build(found);
        say(form, "");
      } catch (error) {
        say(form, error.message, true);
      }
    }
    asking = false;
  }

  function build({ shares, farthest }) {
    sliders.replaceChildren();
    shares.forEach((share, number) => {
      const slider = element("input", { type: "range", min: -farthest, max: farthest, step: 0.1, value: 0 }), shown = element("output", {}, "0.0");
      slider.addEventListener("input", () => { shown.textContent = Number(slider.value).toFixed(1); ask(); });
      sliders.append(element("label", {}, `Direction ${number + 1} (${(100 * share).toFixed(1)} %)`, slider, shown));
    });
    level.disabled = false;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      next = settings(form);
    } catch (error) {
      return say(form, error.message, true);
    }
    say(form, "Drawing the hand, and finding the directions.");
    ask();
  });
  level.addEventListener("click", () => {
    for (const label of sliders.children) {
      label.querySelector("input").value = 0;
      label.querySelector("output").textContent = "0.0";
    }
    ask();
  });

  const path = document.getElementById("path");
  arrows(path);
  job(document.getElementById("between"), "api/between", {
    more: () => ({ weights: form.elements.weights.value }),
    begin: () => path.replaceChildren(),
    take: (event) => add(path, hand(event.hand, `${(100 * event.share).toFixed(1)} % of the way`, `${Math.round(100 * event.share)} %`)),
  });
}
