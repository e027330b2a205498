/** A conversation with a model. */
import { announce, fill, h, setText, uniqueId } from "./dom.js";
import { streamAnswer } from "./chat_stream.js";
import { howToAddModels } from "./home.js";
import { icon } from "./icons.js";
import { baseModels, fillModelSelect, loadModels, resultModels, shortName } from "./models.js";
import { go } from "./router.js";

/** @typedef {{ role: "user" | "assistant", content: string }} Message */

/** Kept by model while the page is open. @type {Map<string, Message[]>} */
const conversations = new Map();

/** @param {string} name of the model */
export function createChat(name) {
  const id = uniqueId("chat");
  const messages = conversations.get(name) ?? [];
  conversations.set(name, messages);
  const title = h("h1", { tabindex: -1 }, shortName(name) || "Chat");
  const model = h("select", { class: "select", id: `${id}-model`, "aria-label": "Model" });
  const fresh = h(
    "button",
    { type: "button", class: "button", on: { click: clear } },
    icon("plus"),
    "New chat",
  );
  const system = h("textarea", {
    class: "input",
    id: `${id}-system`,
    rows: 2,
    placeholder: "You are a helpful assistant.",
  });
  const temperature = h("input", {
    class: "input",
    id: `${id}-temperature`,
    type: "number",
    min: 0,
    max: 2,
    step: 0.1,
    value: 0.7,
  });
  const maxTokens = h("input", {
    class: "input",
    id: `${id}-tokens`,
    type: "number",
    min: 1,
    step: 1,
    value: 256,
  });
  const transcript = h("div", {
    class: "transcript",
    role: "log",
    "aria-label": "Conversation",
    "aria-live": "off",
    tabindex: 0,
  });
  const prompt = h("textarea", {
    class: "prompt",
    id: `${id}-prompt`,
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
    h(
      "details",
      { class: "quiet-details chat-settings" },
      h("summary", {}, "Settings"),
      h(
        "div",
        { class: "chat-settings-grid" },
        field("Temperature", temperature),
        field("Maximum tokens", maxTokens),
        field("System prompt", system),
      ),
    ),
  );
  const element = h(
    "section",
    { class: "view chat-view" },
    h("header", { class: "chat-head" }, title, h("div", { class: "row" }, model, fresh)),
    transcript,
    composer,
  );
  /** @type {AbortController | undefined} */
  let answering;

  function draw() {
    fill(
      transcript,
      messages.length
        ? messages.map(({ role, content }) => bubble(role, content).element)
        : greeting(),
    );
    fresh.disabled = messages.length === 0;
  }

  function greeting() {
    return h(
      "div",
      { class: "empty" },
      h("h2", {}, `Chat with ${shortName(name) || "a model"}`),
      h(
        "p",
        {},
        "The first answer takes a moment while the model loads.",
      ),
    );
  }

  function clear() {
    answering?.abort();
    messages.length = 0;
    draw();
    prompt.focus();
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
    prompt.value = "";
    grow();
    fresh.disabled = false;
    const answer = bubble("assistant", "");
    answer.setState("thinking");
    transcript.append(bubble("user", content).element, answer.element);
    toEnd();
    setBusy(true);
    answering = new AbortController();
    const { signal } = answering;
    const started = Date.now();
    let text = "";
    let due = false;
    /** Several tokens may arrive per frame. */
    const show = () => {
      due = false;
      const follow = nearEnd();
      answer.setText(text);
      if (follow) toEnd();
    };
    try {
      const end = await streamAnswer(request(), signal, (piece) => {
        text += piece;
        if (!due) requestAnimationFrame(show);
        due = true;
      });
      const seconds = (Date.now() - started) / 1000;
      answer.setNote(
        [
          end.tokens === undefined ? "" : `${end.tokens} tokens`,
          end.tokens ? `${(end.tokens / seconds).toFixed(1)} tok/s` : "",
          end.finish === "length" ? "truncated at maximum tokens" : "",
        ].filter(Boolean).join(" · "),
      );
      announce(`Answer: ${text.slice(0, 400)}`);
    } catch (error) {
      if (signal.aborted) answer.setNote("stopped");
      else answer.setError(/** @type {Error} */ (error).message);
    } finally {
      show();
      answer.setState("done");
      if (text) messages.push({ role: "assistant", content: text });
      else messages.pop();
      answering = undefined;
      setBusy(false);
    }
  }

  function request() {
    const systemPrompt = system.value.trim();
    return {
      model: name,
      messages: [...(systemPrompt ? [{ role: "system", content: systemPrompt }] : []), ...messages],
      temperature: Number(temperature.value),
      max_tokens: Number(maxTokens.value) || undefined,
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
  prompt.addEventListener("input", grow);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  model.addEventListener("change", () => go(`#/chat/${encodeURIComponent(model.value)}`));

  async function load() {
    await loadModels();
    const [first] = [...resultModels(), ...baseModels()];
    if (!name && first) return go(`#/chat/${encodeURIComponent(first.id)}`);
    fillModelSelect(model, name);
    const known = [...model.options].some(({ value }) => value === name);
    if (!known) model.prepend(new Option(name || "No models", name, true, true));
    if (first) return;
    composer.hidden = true;
    fill(transcript, h("div", { class: "empty" }, h("h2", {}, "No models yet"), howToAddModels()));
  }

  draw();
  load().catch(() => {});
  return { element, focusTarget: prompt, destroy: () => answering?.abort() };
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

/** @param {Message["role"]} role @param {string} content */
function bubble(role, content) {
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
