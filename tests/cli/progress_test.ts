import { assertEquals } from "@std/assert";
import { Progress } from "../../src/cli/progress.ts";
import type { PlanEvent, StepEvent } from "../../src/train/events.ts";

const PLAN: PlanEvent = {
  type: "plan",
  parameters: 1_234_567,
  trained_parameters: 1_234_567,
  steps: 100,
  resumed_step: 0,
  planned_peak_bytes: 3 << 20,
  by_purpose: {
    weights: 0,
    quantisation_constants: 0,
    projections: 0,
    optimizer_state: 0,
    activations: 0,
    gradients: 0,
    workspace: 0,
  },
  adapter: "llvmpipe",
};

const step = (number: number): StepEvent => ({
  type: "step",
  step: number,
  loss: 5.123456,
  lr: 0.01,
  tokens: 10,
  tokens_per_second: 1234.5,
  step_ms: 40_000,
  gpu_bytes: 2 << 20,
  gpu_peak_bytes: 3 << 20,
  subspace_refreshes: 0,
});

/** Progress without a terminal, with a clock controlled by the test. */
function lines(act: (progress: Progress, at: (ms: number) => void) => void): string[] {
  const logged: string[] = [];
  let clock = 0;
  const output = { interactive: false, log: (line: string) => logged.push(line) };
  const progress = new Progress(output, () => clock);
  act(progress, (ms) => clock = ms);
  progress.stop();
  return logged;
}

Deno.test("without a terminal: a line for what happens", () => {
  const logged = lines((progress) => {
    progress.handle(PLAN);
    progress.handle(step(1));
    progress.handle({ type: "eval", step: 1, eval_loss: 4, eval_perplexity: 54.6, tokens: 9 });
    progress.handle({ type: "checkpoint", step: 1, path: "run/checkpoint-1" });
    progress.handle({ type: "warning", message: "small rank" });
    progress.handle({
      type: "done",
      interrupted: true,
      step: 1,
      saved: {},
      summary: {
        final_loss: 5,
        tokens: 10,
        tokens_per_second: 100,
        planned_peak_bytes: 1,
        gpu_peak_bytes: 3 << 20,
        subspace_refreshes: 0,
        subspace_refreshes_fixed_interval: 0,
        adapter: "llvmpipe",
      },
    });
  });
  assertEquals(logged, [
    "1,234,567 parameters, 100 steps, 3.00 MiB of GPU memory, on llvmpipe",
    "step 1/100  loss 5.1235  lr 0.0100  1235 tokens/s  2.00 MiB  ETA 1h06m",
    "step 1: evaluation loss 4.0000, perplexity 54.60",
    "step 1: saved run/checkpoint-1",
    "warning: small rank",
    "stopped: loss 5.0000, 10 tokens at 100 tokens/s, 3.00 MiB of GPU memory at peak",
  ]);
});

Deno.test("the memory that there is, as far as it is known, is said with what the run takes", () => {
  const shown = (change: Partial<PlanEvent>) =>
    lines((progress) => progress.handle({ ...PLAN, ...change }));
  const blocks = { allocated_bytes: 4 << 20, memory_limit: 2 ** 33 };
  assertEquals(shown(blocks), [
    "1,234,567 parameters, 100 steps, 3.00 MiB of GPU memory (4.00 MiB in the driver's blocks, " +
    "8.00 GiB available), on llvmpipe",
  ]);
  assertEquals(shown({ allocated_bytes: 3 << 20 }), [
    "1,234,567 parameters, 100 steps, 3.00 MiB of GPU memory, on llvmpipe",
    "how much memory this card has is unknown: with --gpu-memory, a run that does not fit is " +
    "refused at once",
  ]);
});

Deno.test("advised ranks: a line for each kind of projection", () => {
  const matrix = (name: string, rank: number, energy: number) => ({
    name: `model.layers.${rank}.${name}.weight`,
    shape: name.endsWith("k_proj") ? [192, 576] : [576, 1536],
    rank,
    energy,
  });
  const [table] = lines((progress) =>
    progress.handle({
      type: "rank_advice",
      share: 0.9,
      matrices: [
        ...[24, 8, 128].map((rank) => matrix("self_attn.k_proj", rank, 0.9 + rank / 1e4)),
        ...[512, 520, 40, 512].map((rank) => matrix("mlp.down_proj", rank, rank > 99 ? 0.7 : 1)),
      ],
      bytes: { advised: 3 << 20, default_rank: 5 << 20 },
    })
  );
  assertEquals(table.split("\n"), [
    "ranks that keep 90% of the first gradients' energy, over all layers:",
    "                shape  least  median  most  kept",
    "k_proj      192 x 576      8      24   128   90%",
    "down_proj  576 x 1536     40     512   520   70%",
    "gradients of 3 matrices are too flat: they get the highest rank tried",
    "optimizer state and projections: 3.00 MiB, 5.00 MiB with the default rank everywhere",
  ]);
});

Deno.test("without a terminal: a line a second at most, and the last step in any case", () => {
  const logged = lines((progress, at) => {
    progress.handle({ ...PLAN, resumed_step: 90 });
    for (const [number, ms] of [[91, 0], [92, 500], [93, 1000], [94, 1999], [100, 2000 - 1]]) {
      at(ms);
      progress.handle(step(number));
    }
  });
  assertEquals(logged.map((line) => line.split("  ")[0]), [
    "1,234,567 parameters, resuming after step 90, 100 steps, 3.00 MiB of GPU memory, on llvmpipe",
    "step 91/100",
    "step 93/100",
    "step 100/100",
  ]);
});

Deno.test("a preparation is reported if it takes long", () => {
  let time = 0;
  const lines: string[] = [];
  const progress = new Progress(
    { interactive: false, log: (line) => lines.push(line) },
    () => time,
  );
  for (let second = 0; second <= 12; second++) {
    time = 1000 * second;
    progress.handle({ type: "preparation", what: "loading weights", share: second / 13 });
  }
  progress.handle({ type: "preparation", what: "encoding examples", count: 500 });
  assertEquals(lines, [
    "loading weights: 30%, 4s",
    "loading weights: 61%, 8s",
    "loading weights: 92%, 12s",
  ]);
});
