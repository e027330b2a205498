/** A conversation with a model. */
import { createBubble } from "./bubble.js";
import { announce, fill, h } from "./dom.js";
import { endText, streamText } from "./generation_stream.js";
import { icon } from "./icons.js";
import { shortName } from "./models.js";
import { samplingFields, systemPrompt } from "./sampling.js";

/** @typedef {{ role: "user" | "assistant", content: string }} Message */

/** Kept by model while the page is open. @type {Map<string, { messages: Message[], draft: string }>} */
const conversations = new Map();

/**
 * @param {string} model
 * @param {object} handlers
 * @param {(typed: string) => void} handlers.onRefused the model has no chat template
 * @param {() => void} handlers.onChange a message came or went
 */
export function createChatMode(model, { onRefused, onChange }) {
  const conversation = conversations.get(model) ?? { messages: [], draft: "" };
  conversations.set(model, conversation);
  const { messages } = conversation;
  const transcript = h("div", {
    class: "transcript",
    role: "log",
    "aria-label": "Conversation",
    "aria-live": "off",
    tabindex: 0,
  });
  const prompt = h("textarea", {
    class: "prompt",
    rows: 1,
    placeholder: "Type a message",
    "aria-label": "Message",
  });
  const sendButton = h(
    "button",
    { type: "submit", class: "send", "aria-label": "Send" },
    icon("send"),
  );
  const stopButton = h("button", {
    type: "button",
    class: "send stop",
    "aria-label": "Stop",
    hidden: true,
  }, icon("stop"));
  const composer = h(
    "form",
    { class: "composer" },
    h("div", { class: "composer-box" }, prompt, sendButton, stopButton),
  );
  /** @type {AbortController | undefined} */
  let answering;

  function draw() {
    fill(
      transcript,
      messages.length
        ? messages.map(({ role, content }) => createBubble(role, content).element)
        : greeting(model),
    );
    onChange();
  }

  /** @param {string} text */
  function write(text) {
    prompt.value = conversation.draft = text;
    grow();
  }

  /** @param {boolean} busy */
  function setBusy(busy) {
    stopButton.hidden = !busy;
    sendButton.hidden = busy;
    transcript.setAttribute("aria-busy", String(busy));
  }

  const nearEnd = () =>
    transcript.scrollHeight - transcript.scrollTop - transcript.clientHeight < 60;
  const toEnd = () => (transcript.scrollTop = transcript.scrollHeight);

  async function ask() {
    const content = prompt.value.trim();
    if (!content || answering) return;
    if (!messages.length) fill(transcript);
    messages.push({ role: "user", content });
    write("");
    onChange();
    const question = createBubble("user", content);
    const answer = createBubble("assistant", "");
    answer.setState("thinking");
    transcript.append(question.element, answer.element);
    toEnd();
    setBusy(true);
    answering = new AbortController();
    const { signal } = answering;
    const started = performance.now();
    let text = "";
    try {
      const end = await streamText("/v1/chat/completions", request(), signal, (soFar) => {
        text = soFar;
        const follow = nearEnd();
        answer.setText(text);
        if (follow) toEnd();
      });
      answer.setNote(endText(end, (performance.now() - started) / 1000));
      announce(`Answer: ${text.slice(0, 400)}`);
    } catch (error) {
      const { code, message } = /** @type {import("./api.js").RequestError} */ (error);
      if (signal.aborted) answer.setNote("stopped");
      else answer.setError(message);
      if (code === "missing_chat_template") onRefused(content);
      // Without an answer the message is no part of the conversation: it can be sent again.
      else if (!text && !prompt.value) write(content);
    } finally {
      answer.setState("done");
      if (text) messages.push({ role: "assistant", content: text });
      else messages.pop();
      answering = undefined;
      setBusy(false);
    }
  }

  function request() {
    const system = systemPrompt();
    return {
      ...samplingFields("chat"),
      model,
      messages: [...(system ? [{ role: "system", content: system }] : []), ...messages],
    };
  }

  function grow() {
    prompt.style.height = "auto";
    prompt.style.height = `${Math.min(200, prompt.scrollHeight)}px`;
  }

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  stopButton.addEventListener("click", () => {
    answering?.abort();
    prompt.focus();
  });
  prompt.addEventListener("input", () => {
    conversation.draft = prompt.value;
    grow();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  draw();
  prompt.value = conversation.draft;
  return {
    elements: [transcript, composer],
    focusTarget: prompt,
    get isEmpty() {
      return messages.length === 0;
    },
    clear() {
      answering?.abort();
      messages.length = 0;
      draw();
      prompt.focus();
    },
    destroy: () => answering?.abort(),
  };
}

/** @param {string} model */
function greeting(model) {
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, `Chat with ${shortName(model) || "a model"}`),
    h("p", {}, "The first answer takes a moment while the model loads."),
  );
}
