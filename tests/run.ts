/**
 * Runs all tests, or those selected by arguments as for `deno test`: a few files per process, one
 * process after another.
 *
 *     deno task test [file|folder|--filter=…]…
 *
 * Deno creates a graphics instance per file and keeps it until the process ends, even if the file
 * closes its devices. NVIDIA's driver allows about 32 per process: with all files in one process,
 * none after the 33rd that opened a device found an adapter (docs/cards.md).
 *
 * Ends with a list of failed tests, and `N passed, N failed`.
 */
import { stripVTControlCharacters } from "node:util";
import { fromFileUrl, join } from "@std/path";

const FILES_PER_PROCESS = 24;
/** Packages of tests are in a lock of their own, so that no other command fetches them. */
const LOCK = fromFileUrl(new URL("deno.lock", import.meta.url));
const screen = Deno.stdout.writable.getWriter();

const flags = Deno.args.filter((argument) => argument.startsWith("-"));
const paths = Deno.args.filter((argument) => !argument.startsWith("-"));
const files = (await Promise.all((paths.length ? paths : ["tests"]).map(testFiles))).flat().sort();
if (!files.length) {
  console.error(`no tests in ${paths.join(", ")}: a test's file ends in _test.ts`);
  Deno.exit(2);
}

let passed = 0;
const failed: string[] = [];
for (let start = 0; start < files.length; start += FILES_PER_PROCESS) {
  await runFiles(files.slice(start, start + FILES_PER_PROCESS));
}
if (failed.length) console.log(`\nfailed:\n${failed.map((name) => `  ${name}`).join("\n")}`);
console.log(`\n${passed} passed, ${failed.length} failed`);
if (failed.length) Deno.exit(1);

/** A file, or all test files below a folder. */
async function testFiles(path: string): Promise<string[]> {
  const info = await Deno.stat(path).catch(() => null);
  if (!info) return [];
  if (!info.isDirectory) return [path];
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory) found.push(...await testFiles(join(path, name)));
    else if (name.endsWith("_test.ts")) found.push(join(path, name));
  }
  return found;
}

async function runFiles(files: readonly string[]): Promise<void> {
  const colours = Deno.stdout.isTerminal() && !Deno.noColor;
  const process = new Deno.Command(Deno.execPath(), {
    // Types are `deno task check`'s.
    args: ["test", "-A", "--no-check", `--lock=${LOCK}`, ...flags, ...files],
    env: colours ? { FORCE_COLOR: "1" } : {},
    stdout: "piped",
  }).spawn();
  let output = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    await screen.write(new TextEncoder().encode(text));
    output += text;
  }
  const { success } = await process.status;
  const results = readResults(stripVTControlCharacters(output));
  passed += results.passed;
  failed.push(...results.failed);
  if (!success && !results.failed.length) failed.push(`${files[0]} to ${files.at(-1)}: see above`);
}

/** What Deno says at the end of its tests: the failures by name, and how many passed. */
function readResults(output: string): { passed: number; failed: string[] } {
  const summary = [...output.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*$/gm)].at(-1);
  const failures = output.split(/^ FAILURES $/m).at(1)?.split(/^FAILED \|/m)[0] ?? "";
  return {
    passed: Number(summary?.[1] ?? 0),
    failed: failures.split("\n").filter((line) => line.trim()),
  };
}
