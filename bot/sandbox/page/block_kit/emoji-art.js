/** Drawings of the emoji used here, so that they look the same on every machine. */

import { s } from "../dom.js";

const RED = "#d93f34";
const GREEN = "#2f9e5b";
const AMBER = "#f0a92b";
const BLUE = "#3b7dd8";
const SKIN = "#f6c445";
const GREY = "#8a8f98";

const disc = (fill) => `circle:8,8,6.500,${fill}`;
const box = (fill) => `rect:2,2,12,12,2.500,${fill}`;
const line = (path, stroke, width = 1.6) => `line:${path};${stroke};${width}`;
const shape = (path, fill) => `path:${path};${fill}`;

const CLOCK = [disc("#e9ecef"), "ring:8,8,6.500,#5f6670", line("M8 4.500V8l2.500 1.500", "#33383f")];
const SHACKLE = line("M5 7.500V5.500a3 3 0 0 1 6 0v2", GREY, 1.8);
const OPEN_SHACKLE = line("M5 7.500V4.500a3 3 0 0 1 6-.300", GREY, 1.8);
const THUMB = "M2 7.500h2.500v6H2zM5.500 7.800 8 2.500c1.600 0 2 1.100 1.700 2.400L9.300 6.500h3.500c1 0 1.500.800 1.300 1.700l-1 4.200c-.200.800-.800 1.100-1.500 1.100H5.500z";
const SHEET = ["rect:3,2,10,12,1.500,#f4f1ea", "frame:3,2,10,12,1.500,#8a8f98"];

const ART = {
  raised_hand: [shape("M4.200 8V4.300a1 1 0 0 1 2 0V2.700a1 1 0 0 1 2 0v.800a1 1 0 0 1 2 0v1.300a1 1 0 0 1 2 0V10c0 3-1.700 4.800-4.200 4.800-2 0-3-.900-4-2.800L2.200 8.800c.800-.900 1.500-.700 2-.800z", SKIN), line("M6.200 4.500V8M8.200 4V8M10.200 4.800V8", "#d9a52a", 0.8)],
  hourglass: [shape("M4 2h8l-3.200 6L12 14H4l3.200-6z", "#cfe3ee"), shape("M5 13.400h6L8 9.500zM6 5h4L8 8z", "#e0a92e"), line("M3.500 2h9M3.500 14h9", GREY, 1.6)],
  rewind: [box(BLUE), shape("M8 4.500v7L3.500 8zM12.500 4.500v7L8 8z", "#ffffff")],
  small_red_triangle_down: [shape("M3 5h10l-5 7.500z", RED)],
  large_green_circle: [disc(GREEN)],
  large_yellow_circle: [disc("#e8c32f")],
  large_orange_circle: [disc("#e8832a")],
  red_circle: [disc(RED)],
  large_blue_circle: [disc(BLUE)],
  white_circle: [disc("#e6e8ea"), `ring:8,8,6.500,${GREY}`],
  black_circle: [disc("#30343a")],
  large_green_square: [box(GREEN)],
  large_yellow_square: [box("#e8c32f")],
  large_orange_square: [box("#e8832a")],
  large_red_square: [box(RED)],
  large_blue_square: [box(BLUE)],
  white_large_square: [box("#e6e8ea")],
  white_check_mark: [box(GREEN), line("M4.800 8.300 7 10.600l4.300-5", "#fff", 1.9)],
  heavy_check_mark: [line("M3 8.500 6.500 12 13 4", GREEN, 2.4)],
  x: [line("M3.500 3.500l9 9M12.500 3.500l-9 9", RED, 2.4)],
  warning: [shape("M8 1.800 15 14H1z", AMBER), line("M8 6v4M8 12v.100", "#3c2c05", 1.7)],
  no_entry: [disc(RED), line("M4.500 8h7", "#fff", 2.4)],
  no_entry_sign: [`ring:8,8,5.800,${RED},2`, line("M4 4l8 8", RED, 2)],
  octagonal_sign: [shape("M5.200 1.500h5.600l3.700 3.700v5.600l-3.700 3.700H5.200l-3.700-3.700V5.200z", RED)],
  grey_question: [line("M5.300 6a2.700 2.700 0 1 1 4 2.300c-.900.500-1.300 1-1.300 1.900", GREY, 2), line("M8 13v.100", GREY, 2.2)],
  information_source: [box(BLUE), line("M8 7.500v4M8 4.700v.100", "#fff", 1.8)],
  rotating_light: [shape("M4 11.500V8a4 4 0 0 1 8 0v3.500z", RED), shape("M2.500 11.500h11V14h-11z", GREY), line("M8 .800v1.400M2 3.500l1 1M14 3.500l-1 1", RED, 1.3)],
  snowflake: [line("M8 1.500v13M2.400 4.700l11.200 6.600M13.600 4.700 2.400 11.300M6.300 2.500 8 4.100l1.700-1.600M6.300 13.500 8 11.900l1.700 1.600", "#3fa3d9", 1.5)],
  ice_cube: [shape("M8 1.500 14 5v6l-6 3.500L2 11V5z", "#9bd3ee"), line("M2 5l6 3.500L14 5M8 8.500v6", "#4d9cc4", 1.1)],
  fire: [shape("M8 1c.500 3 4.500 4.500 4.500 8.500a4.500 4.500 0 0 1-9 0C3.500 7.500 5 6.500 5 4.500 6.500 5 7 6 7 7c1.200-1.500 1.500-4 1-6z", "#e8642a"), shape("M8 14a2.300 2.300 0 0 1-2.300-2.400c0-1.600 1.500-2 2.300-3.800.800 1.800 2.300 2.200 2.300 3.800A2.300 2.300 0 0 1 8 14z", "#f6c445")],
  rocket: [shape("M14.500 1.500c-4.500 0-8 2.500-9.500 6.500l3 3c4-1.500 6.500-5 6.500-9.500z", "#cfd5dc"), shape("M5 8 2 8.800 4.500 6zM8 11l-.800 3L10 11.500z", RED), "circle:10.300,5.700,1.500,#3b7dd8", shape("M4.500 11.500c-1.500.300-2.300 1.500-2.500 3 1.500-.200 2.700-1 3-2.500z", AMBER)],
  tada: [shape("M1.500 14.500 5 5.500l5.500 5.500z", "#e3b23c"), line("M9 6.500c1-1 1-2.500.500-4M10.500 8c1.500-.500 3-.500 4 .500M11 5l3-3", "#b454a8", 1.4)],
  lock: [SHACKLE, "rect:3.500,7.500,9,7,1.500,#e0a92e"],
  unlock: [OPEN_SHACKLE, "rect:3.500,7.500,9,7,1.500,#e0a92e"],
  calendar: [...SHEET, shape("M3 3.500A1.500 1.500 0 0 1 4.500 2h7A1.500 1.500 0 0 1 13 3.500V6H3z", RED)],
  memo: [...SHEET, line("M5.500 6h5M5.500 8.500h5M5.500 11h3", GREY, 1.2)],
  clipboard: [...SHEET, "rect:6,1,4,2.500,.800,#8a8f98", line("M5.500 7h5M5.500 10h5", GREY, 1.2)],
  bar_chart: [...SHEET, shape("M5 8h1.600v4H5zM7.200 5.500h1.600V12H7.200zM9.500 7h1.600v5H9.500z", BLUE)],
  chart_with_upwards_trend: [...SHEET, line("M4.800 11l2.400-3 1.800 1.500L11.500 5", GREEN, 1.5)],
  chart_with_downwards_trend: [...SHEET, line("M4.800 5l2.400 3 1.800-1.500 2.500 4.500", RED, 1.5)],
  hourglass_flowing_sand: [shape("M4 2h8c0 4-3 4.500-3 6s3 2 3 6H4c0-4 3-4.500 3-6S4 6 4 2z", "#e9d8a8"), line("M3.500 2h9M3.500 14h9", "#8d6b33", 1.5)],
  stopwatch: CLOCK,
  alarm_clock: CLOCK,
  clock3: CLOCK,
  pushpin: [shape("M10 1.500 14.500 6l-2.500.800-2 2-.200 3.200-5.800-5.800L7.200 6l2-2z", RED), line("M6.500 9.500 2 14", GREY, 1.4)],
  link: [line("M6.500 9.500l3-3M7 5l2-2a2.600 2.600 0 0 1 4 4l-2 2M9 11l-2 2a2.600 2.600 0 0 1-4-4l2-2", GREY, 1.5)],
  mag: ["ring:6.800,6.800,4.300,#6f7680,1.600", line("M10 10l4 4", "#8d6b33", 2)],
  bell: [shape("M8 1.500c3 0 4 2.500 4 5 0 3 1.500 3.500 1.500 5h-11C2.500 10 4 9.500 4 6.500c0-2.500 1-5 4-5zM6.500 12.500h3a1.500 1.500 0 0 1-3 0z", "#e3b23c")],
  bulb: [shape("M8 1.500a4.300 4.300 0 0 1 2.300 8v2H5.700v-2A4.300 4.300 0 0 1 8 1.500zM6 12.200h4v1.800H6z", "#f3cf4d")],
  bug: [disc("#5f9e4a"), line("M8 2v12M2 6l3 1M14 6l-3 1M2 11l3-1M14 11l-3-1", "#2f5423", 1.2)],
  wrench: [line("M3 13l6-6", GREY, 2.4), line("M13.500 4.500 11 5 10.500 2.500A3.500 3.500 0 1 0 13.500 4.500z", GREY, 1.6)],
  gear: ["ring:8,8,3.800,#7a828c,2.600", line("M8 1.500v2M8 12.500v2M1.500 8h2M12.500 8h2M3.400 3.400l1.400 1.400M11.200 11.200l1.400 1.400M3.400 12.600l1.400-1.400M11.200 4.800l1.400-1.400", "#7a828c", 2)],
  zap: [shape("M9.500 1 3 9h4.200L6 15l7-8.500H8.700z", "#f0b72b")],
  shield: [shape("M8 1.500l5.500 2v4c0 3.500-2.300 5.800-5.500 7-3.200-1.200-5.500-3.500-5.500-7v-4z", BLUE)],
  ship: [shape("M1.500 9.500h13l-2 4.500h-9z", RED), shape("M4 5.500h7v3.500H4z", "#cfd5dc"), shape("M8 2.500h2v3H8z", AMBER)],
  "+1": [shape(THUMB, SKIN)],
  "-1": [`flip:${THUMB};${SKIN}`],
  eyes: ["circle:4.800,8,3.400,#f4f4f4", "circle:11.200,8,3.400,#f4f4f4", "ring:4.800,8,3.400,#7a828c", "ring:11.200,8,3.400,#7a828c", "circle:5.800,8.500,1.500,#2b2f36", "circle:12.200,8.500,1.500,#2b2f36"],
  pray: [shape("M8 2 4 9.500 4.500 14h3.200zM8 2l4 7.500-.500 4.500H8.300z", SKIN)],
  wave: [shape("M4 8V4.500M4 8c0 4 2 6.500 5 6.500s4.500-2.500 4.500-5V4.500a1 1 0 0 0-2 0V3a1 1 0 0 0-2 0v-.500a1 1 0 0 0-2 0V3a1 1 0 0 0-2 0v5.500L4 7.500a1 1 0 0 0-1.500 1.300z", SKIN)],
  slightly_smiling_face: [disc(SKIN), line("M5 9.500c1.500 2 4.500 2 6 0M5.800 6v.600M10.200 6v.600", "#5d4509", 1.3)],
};

const SAME = { large_red_circle: "red_circle", thumbsup: "+1", thumbsdown: "-1", stop_sign: "octagonal_sign", date: "calendar", spiral_calendar_pad: "calendar", pencil: "memo", hourglass: "hourglass_flowing_sand", red_square: "large_red_square", clock1: "clock3", closed_lock_with_key: "lock", round_pushpin: "pushpin", timer_clock: "stopwatch", passenger_ship: "ship" };

/** Draw an emoji by its shortcode; null if there is no drawing. */
export function art(name) {
  const parts = ART[SAME[name] ?? name];
  if (!parts) return null;
  return s("svg", { viewBox: "0 0 16 16", class: "emoji", role: "img", "aria-label": `:${name}:` }, parts.map(draw));
}

function draw(part) {
  const split = part.indexOf(":");
  const kind = part.slice(0, split);
  const rest = part.slice(split + 1);
  const [d, paint, width] = rest.split(";");
  const [x, y, a, b, c, e] = rest.split(",");
  switch (kind) {
    case "circle":
      return s("circle", { cx: x, cy: y, r: a, fill: b });
    case "ring":
      return s("circle", { cx: x, cy: y, r: a, fill: "none", stroke: b, "stroke-width": c ?? 1 });
    case "rect":
      return s("rect", { x, y, width: a, height: b, rx: c, fill: e });
    case "frame":
      return s("rect", { x, y, width: a, height: b, rx: c, fill: "none", stroke: e });
    case "line":
      return s("path", { d, fill: "none", stroke: paint, "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" });
    case "flip":
      return s("path", { d, fill: paint, transform: "rotate(180 8 8)" });
    default:
      return s("path", { d, fill: paint });
  }
}
