/**
 * What a process prints that an MPI launcher has started with others: rank 0 speaks for all, the others
 * only where they fail by themselves.
 */
import { EXIT } from "./command.ts";
import type { Terminal } from "./main.ts";

/** Milliseconds after which rank 0, which has most faults as well, has told its own and ended all. */
const PATIENCE_MS = 5000;

/** The terminal of another rank, and what is to be done with its exit code. */
export function rankTerminal(
  rank: number,
  terminal: Terminal,
  patienceMs: number = PATIENCE_MS,
): { readonly terminal: Terminal; readonly end: (code: number) => Promise<void> } {
  let last = "";
  return {
    terminal: {
      ...terminal,
      stdout: () => {},
      write: () => {},
      stderr: (line) => last = line,
      status: undefined,
      interactive: false,
    },
    async end(code) {
      if (code === EXIT.done || code === EXIT.interrupted) return;
      if (await isEnded(terminal.signal, patienceMs)) return;
      terminal.stderr(last.replace(/^/gm, `rank ${rank}: `));
    },
  };
}

/** Whether the launcher ends this process as well, for the failure of another. */
async function isEnded(signal: AbortSignal, withinMs: number): Promise<boolean> {
  const ended = Promise.withResolvers<void>();
  const timer = setTimeout(ended.resolve, withinMs);
  signal.addEventListener("abort", () => ended.resolve());
  if (!signal.aborted) await ended.promise;
  clearTimeout(timer);
  return signal.aborted;
}
