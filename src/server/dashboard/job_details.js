/** The request of a job and its memory plan. */
import { fill, h } from "./dom.js";
import { dateTime, duration, whole } from "./format.js";
import { modelOf, resultOf } from "./jobs.js";
import { createPlanBar } from "./plan_bar.js";

/** @param {import("./jobs.js").Job} job */
export function hyperparametersOf(job) {
  const method = job.method?.[job.method?.type] ?? job.method?.supervised;
  return /** @type {Record<string, unknown>} */ (method?.hyperparameters ?? job.hyperparameters ??
    {});
}

export function createDetails() {
  const element = h("div", { class: "details-grid" });
  let drawn = "";
  return {
    element,
    /**
     * @param {import("./jobs.js").Job} job
     * @param {Record<string, any> | undefined} plan of the run
     */
    draw(job, plan) {
      const state = `${job.status} ${job.finished_at} ${plan ? 1 : 0} ${job.trained_tokens}`;
      if (state === drawn) return;
      drawn = state;
      const bar = createPlanBar();
      const memory = job.plan ?? plan;
      if (memory) bar.show(memory);
      const facts = card("Job", [
        ["Id", job.id],
        ["Model", modelOf(job)],
        ["Training file", filesOf(job.training_file ?? job.training_files)],
        ["Validation file", filesOf(job.validation_file ?? job.validation_files)],
        ["Result", resultOf(job)],
        ["Seed", job.seed],
        ["Trained tokens", job.trained_tokens ? whole(job.trained_tokens) : undefined],
        ["Created", dateTime(job.created_at)],
        ["Finished", job.finished_at ? dateTime(job.finished_at) : undefined],
        ["Total time", job.finished_at ? duration(job.finished_at - job.created_at) : ""],
        ["Adapter", plan?.adapter],
        ["Parameters", plan ? whole(plan.parameters) : undefined],
        ["Trained parameters", plan ? whole(plan.trained_parameters) : undefined],
      ]);
      const options = Object.entries(hyperparametersOf(job)).map((
        [name, value],
      ) => /** @type {[string, unknown]} */ ([
        name,
        typeof value === "object" ? JSON.stringify(value) : value,
      ]));
      fill(
        element,
        h("div", {}, facts, memory ? planCard(bar.element) : null),
        h("div", { class: "options-card" }, card("Options", options)),
      );
    },
  };
}

/** @param {HTMLElement} bar */
function planCard(bar) {
  return h(
    "section",
    { class: "card", "aria-label": "Memory plan" },
    h("div", { class: "card-head" }, h("h2", {}, "Memory plan")),
    bar,
  );
}

/** @param {unknown} files */
function filesOf(files) {
  return Array.isArray(files) ? files.join(", ") : files;
}

/** @param {string} title @param {[string, unknown][]} entries */
function card(title, entries) {
  const rows = entries.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h(
    "section",
    { class: "card", "aria-label": title },
    h("div", { class: "card-head" }, h("h2", {}, title)),
    rows.length
      ? h(
        "dl",
        { class: "facts" },
        rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
      )
      : h("p", { class: "nothing" }, "All defaults."),
  );
}
