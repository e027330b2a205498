/** The order of a dialogue's turns. */
import type { Message } from "./example.ts";
import { RecordError } from "./record_values.ts";

/**
 * ShareGPT's rule, as in LLaMA-Factory: at most one system prompt, at the start; then the user or a
 * function's result, and the assistant, in turn. (OpenAI's dialogues may have any order that their
 * template accepts.) Throws a {@link RecordError} that names the first turn that breaks it.
 */
export function assertTurns(messages: readonly Message[], where: string): void {
  const first = messages[0]?.role === "system" ? 1 : 0;
  for (let index = first; index < messages.length; index++) {
    const { role } = messages[index], isAnswer = role === "assistant";
    const expectsAnswer = (index - first) % 2 === 1;
    if (role !== "system" && isAnswer === expectsAnswer) continue;
    const rule = role === "system"
      ? "a system prompt must be the first message"
      : index === first
      ? "the user must begin, not the assistant"
      : `after ${messages[index - 1].role} must come ${
        expectsAnswer ? "the assistant" : "the user or a function's result"
      }, not ${role}`;
    throw new RecordError(
      `${where}[${index}]: ${rule}`,
      'the turns of "conversations" alternate; "messages" may have any order that the chat ' +
        "template accepts",
      "order",
    );
  }
}

/** Whether the last turn is a question after the last answer. */
export function isUnanswered(messages: readonly Message[]): boolean {
  const last = messages.at(-1);
  return last !== undefined && last.role !== "assistant" &&
    messages.some(({ role }) => role === "assistant");
}
