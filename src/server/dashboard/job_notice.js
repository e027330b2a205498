/** Why a job is paused or has failed, and what can be done about it. */
import { fill, h } from "./dom.js";
import { whole } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {import("./jobs.js").Job} Job */

export function createNotice() {
  const element = h("div", { class: "notice", hidden: true });
  let drawn = "";
  return {
    element,
    /** @param {Job} job @param {number | undefined} from step of the latest checkpoint */
    update(job, from) {
      const [reason, advice] = noticeOf(job, from);
      if (drawn === reason + advice) return;
      drawn = reason + advice;
      element.hidden = !reason;
      element.dataset.status = job.status;
      fill(
        element,
        icon("warning"),
        h(
          "div",
          {},
          h("p", { class: "notice-reason" }, reason),
          h("p", {}, advice),
          job.status_reason_code === "disk_full"
            ? h("a", { href: "#/files" }, "See files and models")
            : null,
        ),
      );
    },
  };
}

/** @param {Job} job @param {number | undefined} from @returns {[string, string]} reason and advice */
function noticeOf(job, from) {
  const resumed = `Resumed, it ${whereTo(job, from)}.`;
  if (job.status === "paused") {
    return [job.status_reason ? `Paused: ${job.status_reason}` : "Paused on request.", resumed];
  }
  if (job.status !== "failed") return ["", ""];
  const again = job.id.startsWith("ftjob-")
    ? " “Run again” opens the form with its values, to change what was wrong."
    : "";
  return [`Failed: ${job.error?.message ?? "no reason was given"}`, resumed + again];
}

/** @param {Job} job @param {number | undefined} from */
function whereTo({ progress }, from) {
  if (from !== undefined) return `continues from the checkpoint of step ${whole(from)}`;
  return progress?.step
    ? "starts again from the beginning, since it has no checkpoint"
    : "starts from the beginning";
}
