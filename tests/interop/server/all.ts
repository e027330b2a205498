/**
 * The server against what others do to it: full disks, kills, clocks, load, and clients that nobody
 * here wrote. Runs every script, one after the other, and fails if one did:
 *
 *     deno task interop-server <python> <folder to work in>
 *
 * Each can be run alone; its first lines say what it needs.
 */
import { fromFileUrl, join } from "@std/path";

const [python, work] = Deno.args;
if (!work) throw new Error("all.ts: give a Python with the clients, and a folder to work in");

/** Programs of this folder, and their arguments. */
const SCRIPTS: readonly (readonly [name: string, ...args: string[]])[] = [
  ["faults.ts", join(work, "faults")],
  ["openapi.ts", join(work, "openapi")],
  ["fuzzed.ts", join(work, "fuzzed")],
  ["clients.ts", join(work, "clients")],
  ["models_folder.ts", join(work, "models")],
  ["revoked.ts", join(work, "revoked")],
  ["clock.ts", join(work, "clock")],
  ["pool.ts", join(work, "pool")],
  ["../../server/load.ts"],
];

/** Of the packages of tests. */
const LOCK = fromFileUrl(import.meta.resolve("../../deno.lock"));

const failed: string[] = [];
for (const [name, ...args] of SCRIPTS) {
  console.log(`\n${name}`);
  const script = fromFileUrl(new URL(name, import.meta.url));
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `--lock=${LOCK}`, script, ...args],
    env: { PYTHON: python },
  }).spawn().status;
  if (!success) failed.push(name);
}
console.log(failed.length ? `\nfailed: ${failed.join(", ")}` : "\nall held");
Deno.exit(failed.length ? 1 : 0);
