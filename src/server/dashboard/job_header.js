/** Title, status and actions of a job. */
import { announce, fill, h, setText } from "./dom.js";
import { confirm } from "./dialogs.js";
import { copyButton } from "./copy.js";
import { ago, dateTime, percent } from "./format.js";
import { icon } from "./icons.js";
import { act, isFinished, modelOf, resultOf, shareDone, titleOf } from "./jobs.js";
import { createProgress, createStatus, progressText } from "./status.js";

/** @typedef {import("./jobs.js").Job} Job */

/** @param {string} id */
export function createJobHeader(id) {
  const title = h("h1", { tabindex: -1 });
  const status = createStatus();
  const subtitle = h("p", { class: "job-subtitle" });
  const actions = h("div", { class: "job-actions" });
  const notice = h("div", { class: "notice", hidden: true });
  const problem = h("p", { class: "field-error", role: "alert", hidden: true });
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
    notice,
    h("div", { class: "job-progress-row" }, progress.element, progressLine),
  );
  let offered = "";

  /** @param {"pause" | "resume" | "cancel"} action */
  async function perform(action) {
    problem.hidden = true;
    try {
      announce(`${titleOf(await act(id, action))}: ${action} requested`);
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
    const button = (name, label, click) =>
      h("button", { type: "button", class: "button", on: { click } }, icon(name), label);
    const items = [];
    if (job.status === "running" || job.status === "queued") {
      items.push(button("pause", "Pause", () => perform("pause")));
    }
    if (job.status === "paused") items.push(button("play", "Resume", () => perform("resume")));
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
      if (status.element.dataset.status !== job.status) {
        if (status.element.dataset.status) {
          announce(`${titleOf(job)}: ${job.status.replace("_", " ")}`);
        }
        status.update(job.status);
      }
      const offer = `${job.status} ${resultOf(job) ?? ""}`;
      if (offer !== offered) {
        offered = offer;
        fill(actions, actionsOf(job));
        fill(
          subtitle,
          h(
            "span",
            {},
            modelOf(job) === titleOf(job) ? kindOf(job) : `${kindOf(job)} of ${modelOf(job)}`,
          ),
          h("span", { title: dateTime(job.created_at) }, ago(job.created_at)),
          h("span", { class: "job-id" }, h("code", {}, job.id), copyButton(job.id, "the job's id")),
        );
        showNotice(notice, job);
      }
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

/** @param {Job} job */
function kindOf(job) {
  return job.id.startsWith("ptjob-") ? "Pre-training" : "Fine-tuning";
}

/** Why it failed or is paused. @param {HTMLElement} notice @param {Job} job */
function showNotice(notice, job) {
  const reason = job.status === "failed"
    ? job.error?.message
    : job.status === "paused"
    ? job.status_reason
    : undefined;
  notice.hidden = !reason;
  notice.dataset.status = job.status;
  if (!reason) return;
  const advice = job.status === "paused"
    ? "Fix the problem and resume the job: it continues from its checkpoint."
    : "";
  fill(
    notice,
    icon("warning"),
    h("div", {}, h("p", {}, reason), advice && h("p", { class: "muted" }, advice)),
  );
}
