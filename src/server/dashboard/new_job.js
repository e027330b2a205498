/** The form that starts a job. */
import { list, post } from "./api.js";
import { fill, h, setText, uniqueId } from "./dom.js";
import { createFileField } from "./file_field.js";
import { howToAddModels } from "./home.js";
import { hyperparametersOf } from "./job_details.js";
import { keep, reloadJob } from "./jobs.js";
import { createMethodField } from "./methods.js";
import { baseModels, fillModelSelect, loadModels, resultModels } from "./models.js";
import { jobOptions } from "./openapi.js";
import { createOptionField } from "./option_field.js";
import { createPlanPanel } from "./plan_panel.js";
import { go } from "./router.js";

/** The numbers that matter, in the words of the form. @type {Record<string, string>} */
const MAIN = {
  n_epochs: "Epochs",
  batch_size: "Batch size",
  lr: "Learning rate",
  seq_len: "Sequence length",
  rank: "Rank",
  lora_rank: "Rank of the adapters",
};

/** @param {string | null} from the job whose choices are taken over */
export function createNewJob(from) {
  const title = h("h1", { tabindex: -1 }, "New job");
  const id = uniqueId("new");
  const model = h("select", {
    class: "select",
    id: `${id}-model`,
    required: true,
    "aria-describedby": `${id}-model-error`,
  });
  const modelError = fieldError(`${id}-model-error`);
  const suffix = h("input", {
    class: "input",
    id: `${id}-suffix`,
    autocomplete: "off",
    maxlength: 64,
    placeholder: "poems",
    "aria-describedby": `${id}-suffix-hint ${id}-suffix-error`,
  });
  const suffixError = fieldError(`${id}-suffix-error`);
  const noModels = h("div", { class: "notice-block", hidden: true });
  const numbers = h("div", { class: "numbers" });
  const more = h("div", { class: "more-options" });
  const problem = h("p", { class: "field-error", role: "alert", tabindex: -1, hidden: true });
  const submit = h("button", { type: "submit", class: "button primary large" }, "Start the job");

  /** @type {Map<string, ReturnType<typeof createOptionField>>} */
  const fields = new Map();
  /** @type {import("./file_field.js").Uploaded[]} */
  let files = [];

  const changed = () => plan.update();
  /** @param {import("./file_field.js").Uploaded} file */
  const added = (file) => {
    files = [file, ...files];
    training.setFiles(files);
    validation.setFiles(files);
  };
  const training = createFileField({
    name: "training_file",
    label: "Training file",
    hint:
      "JSON lines, one example each: messages, instruction and output, or prompt and completion",
    onChange: changed,
    onUploaded: added,
  });
  const validation = createFileField({
    name: "validation_file",
    label: "Validation file",
    hint: "Examples to evaluate on, in the same layout",
    none: "None: a share of the training file is held back",
    onChange: changed,
    onUploaded: added,
  });
  const method = createMethodField(() =>
    queueMicrotask(() => {
      showRank();
      changed();
    })
  );
  const plan = createPlanPanel({
    body,
    apply,
    onError: (error) => {
      clearErrors();
      if (error?.param) showError(error);
    },
    onPlan(fits, hyperparameters) {
      submit.disabled = !fits;
      for (const name of Object.keys(MAIN)) fields.get(name)?.suggest(hyperparameters[name]);
    },
  });

  const form = h(
    "form",
    { class: "job-form", novalidate: true },
    h(
      "section",
      { class: "form-section" },
      h("h2", {}, "Model and data"),
      noModels,
      h(
        "div",
        { class: "pair" },
        h(
          "div",
          { class: "field", "data-param": "model" },
          h("label", { class: "label", for: `${id}-model` }, "Model"),
          model,
          modelError,
        ),
        h(
          "div",
          { class: "field", "data-param": "suffix" },
          h(
            "label",
            { class: "label", for: `${id}-suffix` },
            "Name ",
            h("span", { class: "optional" }, "optional"),
          ),
          suffix,
          suffixError,
        ),
      ),
      training.element,
      h(
        "details",
        { class: "quiet-details" },
        h("summary", {}, "Validation file"),
        validation.element,
      ),
    ),
    h("section", { class: "form-section" }, h("h2", {}, "Method"), method.element, numbers),
    h(
      "section",
      { class: "form-section" },
      h("details", { class: "quiet-details all-options" }, h("summary", {}, "All options"), more),
    ),
    h("div", { class: "form-foot" }, problem, submit),
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
        "Jobs run one after the other. What is left empty takes the server's default.",
      ),
    ),
    h("div", { class: "form-columns" }, form, h("aside", {}, plan.element)),
  );

  function showRank() {
    for (const name of ["rank", "lora_rank"]) {
      const field = fields.get(name);
      if (field) field.element.hidden = method.value.rank !== name;
    }
  }

  /** The request: only what was chosen. */
  function body() {
    /** @type {Record<string, unknown>} */
    const hyperparameters = { optimizer: method.value.id };
    for (const field of fields.values()) {
      if (field.value !== undefined && !field.element.hidden) {
        hyperparameters[field.name] = field.value;
      }
    }
    const { seed, ...rest } = hyperparameters;
    return {
      model: model.value,
      training_file: training.value || undefined,
      validation_file: validation.value || undefined,
      suffix: suffix.value.trim() || undefined,
      seed,
      method: { type: "supervised", supervised: { hyperparameters: rest } },
    };
  }

  /** @param {Record<string, unknown>} change */
  function apply(change) {
    for (const [name, value] of Object.entries(change)) {
      if (name === "optimizer") method.choose(String(value));
      else fields.get(name)?.set(value);
    }
    changed();
  }

  function clearErrors() {
    for (const field of fields.values()) field.setError("");
    for (const each of [modelError, suffixError, problem]) setFieldError(each, "");
    training.setError("");
    validation.setError("");
  }

  /** At the field that the server names; true where there is one. @param {import("./api.js").RequestError} error */
  function showError({ param = "", message }) {
    const name = param.split(".").at(-1) ?? "";
    const said = message.startsWith(`${param}: `) ? message.slice(param.length + 2) : message;
    /** @type {Record<string, { setError(message: string): void, input: HTMLElement }>} */
    const named = {
      training_file: training,
      validation_file: validation,
      model: { setError: (text) => setFieldError(modelError, text), input: model },
      suffix: { setError: (text) => setFieldError(suffixError, text), input: suffix },
    };
    const field = named[name] ?? fields.get(name);
    field?.setError(said);
    const closed = field?.input.closest("details:not([open])");
    if (closed) /** @type {HTMLDetailsElement} */ (closed).open = true;
    return field?.input;
  }

  form.addEventListener("input", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target !== suffix && /** @type {HTMLInputElement} */ (target).type !== "file") changed();
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
      const fault = /** @type {import("./api.js").RequestError} */ (error);
      const input = showError(fault);
      if (!input) setFieldError(problem, fault.message);
      (input ?? problem).focus();
    } finally {
      submit.disabled = false;
      setText(submit, "Start the job");
    }
  });

  async function loadOptions() {
    const options = await jobOptions();
    const offered = options.filter(({ name }) => name !== "optimizer");
    for (const info of offered) {
      const label = MAIN[info.name];
      fields.set(info.name, createOptionField(info, label ? { label, hint: "" } : {}));
    }
    fill(numbers, Object.keys(MAIN).flatMap((name) => fields.get(name)?.element ?? []));
    const rest = offered.filter(({ name }) => !(name in MAIN));
    const sections = [...new Set(rest.map(({ section }) => section))];
    fill(
      more,
      sections.map((section) =>
        h(
          "fieldset",
          { class: "option-group" },
          h("legend", {}, section),
          h(
            "div",
            { class: "option-grid" },
            rest.filter((it) => it.section === section).flatMap(({ name }) =>
              fields.get(name)?.element ?? []
            ),
          ),
        )
      ),
    );
    showRank();
  }

  async function load() {
    const [, uploaded] = await Promise.all([loadModels(), list("/v1/files"), loadOptions()]);
    files = uploaded.filter(({ purpose }) => purpose === "fine-tune");
    fillModelSelect(model, baseModels()[0]?.id ?? "");
    const none = baseModels().length + resultModels().length === 0;
    noModels.hidden = !none;
    if (none) fill(noModels, howToAddModels());
    training.setFiles(files);
    validation.setFiles(files);
    if (from) takeOver(await reloadJob(from));
    changed();
  }

  /** @param {import("./jobs.js").Job} job */
  function takeOver(job) {
    model.value = String(job.model);
    suffix.value = job.user_provided_suffix ?? "";
    training.setFiles(files, job.training_file);
    validation.setFiles(files, job.validation_file ?? "");
    const { optimizer, ...rest } = hyperparametersOf(job);
    if (optimizer) method.choose(String(optimizer));
    for (const [name, value] of Object.entries(rest)) {
      const field = fields.get(name);
      // The answer has every value that the run went by; what nobody chose is left to the server.
      if (field && (field.info.fixed ? String(value) !== field.info.fallback : name in MAIN)) {
        field.set(value === "auto" ? undefined : value);
      }
    }
  }

  load().catch((error) => setFieldError(problem, error.message));
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

/** @param {string} id */
function fieldError(id) {
  return h("p", { class: "field-error", id, role: "alert", hidden: true });
}

/** @param {HTMLElement} element @param {string} message */
function setFieldError(element, message) {
  element.hidden = !message;
  setText(element, message);
}
