/** `merge` from a command line. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { adapterCase } from "../model/support_lora.ts";

Deno.test({
  name: "merge: writes a model, says what it did, and refuses to do it twice",
  sanitizeOps: false, // the device
  sanitizeResources: false,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const { adapter, base } = await adapterCase("llama-qv-r8"), output = join(folder, "merged");
    const flags = ["--model", base, "--adapter", adapter, "--output", output];
    const run = async (...more: string[]) => {
      const stdout: string[] = [], stderr: string[] = [];
      const code = await main(["merge", ...flags, ...more], {
        stdout: (line) => stdout.push(line),
        write: (text) => stdout.push(text),
        stderr: (line) => stderr.push(line),
        interactive: false,
        signal: new AbortController().signal,
      });
      return { code, stdout, stderr };
    };
    try {
      const first = await run("--dtype", "bfloat16", "--json");
      assertEquals(first.code, 0, first.stderr.join("\n"));
      assertEquals(first.stdout.map((line) => JSON.parse(line)), [
        { output, merged: 6, dtype: "bfloat16", tokenizer: false },
      ]);
      assertEquals(first.stderr, [
        "warning: neither the model nor the adapter has a tokenizer.json: none written",
      ]);
      const names = await Array.fromAsync(Deno.readDir(output), ({ name }) => name);
      assertEquals(names.sort(), [
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
      ]);
      const second = await run();
      assertEquals([second.code, second.stdout], [1, []]);
      assertEquals(second.stderr, [
        `${output} already holds config.json, model.safetensors\n` +
        "  hint: choose another folder for the merged model",
      ]);
      assertEquals((await run("--dtype", "int8")).code, 2);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
