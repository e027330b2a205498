/**
 * Runs all tests, or those selected by arguments as for `deno test`: a few files per process, and
 * two processes side by side, since a good part of the tests wait for servers, browsers and disks.
 *
 *     deno task test [file|folder|--filter=…]…
 *
 * Deno creates a graphics instance per file and keeps it until the process ends, even if the file
 * closes its devices. NVIDIA's driver allows about 32 per process: with all files in one process,
 * none after the 33rd that opened a device found an adapter (docs/cards.md).
 *
 * Output comes process by process: that of the first which has not ended as it is written, and that
 * of its neighbour afterwards, whole. It ends with a list of failed tests, and `N passed, N failed`.
 */
import { stripVTControlCharacters } from "node:util";
import { fromFileUrl, join } from "@std/path";

const FILES_PER_PROCESS = 24;
const SIDE_BY_SIDE = Math.min(2, navigator.hardwareConcurrency);
/** Packages of tests are in a lock of their own, so that no other command fetches them. */
const LOCK = fromFileUrl(new URL("deno.lock", import.meta.url));

/** What became of the tests of a process. */
interface Results {
  readonly passed: number;
  readonly failed: readonly string[];
}

const flags = Deno.args.filter((argument) => argument.startsWith("-"));
const paths = Deno.args.filter((argument) => !argument.startsWith("-"));
const files = (await Promise.all((paths.length ? paths : ["tests"]).map(testFiles))).flat().sort();
if (!files.length) {
  console.error(`no tests in ${paths.join(", ")}: a test's file ends in _test.ts`);
  Deno.exit(2);
}

const running = new Set<Deno.ChildProcess>();
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) listen(signal, code);

const parts = dealt(files).map((files) => ({ files, output: unbounded() }));
const waiting = parts.entries();
const results: Results[] = [];
const runners = Array.from({ length: SIDE_BY_SIDE }, async () => {
  for (const [index, { files, output }] of waiting) {
    results[index] = await runFiles(files, output.writable);
  }
});
for (const { output } of parts) {
  await output.readable.pipeTo(Deno.stdout.writable, { preventClose: true });
}
await Promise.all(runners);
const failed = results.flatMap((result) => result.failed);
const passed = results.reduce((sum, result) => sum + result.passed, 0);
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

/**
 * Deals files out to processes, as many to each. Neighbours go to different ones: files of a folder
 * take about as long and need the same, the GPU or patience, so that every process has some of each.
 */
function dealt(files: readonly string[]): string[][] {
  const processes = Math.ceil(files.length / FILES_PER_PROCESS);
  return Array.from(
    { length: processes },
    (_, process) => files.filter((_, index) => index % processes === process),
  );
}

/** What is written is kept until it is read, however much: a process must not wait for its neighbour. */
function unbounded(): TransformStream<Uint8Array, Uint8Array> {
  const highWaterMark = Infinity;
  return new TransformStream({}, { highWaterMark }, { highWaterMark });
}

async function runFiles(
  files: readonly string[],
  output: WritableStream<Uint8Array>,
): Promise<Results> {
  const colours = Deno.stdout.isTerminal() && !Deno.noColor;
  const process = new Deno.Command(Deno.execPath(), {
    // Types are `deno task check`'s.
    args: ["test", "-A", "--no-check", `--lock=${LOCK}`, ...flags, ...files],
    env: colours ? { FORCE_COLOR: "1" } : {},
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(process);
  process.status.then(() => running.delete(process));
  const writer = output.getWriter(), decoder = new TextDecoder();
  let text = "";
  await Promise.all([
    (async () => {
      for await (const piece of process.stdout) {
        text += decoder.decode(piece, { stream: true });
        await writer.write(piece);
      }
    })(),
    (async () => {
      for await (const piece of process.stderr) await writer.write(piece);
    })(),
  ]);
  const { success } = await process.status;
  await writer.close();
  const results = readResults(stripVTControlCharacters(text));
  if (success || results.failed.length) return results;
  return { ...results, failed: [`${results.last ?? files[0]}: its process failed, see above`] };
}

/** What Deno says of its tests: how many passed, the failures by name, the last file it began. */
function readResults(output: string): Results & { readonly last?: string } {
  const summary = [...output.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*$/gm)].at(-1);
  const failures = output.split(/^ FAILURES $/m).at(1)?.split(/^FAILED \|/m)[0] ?? "";
  return {
    passed: Number(summary?.[1] ?? 0),
    failed: failures.split("\n").filter((line) => line.trim()),
    last: [...output.matchAll(/^running \d+ tests? from (.*)$/gm)].at(-1)?.[1],
  };
}

/** At the signal, ends the processes in the same way, and then this one. */
function listen(signal: Deno.Signal, code: number): void {
  const end = async () => {
    for (const _ of waiting); // takes the rest: nothing more is started
    const ends = [...running].map((process) => {
      process.kill(signal);
      return process.status;
    });
    await Promise.all(ends);
    Deno.exit(code);
  };
  try {
    Deno.addSignalListener(signal, end);
  } catch {
    // This system does not have it.
  }
}
