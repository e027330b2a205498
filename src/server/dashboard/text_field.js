/** A control with its label and error message. */
import { h } from "./dom.js";
import { createErrorText } from "./error_text.js";

/**
 * @param {string} param its name in the request
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input with an id
 * @param {{ optional?: boolean }} [options]
 */
export function createField(param, label, input, { optional } = {}) {
  const error = createErrorText(input);
  input.setAttribute("aria-describedby", error.element.id);
  const mark = optional ? h("span", { class: "optional" }, " optional") : null;
  return {
    input,
    element: h(
      "div",
      { class: "field", "data-param": param },
      h("label", { class: "label", for: input.id }, label, mark),
      input,
      error.element,
    ),
    setError: error.set,
  };
}
