/** A line chart in the dashboard's style; its header shows the values under the cursor. */
import { fill, h, setText, setVars, uniqueId } from "./dom.js";
import { compact } from "./format.js";
import { colour, onThemeChanged, tint } from "./theme.js";
import uPlot from "./uplot.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour name of a custom property
 * @property {(value: number | null | undefined) => string} [format]
 * @property {number} [alpha] for a line in the background
 * @property {boolean} [points] each marked
 * @property {boolean} [dashed]
 * @property {boolean} [area] filled below
 * @property {boolean} [quiet] not in the header
 *
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {Line[]} lines
 * @property {(value: number) => string} axis format of the vertical axis
 * @property {number[]} [steps] that the vertical axis may be divided by
 * @property {number} height
 * @property {boolean} [log]
 * @property {(min: number, max: number) => [number, number]} [range] of the vertical axis
 * @property {() => string} summary text for screen readers
 * @property {Node[]} [controls]
 */

/** Most points that are marked individually. */
const MOST_MARKS = 60;

const CURSOR_SYNC = "steps";

/** @param {ChartOptions} options */
export function createChart(options) {
  const titleId = uniqueId("chart");
  const readout = h("dl", { class: "readout" });
  const plot = h("div", {
    class: "plot",
    tabindex: 0,
    role: "img",
    "aria-labelledby": titleId,
    "aria-describedby": `${titleId}-summary`,
  });
  const summary = h("p", { class: "visually-hidden", id: `${titleId}-summary` });
  const element = h(
    "figure",
    { class: "card chart" },
    h(
      "figcaption",
      { class: "chart-head" },
      h("h2", { id: titleId }, options.title),
      readout,
      options.controls?.length ? h("div", { class: "chart-controls" }, options.controls) : null,
    ),
    plot,
    summary,
  );
  /** @type {any} steps, then a column per line */
  let columns = [[], ...options.lines.map(() => [])];
  /** @type {any} */
  let chart;
  let log = options.log ?? false;

  const values = options.lines.map((line) => {
    const value = h("dd");
    const key = h("span", { class: line.points ? "key dot" : line.dashed ? "key dashed" : "key" });
    setVars(key, { "--key": `var(--${line.colour})` });
    if (!line.quiet) readout.append(h("div", {}, h("dt", {}, key, line.label), value));
    return value;
  });
  const stepLabel = h("dd");
  readout.prepend(h("div", { class: "readout-step" }, h("dt", {}, "Step"), stepLabel));

  function showValues() {
    const hovered = chart?.cursor.idx;
    const index = hovered ?? columns[0].length - 1;
    setText(stepLabel, index < 0 ? "–" : compactStep(columns[0][index]));
    element.classList.toggle("is-hovered", hovered !== null && hovered !== undefined);
    options.lines.forEach((line, i) => {
      const value = hovered === null || hovered === undefined
        ? lastOf(columns[i + 1])
        : nearest(columns[i + 1], index, line.points ? 0 : 8);
      setText(values[i], (line.format ?? compact)(value));
    });
  }

  function build() {
    const { width } = plot.getBoundingClientRect();
    if (!width) return;
    chart?.destroy();
    chart = new uPlot(plotOptions(options, log, width, showValues), columns, plot);
    showValues();
  }

  const resize = new ResizeObserver(() => {
    const width = Math.floor(plot.getBoundingClientRect().width);
    if (!width) return;
    if (!chart) build();
    else if (width !== chart.width) chart.setSize({ width, height: options.height });
  });
  resize.observe(plot);
  const endTheme = onThemeChanged(build);
  plot.addEventListener("keydown", (event) => moveCursor(chart, event));
  plot.addEventListener("blur", () => chart?.setCursor({ left: -10, top: -10 }));

  return {
    element,
    /** Steps first, then a column per line. @param {(number | null)[][]} next */
    setData(next) {
      columns = next;
      if (chart) {
        const left = chart.cursor.left;
        chart.setData(columns);
        if (left >= 0) chart.setCursor({ left, top: chart.cursor.top }, false);
      } else build();
      showValues();
    },
    /** @param {boolean} next */
    setLog(next) {
      if (log === next) return;
      log = next;
      build();
    },
    /** Separate from setData: updated rarely, so that screen readers can keep up. */
    describe() {
      setText(summary, options.summary());
    },
    destroy() {
      resize.disconnect();
      endTheme();
      chart?.destroy();
      fill(plot);
    },
  };
}

/**
 * @param {ChartOptions} options
 * @param {boolean} log
 * @param {number} width
 * @param {() => void} onCursor
 * @returns {any}
 */
function plotOptions({ lines, axis, steps, height, range }, log, width, onCursor) {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axisStyle = { stroke: colour("ink-3"), font, ticks: { show: false } };
  const grid = { stroke: colour("line"), width: 1 };
  return {
    width: Math.floor(width),
    height,
    padding: [10, 10, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      sync: { key: CURSOR_SYNC, setSeries: false },
      drag: { x: true, y: false },
      points: { size: 7, width: 2, fill: () => colour("surface") },
    },
    scales: {
      x: {
        time: false,
        range: (
          /** @type {any} */ _,
          /** @type {number} */ min,
          /** @type {number} */ max,
        ) => [min, Math.max(max, min + 1)],
      },
      y: {
        distr: log ? 3 : 1,
        range: (/** @type {any} */ _, /** @type {number} */ min, /** @type {number} */ max) => {
          if (min === null || max === null) return [0, 1];
          if (log) return uPlot.rangeLog(min, max, 10, false);
          return range ? range(min, max) : uPlot.rangeNum(min, max, 0.1, true);
        },
      },
    },
    axes: [
      {
        ...axisStyle,
        grid: { show: false },
        border: { show: true, stroke: colour("line"), width: 1 },
        size: 28,
        gap: 6,
        space: 58,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5],
        values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map(compactStep),
      },
      {
        ...axisStyle,
        grid,
        size: 56,
        gap: 8,
        space: 38,
        ...(steps ? { incrs: steps } : undefined),
        values: (/** @type {any} */ _, /** @type {(number | null)[]} */ splits) =>
          splits.map((split) => split === null ? "" : axis(split)),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: line.alpha ? tint(line.colour, line.alpha) : colour(line.colour),
        fill: line.area ? tint(line.colour, 0.1) : undefined,
        width: line.alpha ? 1 : line.points ? 1.25 : 1.75,
        dash: line.dashed ? [5, 4] : undefined,
        spanGaps: true,
        points: line.points
          ? {
            // Omit marks where they would hide the line.
            show: (/** @type {any} */ self, /** @type {number} */ index) =>
              countOf(self.data[index]) <= MOST_MARKS,
            size: 7,
            width: 1.75,
            fill: colour("surface"),
            stroke: colour(line.colour),
          }
          : { show: false },
      })),
    ],
    hooks: { setCursor: [onCursor] },
  };
}

/**
 * Arrow keys, so that values can be read without a mouse.
 *
 * @param {any} chart
 * @param {KeyboardEvent} event
 */
function moveCursor(chart, event) {
  const steps = chart?.data[0];
  if (!steps?.length) return;
  const last = steps.length - 1;
  const page = Math.max(1, Math.round(last / 20));
  const current = chart.cursor.idx ?? last;
  /** @type {Record<string, number>} */
  const moves = {
    ArrowLeft: current - (event.shiftKey ? page : 1),
    ArrowRight: current + (event.shiftKey ? page : 1),
    PageUp: current - page,
    PageDown: current + page,
    Home: 0,
    End: last,
  };
  if (event.key === "Escape") chart.setCursor({ left: -10, top: -10 });
  if (!(event.key in moves)) return;
  event.preventDefault();
  const index = Math.max(0, Math.min(last, moves[event.key]));
  chart.setCursor({ left: chart.valToPos(steps[index], "x"), top: 10 });
}

/** @param {number | null} step */
function compactStep(step) {
  if (step === null) return "";
  return step >= 10_000 ? compact(step) : Math.round(step).toLocaleString("en");
}

/** @param {readonly (number | null)[]} column */
function lastOf(column) {
  for (let i = column.length - 1; i >= 0; i--) if (column[i] !== null) return column[i];
  return undefined;
}

/**
 * The value there, or the last within a few points before.
 *
 * @param {readonly (number | null)[]} column
 * @param {number} index
 * @param {number} reach
 */
function nearest(column, index, reach) {
  for (let i = index; i >= Math.max(0, index - reach); i--) {
    if (column[i] !== null && column[i] !== undefined) return column[i];
  }
  return undefined;
}

/** @param {readonly (number | null)[]} column */
function countOf(column) {
  return column.reduce((/** @type {number} */ count, value) => count + (value === null ? 0 : 1), 0);
}
