// Curves with axes, as SVG.

const HEIGHT = 214, LEFT = 52, RIGHT = 12, TOP = 40, BOTTOM = 34;

/** Draw curves: `series` maps a class to its [x, y] points, `names` to its label; the axis holds at least `range`. */
export function plot(place, title, across, series, names = {}, range = []) {
  const points = Object.values(series).flat();
  if (!points.length) return place.replaceChildren();
  const wide = Math.min(480, Math.max(260, place.clientWidth));  // letters keep their size in a narrow window
  const heights = round([...range, ...points.map(([, y]) => y)]), [low, high] = [heights[0], heights.at(-1)];
  const [first, last] = ends(points.map(([x]) => x));
  const at = ([x, y]) => [LEFT + (wide - LEFT - RIGHT) * (x - first) / (last - first), HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - low) / (high - low)];
  const svg = make("svg", { viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${told(series, names)}` });
  svg.append(make("text", { x: 4, y: 14 }, title), make("text", { x: wide / 2, y: HEIGHT - 4, "text-anchor": "middle" }, across));
  for (const y of heights) {
    const [, height] = at([first, y]);
    svg.append(make("line", { class: "axis", x1: LEFT, x2: wide - RIGHT, y1: height, y2: height }), make("text", { x: LEFT - 6, y: height + 4, "text-anchor": "end" }, short(y)));
  }
  for (const x of [first, last]) svg.append(make("text", { x: at([x, low])[0], y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, short(x)));
  let left = LEFT;
  for (const [name, each] of Object.entries(series)) {
    svg.append(make("polyline", { class: `curve ${name}`, points: each.map((point) => at(point).map((value) => value.toFixed(1)).join(",")).join(" ") }));
    for (const point of each) svg.append(make("circle", { class: name, cx: at(point)[0], cy: at(point)[1], r: 3 }));
    if (!names[name]) continue;
    svg.append(make("text", { class: name, x: left, y: 31 }, names[name]));
    left += 14 + 7 * names[name].length;
  }
  place.replaceChildren(svg);
}

/** Return three to six round numbers, evenly apart, that hold all values between them. */
function round(values) {
  const [low, high] = ends(values), ten = 10 ** Math.floor(Math.log10((high - low) / 2));
  const step = ten * [1, 2, 5].findLast((each) => each * ten <= (high - low) / 2);
  const found = [];
  for (let place = Math.floor(low / step); found.length < 2 || found.at(-1) < high; place += 1) found.push(place * step);
  return found;
}

function ends(values) {
  const low = Math.min(...values), high = Math.max(...values);
  return [low, high > low ? high : low + 1];
}

function short(value) {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 }).replace("-", "−");
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
