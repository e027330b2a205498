/** What was wrong with uploads: each message stays until it is dismissed or its file comes again. */
import { h } from "./dom.js";
import { icon } from "./icons.js";

export function createUploadFaults() {
  const element = h("div", { class: "upload-faults" });
  /** @type {Map<string, HTMLElement>} */
  const shown = new Map();

  /** @param {string} name of the file */
  function remove(name) {
    shown.get(name)?.remove();
    shown.delete(name);
  }

  return {
    element,
    remove,
    /** @param {string} name of the file @param {string} message */
    add(name, message) {
      remove(name);
      const dismiss = h("button", {
        type: "button",
        class: "icon-button",
        "aria-label": `Dismiss the message about ${name}`,
        title: "Dismiss",
        on: { click: () => remove(name) },
      }, icon("cross"));
      const fault = h(
        "div",
        { class: "upload-fault", role: "alert" },
        h("p", { class: "field-error" }, `${name}: ${message}`),
        dismiss,
      );
      shown.set(name, fault);
      element.append(fault);
    },
  };
}
