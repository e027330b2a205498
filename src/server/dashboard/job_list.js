/** A section of the sidebar with jobs: the first of them, and the others when asked for. */
import { fill, h, keyed, setText } from "./dom.js";
import { isFinished, modelOf, titleOf } from "./jobs.js";
import { createMore } from "./more.js";
import { createProgress, progressText, statusLabel } from "./status.js";
import { timeAgo } from "./time_ago.js";

/** @typedef {import("./jobs.js").Job} Job */

/**
 * @param {string} title
 * @param {(element: HTMLElement) => void} onCreated for each item
 */
export function createJobList(title, onCreated) {
  const list = h("ul", { class: "job-list" });
  const more = createMore(list, () => draw(jobs));
  const element = h(
    "section",
    { class: "sidebar-section", hidden: true, "aria-label": title },
    h("h2", {}, title),
    list,
    more.element,
  );
  /** @type {Job[]} */
  let jobs = [];
  const create = (/** @type {Job} */ job) => {
    const item = createItem(job);
    onCreated(item);
    return item;
  };

  /** @param {Job[]} next */
  function draw(next) {
    jobs = next;
    element.hidden = jobs.length === 0;
    keyed(list, more.first(jobs), ({ id }) => id, create, updateItem);
  }

  return { element, draw };
}

/**
 * @type {WeakMap<HTMLElement, {
 *   title: HTMLElement,
 *   meta: HTMLElement,
 *   progress: ReturnType<typeof createProgress>,
 *   state: string,
 * }>}
 */
const parts = new WeakMap();

/** @param {Job} job */
function createItem(job) {
  const progress = createProgress();
  const title = h("span", { class: "job-item-title" });
  const meta = h("span", { class: "job-item-meta" });
  const item = h(
    "li",
    {},
    h(
      "a",
      { class: "job-item", href: `#/jobs/${encodeURIComponent(job.id)}` },
      h("span", { class: "status-dot", "aria-hidden": "true" }),
      title,
      meta,
      progress.element,
    ),
  );
  parts.set(item, { title, meta, progress, state: "" });
  return item;
}

/** @param {HTMLElement} item @param {Job} job */
function updateItem(item, job) {
  const its = parts.get(item);
  if (!its) return;
  const link = /** @type {HTMLElement} */ (item.firstElementChild);
  link.dataset.status = job.status;
  link.title = titleOf(job);
  setText(its.title, titleOf(job));
  const running = job.status === "running";
  const far = running || job.status === "queued" ? progressText(job) : statusLabel(job.status);
  const state = `${job.status} ${far}`;
  if (state !== its.state) {
    its.state = state;
    const rest = running ? [] : [" · ", restOf(job)];
    fill(its.meta, far, rest);
  }
  its.progress.element.hidden = !running;
  if (running) its.progress.update(job);
}

/** The model, or the time of a job that is named after it. @param {Job} job */
function restOf(job) {
  if (modelOf(job) !== titleOf(job)) return modelOf(job);
  return timeAgo(isFinished(job) ? job.finished_at ?? job.created_at : job.created_at);
}
