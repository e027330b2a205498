/** Ctrl-C: once asks a command to save and stop, twice stops it at once. */
import { EXIT } from "./command.ts";

/** Listens from now on; the signal aborts at the first SIGINT or SIGTERM. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(EXIT.interrupted);
    console.error("interrupted: saving, then stopping (once more to stop at once)");
    controller.abort(new DOMException("interrupted", "AbortError"));
  };
  Deno.addSignalListener("SIGINT", stop);
  // Windows has no SIGTERM to listen to.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", stop);
  return controller.signal;
}
