/** The message at a control that says what is wrong with its value. */
import { h, setText } from "./dom.js";

/** @param {HTMLElement} control with an id, which the message's is derived from */
export function createErrorText(control) {
  const id = `${control.id}-error`;
  const element = h("p", { class: "field-error", id, role: "alert", hidden: true });
  return {
    element,
    /** @param {string} message empty if nothing is wrong */
    set(message) {
      element.hidden = !message;
      setText(element, message);
      if (message) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    },
  };
}
