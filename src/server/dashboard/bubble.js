/** One message of a chat. */
import { h, setText } from "./dom.js";

/** @param {"user" | "assistant"} role @param {string} content */
export function createBubble(role, content) {
  const text = h("p", { class: "bubble-text" }, content);
  const note = h("p", { class: "bubble-note", hidden: true });
  const element = h(
    "div",
    { class: "bubble", "data-role": role },
    h("span", { class: "visually-hidden" }, role === "user" ? "You:" : "Model:"),
    text,
    note,
  );
  /** @param {string} message */
  const setNote = (message) => {
    note.hidden = !message;
    setText(note, message);
  };
  return {
    element,
    setNote,
    /** @param {string} next */
    setText: (next) => setText(text, next),
    /** @param {string} state */
    setState: (state) => (element.dataset.state = state),
    /** @param {string} message */
    setError(message) {
      element.dataset.failed = "true";
      note.setAttribute("role", "alert");
      setNote(message);
    },
  };
}
