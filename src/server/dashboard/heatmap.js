/** The refreshes of a run as a heat map, with a description and a table for screen readers. */
import { fill, h, setText, setVars } from "./dom.js";
import { percent, whole } from "./format.js";
import { fixedInterval, refreshMap } from "./refresh_map.js";
import { colour, onThemeChanged, tint } from "./theme.js";

/** Pixels of a column, of the labels on the left, and between two layers. */
const COLUMN = 9;
const LABELS = 62;
const LAYER_GAP = 3;
const FOOT = 22;

/**
 * @param {import("./run_data.js").RunData} data
 * @param {() => number} intervalOf steps between refreshes at a fixed interval
 */
export function createHeatmap(data, intervalOf) {
  const canvas = h("canvas", { class: "heatmap-canvas", "aria-hidden": "true" });
  const tooltip = h("div", { class: "tooltip", hidden: true });
  const figure = h("div", { class: "heatmap" }, canvas, tooltip);
  const summary = h("p", { class: "heatmap-summary" });
  const body = h("tbody");
  const table = h(
    "details",
    { class: "quiet-details" },
    h("summary", {}, "Show as table"),
    h(
      "div",
      { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Refreshes by matrix" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["Layer", "Matrix"].map((it) => h("th", { scope: "col" }, it)),
            h("th", { scope: "col", class: "number" }, "Refreshes"),
          ),
        ),
        body,
      ),
    ),
  );
  const element = h(
    "section",
    { class: "card heatmap-card", hidden: true, "aria-label": "Subspace refreshes" },
    h("div", { class: "card-head" }, h("h2", {}, "Subspace refreshes"), summary),
    figure,
    table,
  );
  /** @type {import("./refresh_map.js").RefreshMap | undefined} */
  let map;
  /** @type {{ tops: number[], rowHeight: number, cell: number, height: number }} */
  let layout = { tops: [], rowHeight: 8, cell: COLUMN, height: 0 };
  let drawn = "";

  function draw() {
    const lastStep = data.last?.step ?? 0;
    element.hidden = data.refreshes.length === 0;
    if (element.hidden) return;
    const width = Math.floor(figure.getBoundingClientRect().width);
    if (width <= LABELS) return;
    const most = Math.floor((width - LABELS) / COLUMN);
    const stepsPerColumn = Math.max(1, Math.ceil(lastStep / Math.max(1, most)));
    const columns = Math.ceil(lastStep / stepsPerColumn);
    const state = [width, data.refreshes.length, columns, stepsPerColumn, colour("surface")].join();
    if (state === drawn && map) return describe(map, lastStep);
    drawn = state;
    map = refreshMap(data.refreshes, columns, stepsPerColumn);
    describe(map, lastStep);
    layout = layOut(map, width);
    paint(canvas, map, layout, width);
    if (table.open) fillTable(map);
  }

  /** @param {import("./refresh_map.js").RefreshMap} map @param {number} lastStep */
  function describe(map, lastStep) {
    const gap = intervalOf();
    const fixed = fixedInterval(map.rows.length, lastStep, gap);
    const saved = fixed * 0.99 >= map.total
      ? `, ${percent(1 - map.total / fixed)} fewer than the ${whole(fixed)} of every ${
        whole(gap)
      } steps`
      : "";
    setText(
      summary,
      `${whole(map.total)} ${map.total === 1 ? "refresh" : "refreshes"} of ${
        whole(map.rows.length)
      } matrices in ${whole(lastStep)} steps${saved}`,
    );
  }

  /** @param {import("./refresh_map.js").RefreshMap} map */
  function fillTable(map) {
    fill(
      body,
      map.rows.map(({ layer, projection, total }) =>
        h(
          "tr",
          {},
          h("td", {}, layer || "–"),
          h("td", { class: "mono" }, projection),
          h("td", { class: "number" }, whole(total)),
        )
      ),
    );
  }
  table.addEventListener("toggle", () => table.open && map && fillTable(map));

  figure.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left - LABELS;
    const y = event.clientY - box.top;
    const column = Math.floor(x / layout.cell);
    const row = layout.tops.findIndex((top) => y >= top && y < top + layout.rowHeight);
    tooltip.hidden = !map || row < 0 || column < 0 || column >= map.columns;
    if (!map || tooltip.hidden) return;
    const { layer, projection, total } = map.rows[row];
    const first = column * map.stepsPerColumn + 1;
    const last = Math.min(data.last?.step ?? first, first + map.stepsPerColumn - 1);
    fill(
      tooltip,
      h("strong", {}, layer ? `Layer ${layer} · ${projection}` : projection),
      h(
        "span",
        {},
        first === last ? `Step ${whole(first)}` : `Steps ${whole(first)}–${whole(last)}`,
      ),
      h(
        "span",
        {},
        `${map.counts[row][column] || "No"} refresh${
          map.counts[row][column] === 1 ? "" : "es"
        } here, ${whole(total)} in all`,
      ),
    );
    const left = Math.min(LABELS + x + 14, box.width - tooltip.offsetWidth - 4);
    setVars(tooltip, { "--x": `${Math.max(0, left)}px`, "--y": `${y + 16}px` });
  });
  figure.addEventListener("pointerleave", () => (tooltip.hidden = true));

  const resize = new ResizeObserver(draw);
  resize.observe(figure);
  const endTheme = onThemeChanged(draw);
  return {
    element,
    draw,
    destroy() {
      resize.disconnect();
      endTheme();
    },
  };
}

/**
 * The more rows, the lower; layers are separated by a gap.
 *
 * @param {import("./refresh_map.js").RefreshMap} map
 * @param {number} width
 */
function layOut(map, width) {
  const count = map.rows.length;
  const rowHeight = count <= 40 ? 9 : count <= 90 ? 6 : count <= 180 ? 4 : 3;
  /** @type {number[]} */
  const tops = [];
  let top = 0;
  map.rows.forEach(({ layer }, row) => {
    if (row && layer !== map.rows[row - 1].layer) top += LAYER_GAP;
    tops.push(top);
    top += rowHeight;
  });
  const cell = Math.min(28, (width - LABELS) / map.columns);
  return { tops, rowHeight, cell, height: top + FOOT };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./refresh_map.js").RefreshMap} map
 * @param {{ tops: number[], rowHeight: number, cell: number, height: number }} layout
 * @param {number} width
 */
function paint(canvas, map, { tops, rowHeight, cell, height }, width) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  setVars(canvas, { "--height": `${height}px` });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(ratio, ratio);
  const empty = colour("heat-0");
  const inset = rowHeight > 4 ? 1 : 0.5;
  map.rows.forEach((_, row) => {
    for (let column = 0; column < map.columns; column++) {
      const count = map.counts[row][column];
      // One refresh already colours a cell; more deepen the colour.
      context.fillStyle = count ? tint("heat-1", 0.55 + 0.45 * (count / map.most)) : empty;
      const left = LABELS + column * cell;
      context.fillRect(left, tops[row], Math.max(1, cell - 1), rowHeight - inset);
    }
  });
  context.fillStyle = colour("ink-3");
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  paintLabels(context, map, tops, rowHeight);
  paintSteps(context, map, cell, height);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./refresh_map.js").RefreshMap} map
 * @param {number[]} tops
 * @param {number} rowHeight
 */
function paintLabels(context, map, tops, rowHeight) {
  context.textAlign = "right";
  let free = -Infinity;
  map.rows.forEach(({ layer }, row) => {
    if (row && layer === map.rows[row - 1].layer) return;
    const rows = map.rows.filter((it) => it.layer === layer).length;
    const middle = tops[row] + rows * rowHeight / 2;
    if (middle - free < 14) return;
    free = middle;
    context.fillText(layer ? `Layer ${layer}` : "Other", LABELS - 10, middle);
  });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./refresh_map.js").RefreshMap} map
 * @param {number} cell
 * @param {number} height
 */
function paintSteps(context, map, cell, height) {
  const every = Math.max(1, Math.ceil(90 / cell));
  context.textAlign = "left";
  for (let column = 0; column + every / 2 < map.columns || column === 0; column += every) {
    const label = whole(column * map.stepsPerColumn + 1);
    context.fillText(label, LABELS + column * cell, height - FOOT / 2 + 2);
  }
}
