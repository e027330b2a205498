/**
 * Makes one executable of the command line, with the server inside, that needs no Deno:
 *
 *     deno task compile [--output FILE] [--target TARGET | --self-extracting]
 *
 * `deno compile` makes it, for any of its targets, from a runtime that it downloads once. Where that
 * cannot be reached, or where asked to, this makes a file that extracts itself, for the system that
 * it is made on: this Deno, the program and its packages behind a script that unpacks them at the
 * first start. Its server confines its processes as Deno can, which a compiled program cannot.
 *
 * @module
 */
import { parseArgs } from "./src/packages/std_parse_args.ts";
import { dirname, fromFileUrl, join, resolve } from "./src/packages/std_path.ts";

const ROOT = fromFileUrl(new URL(".", import.meta.url));
/** What runs; tests, examples and documents stay behind. */
const PARTS = ["bench", "cli.ts", "deno.jsonc", "deno.lock", "kernels.ts", "mod.ts"]
  .concat("server.ts", "shaders", "src");

async function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { success } = await new Deno.Command(command, { args, env, cwd: ROOT }).spawn().status;
  return success;
}

/** With `deno compile`; false if that failed, after its message. */
function compile(output: string, target: string | undefined): Promise<boolean> {
  const flags = ["--allow-all", "--no-check", ...target ? ["--target", target] : []];
  return run(Deno.execPath(), ["compile", ...flags, "--output", output, "cli.ts"]);
}

/**
 * A shell script with an archive behind it. It unpacks into the user's cache, under the archive's
 * checksum, so that an older version's files are never taken; and into a folder of its own that is
 * renamed when complete, so that two first starts do not meet.
 */
function starter(name: string, checksum: string): string {
  const head = (lines: number) =>
    `#!/bin/sh
set -eu
home="\${XDG_CACHE_HOME:-$HOME/.cache}/${name}"
folder="$home/${checksum}"
if [ ! -d "$folder" ]; then
  echo "${name}: unpacking into $folder" >&2
  mkdir -p "$home"
  new=$(mktemp -d "$home/new.XXXXXX")
  tail -n +${lines + 1} "$0" | tar -xzf - -C "$new"
  mv "$new" "$folder" 2>/dev/null || rm -rf "$new"
fi
TRAINER_EXECUTABLE=$(basename "$0") DENO_DIR="$folder/cache" DENO_NO_UPDATE_CHECK=1
export TRAINER_EXECUTABLE DENO_DIR DENO_NO_UPDATE_CHECK
exec "$folder/deno" run --quiet --allow-all --cached-only "$folder/program/cli.ts" "$@"
`;
  return head(head(0).split("\n").length - 1);
}

async function makeSelfExtracting(output: string): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    const program = join(folder, "program"), archive = join(folder, "archive.tar.gz");
    await Deno.mkdir(program);
    await Deno.copyFile(Deno.execPath(), join(folder, "deno"));
    const complete = await run("cp", ["-R", ...PARTS, program]) &&
      // The packages, and all modules as JavaScript: nothing is fetched or compiled later.
      await run(Deno.execPath(), ["cache", "--quiet", join(program, "cli.ts")], {
        DENO_DIR: join(folder, "cache"),
      }) &&
      await run("tar", ["-czf", archive, "-C", folder, "deno", "program", "cache"]);
    if (!complete) return false;
    const bytes = await Deno.readFile(archive);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const text = starter("deno-galore-trainer", digest.toHex().slice(0, 16));
    await Deno.writeFile(output, new Blob([text, bytes]).stream(), { mode: 0o755 });
    return true;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(args: readonly string[]): Promise<number> {
  const unknown: string[] = [];
  const flags = parseArgs(args, {
    string: ["output", "target"],
    boolean: ["self-extracting"],
    unknown: (word) => unknown.push(word) < 0,
  });
  const target = flags.target as string | undefined, selfExtracting = flags["self-extracting"];
  if (unknown.length || (target !== undefined && selfExtracting)) {
    console.error(
      `compile: ${args.join(" ")}: takes --output FILE, and --target TARGET or --self-extracting`,
    );
    return 2;
  }
  const windows = (target ?? Deno.build.os).includes("windows");
  const name = windows ? "trainer.exe" : "trainer";
  const file = resolve((flags.output as string | undefined) ?? join(ROOT, "dist", name));
  await Deno.mkdir(dirname(file), { recursive: true });
  if (!selfExtracting && await compile(file, target)) return done(file);
  if (target !== undefined || windows) {
    console.error(
      "compile: Deno's runtime for compiled programs could not be had; without it only a file for " +
        "this system can be made, and none for Windows",
    );
    return 1;
  }
  console.error("compile: making a file that extracts itself, from this Deno");
  return await makeSelfExtracting(file) ? done(file) : 1;
}

function done(file: string): number {
  console.error(`compile: ${file}: ${(Deno.statSync(file).size / 1e6).toFixed(0)} MB`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
