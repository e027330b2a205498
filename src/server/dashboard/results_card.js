/** Models that jobs have trained: to delete. */
import { createDeletableTable } from "./deletable_table.js";
import { h } from "./dom.js";
import { whole } from "./format.js";
import { allJobs, onJobsChanged, reloadJob, resultOf } from "./jobs.js";
import { loadModels, modelsLoaded, onModelsChanged, resultModels, shortName } from "./models.js";
import { timeAgo } from "./time_ago.js";

/** @typedef {{ model: import("./models.js").Model, job: string | undefined }} Result */

export function createResultsCard() {
  /** By model, also of one whose job has lost it already. @type {Map<string | undefined, string>} */
  const jobs = new Map();
  const table = createDeletableTable({
    title: "Models of jobs",
    columns: ["Name", "Job", "Created"],
    empty:
      "No models of jobs: those of finished jobs appear here. Models in the models folder do not: the server only reads it.",
    // With the job, so that the row of a model is drawn anew once its job is known.
    keyOf: (/** @type {Result} */ { model, job = "" }) => `${model.id} ${job}`,
    nameOf: ({ model }) => shortName(model.id),
    pathOf: ({ model }) => `/v1/models/${encodeURIComponent(model.id)}`,
    lossOf: ({ model }) =>
      `The weights of ${model.id} are deleted for good. Its job stays, with its charts and checkpoints.`,
    cells: ({ model, job }) => [
      [shortName(model.id), h("span", { class: "file-id" }, model.id)],
      job ? jobLink(job, model) : "An older job",
      timeAgo(model.created),
    ],
    onDeleted({ job }) {
      refresh();
      if (job) reloadJob(job).catch(() => {});
    },
  });

  function draw() {
    if (!modelsLoaded) return;
    for (const job of allJobs()) jobs.set(resultOf(job), job.id);
    table.show(resultModels().map((model) => ({ model, job: jobs.get(model.id) })), count);
  }

  async function refresh() {
    try {
      await loadModels();
    } catch (error) {
      table.explain(`The models could not be loaded: ${/** @type {Error} */ (error).message}`);
    }
  }
  const ends = [onModelsChanged(draw), onJobsChanged(draw)];
  return {
    element: table.element,
    refresh,
    destroy() {
      for (const end of ends) end();
    },
  };
}

/** @param {readonly Result[]} results */
function count({ length }) {
  return length ? `${whole(length)} ${length === 1 ? "model" : "models"}` : "";
}

/** @param {string} job @param {import("./models.js").Model} model */
function jobLink(job, model) {
  const href = `#/jobs/${encodeURIComponent(job)}`;
  return h("a", { href, "aria-label": `View the job of ${shortName(model.id)}` }, "View the job");
}
