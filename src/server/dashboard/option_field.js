/** One option of a job as a field; empty means the server's default. */
import { h, uniqueId } from "./dom.js";
import { createErrorText } from "./error_text.js";
import { capital } from "./format.js";

/** @typedef {import("./openapi.js").OptionInfo} OptionInfo */

/** @param {OptionInfo} info @param {{ label?: string, hint?: string }} [texts] */
export function createOptionField(info, { label, hint } = {}) {
  const id = uniqueId(`option-${info.name}`);
  const control = controlOf(info, id);
  const error = createErrorText(control);
  const text = hint ?? info.description;
  const element = h(
    "div",
    { class: "field", "data-param": info.name },
    h("label", { class: "label", for: id }, label ?? h("code", {}, info.name)),
    control,
    text ? h("p", { class: "hint", id: `${id}-hint` }, capital(text)) : null,
    error.element,
  );
  return {
    name: info.name,
    info,
    element,
    input: control,
    /** Undefined if empty. */
    get value() {
      return parse(info, control.value.trim());
    },
    /** @param {unknown} value */
    set(value) {
      control.value = value === undefined || value === null
        ? ""
        : Array.isArray(value)
        ? value.join("\n")
        : String(value);
    },
    /** Shows the value that an empty field gets. @param {unknown} value */
    suggest(value) {
      if (control instanceof HTMLInputElement) {
        control.placeholder = String(value);
      }
    },
    setError: error.set,
  };
}

/**
 * @param {OptionInfo} info
 * @param {string} id
 * @returns {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement}
 */
function controlOf(info, id) {
  const described = { id, "aria-describedby": `${id}-hint ${id}-error` };
  if (info.type === "boolean" || info.choices.length) {
    const choices = info.type === "boolean"
      ? [["true", "On"], ["false", "Off"]]
      : info.choices.map((it) => [it, it]);
    const fallback = info.type === "boolean"
      ? { true: "on", false: "off" }[info.fallback] ?? info.fallback
      : info.fallback;
    return h(
      "select",
      { class: "select", ...described },
      h("option", { value: "" }, fallback ? `Default: ${fallback}` : "Default"),
      choices.map(([value, text]) => h("option", { value }, text)),
    );
  }
  if (info.type === "list") {
    // One item per line, since prompts may contain commas.
    return h("textarea", { class: "input", rows: 2, placeholder: info.fallback, ...described });
  }
  return h("input", {
    class: "input",
    type: "text",
    inputmode: info.orWord || info.type === "string"
      ? undefined
      : info.type === "integer"
      ? "numeric"
      : "decimal",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: info.fallback,
    ...described,
  });
}

/**
 * Sends invalid numbers unchanged, for the server to report.
 *
 * @param {OptionInfo} info
 * @param {string} text
 */
function parse({ type }, text) {
  if (text === "") return undefined;
  if (type === "boolean") return text === "true";
  if (type === "list") return text.split("\n").map((it) => it.trim()).filter(Boolean);
  if (type === "string") return text;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
