/** The request of a job and its memory plan. */
import { copyButton } from "./copy.js";
import { fill, h, setText } from "./dom.js";
import { fileName } from "./files.js";
import { dateTime, duration, eachOf, loss, whole } from "./format.js";
import { modelOf, placesOf, resultOf } from "./jobs.js";
import { TWICE } from "./openapi.js";
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
      const { status, runs_on, finished_at, trained_tokens, best, stopped_early_at } = job;
      const state = JSON.stringify([
        status,
        runs_on,
        finished_at,
        trained_tokens,
        best,
        stopped_early_at,
        !plan,
      ]);
      if (state === drawn) return;
      drawn = state;
      const bar = createPlanBar();
      const memory = job.plan ?? plan;
      if (memory) bar.show(memory);
      const facts = card("Job", [
        ["Id", withCopy(job.id, "the job's id")],
        ["Model", modelOf(job)],
        ["Training data", filesOf(job.training_file ?? job.training_files, "No file")],
        ["Validation data", filesOf(job.validation_file ?? job.validation_files, heldOut(job))],
        [
          runs_on?.others.length ? "Workers" : "Worker",
          placesOf(job).map(({ worker, card }) => `${worker}, ${card}`).join("; "),
        ],
        ["Result", resultOf(job)],
        ["Seed", job.seed],
        ["Trained tokens", trained_tokens ? whole(trained_tokens) : undefined],
        ["Best evaluation", best ? `${loss(best.valid_loss)} at step ${whole(best.step)}` : ""],
        ["Stopped early", stopped_early_at ? `at step ${whole(stopped_early_at)}` : ""],
        ["Created", dateTime(job.created_at)],
        ["Finished", finished_at ? dateTime(finished_at) : undefined],
        // Not after a clock was set back in between.
        ["Total time", finished_at > job.created_at ? duration(finished_at - job.created_at) : ""],
        ["Adapter", plan?.adapter],
        ["Parameters", plan ? whole(plan.parameters) : undefined],
        ["Trained parameters", plan ? whole(plan.trained_parameters) : undefined],
      ]);
      fill(
        element,
        h("div", {}, facts, memory ? planCard(bar.element, eachOf(hyperparametersOf(job))) : null),
        h("div", { class: "options-card" }, card("Options", optionsOf(job))),
      );
    },
  };
}

/** Each once, though the API repeats some under OpenAI's names. @param {import("./jobs.js").Job} job */
function optionsOf(job) {
  const options = hyperparametersOf(job);
  return Object.entries(options)
    .filter(([name]) => !(TWICE[name] && TWICE[name] in options))
    .map(([name, value]) => /** @type {[string, unknown]} */ ([
      name,
      typeof value === "object" ? JSON.stringify(value) : value,
    ]));
}

/** What validation uses without a file. @param {import("./jobs.js").Job} job */
function heldOut(job) {
  const share = Number(hyperparametersOf(job).eval_share ?? Number.NaN);
  if (share === 0) return "No file, and no examples held out: nothing is evaluated";
  if (share >= 1) return `No file: ${whole(share)} of the training examples are held out`;
  const percents = Number((100 * share).toPrecision(2));
  return share > 0 ? `No file: ${percents}% of the training data is held out` : "No file";
}

/** @param {HTMLElement} bar @param {string} whose */
function planCard(bar, whose) {
  return h(
    "section",
    { class: "card", "aria-label": "Memory plan" },
    h("div", { class: "card-head" }, h("h2", {}, "Memory plan"), h("p", { class: "muted" }, whose)),
    bar,
  );
}

/** Files by their names, with their ids. @param {unknown} files @param {string} none */
function filesOf(files, none) {
  const ids = /** @type {string[]} */ ((Array.isArray(files) ? files : [files]).filter(Boolean));
  if (!ids.length) return none;
  return h("ul", { class: "file-list" }, ids.map(fileOf));
}

/** @param {string} id */
function fileOf(id) {
  const name = h("span", {}, id);
  const below = h("span", { class: "file-id" }, withCopy(id, "the file's id"));
  below.hidden = true;
  fileName(id).then((found) => {
    setText(name, found ?? "A file that has been deleted");
    below.hidden = false;
  }).catch(() => {});
  return h("li", {}, name, below);
}

/** @param {string} id @param {string} label */
function withCopy(id, label) {
  return h("span", { class: "copyable" }, h("code", {}, id), copyButton(id, label));
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
        rows.map(([name, value]) =>
          h(
            "div",
            {},
            h("dt", {}, breakable(name)),
            h("dd", {}, value instanceof Node ? value : String(value)),
          )
        ),
      )
      : h("p", { class: "nothing" }, "All defaults."),
  );
}

/** A long name in snake case breaks between its words. @param {string} name */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, i) => i ? [h("wbr"), part] : [part]);
}
