/** Settings of generation, shared by all models and both modes while the page is open. */
import { h, uniqueId } from "./dom.js";

/** @typedef {"chat" | "text"} Mode */

/** As entered. */
const entered = { temperature: "0.7", maxTokens: "", topP: "", system: "" };

/** Where no number is entered: an answer ends by itself, a text does not. */
const TOKENS = { chat: undefined, text: 128 };

/** Fields of a request. @param {Mode} mode */
export function samplingFields(mode) {
  /** @param {string} text */
  const number = (text) => text.trim() === "" ? undefined : Number(text);
  return {
    temperature: number(entered.temperature),
    top_p: number(entered.topP),
    max_tokens: number(entered.maxTokens) || TOKENS[mode],
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
  const maxTokens = bind("maxTokens", number({ min: 1, step: 1 }));
  const element = h(
    "details",
    { class: "quiet-details chat-settings" },
    h("summary", {}, "Settings"),
    h(
      "div",
      { class: "chat-settings-grid" },
      field("Temperature", bind("temperature", number({ min: 0, max: 2, step: 0.1 }))),
      field("Top p", bind("topP", number({ min: 0, max: 1, step: 0.05, placeholder: "1" }))),
      field("Maximum tokens", maxTokens),
      system,
    ),
  );
  return {
    element,
    /** A continued text has no system prompt. @param {Mode} mode */
    use(mode) {
      system.hidden = mode === "text";
      maxTokens.setAttribute("placeholder", String(TOKENS[mode] ?? "the model's own, or 512"));
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
