/** A run that is stopped says what to do with it, and those commands do it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { trainingTest, withWorkshop } from "../train/support.ts";

const BASE = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));

/** Runs a command line; the first saved checkpoint stops it. */
async function run(...args: string[]) {
  const out: string[] = [], err: string[] = [], controller = new AbortController();
  const code = await main(args, {
    stdout: (line) => out.push(line),
    stderr(line) {
      err.push(line);
      if (/saved .*checkpoint-\d+$/.test(line)) {
        controller.abort(new DOMException("", "AbortError"));
      }
    },
    write: (piece) => out.push(piece),
    interactive: false,
    signal: controller.signal,
  });
  return { code, stdout: out.join("\n"), stderr: err.join("\n") };
}

/** A command line that was printed, read as a shell does; without the program's name. */
function words(line: string): string[] {
  const found = [...line.trim().matchAll(/'((?:[^']|'\\'')*)'|\S+/g)];
  const all = found.map(([word, inside]) => inside?.replaceAll("'\\''", "'") ?? word);
  return all.slice(all.findIndex((word) => /^(pretrain|finetune|generate|export)$/.test(word)));
}

const sizes =
  "--batch-size 2 --seq-len 24 --steps 40 --save-every 3 --eval-share 0 --warmup-steps 0"
    .split(" ");

trainingTest(
  "pre-training: resumed as typed, tried, and saved as a model, in a folder with a space",
  () =>
    withWorkshop(async ({ folder }) => {
      const output = join(folder, "my run"), text = join(folder, "text.txt");
      const from = ["--model", join(folder, "config.json"), "--rank", "16"];
      const typed = ["pretrain", ...from, "--data", text, "--output", output, ...sizes];
      const stopped = await run(...typed);
      assertEquals(stopped.code, 130, stopped.stderr);
      const lines = stopped.stderr.split("\n");
      const commands = lines.filter((line) => /^ {2}\S/.test(line)).map(words);
      const [resume, generate, exported] = commands;
      assertEquals(resume, [...typed, "--resume", "auto"]);
      const saved = lines.find((line) => line.startsWith("saved: "))!;
      const [, step] = saved.match(/checkpoint-(\d+), after step \1\. To go on:$/)!;
      assertEquals((await run(...generate, "--max-new-tokens", "3")).code, 0);
      const made = await run(...exported);
      assertEquals(made.code, 0, made.stderr);
      assertStringIncludes(made.stderr, `stopped at step ${step} of 40; using checkpoint-${step}`);
      using model = await Safetensors.open(join(output, `model-${step}`));
      assert(model.tensors.has("lm_head.weight"));
      const gguf = join(folder, "model.gguf");
      assertEquals((await run("export", "--model", output, "--output", gguf)).code, 0);
      const wrong = await run(
        "export",
        "--model",
        output,
        "--output",
        folder + "/x",
        "--type",
        "f16",
      );
      assertEquals(wrong.code, 2);
      assertStringIncludes(wrong.stderr, "must end in .gguf");
      const again = await run(...resume);
      assertStringIncludes(again.stderr, `resuming after step ${step}`);
    }),
);

trainingTest(
  "adapters: a stopped run is merged, evaluated and trained further with its base",
  () =>
    withWorkshop(async ({ folder }) => {
      const output = join(folder, "run"), text = join(folder, "text.txt");
      const data = ["--data", text, "--tokenizer", "bytes"];
      const flags = ["--optimizer", "lora", "--output", output, ...sizes];
      const stopped = await run("finetune", "--model", BASE, ...data, ...flags);
      assertEquals(stopped.code, 130, stopped.stderr);
      const merged = await run("merge", "--model", output, "--output", join(folder, "merged"));
      assertEquals(merged.code, 0, merged.stderr);
      const short = join(folder, "short.txt");
      await Deno.writeTextFile(short, (await Deno.readTextFile(text)).slice(0, 4000));
      const loss = async (...model: string[]) => {
        const measured = await run("eval", ...model, "--data", short, "--seq-len", "64", "--json");
        assertEquals(measured.code, 0, measured.stderr);
        return JSON.parse(measured.stdout).loss as number;
      };
      // The merged weights are rounded to the base's format.
      const apart = await loss("--model", output);
      assert(Math.abs(apart - await loss("--model", join(folder, "merged"))) < 2e-3 * apart);
      assertEquals(apart, await loss("--model", BASE, "--adapter", output));
      const refused = await run(
        ...["finetune", "--model", output, ...data, "--optimizer", "adamw"],
        ...["--output", join(folder, "whole"), ...sizes],
      );
      assertEquals(refused.code, 1);
      assertStringIncludes(
        refused.stderr,
        "is an adapter, and --optimizer adamw trains whole models",
      );
      const further = await run(
        ...["finetune", "--model", output, ...data, "--optimizer", "lora"],
        ...["--output", join(folder, "further"), ...sizes],
      );
      assertEquals(further.code, 130, further.stderr);
      const gguf = await run("export", "--model", output, "--output", join(folder, "x.gguf"));
      assertStringIncludes(gguf.stderr, "is an adapter, and a GGUF file holds a whole model");
    }),
);
