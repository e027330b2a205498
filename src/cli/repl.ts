/** Asking a model again and again, in a terminal. */
import type { Answer } from "../inference/continuation.ts";
import { UserError } from "../options/user_error.ts";
import { advise } from "./advice.ts";
import { EXIT, type Io } from "./command.ts";

/** Whoever answers: a dialogue, or a model that continues texts. */
export interface Partner {
  /** What was written last, however it ended. */
  readonly answer: Answer | undefined;
  /** Streams what follows the text. */
  send(text: string, signal: AbortSignal): AsyncIterable<string>;
  /** Forgets what was said, where anything is remembered. */
  reset?(): void;
}

/**
 * Reads texts and writes what follows until /exit, the end of the input or a second Ctrl-C in a row;
 * the first stops the current answer. Returns the exit code.
 */
export async function converse(partner: Partner, io: Io): Promise<number> {
  const commands = `${partner.reset ? "/reset starts over, " : ""}/exit quits`;
  io.log(`Ctrl-C stops an answer, Ctrl-C twice or Ctrl-D quits; ${commands}`);
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
      if (text === "/reset" && partner.reset) {
        partner.reset();
        io.log("conversation reset");
      } else if (/^\/[a-z]+$/.test(text)) io.log(`unknown command ${text}: ${commands}`);
      else if (text) {
        writing = new AbortController();
        await answer(partner, text, AbortSignal.any([writing.signal, io.signal]), io);
      }
    }
    return EXIT.interrupted;
  } finally {
    giveBack();
  }
}

async function answer(
  partner: Partner,
  text: string,
  signal: AbortSignal,
  io: Io,
): Promise<void> {
  try {
    for await (const piece of partner.send(text, signal)) io.text(piece);
  } catch (error) {
    if (!signal.aborted) {
      // A dialogue that is too long, or that the template refuses, can be restarted.
      if (!(error instanceof UserError) || partner.answer) throw error;
      io.log(advise(error));
      return;
    }
  }
  const { text: written = "", tokenIds = [], finishReason = "aborted" } = partner.answer ?? {};
  io.result({ text: written, token_ids: tokenIds }, "");
  if (finishReason === "aborted") io.log("(stopped)");
  if (finishReason === "length") io.log("(truncated: --max-new-tokens allows longer answers)");
}
