import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { StepMetrics, Summary } from "../../src/train/events.ts";
import { Metrics, writeSummary } from "../../src/train/metrics.ts";

const line = (step: number, loss = 1): StepMetrics => ({
  step,
  loss,
  lr: 0.01,
  tokens: step * 8,
  tokens_per_second: 100,
  step_ms: 80,
  gpu_bytes: 1,
  gpu_peak_bytes: 2,
  subspace_refreshes: 0,
});

function folderTest(name: string, run: (output: string, metrics: string) => Promise<void>) {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const output = join(folder, "run");
      await run(output, join(output, "metrics.jsonl"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function append(output: string, afterStep: number, lines: StepMetrics[]) {
  using metrics = await Metrics.open(output, afterStep);
  for (const each of lines) await metrics.append([each]);
}

const read = async (path: string) =>
  (await Deno.readTextFile(path)).trimEnd().split("\n").map((text) => JSON.parse(text));

folderTest("a line a step, in the folder that it makes", async (output, metrics) => {
  await append(output, 0, [line(1), { ...line(2), eval_loss: 3, eval_perplexity: 20.1 }]);
  assertEquals(await read(metrics), [
    line(1),
    { ...line(2), eval_loss: 3, eval_perplexity: 20.1 },
  ]);
});

folderTest("a resumed run has no step twice", async (output, metrics) => {
  await append(output, 0, [line(1), line(2), line(3), line(4)]);
  await append(output, 2, [line(3, 9), line(4, 9)]);
  assertEquals(await read(metrics), [line(1), line(2), line(3, 9), line(4, 9)]);
});

folderTest("a torn last line is cut off", async (output, metrics) => {
  await append(output, 0, [line(1)]);
  await Deno.writeTextFile(metrics, '{"step": 2, "lo', { append: true });
  await append(output, 2, [line(3)]);
  assertEquals(await read(metrics), [line(1), line(3)]);
});

folderTest("a new run begins a new file", async (output, metrics) => {
  await append(output, 0, [line(1), line(2)]);
  await append(output, 0, [line(1, 5)]);
  assertEquals(await read(metrics), [line(1, 5)]);
});

folderTest("the summary replaces the one before", async (output) => {
  await Deno.mkdir(output);
  const summary: Summary = {
    final_loss: 2,
    tokens: 80,
    tokens_per_second: 100,
    planned_peak_bytes: 5,
    gpu_peak_bytes: 5,
    subspace_refreshes: 3,
    subspace_refreshes_fixed_interval: 4,
    adapter: "test",
  };
  for (const final_loss of [2, 1]) {
    await writeSummary(output, { ...summary, final_loss });
    const text = await Deno.readTextFile(join(output, "summary.json"));
    assertEquals(JSON.parse(text), { ...summary, final_loss });
  }
  assertEquals([...Deno.readDirSync(output)].map(({ name }) => name), ["summary.json"]);
});
