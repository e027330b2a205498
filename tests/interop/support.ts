/** What the scripts here share: our command line and Python's, and what they print. */
import { fromFileUrl, join } from "@std/path";

export const ROOT = fromFileUrl(import.meta.resolve("../../"));

/** What a program prints; throws with its errors if it fails. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) throw new Error(`${program} ${args.join(" ")}\n${text(stderr)}`);
  return text(stdout);
}

/** Our command line, with its results as JSON Lines. */
export function cli(...args: string[]): Promise<string> {
  return run(Deno.execPath(), ["run", "-A", join(ROOT, "cli.ts"), ...args, "--json"]);
}

/** The last of JSON Lines. */
// deno-lint-ignore no-explicit-any
export function lastOf(lines: string): any {
  return JSON.parse(lines.split("\n").at(-1)!);
}
