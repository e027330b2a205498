/**
 * Models without chat tokens, tuned with `--template chatml --add-tokens`: the same ids, the same
 * stop and the same greedy answers in transformers, peft and llama.cpp, by hand:
 *
 *     pip install torch transformers peft llama-cpp-python
 *     deno run -A tests/interop/added_tokens.ts <python> <folder to work in>
 *
 * Fails at the first difference.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { cli, lastOf, ROOT, run } from "./support.ts";

const [python, work] = Deno.args, folder = join(work, "added_tokens");
const tokenizer = join(ROOT, "tests/fixtures/data/tokenizer-llama");
const data = join(ROOT, "examples/data/planets.jsonl");
const QUESTION = "Which planet is closest to the Sun?", COUNT = "60";

const script = async (name: string, ...args: string[]) =>
  lastOf(await run(python, [join(ROOT, "tests/interop", name), ...args]));

await Deno.remove(folder, { recursive: true }).catch(() => {});
await Deno.mkdir(folder, { recursive: true });
await run(python, [join(ROOT, "tests/interop/make_chat_base.py"), tokenizer, folder]);

async function answers(model: string, adapter: string[]) {
  const flags = adapter.flatMap((each) => ["--adapter", each]);
  const limit = ["--max-new-tokens", COUNT, "--temperature", "0", "--weights", "float32"];
  const ours = lastOf(
    await cli("generate", "--model", model, ...flags, "--chat", "--prompt", QUESTION, ...limit),
  );
  const theirs = await script("chat_turn.py", model, QUESTION, COUNT, ...adapter);
  assertEquals(theirs.token_ids, ours.token_ids);
  assertEquals(theirs.rows, theirs.vocabulary);
  const stopped = ours.token_ids.length < Number(COUNT);
  assertEquals(theirs.stopped, stopped);
  return { text: ours.text, stopped };
}

let stops = 0;
for (const base of ["tied", "untied"]) {
  for (const optimizer of ["galore_adamw", "q_galore_adamw8bit", "lora", "qlora"]) {
    const model = join(folder, base), output = join(folder, `${base}-${optimizer}`);
    const tokens = ["--template", "chatml", "--add-tokens", "<|im_start|>", "<|im_end|>"];
    const run = ["--steps", "100", "--lr", "0.01", "--batch-size", "4", "--seq-len", "128"];
    await cli(
      ...["finetune", "--model", model, "--data", data, "--output", output, ...tokens, ...run],
      ...["--optimizer", optimizer, "--eval-share", "0", "--overwrite-output"],
      ...["--dtype", "float32"],
    );
    const adapted = optimizer.endsWith("lora"), merged = join(output, "merged");
    const { text, stopped } = adapted
      ? await answers(model, [join(output, "adapter")])
      : await answers(join(output, "model"), []);
    if (adapted) {
      const adapter = join(output, "adapter");
      await cli("merge", "--model", model, "--adapter", adapter, "--output", merged);
      assertEquals((await answers(merged, [])).text, text);
    }
    const gguf = join(output, "model.gguf");
    await cli("export", "--model", adapted ? merged : join(output, "model"), "--output", gguf);
    const cpp = await script("llama_cpp_chat.py", gguf, QUESTION, COUNT);
    assertEquals([cpp.text.trim(), cpp.stopped], [text.trim(), stopped]);
    console.log(`${base}, ${optimizer}: the same answer everywhere: ${JSON.stringify(text)}`);
    if (stopped) stops++;
  }
}
assert(stops >= 4, `${stops} of 8 models have learned to end their turn`);
