/** Ctrl-C: the first asks a command to save and stop, the second stops it immediately. */
import { EXIT } from "./command.ts";

/** Handlers of commands that use Ctrl-C otherwise, latest last. */
const handlers: (() => void)[] = [];

/** Calls `handle` at each SIGINT instead, until the returned function is called. */
export function takeInterrupts(handle: () => void): () => void {
  handlers.push(handle);
  return () => {
    const at = handlers.lastIndexOf(handle);
    if (at >= 0) handlers.splice(at, 1);
  };
}

/** Starts listening; the signal aborts at the first SIGINT or SIGTERM. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(EXIT.interrupted);
    console.error("interrupted: saving before exit (again to exit immediately)");
    controller.abort(new DOMException("interrupted", "AbortError"));
  };
  Deno.addSignalListener("SIGINT", () => (handlers.at(-1) ?? stop)());
  // Windows has no SIGTERM.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", stop);
  return controller.signal;
}
