/**
 * Every architecture through the trainer and back into the programs of others, by hand:
 *
 *     pip install torch transformers peft llama-cpp-python
 *     deno run -A tests/interop/architectures.ts <python> <folder to work in>
 *
 * Tiny models made by transformers are fine-tuned in full and with LoRA; then the losses of `eval`
 * and of transformers (and peft) are printed side by side, the merged model's difference from
 * peft's, and the greedy texts of `generate` and of llama.cpp.
 */
import { fromFileUrl, join } from "@std/path";

const [python, folder] = Deno.args;
const interop = fromFileUrl(import.meta.resolve("./"));
const cli = fromFileUrl(import.meta.resolve("../../cli.ts"));
const LENGTH = "64", PROMPT = "ROMEO:", COUNT = "24";

async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) throw new Error(`${program} ${args.join(" ")}\n${text(stderr)}`);
  return text(stdout);
}
const trainer = (...args: string[]) => run(Deno.execPath(), ["run", "-A", cli, ...args, "--json"]);
const script = (name: string, ...args: string[]) => run(python, [join(interop, name), ...args]);
const lastOf = (lines: string) => JSON.parse(lines.split("\n").at(-1)!);

const examples = Array.from({ length: 24 }, (_, i) => {
  const word = ["red", "green", "blue"][i % 3];
  return JSON.stringify({ prompt: `${1 + i % 4} ${word}: `, completion: `${word} `.repeat(3) });
});
const data = join(folder, "train.jsonl"), text = join(folder, "text.txt");
await Deno.mkdir(folder, { recursive: true });
await Deno.writeTextFile(data, examples.join("\n"));
const shakespeare = new URL("../../examples/data/tinyshakespeare.txt", import.meta.url);
await Deno.writeTextFile(text, (await Deno.readTextFile(shakespeare)).slice(0, 3000));
await script("make_tiny_models.py", folder);

async function losses(what: string, model: string, adapter: string[] = []): Promise<void> {
  const flags = adapter.flatMap((each) => ["--adapter", each]);
  const shared = ["--seq-len", LENGTH, "--tokenizer", "bytes"];
  const ours = lastOf(await trainer("eval", "--model", model, "--data", text, ...shared, ...flags));
  const theirs = await script("transformers_loss.py", model, text, LENGTH, ...adapter);
  console.log(`  ${what}: eval ${ours.loss.toFixed(6)}, transformers: ${theirs}`);
}

for (const name of ["llama", "mistral", "qwen2", "qwen3", "gemma"]) {
  const base = join(folder, name);
  const tune = async (optimizer: string) => {
    const output = join(folder, `${name}-${optimizer}`);
    const method = ["--optimizer", optimizer, "--lr", "0.01", "--steps", "4", "--seq-len", LENGTH];
    const files = ["--model", base, "--tokenizer", "bytes", "--data", data, "--output", output];
    await trainer("finetune", ...files, ...method, "--dtype", "float32");
    return output;
  };
  console.log(name);
  await losses("as it came", base);
  const full = join(await tune("galore_adamw"), "model");
  await losses("fine-tuned in full", full);
  const adapter = join(await tune("lora"), "adapter");
  await losses("with our adapter", base, [adapter]);
  const merged = join(folder, `${name}-merged`);
  await trainer("merge", "--model", base, "--adapter", adapter, "--output", merged);
  await losses("merged", merged);
  console.log(`  merged, from peft's: ${await script("merged_model.py", base, adapter, merged)}`);
  const gguf = join(folder, `${name}.gguf`);
  await trainer("export", "--model", merged, "--output", gguf);
  const greedy = ["--prompt", PROMPT, "--temperature", "0", "--max-new-tokens", COUNT];
  const ours = lastOf(await trainer("generate", "--model", merged, ...greedy));
  const theirs = JSON.parse(await script("llama_cpp_greedy.py", gguf, PROMPT, COUNT));
  const same = String(ours.token_ids) === String(theirs.token_ids);
  console.log(`  greedy text of the GGUF file in llama.cpp: ${same ? "the same" : "differs"}`);
  if (!same) console.log(`    ${ours.token_ids}\n    ${theirs.token_ids}`);
}
