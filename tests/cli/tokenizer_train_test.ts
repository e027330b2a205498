/** `tokenizer train` from a command line. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { main } from "../../src/cli/main.ts";

const C4 = fromFileUrl(import.meta.resolve("../fixtures/data/c4.jsonl"));

async function run(args: readonly string[], signal = new AbortController().signal) {
  const out: string[] = [], err: string[] = [];
  const code = await main(args, {
    stdout: (line) => out.push(line),
    write: (text) => out.push(text),
    stderr: (line) => err.push(line),
    interactive: false,
    signal,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await work(folder).finally(() => Deno.remove(folder, { recursive: true }));
}

Deno.test("tokenizer train: writes a folder, and replaces it only if asked to", () =>
  inFolder(async (folder) => {
    const output = join(folder, "my é 400");
    const flags = ["tokenizer", "train", "--data", C4, "--vocab-size", "400", "--json"];
    const first = await run([...flags, "--output", output]);
    assertEquals(first.code, 0, first.err);
    const { bytes, words, ...rest } = JSON.parse(first.out);
    assertEquals(rest, { output, vocab_size: 400 });
    assertEquals([bytes > 10_000, words > 1000], [true, true]);
    const names = await Array.fromAsync(Deno.readDir(output), ({ name }) => name);
    assertEquals(names.sort(), ["tokenizer.json", "tokenizer_config.json"]);

    const again = await run([...flags, "--output", join(output, "tokenizer.json")]);
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "already holds a tokenizer");
    assertStringIncludes(again.err, "add --overwrite-output to replace it");
    const replaced = await run([...flags, "--output", output, "--overwrite-output"]);
    assertEquals(replaced.code, 0, replaced.err);
  }));

Deno.test("tokenizer train: an interruption leaves nothing half written", () =>
  inFolder(async (folder) => {
    const stopped = AbortSignal.abort(new DOMException("interrupted", "AbortError"));
    const flags = ["tokenizer", "train", "--data", C4, "--output", join(folder, "mine")];
    const { code, err } = await run(flags, stopped);
    assertEquals([code, err], [130, ""]);
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
  }));

Deno.test("a command of two words: its help, and what stands in for one word of it", async () => {
  for (const args of [["tokenizer", "train", "--help"], ["help", "tokenizer", "train"]]) {
    const { code, out } = await run(args);
    assertEquals(code, 0);
    assertStringIncludes(out, "cli.ts tokenizer train --data");
  }
  const { code, err } = await run(["tokenizer"]);
  assertEquals(code, 2);
  assertStringIncludes(err, "unknown command tokenizer (did you mean tokenizer train?)");
});
