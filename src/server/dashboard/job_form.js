/** The form of a job: its fields, its plan, and how it is started. */
import { list, post } from "./api.js";
import { fill, h, setText, uniqueId } from "./dom.js";
import { createFieldErrors } from "./field_errors.js";
import { createFileField } from "./file_field.js";
import { howToAddModels } from "./home.js";
import { createHyperparameterFields } from "./hyperparameter_fields.js";
import { hyperparametersOf } from "./job_details.js";
import { keep, reloadJob } from "./jobs.js";
import { connection, onConnectionChanged } from "./live.js";
import { createMethodField } from "./methods.js";
import {
  baseModels,
  fillModelSelect,
  loadModels,
  onModelsChanged,
  resultModels,
} from "./models.js";
import { createPlanPanel } from "./plan_panel.js";
import { go } from "./router.js";
import { createField } from "./text_field.js";

/** @typedef {import("./api.js").RequestError} RequestError */

/**
 * @param {string | null} from the job to copy values from
 * @param {() => void} onStarted
 */
export function createJobForm(from, onStarted) {
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
  const changed = () => ready && plan.update();
  /** Whether the choices are loaded. */
  let ready = false;
  let starting = false;

  /** @type {import("./file_field.js").Uploaded[]} */
  let files = [];
  /**
   * Those uploaded since the list was asked for, which may lack them.
   *
   * @type {import("./file_field.js").Uploaded[]}
   */
  let uploadedSince = [];
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
        uploadedSince.push(file);
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
      errors.clear("plan");
      if (error) showError("plan", error);
    },
    onPlan(fits, answer) {
      fit = fits;
      allowStart();
      options.suggest(answer?.hyperparameters ?? {});
      if (answer?.base) options.offerTemplates(answer.base.templates);
    },
  });
  let fit = true;
  const allowStart = () => (submit.disabled = starting || !fit || !noModels.hidden);
  const errors = createFieldErrors((name) => named[name] ?? options.get(name));
  /** @type {Record<string, import("./field_errors.js").Field>} */
  const named = { model, suffix, seed, training_file: training, validation_file: validation };

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
        options.template,
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
    offerFiles("training_file", training.value);
    offerFiles("validation_file", validation.value);
  }

  /** @param {"training_file" | "validation_file"} param @param {string} chosen */
  function offerFiles(param, chosen) {
    const field = param === "training_file" ? training : validation;
    field.setFiles(files, chosen);
    if (field.value === chosen) return;
    const message = "This file has been deleted: choose another, or upload it again.";
    errors.show("start", { param, message });
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

  /**
   * Shows an error at the field that it names; returns the field's control.
   *
   * @param {import("./field_errors.js").Source} source
   * @param {RequestError} error
   */
  function showError(source, error) {
    if (error.choices) options.offerTemplates(error.choices);
    return errors.show(source, error);
  }

  /** @param {string} message */
  function showProblem(message) {
    problem.hidden = false;
    setText(problem, message);
    return problem;
  }

  /** What the form can say before the server does. @returns {string} */
  function missingFile() {
    if (training.uploading) return "The upload has not finished: wait for it, or cancel it.";
    return training.value ? "" : "A training file is required: choose one, or upload it.";
  }

  form.addEventListener("input", ({ target }) => {
    const { type } = /** @type {HTMLInputElement} */ (target);
    errors.clear("start");
    if (target !== suffix.input && type !== "file") changed();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (starting) return;
    errors.clear("start");
    problem.hidden = true;
    const missing = missingFile();
    if (missing) return errors.show("start", { param: "training_file", message: missing })?.focus();
    starting = true;
    allowStart();
    setText(submit, "Checking the data and starting…");
    try {
      const job = keep(await post("/v1/fine_tuning/jobs", body()));
      onStarted();
      go(`#/jobs/${encodeURIComponent(job.id)}`);
    } catch (error) {
      const fault = /** @type {RequestError} */ (error);
      (showError("start", fault) ?? showProblem(fault.message)).focus();
    } finally {
      starting = false;
      allowStart();
      setText(submit, "Start job");
    }
  });

  function showModels() {
    offerModels(model.input.value || gone || (baseModels()[0]?.id ?? ""));
    noModels.hidden = baseModels().length + resultModels().length > 0;
    if (!noModels.hidden) fill(noModels, howToAddModels());
    model.element.hidden = !noModels.hidden;
    allowStart();
  }

  /** Chosen, but deleted since: no other takes its place unasked. */
  let gone = "";
  /** @param {string} chosen */
  function offerModels(chosen) {
    const select = /** @type {HTMLSelectElement} */ (model.input);
    fillModelSelect(select, chosen);
    gone = "";
    if (!chosen || select.value === chosen) return;
    gone = chosen;
    select.value = "";
    const message = `${chosen} is not there any more: choose another.`;
    errors.show("start", { param: "model", message });
  }

  async function load() {
    uploadedSince = [];
    const [uploaded] = await Promise.all([
      list("/v1/files"),
      loadModels(),
      ready || options.load(),
      ready || method.load(),
    ]);
    files = uploaded.filter(({ purpose }) => purpose === "fine-tune");
    const missing = uploadedSince.filter(({ id }) => !files.some((file) => file.id === id));
    files = [...missing.reverse(), ...files];
    showModels();
    showFiles();
    if (!ready && from) takeOver(await reloadJob(from));
    ready = true;
    problem.hidden = true;
    changed();
  }

  /** @type {Promise<void> | undefined} */
  let loading;
  function refresh() {
    loading ??= load().catch((error) => void showProblem(error.message))
      .finally(() => (loading = undefined));
  }

  /** @param {import("./jobs.js").Job} job */
  function takeOver(job) {
    offerModels(String(job.model));
    suffix.input.value = job.user_provided_suffix ?? "";
    offerFiles("training_file", job.training_file ?? "");
    offerFiles("validation_file", job.validation_file ?? "");
    const { optimizer, ...values } = hyperparametersOf(job);
    if (optimizer) method.choose(String(optimizer));
    options.takeOver(values);
  }

  const ends = [
    onModelsChanged(() => ready && showModels()),
    // What could not be loaded, or planned, while the server was away.
    onConnectionChanged(() => connection.state === "live" && refresh()),
  ];
  return {
    element,
    focusTarget: title,
    refresh,
    end() {
      for (const end of ends) end();
      plan.destroy();
    },
  };
}
