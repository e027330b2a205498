/** A model to try: in a chat, or with a text that it continues. */
import { createChatMode } from "./chat_mode.js";
import { createCompletionMode } from "./completion_mode.js";
import { fill, h, setText } from "./dom.js";
import { howToAddModels } from "./home.js";
import { icon } from "./icons.js";
import {
  baseModels,
  fillModelSelect,
  loadModels,
  onModelsChanged,
  resultModels,
  shortName,
} from "./models.js";
import { go } from "./router.js";
import { createSampling } from "./sampling.js";

/** @typedef {import("./sampling.js").Mode} Mode */

/** Chosen, by model, while the page is open. @type {Map<string, Mode>} */
const modes = new Map();
/** Models that refused to chat, for want of a template. @type {Set<string>} */
const withoutTemplate = new Set();

/** @param {string} name of the model */
export function createChat(name) {
  const title = h("h1", { tabindex: -1 }, shortName(name) || "Chat");
  const model = h("select", { class: "select", "aria-label": "Model" });
  const fresh = h(
    "button",
    { type: "button", class: "button", on: { click: () => part.clear() } },
    icon("plus"),
    h("span", {}, "New chat"),
  );
  const chatButton = modeButton("chat", "Chat");
  const textButton = modeButton("text", "Continue text");
  const switcher = h(
    "div",
    { class: "modes", role: "group", "aria-label": "Mode" },
    chatButton,
    textButton,
  );
  const notice = h("p", { class: "notice mode-notice", role: "status", hidden: true });
  const body = h("div", { class: "chat-body" });
  const sampling = createSampling();
  const element = h(
    "section",
    { class: "view chat-view" },
    h("header", { class: "chat-head" }, title, switcher, h("div", { class: "row" }, model, fresh)),
    notice,
    body,
    sampling.element,
  );
  /** @type {ReturnType<typeof createChatMode> | ReturnType<typeof createCompletionMode>} */
  let part;

  /** @param {Mode} mode @param {string} label */
  function modeButton(mode, label) {
    return h("button", { type: "button", class: "mode", on: { click: () => choose(mode) } }, label);
  }

  const canChat = () => !withoutTemplate.has(name);
  const modeOf = () => canChat() ? modes.get(name) ?? "chat" : "text";

  /** @param {Mode} mode */
  function choose(mode) {
    if (mode === modeOf() && part) return;
    modes.set(name, mode);
    show();
    part.focusTarget.focus();
  }

  function show() {
    part?.destroy();
    const mode = modeOf();
    const onChange = () => part && (fresh.disabled = part.isEmpty);
    part = mode === "chat"
      ? createChatMode(name, { onChange, onRefused })
      : createCompletionMode(name, { onChange });
    chatButton.setAttribute("aria-pressed", String(mode === "chat"));
    textButton.setAttribute("aria-pressed", String(mode === "text"));
    chatButton.disabled = !canChat();
    notice.hidden = canChat();
    setText(
      notice,
      canChat()
        ? ""
        : "This model has no chat template, so it cannot chat: it continues a text instead.",
    );
    setText(
      /** @type {Element} */ (fresh.lastElementChild),
      mode === "chat" ? "New chat" : "Clear",
    );
    sampling.use(mode);
    element.dataset.mode = mode;
    fill(body, part.elements);
    onChange();
  }

  /** What was typed for the chat begins the text. @param {string} typed */
  function onRefused(typed) {
    withoutTemplate.add(name);
    show();
    if ("begin" in part) part.begin(typed);
    part.focusTarget.focus();
  }

  model.addEventListener("change", () => go(`#/chat/${encodeURIComponent(model.value)}`));

  function showModels() {
    const [first] = [...resultModels(), ...baseModels()];
    if (!name && first) return go(`#/chat/${encodeURIComponent(first.id)}`);
    fillModelSelect(model, name);
    const known = [...model.options].some(({ value }) => value === name);
    if (!known) model.prepend(new Option(name || "No models", name, true, true));
    switcher.hidden = !name;
    sampling.element.hidden = !name;
    if (first || name) return;
    fill(body, h("div", { class: "empty" }, h("h2", {}, "No models yet"), howToAddModels()));
  }

  show();
  const end = onModelsChanged(showModels);
  loadModels().catch(() => {});
  return {
    element,
    get focusTarget() {
      return part.focusTarget;
    },
    destroy() {
      end();
      part.destroy();
    },
  };
}
