// Charts as inline SVG: stacked bars with a legend, and the numbers for those who cannot see it.

import { el } from "./text.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 560;
const HEIGHT = 200;
const MARGIN = { left: 28, bottom: 24, top: 8, right: 4 };

function svg(name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

export function chart(block) {
  const { series = [], axis_config: axis = {} } = block.chart ?? {};
  const categories = axis.categories ?? series[0]?.data?.map((point) => point.label) ?? [];
  const values = series.map((one) => categories.map(
    (label) => one.data?.find((point) => point.label === label)?.value ?? 0));
  const totals = categories.map((_, at) => values.reduce((sum, one) => sum + one[at], 0));
  return el("figure", { class: "chart" },
    el("figcaption", {}, block.title?.text ?? block.title ?? ""),
    drawing(block, categories, series, values, Math.max(1, ...totals)),
    el("ul", { class: "legend" }, series.map((one, at) => {
      const swatch = svg("svg", { class: `swatch s${at % 6}`, viewBox: "0 0 10 10" });
      swatch.append(svg("rect", { width: 10, height: 10, rx: 2 }));
      return el("li", {}, swatch, ` ${one.name}`);
    })));
}

function drawing(block, categories, series, values, most) {
  const told = categories.map((label, at) => {
    const parts = series.map((one, s) => `${one.name} ${values[s][at]}`);
    return `${label}: ${parts.join(", ")}`;
  });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  picture.append(svg("title", {}, told.join("; ")));
  const bottom = HEIGHT - MARGIN.bottom;
  const scale = (bottom - MARGIN.top) / most;
  const step = Math.max(1, Math.ceil(most / 4));
  for (let value = 0; value <= most; value += step) {
    const y = bottom - value * scale;
    picture.append(
      svg("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y, y2: y }),
      svg("text", { class: "tick", x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, value));
  }
  const slot = (WIDTH - MARGIN.left - MARGIN.right) / Math.max(1, categories.length);
  const width = Math.min(44, slot * 0.6);
  categories.forEach((label, at) => {
    const x = MARGIN.left + slot * at + (slot - width) / 2;
    let y = bottom;
    values.forEach((one, s) => {
      const height = one[at] * scale;
      if (height === 0) return;
      y -= height;
      const bar = svg("rect", { class: `s${s % 6}`, x, y, width, height });
      bar.append(svg("title", {}, `${label}: ${series[s].name} ${one[at]}`));
      picture.append(bar);
    });
    picture.append(svg("text",
      { class: "tick", x: x + width / 2, y: HEIGHT - 6, "text-anchor": "middle" }, label));
  });
  return picture;
}
