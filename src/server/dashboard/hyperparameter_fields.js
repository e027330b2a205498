/** The options of a job as fields: the most important ones, and all others by section. */
import { fill, h } from "./dom.js";
import { jobOptions } from "./openapi.js";
import { createOptionField } from "./option_field.js";
import { createTemplateField } from "./template_field.js";

/** The most important numbers, with their labels in the form. @type {Record<string, string>} */
const MAIN = {
  n_epochs: "Epochs",
  batch_size: "Batch size",
  lr: "Learning rate",
  seq_len: "Sequence length",
  rank: "Rank",
  lora_rank: "Adapter rank",
};

/** Has its own field: the method. */
const ELSEWHERE = "optimizer";
/** Belongs to the model and its data in the form. */
const TEMPLATE = "template";

export function createHyperparameterFields() {
  const main = h("div", { class: "numbers" });
  const others = h("div", { class: "more-options" });
  const template = h("div");
  /** @type {ReturnType<typeof createTemplateField> | undefined} */
  let templateField;
  /** @typedef {ReturnType<typeof createOptionField> | ReturnType<typeof createTemplateField>} Field */
  /** @type {Map<string, Field>} */
  const fields = new Map();
  let rankName = "";

  function showRank() {
    for (const name of ["rank", "lora_rank"]) {
      const field = fields.get(name);
      if (field) field.element.hidden = name !== rankName;
    }
  }

  return {
    main,
    others,
    template,
    async load() {
      const options = (await jobOptions()).filter(({ name }) => name !== ELSEWHERE);
      for (const info of options) {
        if (info.name === TEMPLATE) {
          templateField = createTemplateField(info);
          fields.set(TEMPLATE, templateField);
          fill(template, templateField.element);
          continue;
        }
        const label = MAIN[info.name];
        const field = createOptionField(info, label ? { label, hint: "" } : {});
        // A derived default is a sentence, which the plan replaces by a number.
        if (label && !info.fixed) field.suggest("");
        fields.set(info.name, field);
      }
      fill(main, Object.keys(MAIN).flatMap((name) => fields.get(name)?.element ?? []));
      const rest = options.filter(({ name }) => !(name in MAIN) && name !== TEMPLATE);
      const sections = Map.groupBy(rest, ({ section }) => section);
      fill(others, [...sections].map(([section, infos]) => group(section, infos)));
      showRank();
    },
    /** Shows only the rank option of the method. @param {string} [name] */
    useRank(name = "") {
      rankName = name;
      showRank();
    },
    /** The entered values. @returns {Record<string, unknown>} */
    values() {
      const shown = [...fields.values()].filter(({ element }) => !element.hidden);
      return Object.fromEntries(
        shown.map((field) => [field.name, field.value]).filter(([, value]) => value !== undefined),
      );
    },
    /** @param {string} name */
    get: (name) => fields.get(name),
    /** The chat templates that fit the model. @param {string[]} templates */
    offerTemplates: (templates) => templateField?.offer(templates),
    /** Shows the values that empty fields get. @param {Record<string, unknown>} values */
    suggest(values) {
      for (const name of Object.keys(MAIN)) {
        if (values[name] !== undefined) fields.get(name)?.suggest(values[name]);
      }
    },
    /** Takes over a job's values; leaves defaults empty. @param {Record<string, unknown>} values */
    takeOver(values) {
      for (const [name, value] of Object.entries(values)) {
        const field = fields.get(name);
        if (!field) continue;
        const { fixed, fallback } = field.info;
        const chosen = fixed ? String(value) !== fallback : name in MAIN || !fallback;
        if (chosen) field.set(value === "auto" ? undefined : value);
      }
    },
  };

  /** @param {string} section @param {import("./openapi.js").OptionInfo[]} infos */
  function group(section, infos) {
    return h(
      "fieldset",
      { class: "option-group" },
      h("legend", {}, section),
      h(
        "div",
        { class: "option-grid" },
        infos.flatMap(({ name }) => fields.get(name)?.element ?? []),
      ),
    );
  }
}
