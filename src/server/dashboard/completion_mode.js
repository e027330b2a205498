/** A text that a model continues, as base models without a chat template do. */
import { announce, h, setText } from "./dom.js";
import { endText, streamText } from "./generation_stream.js";
import { icon } from "./icons.js";
import { samplingFields } from "./sampling.js";

/** Kept by model while the page is open. @type {Map<string, string>} */
const texts = new Map();

/**
 * @param {string} model
 * @param {{ onChange: () => void }} handlers called when the text comes or goes
 */
export function createCompletionMode(model, { onChange }) {
  const box = h("textarea", {
    class: "input completion-text",
    "aria-label": "Text to continue",
    placeholder: "Once upon a time",
    spellcheck: "false",
  });
  box.value = texts.get(model) ?? "";
  const note = h("p", { class: "completion-note", role: "status" });
  const start = h(
    "button",
    { type: "submit", class: "button primary" },
    icon("play"),
    "Continue the text",
  );
  const stop = h(
    "button",
    { type: "button", class: "button", hidden: true },
    icon("stop"),
    "Stop",
  );
  const undo = h(
    "button",
    { type: "button", class: "button", hidden: true },
    "Remove what it wrote",
  );
  const form = h(
    "form",
    { class: "completion" },
    box,
    h("div", { class: "completion-bar" }, start, stop, undo, note),
  );
  /** @type {AbortController | undefined} */
  let writing;
  /** What the model continued last. */
  let before = "";

  function keep() {
    texts.set(model, box.value);
    onChange();
  }

  /** @param {string} text @param {boolean} [failed] */
  function say(text, failed = false) {
    setText(note, text);
    note.classList.toggle("field-error", failed);
  }

  /** @param {boolean} busy */
  function setBusy(busy) {
    start.hidden = busy;
    stop.hidden = !busy;
    box.readOnly = busy;
    box.setAttribute("aria-busy", String(busy));
  }

  async function write() {
    if (writing) return;
    if (!box.value) {
      say("Type the beginning of a text first.");
      return box.focus();
    }
    before = box.value;
    undo.hidden = true;
    say("");
    setBusy(true);
    stop.focus();
    writing = new AbortController();
    const { signal } = writing;
    const started = performance.now();
    let text = "";
    try {
      const body = { ...samplingFields("text"), model, prompt: before };
      const end = await streamText("/v1/completions", body, signal, (soFar) => {
        text = soFar;
        const follow = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
        box.value = before + text;
        if (follow) box.scrollTop = box.scrollHeight;
      });
      say(
        text ? endText(end, (performance.now() - started) / 1000) : "The model ends the text here.",
      );
      announce(`Continued with: ${text.slice(0, 400)}`);
    } catch (error) {
      if (signal.aborted) say("stopped");
      else say(/** @type {Error} */ (error).message, true);
    } finally {
      keep();
      const focused = document.activeElement === stop;
      writing = undefined;
      setBusy(false);
      undo.hidden = !text;
      if (focused) start.focus();
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    write();
  });
  stop.addEventListener("click", () => writing?.abort());
  undo.addEventListener("click", () => {
    box.value = before;
    undo.hidden = true;
    say("");
    keep();
    box.focus();
  });
  box.addEventListener("input", () => {
    undo.hidden = true;
    keep();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    write();
  });
  return {
    elements: [form],
    focusTarget: box,
    get isEmpty() {
      return box.value === "";
    },
    /** Unless something is there already. @param {string} text */
    begin(text) {
      if (!box.value) box.value = text;
      keep();
    },
    clear() {
      writing?.abort();
      box.value = before = "";
      undo.hidden = true;
      say("");
      keep();
      box.focus();
    },
    destroy: () => writing?.abort(),
  };
}
