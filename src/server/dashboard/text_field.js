/** A control with its label and error message. */
import { h, setText } from "./dom.js";

/**
 * @param {string} param its name in the request
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input with an id
 * @param {{ optional?: boolean }} [options]
 */
export function createField(param, label, input, { optional } = {}) {
  const error = h("p", {
    class: "field-error",
    id: `${input.id}-error`,
    role: "alert",
    hidden: true,
  });
  input.setAttribute("aria-describedby", error.id);
  const mark = optional ? h("span", { class: "optional" }, " optional") : null;
  return {
    input,
    element: h(
      "div",
      { class: "field", "data-param": param },
      h("label", { class: "label", for: input.id }, label, mark),
      input,
      error,
    ),
    /** @param {string} message */
    setError(message) {
      error.hidden = !message;
      setText(error, message);
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}
