/** A job: its header, and four tabs with charts, samples, events and options. */
import { list, request } from "./api.js";
import { createCharts } from "./charts.js";
import { createDataCard } from "./data_card.js";
import { h } from "./dom.js";
import { createHeatmap } from "./heatmap.js";
import { createDetails, hyperparametersOf } from "./job_details.js";
import { createJobHeader } from "./job_header.js";
import { createStats } from "./job_stats.js";
import { isFinished, jobOf, noteSteps, onJobsChanged, pathOf, reloadJob, titleOf } from "./jobs.js";
import { onEvents } from "./live.js";
import { createLog } from "./log_view.js";
import { PRODUCT } from "./product.js";
import { RunData } from "./run_data.js";
import { createSamples } from "./samples_view.js";
import { createCheckpoints, createEvaluations } from "./tables.js";
import { createTabs } from "./tabs.js";
import { createWarnings } from "./warnings_card.js";

/** Q-GaLore's default. */
const USUAL_GAP = 200;
/** Milliseconds between updates of the charts' descriptions, less frequent than the charts'. */
const DESCRIBE_EVERY = 1000;
/** Polling interval while no step ends: the stream of all jobs has no event before and within one. */
const ACTIVITY_EVERY = 2000;

/** @param {string} id */
export function createJobView(id) {
  const data = new RunData();
  const planned = () => jobOf(id)?.plan?.planned_peak_bytes ?? data.plan?.planned_peak_bytes;
  const gap = () => {
    const job = jobOf(id);
    return Number(job && hyperparametersOf(job).update_proj_gap) || USUAL_GAP;
  };
  /** @type {number | undefined} */
  let lastCheckpoint;
  const header = createJobHeader(id, () => lastCheckpoint);
  const stats = createStats(data, planned);
  const charts = createCharts(data, planned);
  const heatmap = createHeatmap(data, gap);
  const examples = createDataCard(data);
  const warnings = createWarnings();
  const evaluations = createEvaluations(data);
  const checkpoints = createCheckpoints();
  const samples = createSamples(data);
  const log = createLog(id);
  const details = createDetails();
  const waiting = h("p", { class: "chart-waiting", hidden: true });
  const overview = h(
    "div",
    { class: "overview" },
    stats.element,
    waiting,
    warnings.element,
    examples.element,
    charts.loss,
    h("div", { class: "chart-row" }, charts.others),
    heatmap.element,
    h("div", { class: "two-columns" }, evaluations.element, checkpoints.element),
  );
  const base = `#/jobs/${encodeURIComponent(id)}`;
  const tabs = createTabs("Job views", [
    { id: "overview", title: "Overview", href: base, panel: overview },
    { id: "samples", title: "Samples", href: `${base}/samples`, panel: samples.element },
    { id: "log", title: "Log", href: `${base}/log`, panel: log.element },
    { id: "details", title: "Details", href: `${base}/details`, panel: details.element },
  ]);
  const missing = h("div", { class: "empty", hidden: true });
  const element = h(
    "article",
    { class: "job view" },
    header.element,
    tabs.element,
    overview,
    samples.element,
    log.element,
    details.element,
    missing,
  );

  let ready = false;
  let drawn = -1;
  let described = 0;
  /** When a step ended. */
  let stepped = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let describing;
  /** @type {import("./jobs.js").JobEvent[]} */
  let early = [];

  function drawJob() {
    const job = jobOf(id);
    if (!job) return;
    header.update(job);
    document.title = `${titleOf(job)} · ${PRODUCT}`;
    element.classList.toggle("is-over", isFinished(job));
    waiting.hidden = data.steps.length > 0 || isFinished(job);
    waiting.textContent = job.status === "queued"
      ? "Charts appear after the first step. Jobs run one at a time; this one is waiting for its turn."
      : "Charts appear after the first step.";
    warnings.draw(job);
    details.draw(job, data.plan);
  }

  function drawData() {
    if (!ready || drawn === data.version) return;
    drawn = data.version;
    element.classList.toggle("has-steps", data.steps.length > 0);
    stats.draw(jobOf(id));
    examples.draw();
    charts.draw();
    heatmap.draw();
    const job = jobOf(id);
    evaluations.draw(job !== undefined && isFinished(job));
    samples.draw();
    const wait = Math.max(0, described + DESCRIBE_EVERY - performance.now());
    describing ??= setTimeout(() => {
      describing = undefined;
      described = performance.now();
      charts.describe();
    }, wait);
  }

  async function loadCheckpoints() {
    const saved = await list(`${pathOf(id)}/checkpoints`, 100);
    lastCheckpoint = saved[0]?.step_number;
    checkpoints.draw(saved);
    drawJob();
  }

  const ends = [
    onJobsChanged(drawJob),
    onEvents((events) => {
      const own = events.filter((event) => event.job_id === id);
      if (!own.length) return;
      if (own.some(({ type }) => type === "metrics")) stepped = performance.now();
      log.append(own);
      if (own.some(({ data }) => data?.kind === "checkpoint")) loadCheckpoints().catch(() => {});
      if (!ready) return void early.push(...own);
      for (const event of own) data.add(event);
      drawData();
      drawJob();
    }),
  ];

  async function load() {
    const [metrics, events] = await Promise.all([
      request(`${pathOf(id)}/metrics?max_points=1000`),
      log.load(),
      reloadJob(id),
      loadCheckpoints(),
    ]);
    log.append(events);
    data.load(metrics);
    // Events that arrived during the request; those already in the response are recognised by step.
    for (const event of early) data.add(event);
    early = [];
    noteSteps(id, data.timed);
    ready = true;
    drawData();
    drawJob();
  }

  const looking = setInterval(() => {
    const quiet = jobOf(id)?.status === "running" && performance.now() - stepped >= ACTIVITY_EVERY;
    if (quiet && !document.hidden) reloadJob(id).catch(() => {});
  }, ACTIVITY_EVERY);

  drawJob();
  load().catch((error) => {
    missing.hidden = false;
    for (const each of [tabs.element, overview, samples.element, log.element, details.element]) {
      each.hidden = true;
    }
    header.element.hidden = jobOf(id) === undefined;
    missing.replaceChildren(
      h(
        "h1",
        { tabindex: -1 },
        error.status === 404 ? "No such job" : "Could not load this job",
      ),
      h("p", {}, error.message),
      h("a", { class: "button", href: "#/" }, "All jobs"),
    );
  });

  return {
    element,
    focusTarget: header.title,
    /** @param {string} tab */
    select(tab) {
      tabs.select(["samples", "log", "details"].includes(tab) ? tab : "overview");
      if (tab === "log") log.scrollToEnd();
    },
    destroy() {
      for (const end of ends) end();
      clearTimeout(describing);
      clearInterval(looking);
      charts.destroy();
      heatmap.destroy();
    },
  };
}
