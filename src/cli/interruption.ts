/** Ctrl-C: once asks a command to save and stop, twice stops it at once. */
import { EXIT } from "./command.ts";

/** Commands that have another use for Ctrl-C, the latest last. */
const handlers: (() => void)[] = [];

/** Calls this at each SIGINT instead, until the function that it returns is called. */
export function takeInterrupts(handle: () => void): () => void {
  handlers.push(handle);
  return () => {
    const at = handlers.lastIndexOf(handle);
    if (at >= 0) handlers.splice(at, 1);
  };
}

/** Listens from now on; the signal aborts at the first SIGINT or SIGTERM. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(EXIT.interrupted);
    console.error("interrupted: saving before exit (again to exit immediately)");
    controller.abort(new DOMException("interrupted", "AbortError"));
  };
  Deno.addSignalListener("SIGINT", () => (handlers.at(-1) ?? stop)());
  // Windows has no SIGTERM to listen to.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", stop);
  return controller.signal;
}
