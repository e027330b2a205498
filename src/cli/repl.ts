/** Chat with a model in a terminal. */
import type { Conversation } from "../inference/chat.ts";
import { UserError } from "../options/user_error.ts";
import { advise } from "./advice.ts";
import { EXIT, type Io } from "./command.ts";

const COMMANDS = "/reset starts over, /exit quits";

/**
 * Reads questions and writes answers until /exit, the end of the input or a second Ctrl-C in a row;
 * the first stops the current answer. Returns the exit code.
 */
export async function converse(conversation: Conversation, io: Io): Promise<number> {
  io.log(`Ctrl-C stops an answer, Ctrl-C twice or Ctrl-D quits; ${COMMANDS}`);
  let interrupts = 0, writing = new AbortController();
  const giveBack = io.takeInterrupts(() => {
    interrupts++;
    writing.abort(new DOMException("interrupted", "AbortError"));
  });
  try {
    while (interrupts < 2 && !io.signal.aborted) {
      const input = await io.input.line("> ", io.signal);
      if (input.type === "end") return io.signal.aborted ? EXIT.interrupted : EXIT.done;
      if (input.type === "interrupt") {
        if (++interrupts < 2) io.log("Ctrl-C again, or Ctrl-D, quits");
        continue;
      }
      interrupts = 0;
      const text = input.text.trim();
      if (text === "/exit") return EXIT.done;
      if (text === "/reset") {
        conversation.reset();
        io.log("conversation reset");
      } else if (/^\/[a-z]+$/.test(text)) io.log(`unknown command ${text}: ${COMMANDS}`);
      else if (text) {
        writing = new AbortController();
        await answer(conversation, text, AbortSignal.any([writing.signal, io.signal]), io);
      }
    }
    return EXIT.interrupted;
  } finally {
    giveBack();
  }
}

async function answer(
  conversation: Conversation,
  question: string,
  signal: AbortSignal,
  io: Io,
): Promise<void> {
  try {
    for await (const piece of conversation.send(question, signal)) io.text(piece);
  } catch (error) {
    if (!signal.aborted) {
      // A dialogue that is too long, or that the template refuses, can be restarted.
      if (!(error instanceof UserError) || conversation.answer) throw error;
      io.log(advise(error));
      return;
    }
  }
  const { text = "", tokenIds = [], finishReason = "aborted" } = conversation.answer ?? {};
  io.result({ text, token_ids: tokenIds }, "");
  if (finishReason === "aborted") io.log("(stopped)");
  if (finishReason === "length") io.log("(truncated: --max-new-tokens allows longer answers)");
}
