/**
 * A slow run is never silent for more than 5 seconds: trains two steps of a model whose step takes
 * longer than 10 s on a software adapter, and measures the gaps of its output, from the first byte to
 * the last. `deno run -A tests/interop/silence.ts [model]`; some minutes.
 */
import { fromFileUrl, join } from "@std/path";

const root = fromFileUrl(import.meta.resolve("../../"));
const LIMIT_S = 5;

const output = await Deno.makeTempDir();
const process = new Deno.Command(Deno.execPath(), {
  args: [
    ...["run", "-A", "--no-check", join(root, "cli.ts"), "pretrain"],
    ...["--model", Deno.args[0] ?? "llama_20m", "--tokenizer", "bytes", "--output", output],
    ...["--data", join(root, "examples/data/tinyshakespeare.txt")],
    ...["--steps", "2", "--batch-size", "8", "--seq-len", "256", "--eval-share", "0.01"],
  ],
  stdout: "null",
  stderr: "piped",
}).spawn();

let last: number | undefined, longest = 0, after = "", text = "";
const decoder = new TextDecoder();
for await (const bytes of process.stderr) {
  const now = performance.now(), gap = last === undefined ? 0 : (now - last) / 1000;
  if (gap > longest) [longest, after] = [gap, text.trimEnd().split("\n").at(-1) ?? ""];
  last = now;
  text += decoder.decode(bytes, { stream: true });
}
const { code } = await process.status;
await Deno.remove(output, { recursive: true });
console.log(text.trimEnd());
const steps = [...text.matchAll(/^step \d+\/2 .*$/gm)].length;
console.log(`\nlongest silence: ${longest.toFixed(1)} s, after: ${after}`);
if (code !== 0 || steps !== 2 || longest > LIMIT_S) Deno.exit(1);
