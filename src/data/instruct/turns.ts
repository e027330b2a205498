/** The order of a dialogue's turns. */
import type { Message } from "./example.ts";
import { RecordError } from "./record_values.ts";

/**
 * ShareGPT's rule, as in LLaMA-Factory: at most one system prompt, at the start; then the user (or
 * results of functions) and the assistant, in turn. OpenAI's dialogues may have any order that their
 * template accepts. Throws a {@link RecordError} that names the first turn that breaks the rule.
 */
export function assertTurns(messages: readonly Message[], where: string): void {
  let previous: string | undefined;
  messages.forEach(({ role }, index) => {
    if (role === "system" && index === 0) return;
    const broken = brokenRule(role, previous);
    if (broken) {
      throw new RecordError(
        `${where}[${index}]: ${broken}`,
        'the turns of "conversations" alternate; those of "messages" may have any order that the ' +
          "chat template accepts",
        "order",
      );
    }
    previous = role;
  });
}

function brokenRule(role: string, previous: string | undefined): string | undefined {
  if (role === "system") return "a system prompt must be the first message";
  if (role === "assistant") {
    if (previous === undefined) return "the user must begin, not the assistant";
    return previous === "assistant"
      ? "after assistant must come the user or a function's result, not assistant"
      : undefined;
  }
  if (previous === undefined || previous === "assistant") return undefined;
  // Several calls have several results.
  if (role === "tool" && previous === "tool") return undefined;
  return `after ${previous} must come the assistant, not ${role}`;
}

/** Whether the last turn is a question after the last answer. */
export function isUnanswered(messages: readonly Message[]): boolean {
  const last = messages.at(-1);
  return last !== undefined && last.role !== "assistant" &&
    messages.some(({ role }) => role === "assistant");
}
