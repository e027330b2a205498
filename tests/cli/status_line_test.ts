/** The last line of a terminal, what fits on it, and what is written above it. */
// deno-lint-ignore-file no-control-regex
import { assert, assertEquals } from "@std/assert";
import { quoted, resuming } from "../../src/cli/command_line.ts";
import { StepTimes } from "../../src/cli/step_times.ts";
import { Progress } from "../../src/cli/progress.ts";
import { barOf, type Draw, fitting, StatusLine } from "../../src/cli/status_line.ts";
import { formatSeconds, Working } from "../../src/cli/working.ts";
import type { PlanEvent, StepEvent } from "../../src/train/events.ts";

/** A terminal that knows carriage returns, line feeds, cursor up, and erasing to the end. */
class Screen {
  readonly #rows: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(public columns: number) {}

  write(text: string): void {
    for (const [part] of text.matchAll(/\x1b\[(\d*)([AJ])|[\s\S]/gu)) {
      const [, count, code] = part.match(/^\x1b\[(\d*)([AJ])$/) ?? [];
      if (code === "A") this.#row = Math.max(0, this.#row - Number(count || 1));
      else if (code === "J") {
        this.#rows.length = this.#row + 1;
        this.#rows[this.#row].length = this.#column;
      } else if (part === "\r") this.#column = 0;
      else if (part === "\n") this.#feed();
      else {
        if (this.#column === this.columns) this.#feed();
        this.#rows[this.#row][this.#column++] = part;
      }
    }
  }

  #feed(): void {
    [this.#row, this.#column] = [this.#row + 1, 0];
    this.#rows[this.#row] ??= [];
  }

  get lines(): string[] {
    return this.#rows.map((row) => row.join("")).filter((row) => row !== "");
  }
}

const plan = (steps: number): PlanEvent => ({
  type: "plan",
  parameters: 1,
  trained_parameters: 1,
  steps,
  resumed_step: 0,
  planned_peak_bytes: 1,
  by_purpose: {
    weights: 0,
    quantisation_constants: 0,
    projections: 0,
    optimizer_state: 0,
    activations: 0,
    gradients: 0,
    workspace: 0,
  },
  adapter: "a card",
});

const step = (number: number, step_ms: number, change: Partial<StepEvent> = {}): StepEvent => ({
  type: "step",
  step: number,
  loss: 12.34567,
  lr: 0.000123456,
  tokens: 1,
  tokens_per_second: 123_456.7,
  step_ms,
  gpu_bytes: 123 << 20,
  gpu_peak_bytes: 1,
  subspace_refreshes: 0,
  ...change,
});

/** What a run's last line is at some widths. */
function drawn(act: (progress: Progress, pass: (ms: number) => void) => void) {
  let last: Draw | undefined, now = 0;
  const output = {
    interactive: true,
    log() {},
    status: (draw: Draw | undefined) => void (last = draw),
  };
  const progress = new Progress(output, () => now);
  act(progress, (ms) => now += ms);
  progress.tick();
  const at = (columns: number) => last!(columns);
  return { at, stop: () => (progress.stop(), last) };
}

Deno.test("a line above stands whole, and the last line below it, also in a narrower window", () => {
  const screen = new Screen(20),
    line = new StatusLine((text) => screen.write(text), () => screen.columns);
  const notice = "interrupted: saving before exit\n";
  line.show((columns) => "#".repeat(columns + 9));
  assertEquals(screen.lines, ["#".repeat(19)]);
  line.above(() => screen.write(notice));
  assertEquals(screen.lines, ["interrupted: saving ", "before exit", "#".repeat(19)]);
  line.show(() => "short");
  line.above(() => screen.write("next\n"));
  assertEquals(screen.lines.slice(2), ["next", "short"]);
  line.show(undefined);
  assertEquals(screen.lines.slice(2), ["next"]);

  // The terminal wraps what stands there when the window shrinks: two rows of ten.
  const narrow = new Screen(10);
  let columns = 20;
  const shrinking = new StatusLine((text) => narrow.write(text), () => columns);
  shrinking.show(() => "0123456789abcdefgh");
  columns = 10;
  shrinking.above(() => narrow.write("text\n"));
  assertEquals(narrow.lines, ["text", "012345678"]);
});

Deno.test("the time left stays, whatever the width; numbers are wide, days long", () => {
  const { at } = drawn((progress) => {
    progress.handle(plan(1_000_000));
    progress.handle(step(123_456, 1000));
  });
  assertEquals(
    at(119),
    "███░░░░░░░░░░░░░░░░░░░░░ 123456/1000000  loss 12.3457  lr 0.000123  123457 tokens/s  123 MiB  " +
      "ETA 10d03h",
  );
  assertEquals(at(79), "█░░░░░░░░░ 123456/1000000  loss 12.3457  123457 tokens/s  ETA 10d03h");
  assertEquals(at(39), "123456/1000000  ETA 10d03h");
  for (let columns = 26; columns < 160; columns++) {
    assert([...at(columns)].length <= columns && at(columns).endsWith("ETA 10d03h"), at(columns));
  }
});

Deno.test("a bar from step 0; phases and the layers of a long step, with the time that passes", () => {
  const { at, stop } = drawn((progress, pass) => {
    progress.handle(plan(60));
    pass(100);
  });
  assertEquals(at(79), `${barOf(0, 24)} 0/60`);
  assertEquals(stop(), undefined);
  const layers = drawn((progress, pass) => {
    progress.handle(plan(60));
    progress.handle(step(2, 30_000));
    const how = { part: "backward", layer: 3, layers: 24, done: 27, total: 48 } as const;
    progress.handle({ type: "progress", phase: "training", step: 3 });
    pass(12_000);
    progress.handle({ type: "progress", phase: "training", step: 3, ...how });
  });
  assertEquals(
    layers.at(79),
    `${barOf(2 / 60, 10)} 2/60  loss 12.3457  backward pass, layer 3 of 24, 12s  ETA 29m00s`,
  );
  const refreshing = drawn((progress, pass) => {
    progress.handle(plan(2));
    progress.handle({ type: "progress", phase: "training", step: 1 });
    pass(60_000);
    const how = { part: "refresh", layer: 3, layers: 32, subspace: 17, subspaces: 224 } as const;
    progress.handle({ type: "progress", phase: "training", step: 1, ...how, seconds_left: 30 });
  });
  // What the second step will take is unknown.
  assertEquals(
    refreshing.at(79),
    "0/2  refreshing subspace 17 of 224, layer 3 of 32, 1m00s of ~1m30s  ETA ?",
  );
  const saving = drawn((progress, pass) => {
    progress.handle(plan(2));
    const [done, total] = [3 << 20, 12 << 20], phase = "saving a checkpoint";
    progress.handle({ type: "progress", phase, step: 2, done, total });
    pass(4000);
  });
  assertEquals(
    saving.at(79),
    `${barOf(0, 10)} 0/2  saving a checkpoint, 3.00 MiB of 12.0 MiB, 4s  ETA ?`,
  );
  const evaluating = drawn((progress, pass) => {
    progress.handle(plan(60));
    progress.handle({ type: "progress", phase: "evaluating", step: 0, done: 3, total: 12 });
    pass(4000);
  });
  assertEquals(evaluating.at(79), `${barOf(0, 24)} 0/60  evaluating, 3 of 12, 4s  ETA ?`);
});

Deno.test("the time left counts the step in progress, and refreshes as often as they come", () => {
  const { at } = drawn((progress) => {
    progress.handle(plan(10));
    progress.handle({ ...step(1, 100_000), refreshed: ["a"] });
    progress.handle(step(2, 10_000));
    const how = { part: "forward", layer: 3, layers: 32, seconds_left: 7 } as const;
    progress.handle({ type: "progress", phase: "training", step: 4, ...how });
  });
  // Of step 4, and of the six after it.
  assert(at(200).endsWith("ETA 1m07s"), at(200));
  const times = new StepTimes();
  times.add({ step_ms: 100_000, refreshed: ["a"] });
  assertEquals(times.mean, 100_000);
  for (let index = 0; index < 9; index++) times.add({ step_ms: 1000 });
  times.add({ step_ms: 11_000, refreshed: ["a"] });
  assertEquals(times.mean, 2000);
});

Deno.test("without a terminal no silence is longer than four seconds, and nothing is said of what is fast", () => {
  const lines: [number, string][] = [];
  let now = 0;
  const working = new Working(
    { interactive: false, log: (line) => lines.push([now / 1000, line]) },
    () => now,
  );
  const during = (ms: number) => {
    for (const end = now + ms; now < end; now += 500) working.tick();
  };
  working.show("opening the GPU");
  during(1000);
  working.show("loading weights", { share: 0.25 });
  during(6000);
  working.line("a warning");
  during(3000);
  working.show("step 1 of 2", { detail: "forward pass, layer 2 of 8" });
  during(9000);
  working.stop();
  during(9000);
  assertEquals(lines, [
    [4, "loading weights: 25%, 3s"],
    [7, "a warning"],
    [11, "step 1 of 2: forward pass, layer 2 of 8, 1s"],
    [15, "step 1 of 2: forward pass, layer 2 of 8, 5s"],
  ]);
});

Deno.test("the command that resumes is the one typed, for the shell", () => {
  const typed = [
    "pretrain",
    "--data",
    "my stuff é/it's.txt",
    "--output",
    "r",
    "--overwrite-output",
  ];
  assertEquals(
    resuming([...typed, "--resume", "r/checkpoint-2", "--no-proj-quant"]).replace(
      /^.*pretrain/,
      "",
    ),
    ` --data 'my stuff é/it'\\''s.txt' --output r --no-proj-quant --resume auto`,
  );
  const launched = resuming(["pretrain"], ["mpirun", "-n", "2"]);
  assertEquals(launched, "mpirun -n 2 deno run -A cli.ts pretrain --resume auto");
  assertEquals(quoted("$HOME"), "'$HOME'");
  assertEquals(quoted("C:\\my stuff\\x", true), '"C:\\my stuff\\x"');
  assertEquals(quoted(""), "''");
});

Deno.test("durations and what fits", () => {
  assertEquals([59, 60, 3725, 273_600, Infinity].map(formatSeconds), [
    "59s",
    "1m00s",
    "1h02m",
    "3d04h",
    "?",
  ]);
  assertEquals(fitting(3, ["long", "abc", "a"]), "abc");
  assertEquals(fitting(0, ["long", "abc", "a"]), "a");
});
