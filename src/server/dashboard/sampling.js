/** Settings of generation, shared by all models and both modes while the page is open. */
import { h, uniqueId } from "./dom.js";

/** As entered. */
const entered = { temperature: "0.7", maxTokens: "256", topP: "", system: "" };

/** Fields of a request, in either mode. */
export function samplingFields() {
  /** @param {string} text */
  const number = (text) => text.trim() === "" ? undefined : Number(text);
  return {
    temperature: number(entered.temperature),
    top_p: number(entered.topP),
    max_tokens: number(entered.maxTokens) || undefined,
  };
}

export function systemPrompt() {
  return entered.system.trim();
}

export function createSampling() {
  const id = uniqueId("sampling");
  /** @param {keyof typeof entered} name @param {HTMLInputElement | HTMLTextAreaElement} control */
  const bind = (name, control) => {
    control.id = `${id}-${name}`;
    control.value = entered[name];
    control.addEventListener("input", () => (entered[name] = control.value));
    return control;
  };
  /** @param {Record<string, unknown>} limits */
  const number = (limits) => h("input", { class: "input", type: "number", ...limits });
  const system = field(
    "System prompt",
    bind(
      "system",
      h("textarea", { class: "input", rows: 2, placeholder: "You are a helpful assistant." }),
    ),
  );
  const element = h(
    "details",
    { class: "quiet-details chat-settings" },
    h("summary", {}, "Settings"),
    h(
      "div",
      { class: "chat-settings-grid" },
      field("Temperature", bind("temperature", number({ min: 0, max: 2, step: 0.1 }))),
      field("Top p", bind("topP", number({ min: 0, max: 1, step: 0.05, placeholder: "1" }))),
      field("Maximum tokens", bind("maxTokens", number({ min: 1, step: 1 }))),
      system,
    ),
  );
  return {
    element,
    /** A continued text has no system prompt. @param {boolean} shown */
    showSystem(shown) {
      system.hidden = !shown;
    },
  };
}

/** @param {string} label @param {HTMLElement} control */
function field(label, control) {
  return h(
    "div",
    { class: "field" },
    h("label", { class: "label", for: control.id }, label),
    control,
  );
}
