/** The command line in two processes: fine-tuning, refusals, exit codes. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { saveBase, TINY } from "../train/support.ts";
import { mpirun, mpiTest } from "./support.ts";

const CLI = [
  Deno.execPath(),
  ...["run", "-A", "--no-check", fromFileUrl(import.meta.resolve("../../cli.ts"))],
];

mpiTest("finetune in 2 processes; another base on one of them is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, seed] of [["base", 1], ["other", 2]] as const) {
      await Deno.mkdir(join(folder, name));
      await saveBase(join(folder, name), { ...TINY, maxPositions: 256 }, seed);
    }
    const examples = Array.from({ length: 40 }, (_, i) => (
      { instruction: `Count to ${i}`, output: "1 2 3 4".slice(0, 1 + i % 7) }
    ));
    await Deno.writeTextFile(join(folder, "data.json"), JSON.stringify(examples));
    const finetune = (model: string, output: string, ...more: string[]) => [
      ...["finetune", "--model", join(folder, model), "--data", join(folder, "data.json")],
      ...["--tokenizer", "bytes", "--template", "alpaca", "--optimizer", "lora", "--json"],
      ...["--batch-size", "2", "--seq-len", "256", "--eval-share", "0", "--steps", "4"],
      ...["--output", join(folder, output), ...more],
    ];
    const run = await mpirun(2, [...CLI, ...finetune("base", "run", "--local-steps", "2")]);
    assertEquals(run.code, 0, run.stderr);
    const events = run.stdout.trim().split("\n").map((line) => JSON.parse(line));
    const plan = events.find(({ type }) => type === "plan");
    assertEquals([plan.ranks, plan.local_steps], [2, 2]);
    assertEquals(events.filter(({ type }) => type === "step").length, 4);
    assertEquals(events.at(-1).type, "done");
    assert((await Deno.stat(join(folder, "run", "adapter", "adapter_model.safetensors"))).isFile);

    const words = (model: string) =>
      [...CLI, ...finetune(model, "refused")].map((word) => `'${word}'`).join(" ");
    const refused = await mpirun(2, [
      ...["sh", "-c"],
      `if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then exec ${words("other")}; else exec ${
        words("base")
      }; fi`,
    ]);
    assertEquals(refused.code, 1, refused.stderr);
    assertStringIncludes(refused.stderr, "the processes would not train one model: ");
    assertStringIncludes(refused.stderr, "the base model of rank 1 is not that of rank 0");
    assertEquals(refused.stderr.split("would not train one model").length - 1, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
