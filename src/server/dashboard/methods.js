/** The field that chooses a method from those in the server's OpenAPI document. */
import { fill, h, setText } from "./dom.js";
import { jobOptions } from "./openapi.js";

/** @typedef {import("./openapi.js").Method} Method */

/** @param {(method: Method) => void} onChange */
export function createMethodField(onChange) {
  const about = h("p", { class: "hint", id: "method-about", "aria-live": "polite" });
  const chips = h("div", { class: "chips" });
  const element = h(
    "fieldset",
    { class: "field method-field", "data-param": "optimizer" },
    h("legend", { class: "visually-hidden" }, "Method"),
    chips,
    about,
  );
  /** @type {{ method: Method, input: HTMLInputElement }[]} */
  let choices = [];
  /** @type {Method | undefined} */
  let current;

  /** @param {Method} method */
  function createChoice(method) {
    const input = h("input", {
      type: "radio",
      name: "method",
      value: method.name,
      class: "visually-hidden",
      "aria-describedby": "method-about",
    });
    input.addEventListener("change", () => choose(method.name));
    return {
      method,
      input,
      chip: h("label", { class: "chip" }, input, h("span", {}, method.title)),
    };
  }

  /** @param {string} name */
  function choose(name) {
    const method = choices.find((choice) => choice.method.name === name)?.method;
    if (!method) return;
    current = method;
    for (const { input } of choices) input.checked = input.value === name;
    setText(about, method.description);
    onChange(method);
  }
  return {
    element,
    choose,
    async load() {
      const option = (await jobOptions()).find(({ name }) => name === "optimizer");
      const created = (option?.methods ?? []).map(createChoice);
      choices = created;
      fill(chips, created.map(({ chip }) => chip));
      choose(option?.fallback ?? "");
    },
    /** The chosen method's name; none before it is loaded. */
    get value() {
      return current?.name;
    },
  };
}
