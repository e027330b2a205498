/**
 * Standard output and error, which may be closed before a command has ended: by `| head`, or with the
 * terminal. A write that fails for that must not end a run that is still to be saved.
 */
import process from "node:process";
import { StatusLine } from "./status_line.ts";

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

const line = new StatusLine((text) => writeAll(Deno.stderr, text), columns);

/** Shows a line at the bottom of the terminal, below whatever is written; undefined removes it. */
export const status: StatusLine["show"] = (draw) => line.show(draw);

/** Width of the terminal; 80 where it does not say. */
function columns(): number {
  try {
    const { columns } = Deno.consoleSize();
    if (columns > 0) return columns;
  } catch {
    // Neither stream is a terminal.
  }
  return Number(environment("COLUMNS")) || 80;
}

/** Width of the terminal; undefined where nothing is shown on one. */
export function terminalColumns(): number | undefined {
  return Deno.stdout.isTerminal() || Deno.stderr.isTerminal() ? columns() : undefined;
}

/** Whether lines on stderr can be redrawn. */
export function canRedraw(): boolean {
  return Deno.stderr.isTerminal() && environment("TERM") !== "dumb";
}

/** Undefined without the permission, which is not worth a question. */
function environment(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/** Writes to stdout; the first time that nobody reads it any more, says so on stderr. */
export function writeOut(text: string): void {
  if (!isRead || written(text)) return;
  isRead = false;
  writeError("note: stdout is closed: further output is dropped\n");
}

function written(text: string): boolean {
  if (!Deno.stdout.isTerminal()) return writeAll(Deno.stdout, text);
  let result = false;
  line.above(() => result = writeAll(Deno.stdout, text));
  return result;
}

/** Writes to stderr, if anybody reads it. */
export function writeError(text: string): void {
  line.above(() => writeAll(Deno.stderr, text));
}

/** Readline writes through Node's streams, whose errors would otherwise end the process. */
export function ignoreClosedStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
