// The tab "Train": two VAEs learn beside each other, with the agent and without it.

import { element } from "./hands.js";
import { job } from "./job.js";
import { plot } from "./plot.js";

const NAMES = { without: "● without", with: "● with the agent" };

export function setUp(panel) {
  const bar = panel.querySelector("progress"), decisions = document.getElementById("decisions");
  let losses, rates;
  job(panel.querySelector("form"), "api/train", {
    unit: "training steps",
    begin() {
      [losses, rates] = [{ without: [], with: [] }, { without: [], with: [] }];
      decisions.replaceChildren();
      bar.value = 0;
      bar.hidden = false;
      for (const figure of panel.querySelectorAll("figure")) {
        figure.querySelector("img").hidden = true;
        figure.querySelector("figcaption").textContent = "";
      }
    },
    take(event) {
      if (event.of) bar.value = event.done / event.of;
      if (event.decision) decisions.append(element("li", {}, event.decision));
      if (event.grid) show(panel.querySelector(`figure[data-side=${event.side}]`), event);
    },
  });

  function show(figure, { side, epoch, loss, score, grid }) {
    const picture = figure.querySelector("img");
    picture.src = grid;
    picture.alt = `16 hands drawn after epoch ${epoch}`;
    picture.hidden = false;
    figure.querySelector("figcaption").textContent = `Epoch ${epoch}: ${Math.round(loss).toLocaleString("en").replace("-", "−")} nats per image, judge's score ${score.toFixed(3)}`;
    losses[side].push([epoch, loss]);
    rates[side].push([epoch, score]);
    plot(document.getElementById("losses"), "Loss, nats per image", "epoch", losses, NAMES);
    plot(document.getElementById("rates"), "Judge's score of these 16", "epoch", rates, NAMES, [0, 0.1]);
  }
}
