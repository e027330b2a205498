/**
 * A tokenizer trained here, against Python: the same file for the same texts, the same ids for a
 * thousand of them, and a model trained with it that transformers loads and continues, by hand:
 *
 *     pip install torch transformers
 *     deno run -A tests/interop/trained_tokenizer.ts <python> <folder to work in> [<texts.jsonl>]
 *
 * Fails at the first difference.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { cli, lastOf, ROOT, run } from "./support.ts";

const [python, work, texts = join(ROOT, "tests/fixtures/data/c4.jsonl")] = Deno.args;
const folder = join(work, "trained tokenizer é"), tokenizer = join(folder, "8k");
const COUNT = 1000, STEPS = "20";

const script = async (name: string, ...args: string[]) =>
  lastOf(await run(python, [join(ROOT, "tests/interop", name), ...args]));

await Deno.remove(folder, { recursive: true }).catch(() => {});
await Deno.mkdir(folder, { recursive: true });

const vocabulary = ["--vocab-size", "8000"];
const made = lastOf(
  await cli("tokenizer", "train", "--data", texts, ...vocabulary, "--output", tokenizer),
);
console.log(`${made.vocab_size} tokens from ${made.bytes} bytes, ${made.words} distinct words`);

// Whole documents, and pieces of them that begin and end anywhere.
const documents = (await Deno.readTextFile(texts)).trim().split("\n")
  .map((line): string => JSON.parse(line).text);
const size = Math.ceil(documents.join("").length / COUNT);
const pieces = documents.flatMap((
  text,
) => [text, ...text.match(new RegExp(`.{1,${size}}`, "gsu"))!]);
const sample = pieces.slice(0, COUNT);
assertEquals(sample.length, COUNT);
await Deno.writeTextFile(join(folder, "sample.json"), JSON.stringify(sample));

const theirs = await script("trained_tokenizer.py", tokenizer, texts, join(folder, "sample.json"));
assert(theirs.same_file, "tokenizer.json differs from what Python's library trains");
const ours = await loadTokenizer(tokenizer);
sample.forEach((text, index) => assertEquals(theirs.ids[index], ours.encode(text), text));
assertEquals([theirs.bos, theirs.eos], [ours.bosTokenId, ours.eosTokenId]);
console.log(`the same file as Python's, and the same ids for ${sample.length} texts`);

const output = join(folder, "run"), model = join(output, "model");
await cli(
  ...["pretrain", "--model", "llama_9m", "--data", texts, "--tokenizer", tokenizer],
  ...["--output", output, "--steps", STEPS, "--batch-size", "4", "--seq-len", "128"],
  ...["--dtype", "float32"],
);
const prompt = "The best way to";
const here = lastOf(
  await cli(
    ...["generate", "--model", model, "--prompt", prompt, "--max-new-tokens", "20"],
    ...["--temperature", "0", "--weights", "float32"],
  ),
);
const there = await script("greedy_folder.py", model, prompt, "20");
assertEquals(there.token_ids, here.token_ids);
assertEquals(there.rows, made.vocab_size);
console.log(`llama_9m with ${there.rows} rows: transformers continues alike`);
