/** Chat templates in Go's template language, as Ollama reads them. */
import type { ChatTemplate } from "../data/instruct/chat_template.ts";

/** What a template writes around the contents of a dialogue's messages. */
interface Texts {
  /** Before the system prompt; undefined if the template refuses one. */
  readonly system?: string;
  /** Before the first question: without a system prompt, and after one. */
  readonly first: string;
  readonly firstAfterSystem: string;
  /** Before a later question: the end of the answer, and the start of the turn. */
  readonly later: string;
  /** After a question: the end of the turn, and the start of its answer, written or to come. */
  readonly answer: string;
  readonly prompt: string;
}

type Message = Readonly<Record<"role" | "content", string>>;

type Render = (messages: readonly Message[]) => string | undefined;

const SYSTEM = { role: "system", content: "system-text" };
const USER = { role: "user", content: "user-text" };
const ANSWER = { role: "assistant", content: "answer-text" };
const CONTENTS = /(?:system|user|answer)-text/;

const turns = (count: number): Message[] =>
  Array.from({ length: 2 * count - 1 }, (_, index) => index % 2 ? ANSWER : USER);

/**
 * The template in Go's language, or undefined if it does more than to write fixed texts around the
 * contents of messages: verified on dialogues of one to three turns, with and without a system
 * prompt. `addedBos` is left out at the start. White space around contents, which some templates
 * remove, is kept; tools are not written.
 */
export function goTemplate(template: ChatTemplate, addedBos = ""): string | undefined {
  const render: Render = (messages) => {
    try {
      const { text } = template.render(messages, "Modelfile", { addGenerationPrompt: true });
      return text.startsWith(addedBos) ? text.slice(addedBos.length) : text;
    } catch {
      return undefined;
    }
  };
  const texts = textsOf(render);
  if (!texts) return undefined;
  const dialogues = [1, 2, 3].flatMap((count) => [
    turns(count),
    ...(texts.system === undefined ? [] : [[SYSTEM, ...turns(count)]]),
  ]);
  const holds = dialogues.every((each) => render(each) === written(each, texts));
  return holds ? inGo(texts) : undefined;
}

function textsOf(render: Render): Texts | undefined {
  const plain = render(turns(2))?.split(CONTENTS);
  if (plain?.length !== 4) return undefined;
  const [first, answer, later, prompt] = plain;
  const [system, firstAfterSystem = ""] = render([SYSTEM, ...turns(1)])?.split(CONTENTS) ?? [];
  return { system, first, firstAfterSystem, later, answer, prompt };
}

/** What {@link inGo} writes for that dialogue. */
function written(messages: readonly Message[], texts: Texts): string {
  return messages.map(({ role, content }, index) => {
    if (role === "system") return texts.system + content;
    if (role === "assistant") return content;
    const before = [texts.first, texts.firstAfterSystem][index] ?? texts.later;
    return before + content + (index === messages.length - 1 ? texts.prompt : texts.answer);
  }).join("");
}

/** Roles alternate, so a second message is a question only if the first is the system prompt. */
function inGo({ system, first, firstAfterSystem, later, answer, prompt }: Texts): string {
  const text = (literal: string) => literal === "" ? "" : `{{ ${JSON.stringify(literal)} }}`;
  const before = system === undefined
    ? `{{ if eq $i 0 }}${text(first)}{{ else }}${text(later)}{{ end }}`
    : `{{ if eq $i 0 }}${text(first)}{{ else if eq $i 1 }}${text(firstAfterSystem)}` +
      `{{ else }}${text(later)}{{ end }}`;
  const after = answer === prompt
    ? text(answer)
    : `{{ if eq (len (slice $.Messages $i)) 1 }}${text(prompt)}{{ else }}${text(answer)}{{ end }}`;
  return [
    "{{- range $i, $_ := .Messages }}",
    ...(system === undefined
      ? []
      : [`{{- if eq .Role "system" }}${text(system)}{{ .Content }}{{ end }}`]),
    `{{- if eq .Role "user" }}${before}{{ .Content }}${after}{{ end }}`,
    '{{- if eq .Role "assistant" }}{{ .Content }}{{ end }}',
    "{{- end }}",
  ].join("\n");
}
