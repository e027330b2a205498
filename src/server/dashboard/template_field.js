/** The field for the chat template, which a base model may lack: the values that fit the model. */
import { fill, h, setText, uniqueId } from "./dom.js";
import { createErrorText } from "./error_text.js";

/** As `template` calls the model's own. */
const OWN = "default";

/** @param {import("./openapi.js").OptionInfo} info */
export function createTemplateField(info) {
  const id = uniqueId("template");
  const select = h("select", {
    class: "select",
    id,
    "aria-describedby": `${id}-hint ${id}-error`,
  });
  const hint = h("p", { class: "hint", id: `${id}-hint` });
  const error = createErrorText(select);
  const summary = h("summary", {}, "Chat template");
  const element = h(
    "details",
    { class: "quiet-details", "data-param": info.name },
    summary,
    h(
      "div",
      { class: "field template-field" },
      h("label", { class: "label", for: id }, "Chat template"),
      select,
      hint,
      error.element,
    ),
  );
  /** @type {string[]} */
  let choices = [OWN];

  function draw() {
    const chosen = select.value;
    const own = choices.includes(OWN);
    setText(summary, own ? "Chat template" : "Chat template: the model has none of its own");
    setText(
      hint,
      own
        ? "How conversations are written. The model's own is best, unless the data needs another."
        : "Conversations need one: choose how they are written. Prompts with completions do not.",
    );
    const others = new Set(choices.filter((name) => name !== OWN));
    if (chosen) others.add(chosen);
    fill(
      select,
      h("option", { value: "" }, own ? "The model's own" : "None"),
      [...others].map((name) => h("option", { value: name }, name)),
    );
    select.value = chosen;
  }

  draw();
  return {
    name: info.name,
    info,
    element,
    input: select,
    /** Undefined for the model's own. */
    get value() {
      return select.value || undefined;
    },
    /** @param {unknown} value */
    set(value) {
      const name = value === OWN || value === undefined || value === null ? "" : String(value);
      if (name) select.append(new Option(name, name));
      select.value = name;
      draw();
    },
    /** The values that fit the model. @param {string[]} templates */
    offer(templates) {
      choices = templates;
      draw();
    },
    suggest() {},
    setError: error.set,
  };
}
