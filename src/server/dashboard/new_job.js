/** The form that starts a job. */
import { list, post } from "./api.js";
import { fill, h, setText, uniqueId } from "./dom.js";
import { createFileField } from "./file_field.js";
import { howToAddModels } from "./home.js";
import { createHyperparameterFields } from "./hyperparameter_fields.js";
import { hyperparametersOf } from "./job_details.js";
import { keep, reloadJob } from "./jobs.js";
import { createMethodField } from "./methods.js";
import { baseModels, fillModelSelect, loadModels, resultModels } from "./models.js";
import { createPlanPanel } from "./plan_panel.js";
import { go } from "./router.js";
import { createField } from "./text_field.js";

/** @typedef {import("./api.js").RequestError} RequestError */

/** @param {string | null} from the job to copy values from */
export function createNewJob(from) {
  const id = uniqueId("new");
  const title = h("h1", { tabindex: -1 }, "New job");
  const model = createField("model", "Model", h("select", { class: "select", id: `${id}-model` }));
  const suffix = createField(
    "suffix",
    "Name",
    h("input", {
      class: "input",
      id: `${id}-suffix`,
      autocomplete: "off",
      maxlength: 64,
      placeholder: "poems",
    }),
    { optional: true },
  );
  const seed = createField(
    "seed",
    "Seed",
    h("input", { class: "input", id: `${id}-seed`, inputmode: "numeric", placeholder: "42" }),
  );
  const noModels = h("div", { class: "notice-block", hidden: true });
  const problem = h("p", { class: "field-error", role: "alert", tabindex: -1, hidden: true });
  const submit = h("button", { type: "submit", class: "button primary large" }, "Start job");
  const options = createHyperparameterFields();
  const changed = () => plan.update();

  /** @type {import("./file_field.js").Uploaded[]} */
  let files = [];
  const fileField = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {string} */ hint,
    /** @type {string} */ none = "",
  ) =>
    createFileField({
      name,
      label,
      hint,
      none,
      onChange: changed,
      onUploaded(file) {
        files = [file, ...files];
        showFiles();
      },
    });
  const training = fileField(
    "training_file",
    "Training file",
    "JSON, CSV, Parquet or Arrow: messages, instruction and output, or prompt and completion",
  );
  const validation = fileField(
    "validation_file",
    "Validation file",
    "Examples for evaluation, in the same format",
    "None: part of the training file is held out",
  );
  const method = createMethodField((chosen) => {
    options.useRank(chosen.rank_option);
    changed();
  });
  const plan = createPlanPanel({
    body,
    apply,
    onError(error) {
      clearErrors();
      if (error?.param) showError(error);
    },
    onPlan(fits, values) {
      submit.disabled = !fits;
      options.suggest(values);
    },
  });

  const form = h(
    "form",
    { class: "form-columns", novalidate: true },
    h(
      "div",
      { class: "job-form" },
      h(
        "section",
        { class: "form-section" },
        h("h2", {}, "Model and data"),
        noModels,
        h("div", { class: "pair" }, model.element, suffix.element),
        training.element,
        h(
          "details",
          { class: "quiet-details" },
          h("summary", {}, "Validation file"),
          validation.element,
        ),
      ),
      h("section", { class: "form-section" }, h("h2", {}, "Method"), method.element, options.main),
      h(
        "section",
        { class: "form-section" },
        h(
          "details",
          { class: "quiet-details" },
          h("summary", {}, "All options"),
          options.others,
          h("div", { class: "pair" }, seed.element),
        ),
      ),
    ),
    h("div", { class: "form-side" }, plan.element, problem, submit),
  );
  const element = h(
    "section",
    { class: "view new-job-view" },
    h(
      "header",
      { class: "view-head" },
      title,
      h(
        "p",
        { class: "muted" },
        "Jobs run one at a time. Empty fields use the server's defaults.",
      ),
    ),
    form,
  );

  function showFiles() {
    training.setFiles(files);
    validation.setFiles(files);
  }

  /** The request, with the entered values only. */
  function body() {
    const hyperparameters = { optimizer: method.value, ...options.values() };
    return {
      model: model.input.value,
      training_file: training.value || undefined,
      validation_file: validation.value || undefined,
      suffix: suffix.input.value.trim() || undefined,
      seed: seed.input.value.trim() ? Number(seed.input.value) : undefined,
      method: { type: "supervised", supervised: { hyperparameters } },
    };
  }

  /** @param {Record<string, unknown>} change */
  function apply(change) {
    for (const [name, value] of Object.entries(change)) {
      if (name === "optimizer") method.choose(String(value));
      else options.get(name)?.set(value);
    }
    changed();
  }

  function clearErrors() {
    options.clearErrors();
    for (const field of [model, suffix, seed, training, validation]) field.setError("");
    problem.hidden = true;
  }

  /** Shows an error at the field that it names; returns the field. @param {RequestError} error */
  function showError({ param = "", message }) {
    const name = param.split(".").at(-1) ?? "";
    const named = { model, suffix, seed, training_file: training, validation_file: validation };
    const field = named[/** @type {keyof typeof named} */ (name)] ?? options.get(name);
    field?.setError(message.startsWith(`${param}: `) ? message.slice(param.length + 2) : message);
    const closed = /** @type {HTMLDetailsElement | null | undefined} */ (
      field?.input.closest("details:not([open])")
    );
    if (closed) closed.open = true;
    return field?.input;
  }

  /** @param {string} message */
  function showProblem(message) {
    problem.hidden = false;
    setText(problem, message);
    return problem;
  }

  form.addEventListener("input", ({ target }) => {
    const { type } = /** @type {HTMLInputElement} */ (target);
    if (target !== suffix.input && type !== "file") changed();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearErrors();
    submit.disabled = true;
    setText(submit, "Starting…");
    try {
      const job = keep(await post("/v1/fine_tuning/jobs", body()));
      go(`#/jobs/${encodeURIComponent(job.id)}`);
    } catch (error) {
      const fault = /** @type {RequestError} */ (error);
      (showError(fault) ?? showProblem(fault.message)).focus();
    } finally {
      submit.disabled = false;
      setText(submit, "Start job");
    }
  });

  async function load() {
    const [uploaded] = await Promise.all([
      list("/v1/files"),
      loadModels(),
      options.load(),
      method.load(),
    ]);
    files = uploaded.filter(({ purpose }) => purpose === "fine-tune");
    fillModelSelect(/** @type {HTMLSelectElement} */ (model.input), baseModels()[0]?.id ?? "");
    noModels.hidden = baseModels().length + resultModels().length > 0;
    if (!noModels.hidden) fill(noModels, howToAddModels());
    showFiles();
    if (from) takeOver(await reloadJob(from));
    changed();
  }

  /** @param {import("./jobs.js").Job} job */
  function takeOver(job) {
    model.input.value = String(job.model);
    suffix.input.value = job.user_provided_suffix ?? "";
    training.setFiles(files, job.training_file);
    validation.setFiles(files, job.validation_file ?? "");
    const { optimizer, ...values } = hyperparametersOf(job);
    if (optimizer) method.choose(String(optimizer));
    options.takeOver(values);
  }

  load().catch((error) => showProblem(error.message));
  return {
    element,
    focusTarget: title,
    destroy() {
      training.destroy();
      validation.destroy();
      plan.destroy();
    },
  };
}
