/** Command lines to show, for a shell to read. */
import { PROGRAM } from "./help.ts";

/** A command of this program, as it is typed. */
export function commandLine(args: readonly string[]): string {
  return [PROGRAM, ...args.map((word) => quoted(word))].join(" ");
}

/**
 * The command that resumes the run of these words, which replace what was said of a start; `before` it
 * what launches it.
 */
export function resuming(args: readonly string[], before: readonly string[] = []): string {
  const words: string[] = [];
  for (let at = 0; at < args.length; at++) {
    if (args[at] === "--resume") at++; // and its value
    else if (!/^--(no-)?overwrite-output(=|$)|^--resume=/.test(args[at])) words.push(args[at]);
  }
  const line = commandLine([...words, "--resume", "auto"]);
  // The list of -P lacks the library of ranks.
  return before.length ? [...before, line.replace(" -qP ", " -A ")].join(" ") : line;
}

/** A word for sh and its relatives, or on Windows for PowerShell and cmd. */
export function quoted(word: string, windows: boolean = Deno.build.os === "windows"): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (windows) return /^[\w@+=:,./\\-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`;
  return `'${word.replaceAll("'", "'\\''")}'`;
}
