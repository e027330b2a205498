/** What a log of a comparison says while a run takes long. */
import { assertEquals } from "@std/assert";
import { CompareProgress } from "../../src/cli/compare_progress.ts";
import type { ComparedRun } from "../../src/compare/events.ts";

Deno.test("within a run a log says what it does: a phase, and how far a long step is", () => {
  const lines: string[] = [];
  let now = 0;
  const log = (line: string) => void lines.push(line);
  const progress = new CompareProgress({ interactive: false, log }, () => now);
  const run: ComparedRun = {
    method: "adamw",
    purpose: "run",
    seed: 1,
    lr: 0.001,
    steps: 30,
    folder: "runs/adamw",
  };
  const later = (event: Parameters<CompareProgress["goOn"]>[0]) => {
    now += 10_000;
    progress.goOn(event);
  };
  const of = { type: "progress", step: 0, seconds: 1 } as const;
  later({ ...of, phase: "evaluating" }); // of no run yet
  progress.handle({ type: "run", run, done: 2, left: [] });
  later({ ...of, phase: "compiling kernels", done: 3, total: 6 });
  later({ ...of, phase: "evaluating", done: 4 });
  later({ ...of, step: 1, phase: "training", part: "backward", layer: 7, layers: 24 });
  progress.stop();
  assertEquals(lines, [
    "run 3 of 3: adamw, seed 1",
    "run 3 of 3: adamw, seed 1: compiling kernels: 50%, 3 of 6, 0s",
    "run 3 of 3: adamw, seed 1: evaluating: batch 4, 0s",
    "run 3 of 3: adamw, seed 1: step 1 of 30, backward pass, layer 7 of 24, 0s",
  ]);
});
