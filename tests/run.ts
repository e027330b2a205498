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
import { join } from "@std/path";

const FILES_PER_PROCESS = 24;

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
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    // Types are `deno task check`'s.
    const args = ["test", "-A", "--no-check", `--junit-path=${report}`, ...flags, ...files];
    const { success } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
    const results = readReport(await Deno.readTextFile(report));
    passed += results.passed;
    failed.push(...results.failed);
    // A file that does not load, or a process that crashes, is in no report.
    if (!success && !results.failed.length) {
      failed.push(`${files[0]} to ${files.at(-1)}: see above`);
    }
  } finally {
    await Deno.remove(report);
  }
}

/** Tests of a JUnit report, their steps apart. */
function readReport(xml: string) {
  const tests = [...xml.matchAll(/<testcase name="([^"]*)".*?<\/testcase>/gs)]
    .filter(([, name]) => !name.includes(" &gt; "));
  const failed = tests.filter(([text]) => /<(failure|error)\b/.test(text));
  const skipped = tests.filter(([text]) => text.includes("<skipped/>"));
  return {
    passed: tests.length - failed.length - skipped.length,
    // The file in the report is the one that called Deno.test, for most of them support.ts.
    failed: failed.map(([, name]) => unescaped(name)),
  };
}

function unescaped(text: string): string {
  return text.replaceAll("&gt;", ">").replaceAll("&lt;", "<").replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'").replaceAll("&amp;", "&");
}
