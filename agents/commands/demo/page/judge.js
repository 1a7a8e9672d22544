// The tab "Judge": a picture of the user's own.

import { element, verdict } from "./hands.js";
import { say } from "./job.js";
import { post } from "./net.js";

export function setUp(panel, { largest }) {
  const drop = document.getElementById("drop"), place = document.getElementById("judged"), input = drop.querySelector("input");

  async function judge(file) {
    place.replaceChildren();
    if (file.size > largest) return say(drop, `'${file.name}' has ${(file.size / 1e6).toFixed(1)} MB, and at most ${largest / 1e6} MB are read. Make it smaller.`, true);
    say(drop, `Judging '${file.name}'.`);
    try {
      const { hands } = await post("api/judge", file, { "content-type": "application/octet-stream", "x-name": encodeURIComponent(file.name) });
      say(drop, hands.length === 1 ? `Judged '${file.name}'.` : `${hands.length} hands in '${file.name}', from left to right.`);
      place.replaceChildren(...hands.map(verdict));
    } catch (error) {
      say(drop, error.message, true);
    }
  }

  input.addEventListener("change", () => {
    if (input.files.length) judge(input.files[0]);
    input.value = "";  // so that the same file can be chosen again
  });
  for (const name of ["dragover", "drop"]) {
    panel.addEventListener(name, (event) => event.preventDefault());  // or the browser opens the file in the page's place
  }
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) judge(event.dataTransfer.files[0]);
    else say(drop, "Drop a picture's file.", true);
  });
}
