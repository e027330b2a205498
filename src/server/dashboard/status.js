/** States of a job, in words and colours. */
import { h, setText } from "./dom.js";
import { duration, percent, whole } from "./format.js";
import { secondsLeft, shareDone } from "./jobs.js";

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
  const { progress, preparation, status } = job;
  if (status === "running" && preparation) {
    const { what, share, count } = preparation;
    const far = share !== undefined && share !== null
      ? ` · ${percent(share)}`
      : count
      ? ` · ${whole(count)}`
      : "";
    return capital(what) + far;
  }
  if (status === "running" && !progress?.step) return "Preparing";
  const left = secondsLeft(job);
  const steps = progress?.total_steps
    ? `${whole(progress.step)} of ${whole(progress.total_steps)}`
    : "";
  return [steps, left === undefined ? "" : `${duration(left)} left`].filter(Boolean).join(" · ");
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

/** @param {string} text */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
