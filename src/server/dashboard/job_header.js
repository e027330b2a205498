/** Title, status and actions of a job. */
import { announce, fill, h, setText } from "./dom.js";
import { confirm } from "./dialogs.js";
import { copyButton } from "./copy.js";
import { download } from "./download.js";
import { percent } from "./format.js";
import { icon } from "./icons.js";
import { createNotice } from "./job_notice.js";
import { act, isFinished, modelOf, pathOf, resultOf, shareDone, titleOf } from "./jobs.js";
import { createProgress, createStatus, progressText } from "./status.js";
import { timeAgo } from "./time_ago.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {"pause" | "resume" | "cancel"} Action */

/** What an action leads to, until it is there: a step may take a minute. @type {Record<Action, string>} */
const UNDER_WAY = {
  pause: "Pausing: a checkpoint is saved after the current step.",
  cancel: "Cancelling: it stops after the current step.",
  resume: "Resuming.",
};

/** @param {string} id @param {() => number | undefined} lastCheckpoint its step */
export function createJobHeader(id, lastCheckpoint) {
  const title = h("h1", { tabindex: -1 });
  const status = createStatus();
  const subtitle = h("p", { class: "job-subtitle" });
  const actions = h("div", { class: "job-actions" });
  const notice = createNotice();
  const problem = h("p", { class: "field-error", role: "alert", hidden: true });
  const underWay = h("p", { class: "muted", role: "status", hidden: true });
  const progress = createProgress();
  const progressLine = h("p", { class: "job-progress" });
  const element = h(
    "header",
    { class: "job-header" },
    h(
      "div",
      { class: "job-title" },
      h("div", {}, h("div", { class: "job-name" }, title, status.element), subtitle),
      actions,
    ),
    problem,
    underWay,
    notice.element,
    h("div", { class: "job-progress-row" }, progress.element, progressLine),
  );
  let offered = "";

  /** @param {Action} action */
  async function perform(action) {
    problem.hidden = true;
    underWay.hidden = false;
    setText(underWay, UNDER_WAY[action]);
    const before = status.element.dataset.status;
    try {
      const job = await act(id, action);
      if (job.status !== before) underWay.hidden = true;
    } catch (error) {
      underWay.hidden = true;
      problem.hidden = false;
      setText(problem, /** @type {Error} */ (error).message);
    }
  }

  async function saveReport() {
    problem.hidden = true;
    try {
      await download(`${pathOf(id)}/report`, `report-${id}.html`);
    } catch (error) {
      problem.hidden = false;
      setText(problem, /** @type {Error} */ (error).message);
    }
  }

  async function cancel() {
    const sure = await confirm({
      title: "Cancel this job?",
      text:
        "It stops within a step and cannot be resumed. Its checkpoints are kept until space is needed.",
      confirm: "Cancel job",
      danger: true,
    });
    if (sure) await perform("cancel");
  }

  /** @param {Job} job */
  function actionsOf(job) {
    /** @param {Parameters<typeof icon>[0]} name @param {string} label @param {() => void} click */
    const button = (name, label, click, look = "button") =>
      h("button", { type: "button", class: look, on: { click } }, icon(name), label);
    const items = [];
    if (job.status === "running" || job.status === "queued") {
      items.push(button("pause", "Pause", () => perform("pause")));
    }
    if (job.status === "paused" || job.status === "failed") {
      items.push(button("play", "Resume", () => perform("resume"), "button primary"));
    }
    if (!isFinished(job)) items.push(button("stop", "Cancel", cancel));
    if (isFinished(job) && job.id.startsWith("ftjob-")) {
      items.push(
        h(
          "a",
          { class: "button", href: `#/new?from=${encodeURIComponent(job.id)}` },
          icon("again"),
          "Run again",
        ),
      );
    }
    if (hasBegun(job)) items.push(button("file", "Report", saveReport));
    if (resultOf(job)) {
      const href = `#/chat/${encodeURIComponent(resultOf(job) ?? "")}`;
      items.push(h("a", { class: "button primary", href }, icon("chat"), "Chat"));
    }
    return items;
  }

  return {
    element,
    title,
    /** @param {Job} job */
    update(job) {
      setText(title, titleOf(job));
      const before = status.element.dataset.status;
      if (before !== job.status) {
        if (before) announce(`${titleOf(job)}: ${job.status.replace("_", " ")}`);
        status.update(job.status);
        underWay.hidden = true;
      }
      const offer = `${job.status} ${hasBegun(job)} ${resultOf(job) ?? ""}`;
      if (offer !== offered) {
        offered = offer;
        const focused = actions.contains(document.activeElement);
        fill(actions, actionsOf(job));
        if (focused) /** @type {HTMLElement | null} */ (actions.firstElementChild)?.focus();
        fill(
          subtitle,
          h(
            "span",
            {},
            modelOf(job) === titleOf(job) ? kindOf(job) : `${kindOf(job)} of ${modelOf(job)}`,
          ),
          timeAgo(job.created_at),
          h("span", { class: "job-id" }, h("code", {}, job.id), copyButton(job.id, "the job's id")),
        );
      }
      notice.update(job, lastCheckpoint());
      progress.element.parentElement?.classList.toggle("is-done", isFinished(job));
      progress.update(job);
      const share = shareDone(job);
      setText(
        progressLine,
        [share === undefined ? "" : percent(share), progressText(job)].filter(Boolean).join(" · "),
      );
    },
  };
}

/** Whether it may have trained a step: of nothing there is no report. @param {Job} job */
function hasBegun(job) {
  return shareDone(job) !== undefined || isFinished(job);
}

/** @param {Job} job */
function kindOf(job) {
  return job.id.startsWith("ptjob-") ? "Pre-training" : "Fine-tuning";
}
