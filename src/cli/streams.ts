/**
 * Standard output and error, which may be closed before a command has ended: by `| head`, or with the
 * terminal. A write that fails for that must not end a run that is still to be saved.
 */
import process from "node:process";

/** Writes everything, as a pipe may accept only part of it; returns false once nobody reads it. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  try {
    for (let bytes = new TextEncoder().encode(text); bytes.length;) {
      bytes = bytes.subarray(stream.writeSync(bytes));
    }
    return true;
  } catch (error) {
    // EPIPE of a pipe, EIO of a terminal; a full disk is another matter.
    if (["EPIPE", "EIO", "EBADF"].includes((error as { code?: string }).code ?? "")) return false;
    throw error;
  }
}

let isRead = true;

/** Writes to stdout; the first time that nobody reads it any more, says so on stderr. */
export function writeOut(text: string): void {
  if (!isRead || writeAll(Deno.stdout, text)) return;
  isRead = false;
  writeError("note: stdout is closed: further output is dropped\n");
}

/** Writes to stderr, if anybody reads it. */
export function writeError(text: string): void {
  writeAll(Deno.stderr, text);
}

/** The progress bar writes through Node's stream, whose errors would otherwise end the process. */
export function ignoreClosedStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
