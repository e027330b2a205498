/** Modal dialogs. */
import { h, uniqueId } from "./dom.js";

/**
 * @param {{ title: string, text: string, confirm: string, danger?: boolean }} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, confirm, danger }) {
  const id = uniqueId("dialog");
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id, "aria-describedby": `${id}-text` },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id }, title),
      h("p", { id: `${id}-text` }, text),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", value: "no", autofocus: true }, "Go back"),
        h("button", { class: danger ? "button danger" : "button primary", value: "yes" }, confirm),
      ),
    ),
  );
  return show(dialog).then((value) => value === "yes");
}

/**
 * @param {boolean} wrong after a key that was refused
 * @returns {Promise<string>}
 */
export async function askForKey(wrong) {
  const id = uniqueId("key");
  const input = h("input", {
    id,
    type: "password",
    class: "input mono",
    autocomplete: "off",
    required: true,
    autofocus: true,
    spellcheck: "false",
    "aria-describedby": `${id}-hint`,
    "aria-invalid": wrong ? "true" : undefined,
  });
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": `${id}-title` },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: `${id}-title` }, "API key"),
      h(
        "p",
        { id: `${id}-hint`, class: wrong ? "field-error" : undefined },
        wrong
          ? "The key is unknown or was revoked."
          : "This server requires an API key. It is stored only in this tab and forgotten when you close it.",
      ),
      h("label", { for: id, class: "label" }, "Key"),
      input,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button primary", value: "yes" }, "Continue"),
      ),
    ),
  );
  // Not dismissible: without a key there is nothing to show.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  await show(dialog);
  return input.value.trim();
}

/** @param {HTMLDialogElement} dialog @returns {Promise<string>} */
function show(dialog) {
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
