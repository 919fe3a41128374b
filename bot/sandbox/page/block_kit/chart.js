/** The `data_visualization` block as inline SVG, with a table of its numbers for screen readers. */

import { h, s } from "../dom.js";

const WIDTH = 560;
const HEIGHT = 240;
const PAD = { top: 12, right: 12, bottom: 26, left: 46 };
const NAMED = 20;
const WIDEST_BAR = 56;
const COLORS = 6;
const MARKS = 14;
// About how wide a letter of a label is.
const LETTER = 6.2;
// What a label says after its day, such as "24 Nov ▲ ●2": signs of what happened then.
const MARKED = / ([▲●].*)$/u;
const color = (index) => `series-${index % COLORS}`;
const short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2, notation: "compact" });

/** Draw a chart with its title and legend. */
export function chartBlock(block) {
  const { chart } = block;
  const names = chart.type === "pie" ? chart.segments.map((segment) => segment.label) : chart.series.map((row) => row.name);
  const drawing = chart.type === "pie" ? pie(chart) : plotted(chart);
  drawing.setAttribute("aria-label", inWords(block));
  return h(
    "figure.chart",
    {},
    h("figcaption", {}, block.title),
    drawing,
    names.length > 1 || chart.type === "pie"
      ? h("ul.legend", {}, names.map((name, index) => h("li", {}, h(`i.${color(index)}`), name)))
      : null,
    numbers(chart),
  );
}

/** Describe a chart in a line: its kind, its title, and where each row begins and ends. */
function inWords({ title, chart }) {
  if (chart.type === "pie") return `Pie chart, ${title}: ${chart.segments.map((segment) => `${segment.label} ${segment.value}`).join(", ")}`;
  const span = ({ name, data }) => `${name} from ${data[0]?.value} (${data[0]?.label}) to ${data.at(-1)?.value} (${data.at(-1)?.label})`;
  const kind = { line: "Line chart", area: "Area chart", bar: "Bar chart" }[chart.type];
  return `${kind}, ${title}: ${chart.series.map(span).join("; ")}`;
}

function numbers(chart) {
  const rows =
    chart.type === "pie"
      ? chart.segments.map((segment) => [segment.label, segment.value])
      : chart.series.flatMap((row) => row.data.map((point) => [`${row.name}, ${point.label}`, point.value]));
  return h("div.unseen", {}, h("table", {}, rows.map(([label, value]) => h("tr", {}, h("th", {}, label), h("td", {}, String(value))))));
}

function ticksFor(low, high) {
  const span = high - low || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const ticks = [];
  for (let value = Math.floor(low / step) * step; value < high + step * 0.999; value += step) ticks.push(Number(value.toPrecision(12)));
  return ticks;
}

function scales(chart) {
  const axis = chart.axis_config;
  const marks = axis.categories.some((name) => MARKED.test(name)) ? MARKS : 0;
  const pad = { ...PAD, left: PAD.left + (axis.y_label ? NAMED : 0), bottom: PAD.bottom + marks + (axis.x_label ? NAMED : 0) };
  const values = chart.series.flatMap((row) => row.data.map((point) => point.value));
  const ticks = ticksFor(Math.min(0, ...values), Math.max(...values, 0));
  const [low, high] = [ticks[0], ticks.at(-1)];
  const { categories } = axis;
  const inner = { width: WIDTH - pad.left - pad.right, height: HEIGHT - pad.top - pad.bottom };
  const banded = chart.type === "bar";
  const step = inner.width / Math.max(1, banded ? categories.length : categories.length - 1);
  return {
    ticks,
    categories,
    step,
    pad,
    x: (label) => pad.left + step * (categories.indexOf(label) + (banded ? 0.5 : 0)),
    y: (value) => pad.top + inner.height * (1 - (value - low) / (high - low || 1)),
  };
}

function plotted(chart) {
  const scale = scales(chart);
  const draw = { line: lines, area: areas, bar: bars }[chart.type];
  return s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "plot" },
    grid(scale, chart.axis_config),
    chart.series.map((row, index) => draw(row, index, scale, chart.series.length)),
  );
}

function grid({ ticks, categories, pad, x, y }, axis) {
  const every = Math.ceil(categories.length / 8);
  return [
    ticks.map((tick) => s("line", { x1: pad.left, x2: WIDTH - pad.right, y1: y(tick), y2: y(tick), class: tick === 0 ? "axis" : "gridline" })),
    ticks.map((tick) => label(short.format(tick), pad.left - 8, y(tick) + 4, "end")),
    categories.map((name, index) => (index % every ? null : below(name.replace(MARKED, ""), x(name), HEIGHT - pad.bottom + 16))),
    categories.map((name) => happened(name, x(name), pad)),
    axis.x_label ? label(axis.x_label, (WIDTH + pad.left) / 2, HEIGHT - 6, "middle") : null,
    axis.y_label ? s("text", { class: "plot-label", transform: `translate(12 ${HEIGHT / 2}) rotate(-90)`, "text-anchor": "middle" }, axis.y_label) : null,
  ];
}

/** Draw the signs of what happened below a label, and a thin line up from them. */
function happened(name, at, pad) {
  const [, signs] = MARKED.exec(name) ?? [];
  if (!signs) return null;
  return [
    s("line", { x1: at, x2: at, y1: pad.top, y2: HEIGHT - pad.bottom, class: "happened" }, s("title", {}, name)),
    s("text", { x: at, y: HEIGHT - pad.bottom + 16 + MARKS, class: "plot-label marks", "text-anchor": "middle" }, signs),
  ];
}

/** Write a label below its place; one that would go beyond the edge ends there. */
function below(text, at, y) {
  const fits = at + (text.length * LETTER) / 2 <= WIDTH;
  return label(text, fits ? at : WIDTH, y, fits ? "middle" : "end");
}

const label = (text, x, y, anchor) => s("text", { x, y, class: "plot-label", "text-anchor": anchor }, text);

const points = (row, { x, y }) => row.data.map((point) => [x(point.label), y(point.value)]);
const path = (list) => list.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function lines(row, index, scale) {
  const list = points(row, scale);
  return s(
    "g",
    { class: color(index) },
    s("path", { d: path(list), class: "stroke" }),
    list.map(([cx, cy], n) => s("circle", { cx, cy, r: 2.5, class: "dot" }, tip(row, row.data[n]))),
  );
}

function areas(row, index, scale) {
  const list = points(row, scale);
  const floor = scale.y(0);
  const closed = `${path(list)}L${list.at(-1)[0]} ${floor}L${list[0][0]} ${floor}Z`;
  return s("g", { class: color(index) }, s("path", { d: closed, class: "fill" }), lines(row, index, scale));
}

function bars(row, index, { x, y, step }, count) {
  const width = Math.min(step * 0.7, WIDEST_BAR * count) / count;
  return s(
    "g",
    { class: color(index) },
    row.data.map((point) => {
      const top = Math.min(y(point.value), y(0));
      const left = x(point.label) + width * (index - count / 2);
      return s("rect", { x: left, y: top, width: width * 0.92, height: Math.abs(y(point.value) - y(0)), rx: 2, class: "bar" }, tip(row, point));
    }),
  );
}

const tip = (row, point) => s("title", {}, `${row.name}, ${point.label}: ${point.value}`);

function pie(chart) {
  const total = chart.segments.reduce((sum, segment) => sum + segment.value, 0);
  let turn = 0;
  const slices = chart.segments.map((segment, index) => {
    const from = turn;
    turn += segment.value / total;
    const node = s("path", { d: slice(from, turn), class: `${color(index)} slice` }, s("title", {}, `${segment.label}: ${Math.round((100 * segment.value) / total)}%`));
    return node;
  });
  return s("svg", { viewBox: "0 0 200 200", role: "img", class: "pie" }, slices);
}

function slice(from, to) {
  if (to - from > 0.9999) return "M100 8A92 92 0 1 1 99.9 8Z";
  const at = (turn) => `${100 + 92 * Math.sin(2 * Math.PI * turn)} ${100 - 92 * Math.cos(2 * Math.PI * turn)}`;
  return `M100 100L${at(from)}A92 92 0 ${to - from > 0.5 ? 1 : 0} 1 ${at(to)}Z`;
}
