// Hands in grids, and a closer look at one: the judge's overlay, and the verdict criterion by criterion.

import { post } from "./net.js";

/** Build an element with attributes and children. */
export function element(name, attributes = {}, ...children) {
  const built = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) built.setAttribute(key, value);
  built.append(...children);
  return built;
}

/** Build a hand that can be chosen. */
export function hand(found, title, note = "") {
  const button = element("button", { type: "button", class: found.correct ? "hand correct" : "hand" });
  button.append(element("img", { src: found.picture, alt: `${title}: ${found.verdict}` }));
  if (note) button.append(element("span", {}, note));
  button.addEventListener("click", () => closer(found, title));
  return button;
}

/** Put a hand at the end of a grid. One Tab reaches the grid, the arrow keys move in it. */
export function add(grid, button) {
  button.tabIndex = grid.children.length ? -1 : 0;
  grid.append(button);
}

/** Let the arrow keys, Home and End move the focus among an element's children. */
export function arrows(parent) {
  parent.addEventListener("keydown", (event) => {
    const all = [...parent.children], now = all.indexOf(document.activeElement);
    const columns = Math.max(1, all.filter((each) => each.offsetTop === all[0].offsetTop).length);
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, ArrowUp: now - columns, ArrowDown: now + columns, Home: 0, End: all.length - 1 }[event.key];
    if (now < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    all.forEach((each, place) => { each.tabIndex = place === to ? 0 : -1; });
    all[to].focus();
  });
}

/** Build what the judge says about a hand. */
export function verdict(found) {
  const rows = found.criteria.map(({ criterion, met, found: seen }) => element("tr", {},
    element("th", { scope: "row" }, criterion),
    element("td", { class: met ? "met" : "unmet" }, met ? "✓ met" : "✗ not met"),
    element("td", {}, seen)));
  const table = element("table", {}, element("caption", {}, `${found.verdict}, score ${found.score.toFixed(2)}`), ...rows);
  return element("div", { class: "verdict" }, element("img", { src: found.overlay, alt: "The judge's findings, drawn on the hand" }), table);
}

async function closer(found, title) {
  const dialog = document.getElementById("closer"), place = document.getElementById("closer-hand");
  document.getElementById("closer-title").textContent = title;
  place.replaceChildren("Judging.");
  dialog.showModal();
  try {
    const bytes = Uint8Array.from(atob(found.picture.split(",")[1]), (letter) => letter.charCodeAt(0));
    const judged = await post("api/judge", bytes, { "content-type": "image/png", "x-drawn": "1" });
    place.replaceChildren(...judged.hands.map(verdict));
  } catch (error) {
    place.replaceChildren(error.message);
  }
}
