// Curves with axes, as SVG.

const WIDTH = 380, HEIGHT = 200, LEFT = 52, RIGHT = 12, TOP = 26, BOTTOM = 34;

/** Draw curves: `series` maps a class to its [x, y] points, `names` to its label; the axis holds at least `range`. */
export function plot(place, title, across, series, names = {}, range = []) {
  const points = Object.values(series).flat();
  if (!points.length) return place.replaceChildren();
  const [low, high] = span([...range, ...points.map(([, y]) => y)]), [first, last] = span(points.map(([x]) => x), 0);
  const at = ([x, y]) => [LEFT + (WIDTH - LEFT - RIGHT) * (x - first) / (last - first), HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - low) / (high - low)];
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${told(series, names)}` });
  svg.append(make("text", { x: 4, y: 14 }, title), make("text", { x: WIDTH / 2, y: HEIGHT - 4, "text-anchor": "middle" }, across));
  for (const y of [low, (low + high) / 2, high]) {
    const [, height] = at([first, y]);
    svg.append(make("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: height, y2: height }), make("text", { x: LEFT - 6, y: height + 4, "text-anchor": "end" }, short(y, high - low)));
  }
  for (const x of [first, last]) svg.append(make("text", { x: at([x, low])[0], y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, short(x, 9)));
  let right = WIDTH - RIGHT;
  for (const [name, each] of Object.entries(series).reverse()) {
    svg.append(make("polyline", { class: `curve ${name}`, points: each.map((point) => at(point).map((value) => value.toFixed(1)).join(",")).join(" ") }));
    for (const point of each) svg.append(make("circle", { class: name, cx: at(point)[0], cy: at(point)[1], r: 3 }));
    if (!names[name]) continue;
    svg.append(make("text", { class: name, x: right, y: 14, "text-anchor": "end" }, names[name]));
    right -= 8 + 7 * names[name].length;
  }
  place.replaceChildren(svg);
}

function span(values, margin = 0.06) {
  const low = Math.min(...values), high = Math.max(...values), gap = high - low || 1;
  return [low - margin * gap, high + (high > low ? margin : 1) * gap];
}

function short(value, range) {
  return value.toLocaleString("en", { maximumFractionDigits: range < 0.05 ? 4 : range < 1 ? 2 : range < 20 ? 1 : 0 });
}

function told(series, names) {
  return Object.entries(series).map(([name, each]) => `${names[name] ?? ""} ${each.map(([, y]) => y.toPrecision(3)).join(", ")}`).join("; ");
}

function make(name, attributes, text = "") {
  const built = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) built.setAttribute(key, value);
  built.textContent = text;
  return built;
}
