/** Dialogues that nobody would write, for properties that hold for all. */
import type { Message } from "../../../src/data/instruct/example.ts";

/** Texts that are parts of templates, white space, or of several bytes. */
const PARTS = [
  "a",
  "Hi there",
  " two\n",
  "\nx\n\n",
  "naïve 🙂",
  "<think>",
  "[INST]",
  "</s>",
  "<|im_end|>",
  "assistant\n",
  "1. a\n2. b",
  "  ",
  'it\'s "q"',
  "漢字",
  "ASSISTANT:",
  "<",
];

/** The same dialogue for the same seed; an empty text now and then. */
export function randomDialogue(seed: number): { messages: Message[]; tools: boolean } {
  let state = (seed + 1) * 2654435761 >>> 0;
  const below = (limit: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
  const text = (least = 1) =>
    Array.from({ length: least + below(4) }, () => PARTS[below(PARTS.length)])
      .join(below(2) ? " " : "");
  const messages: Message[] = [];
  const turns = 1 + below(5), tools = below(4) === 0, thinks = below(3) === 0;
  if (below(2)) messages.push({ role: "system", content: text() });
  for (let turn = 0; turn < turns; turn++) {
    messages.push({ role: "user", content: text() });
    if (tools && below(2)) {
      const call = { name: "now", arguments: { city: text(), days: [1, 2.5, null] } };
      const id = `call0000${turn}`;
      messages.push(
        { role: "assistant", content: "", tool_calls: [{ id, type: "function", function: call }] },
        { role: "tool", name: "now", tool_call_id: id, content: text() },
      );
    }
    const thought = thinks && below(2) ? { reasoning_content: text() } : {};
    const content = thinks && below(3) === 0
      ? `<think>\n${text()}\n</think>\n\n${text()}`
      : text(below(9) ? 1 : 0);
    if (turn + 1 < turns || below(8)) messages.push({ role: "assistant", content, ...thought });
  }
  return { messages, tools };
}
