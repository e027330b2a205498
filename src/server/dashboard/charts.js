/** The charts of a run. */
import { createChart } from "./chart.js";
import { h } from "./dom.js";
import { bytes, compact, loss, norm, rate, shortest, whole } from "./format.js";
import { paceOf } from "./pace.js";
import { lossColumns, smooth } from "./run_data.js";

/** @param {string} label @param {boolean} pressed @param {(on: boolean) => void} change */
function toggle(label, pressed, change) {
  const button = h(
    "button",
    { type: "button", class: "toggle", "aria-pressed": String(pressed) },
    label,
  );
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    change(on);
  });
  return button;
}

/** Axis steps for memory are powers of two. */
const POWERS_OF_TWO = Array.from({ length: 44 }, (_, i) => 2 ** i);

/**
 * From zero, with headroom.
 *
 * @param {number} _min
 * @param {number} max
 * @returns {[number, number]}
 */
const fromZero = (_min, max) => [0, max > 0 ? max * 1.15 : 1];

/** @param {import("./run_data.js").RunData} data @param {() => number | undefined} plannedBytes */
export function createCharts(data, plannedBytes) {
  let smoothing = true;
  const lossChart = createChart({
    title: "Loss",
    height: 264,
    axis: (value) => value === 0 ? "0" : loss(value, value >= 10 ? 0 : value < 0.1 ? 3 : 2),
    lines: [
      { label: "Training", colour: "chart-train", alpha: 0.35, quiet: true },
      { label: "Training", colour: "chart-train", format: loss },
      { label: "Validation", colour: "chart-valid", format: loss, points: true },
    ],
    controls: [
      toggle("Smooth", true, (on) => {
        smoothing = on;
        drawLoss();
      }),
      toggle("Log", false, (on) => lossChart.setLog(on)),
    ],
    summary: () => describeLoss(data),
  });
  const normChart = createChart({
    title: "Gradient norm",
    height: 264,
    log: true,
    axis: shortest,
    lines: [
      { label: "Norm", colour: "chart-norm", alpha: 0.35, quiet: true },
      { label: "Norm", colour: "chart-norm", format: norm },
    ],
    controls: [toggle("Log", true, (on) => normChart.setLog(on))],
    summary: () =>
      data.last?.grad_norm === undefined
        ? "No norms yet."
        : `${norm(data.last.grad_norm)} at step ${whole(data.last.step)}, before clipping.`,
  });
  const rateChart = createChart({
    title: "Learning rate",
    height: 150,
    axis: (value) =>
      value === 0 ? "0" : value.toExponential(1).replace("e-", "e−").replace(".0e", "e"),
    lines: [{ label: "Rate", colour: "chart-rate", format: rate }],
    range: fromZero,
    summary: () => data.last ? `${rate(data.last.lr)} at step ${data.last.step}.` : "No steps yet.",
  });
  const speedChart = createChart({
    title: "Throughput",
    height: 150,
    axis: compact,
    lines: [
      { label: "Tokens/s", colour: "chart-speed", alpha: 0.35, quiet: true },
      { label: "Tokens/s", colour: "chart-speed", format: compact },
    ],
    range: fromZero,
    summary: () => {
      const { tokensPerSecond } = paceOf(data.timed);
      return tokensPerSecond ? `${whole(tokensPerSecond)} tokens per second now.` : "No steps yet.";
    },
  });
  const memoryChart = createChart({
    title: "GPU memory",
    height: 150,
    steps: POWERS_OF_TWO,
    axis: (value) => value === 0 ? "0" : bytes(value).replace(/\.00? /, " "),
    lines: [
      { label: "Peak", colour: "chart-memory", format: bytes, area: true },
      { label: "Plan", colour: "ink-3", format: bytes, dashed: true },
    ],
    range: fromZero,
    summary: () => {
      const plan = plannedBytes();
      if (!data.last) return plan ? `${bytes(plan)} planned.` : "No steps yet.";
      return `${bytes(data.last.gpu_peak_bytes)} at its peak${
        plan ? ` of ${bytes(plan)} planned` : ""
      }.`;
    },
  });
  const lossRow = h("div", { class: "loss-row" }, lossChart.element, normChart.element);
  const charts = [lossChart, normChart, rateChart, speedChart, memoryChart];

  function drawLoss() {
    const { at, train, valid } = lossColumns(data.steps, data.evaluations);
    const calm = smoothing ? smooth(train) : train;
    lossChart.setData([at, smoothing ? train : train.map(() => null), calm, valid]);
  }

  /** Most runs have none: then the loss has all the room. @param {number[]} steps */
  function drawNorms(steps) {
    const norms = data.steps.map(({ grad_norm }) => grad_norm && grad_norm > 0 ? grad_norm : null);
    const known = norms.some((each) => each !== null);
    lossRow.classList.toggle("has-norms", known);
    normChart.element.hidden = !known;
    if (known) normChart.setData([steps, norms, smooth(norms)]);
  }

  return {
    loss: lossRow,
    others: [rateChart.element, speedChart.element, memoryChart.element],
    draw() {
      drawLoss();
      const steps = data.steps.map(({ step }) => step);
      drawNorms(steps);
      const plan = plannedBytes() ?? null;
      rateChart.setData([steps, data.steps.map(({ lr }) => lr ?? null)]);
      const speeds = data.steps.map((it) => data.speedOf(it));
      speedChart.setData([steps, speeds, smooth(speeds)]);
      memoryChart.setData([
        steps,
        data.steps.map((it) => it.gpu_peak_bytes ?? null),
        steps.map(() => plan),
      ]);
    },
    describe() {
      for (const chart of charts) chart.describe();
    },
    destroy() {
      for (const chart of charts) chart.destroy();
    },
  };
}

/** @param {import("./run_data.js").RunData} data */
function describeLoss({ steps, evaluations, last }) {
  if (!last) return "No steps yet.";
  const lowest = steps.reduce((a, b) => (b.train_loss < a.train_loss ? b : a));
  const valid = evaluations.at(-1);
  return `Training loss after ${whole(last.step)} steps: ${loss(steps[0].train_loss)} at step ` +
    `${whole(steps[0].step)}, lowest ${loss(lowest.train_loss)} at step ${whole(lowest.step)}, ` +
    `${loss(last.train_loss)} now.` +
    (valid ? ` Validation loss ${loss(valid.valid_loss)} at step ${whole(valid.step)}.` : "");
}
