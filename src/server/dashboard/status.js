/** States of a job, in words and colours. */
import { h, setText } from "./dom.js";
import { duration, whole } from "./format.js";
import { queue, secondsLeft, shareDone } from "./jobs.js";
import { phaseOf } from "./phase.js";

/** @type {Record<string, string>} */
const LABELS = {
  validating_files: "Validating",
  queued: "Queued",
  running: "Running",
  paused: "Paused",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** @param {string} status */
export function statusLabel(status) {
  return LABELS[status] ?? status;
}

/** A dot and a word. */
export function createStatus() {
  const word = h("span");
  const element = h("span", { class: "status" }, h("span", { class: "status-dot" }), word);
  return {
    element,
    /** @param {string} status */
    update(status) {
      element.dataset.status = status;
      setText(word, statusLabel(status));
    },
  };
}

/**
 * The progress of a job in one line: `412 of 1,000 · 2 min 10 s left`.
 *
 * @param {import("./jobs.js").Job} job
 */
export function progressText(job) {
  if (job.status === "queued") return queueText(job);
  const { progress } = job;
  const phase = phaseOf(job);
  const left = phase ? undefined : secondsLeft(job);
  const steps = progress?.total_steps && progress.step
    ? `${whole(progress.step)} of ${whole(progress.total_steps)}`
    : "";
  return [steps, phase, left === undefined ? "" : `${duration(left)} left`].filter(Boolean)
    .join(" · ");
}

/** @param {import("./jobs.js").Job} job */
function queueText({ id }) {
  const place = queue().findIndex((job) => job.id === id);
  return place < 0 ? "" : place === 0 ? "Next in the queue" : `Number ${place + 1} in the queue`;
}

/** A thin progress bar; screen readers get its text only. */
export function createProgress() {
  const element = h("div", {
    class: "progress",
    role: "progressbar",
    "aria-label": "Progress",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  }, h("div", { class: "progress-fill" }));
  return {
    element,
    /** @param {import("./jobs.js").Job} job */
    update(job) {
      const share = shareDone(job);
      element.dataset.status = job.status;
      element.classList.toggle("is-unknown", share === undefined && job.status === "running");
      element.style.setProperty("--share", String(share ?? 0));
      if (share === undefined) element.removeAttribute("aria-valuenow");
      else element.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
      element.setAttribute("aria-valuetext", progressText(job) || statusLabel(job.status));
    },
  };
}
