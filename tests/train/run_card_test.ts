import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { parse } from "@std/yaml";
import { readConfigFile } from "../../src/config/config_file.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { writeRunCard } from "../../src/train/run_card.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("run card: its options read back as the run's, without folders of this machine", () =>
  withFolder(async (folder) => {
    const options = finetuneOptions.parse({
      model: "hf:org/base-1b@main",
      data: ["/home/somebody/secret/chats.jsonl", "hf:datasets/org/chats", "more.jsonl"],
      output: "/home/somebody/runs/tuned",
      template: "chatml",
      optimizer: "lora",
      loraRank: 4,
      steps: 10,
    });
    await writeRunCard(folder, {
      kind: "adapter",
      options,
      base: options.model,
      results: { steps: 10, tokens: 12345, final_loss: 1.5, adapter: "a | b" },
    });
    const card = await Deno.readTextFile(join(folder, "README.md"));
    assert(!card.includes("somebody"));
    const [, head] = card.split("---\n");
    assertEquals(parse(head), {
      library_name: "peft",
      pipeline_tag: "text-generation",
      base_model: "org/base-1b",
      base_model_relation: "adapter",
      datasets: ["org/chats"],
      tags: ["deno-galore", "lora"],
    });
    assertMatch(card, /\| GPU \| a \\\| b \|/);
    assertMatch(card, /\| Tokens trained on \| 12,345 \|/);
    assert(!card.includes("Held-out"));
    const path = join(folder, "run.yaml");
    await Deno.writeTextFile(path, card.split("```yaml\n")[1].split("```")[0]);
    assertEquals(
      await readConfigFile(path, finetuneOptions, { output: options.output }),
      { ...options, data: ["chats.jsonl", ...(options.data as string[]).slice(1)] },
    );
  }));
