/**
 * What ends a command early: Ctrl-C, a closed terminal, a request of the system, an error that nobody
 * catches. The first asks a command to save and stop, the second stops it immediately.
 */
import { EXIT, type Stopping } from "./command.ts";
import { writeError } from "./streams.ts";

/**
 * One Ctrl-C arrives several times where npx or `deno task` pass on what the terminal sends to
 * everybody.
 */
const SAME_REQUEST_MS = 300;

/** Of commands that have nothing to save. */
const STOPPING: Stopping = { first: "stopping" };

/** Handlers of commands that use Ctrl-C otherwise, latest last. */
const handlers: (() => void)[] = [];
/** What a stop means to commands that say so, latest last. */
const meanings: (() => Stopping)[] = [];

/** Calls `handle` at each SIGINT instead, until the returned function is called. */
export function takeInterrupts(handle: () => void): () => void {
  return push(handlers, handle);
}

/** Says at a stop what `describe` returns, until the returned function is called. */
export function describeStop(describe: () => Stopping): () => void {
  return push(meanings, describe);
}

/** Ends commands early. */
export interface Interruption {
  /** Aborts at the first signal, and at an error that nobody catches. */
  readonly signal: AbortSignal;
  /** Reports an error that nobody catches, and asks the command to save and stop. */
  fail(error: unknown): void;
  /** Whether that has happened. */
  readonly failed: boolean;
}

/** Whether this process is one of several that train together, and whether another one speaks for it. */
export interface OneOfMany {
  readonly quiet?: boolean;
  /**
   * A launcher started it, which passes SIGUSR2 on to all of them, as Slurm does before a time limit,
   * and itself ends what goes on after a SIGTERM.
   */
  readonly launched?: boolean;
}

/** Starts listening. */
export function interruption({ quiet = false, launched = false }: OneOfMany = {}): Interruption {
  const controller = new AbortController();
  let failed = false, since = 0;
  const meaning = () => (meanings.at(-1) ?? (() => STOPPING))();
  const say = (text: string) => {
    if (quiet) return;
    const { log } = meaning();
    if (log) log.info(text);
    else writeError(`${text}\n`);
  };
  const stop = () => {
    if (controller.signal.aborted) return;
    since = performance.now();
    say(`interrupted: ${meaning().first} (again to exit immediately)`);
    controller.abort(new DOMException("interrupted", "AbortError"));
  };
  const stopOrExit = () => {
    if (!controller.signal.aborted) return stop();
    if (performance.now() - since < SAME_REQUEST_MS) return;
    const { second } = meaning();
    if (second) say(second);
    Deno.exit(failed ? EXIT.failed : EXIT.interrupted);
  };
  listen("SIGINT", () => (handlers.at(-1) ?? stopOrExit)());
  listen("SIGBREAK", stopOrExit); // Ctrl-Break on Windows
  if (launched) listen("SIGUSR2", stop);
  listen("SIGTERM", launched ? stop : stopOrExit);
  // A closed terminal, of which the kernel and the shell may both send word.
  listen("SIGHUP", stop);
  return {
    signal: controller.signal,
    get failed() {
      return failed;
    },
    fail(error) {
      failed = true;
      const { stack } = error instanceof Error ? error : new Error(String(error));
      const { log } = meaning();
      if (log) log.fault(error);
      else writeError(`${stack}\n`);
      if (controller.signal.aborted) return;
      say(`an error outside the command: ${meaning().first}`);
      controller.abort(new DOMException("failed", "AbortError"));
    },
  };
}

function listen(signal: Deno.Signal, handle: () => void): void {
  try {
    Deno.addSignalListener(signal, handle);
  } catch {
    // This system does not have it.
  }
}

function push<T>(list: T[], item: T): () => void {
  list.push(item);
  return () => {
    const at = list.lastIndexOf(item);
    if (at >= 0) list.splice(at, 1);
  };
}
