/** Comparisons, against the files of the runs that they are made of. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { compare } from "../../src/compare/compare.ts";
import type { CompareEvent } from "../../src/compare/events.ts";
import type { CompareRecord, RunRecord } from "../../src/compare/record.ts";
import { isThere } from "../../src/files/stat.ts";
import { OptionsError } from "../../src/options/faults.ts";
import type { StepMetrics, Summary } from "../../src/train/events.ts";
import { decodePng, marksOf, parseXml, textsOf } from "../plot/support.ts";
import { sharedGpu } from "../support.ts";
import { withWorkshop } from "../train/support.ts";

const read = async <T>(...path: string[]): Promise<T> =>
  JSON.parse(await Deno.readTextFile(join(...path)));

async function metricsOf(...path: string[]): Promise<StepMetrics[]> {
  const text = await Deno.readTextFile(join(...path, "metrics.jsonl"));
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

/** What does not depend on the clock. */
function timeless(record: CompareRecord) {
  const run = ({ seconds: _, ...rest }: RunRecord) => rest;
  return record.methods.map((method) => ({
    ...method,
    tokens_per_second: undefined,
    refresh_ms: undefined,
    tokens_per_second_with_refreshes: undefined,
    sweep: method.sweep.map(run),
    runs: method.runs.map(run),
  }));
}

const QUICK = { speeds: { rounds: 2, milliseconds: 1 } };
const METHODS = [
  "galore_adamw",
  "adamw:lr=0.002",
  // One that diverges, and one that does not fit.
  "adamw:lr=100000",
  "adamw:gpu-memory=0.00001",
];

Deno.test("a comparison is what its runs are; interrupted and continued, it is the same", async () => {
  await withWorkshop(async ({ folder }) => {
    const gpu = await sharedGpu();
    const options = (output: string, methods = METHODS) => ({
      methods,
      seeds: [3, 4],
      lrSweep: [1, 2],
      lrSweepShare: 0.5,
      output: join(folder, output),
      model: join(folder, "config.json"),
      data: [join(folder, "text.txt")],
      evalShare: 0.05,
      steps: 4,
      evalEvery: 4,
      batchSize: 3,
      seqLen: 24,
      // Of the first method alone.
      rank: 16,
      updateProjGap: 2,
    });
    const events: CompareEvent[] = [];
    for await (const event of compare(gpu, "pretrain", options("whole"), QUICK)) events.push(event);
    const whole = join(folder, "whole"), record = await read<CompareRecord>(whole, "compare.json");
    const last = events.at(-1);
    assert(last?.type === "compared" && !last.interrupted);
    assertEquals(JSON.parse(JSON.stringify(last.record)), record);
    const [galore, adamw, wild, large] = record.methods;

    // Each run's figures are those of its own files.
    for (const run of [...galore.sweep, ...galore.runs, ...adamw.runs]) {
      const summary = await read<Summary>(whole, run.folder, "summary.json");
      const { final_loss, eval_loss, gpu_peak_bytes, planned_peak_bytes, subspace_refreshes } =
        summary;
      assertEquals(
        [run.final_loss, run.eval_loss, run.gpu_peak_bytes, run.subspace_refreshes],
        [final_loss, eval_loss, gpu_peak_bytes, subspace_refreshes],
      );
      assertEquals(await isThere(join(whole, run.folder, "report.html")), run.purpose === "run");
      assertEquals(run.planned_peak_bytes, planned_peak_bytes);
      assertEquals(gpu_peak_bytes, planned_peak_bytes);
      assertEquals(
        Object.values(run.by_purpose!).reduce((sum, bytes) => sum + bytes, 0),
        gpu_peak_bytes,
      );
    }

    // The same weights and batches: the first loss of a seed is the same to the last bit.
    for (const seed of [0, 1]) {
      const [a, b] = [galore.runs[seed], adamw.runs[seed]];
      assertEquals(a.first_loss, b.first_loss);
      assertEquals(a.tokens, b.tokens);
    }
    assert(galore.runs[0].first_loss !== galore.runs[1].first_loss);

    // The sweep: at half the steps, the best rate for all seeds; of a given rate there is none.
    assertEquals(galore.lr_from, "sweep");
    const best = galore.sweep.toSorted((a, b) => a.eval_loss! - b.eval_loss!)[0];
    assertEquals(galore.runs.map(({ lr }) => lr), [best.lr, best.lr]);
    assert(galore.sweep.every(({ steps }) => steps === 2));
    assertEquals([adamw.lr_from, adamw.sweep.length, adamw.lr], ["given", 0, 0.002]);

    // Mean and standard deviation of two runs, by hand; perplexity of the mean.
    const [x, y] = galore.runs.map(({ eval_loss }) => eval_loss!);
    assertAlmostEquals(galore.eval_loss!.mean, (x + y) / 2, 1e-12);
    assertAlmostEquals(galore.eval_loss!.sd!, Math.abs(x - y) / Math.SQRT2, 1e-12);
    assertAlmostEquals(galore.eval_perplexity!, Math.exp((x + y) / 2), 1e-9);
    const [u, v] = adamw.runs.map(({ eval_loss }) => eval_loss!);
    assertAlmostEquals(adamw.difference!.mean, (u - x + v - y) / 2, 1e-12);

    // One that diverges or does not fit is a row that says so; no other rate takes less memory.
    assertEquals(large.sweep.map(({ status }) => status), ["does_not_fit"]);
    assertEquals([large.runs, large.lr], [[], undefined]);
    assert(large.planned_peak_bytes! > 1e-5 * 2 ** 30);
    assertEquals(wild.runs.map(({ status }) => status), ["diverged", "diverged"]);
    const text = await Deno.readTextFile(join(whole, "compare.md"));
    assert(/\| adamw:lr=100000 \|.*\| diverged \|/.test(text), text);
    assert(/\| adamw:gpu-memory=0.00001 \|.*\| does not fit \|/.test(text), text);
    assert(text.includes("4 steps of 3 sequences of 24 tokens"), text);
    assert(text.includes("it is what was planned, to the byte"), text);
    // The speed with refreshes, by hand.
    const { tokens, subspaces, subspace_refreshes } = galore.runs[0];
    const windows = record.speeds.filter(({ method }) => method === galore.name);
    const mean = (name: "tokens_per_second" | "refresh_ms") =>
      (windows[0][name] + windows[1][name]) / 2;
    const seconds = tokens! / mean("tokens_per_second") +
      mean("refresh_ms") / 1000 * subspace_refreshes! / subspaces!;
    assertEquals([subspaces, adamw.tokens_per_second_with_refreshes], [14, undefined]);
    assertAlmostEquals(galore.tokens_per_second_with_refreshes!, tokens! / seconds, 1e-6);

    // Speeds in turns, of each method as often.
    assertEquals(
      record.speeds.map(({ method, round }) => `${round} ${method}`),
      [1, 2].flatMap((round) => METHODS.slice(0, 3).map((method) => `${round} ${method}`)),
    );
    await assertPlots(whole, record);

    // Stopped in the first run of the second seed, within the run; then continued.
    const controller = new AbortController(), two = METHODS.slice(0, 2);
    for await (
      const event of compare(gpu, "pretrain", options("parts"), {
        ...QUICK,
        signal: controller.signal,
      })
    ) {
      if (event.type !== "run_event" || event.event.type !== "step") continue;
      if (event.folder.includes("seed-4") && event.event.step >= 1) controller.abort();
    }
    const parts = join(folder, "parts");
    const half = await read<CompareRecord>(parts, "compare.json");
    assertEquals([half.complete, half.methods[0].runs.length], [false, 1]);
    let begun = 0;
    // Stopped again once all runs are done: the plots are the same.
    const end = new AbortController(), again = { ...QUICK, signal: end.signal };
    for await (const event of compare(gpu, "pretrain", options("parts", two), again)) {
      if (event.type === "measuring") end.abort();
      if (event.type === "comparison") assertEquals(event.done, galore.sweep.length + 2);
      if (event.type === "run") begun++;
    }
    assertEquals(begun, 2);
    assertEquals(timeless(await read(parts, "compare.json")), timeless(record).slice(0, 2));
    assertEquals(
      (await metricsOf(parts, galore.runs[1].folder)).map(({ loss }) => loss),
      (await metricsOf(whole, galore.runs[1].folder)).map(({ loss }) => loss),
    );
    // With other options it is another comparison.
    await assertRejects(
      () => Array.fromAsync(compare(gpu, "pretrain", { ...options("parts"), steps: 5 })),
      Error,
      "steps was 4 there, and is 5 now",
    );
  });
});

/** Every plot has a mark for each method that has something to show, and its pixels can be read. */
async function assertPlots(folder: string, { methods }: CompareRecord): Promise<void> {
  const svg = async (name: string) => parseXml(await Deno.readTextFile(join(folder, name)));
  const lines = await svg("loss-steps.svg");
  assertEquals(marksOf(lines, "line").length, 2);
  for (const { name } of methods.slice(0, 2)) assert(textsOf(lines).includes(name));
  assertEquals(marksOf(await svg("loss-memory.svg"), "symbol").length, 2);
  const bars = marksOf(await svg("memory.svg"), "rect");
  const parts = methods.flatMap(({ by_purpose }) => Object.values(by_purpose!)).filter(Boolean);
  const allocated = methods.filter(({ gpu_peak_bytes }) => gpu_peak_bytes !== undefined);
  assertEquals(bars.length, parts.length + allocated.length);
  for (const name of ["loss-steps", "loss-memory", "memory"]) {
    for (const theme of ["", "-dark"]) {
      const { width } = decodePng(await Deno.readFile(join(folder, `${name}${theme}.png`)));
      assertEquals(width, 1600);
    }
  }
}

Deno.test("an option that none of the methods has is refused, and what is misspelt is named", async () => {
  const gpu = await sharedGpu();
  const faultsOf = async (change: Record<string, unknown>) => {
    const options = {
      methods: ["adamw"],
      model: "llama_nano",
      data: ["a.txt"],
      output: "x",
      steps: 1,
    };
    const error = await assertRejects(
      () => Array.fromAsync(compare(gpu, "pretrain", { ...options, ...change })),
      OptionsError,
    );
    return error.message;
  };
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ galoreScale: 1 }, /galoreScale: needs the optimizer .*galore_adamw/],
    [{ methods: ["adam", "adamw"] }, /"adam" is no method \(did you mean adamw\?\)/],
    [{ methods: ["adamw:rank=4", "galore_adamw"] }, /adamw:rank=4: needs the optimizer/],
    [{ methods: ["adamw:betta1=0.5"] }, /"betta1" is no option \(did you mean beta1\?\)/],
    [{ methods: ["adamw", "adamw"] }, /adamw: is given twice/],
    [{ methods: ["adamw:beta1=2"] }, /beta1: must be at most/],
    // What is held equal is not a method's.
    [{ methods: ["adamw:steps=5"] }, /"steps" is the same for all methods: give steps of the/],
    [{ methods: ["adamw:eval-data=b.txt"] }, /"eval-data" is the same .*: give evalData of the/],
    [{ methods: ["adamw:seed=5"] }, /"seed" is the same for all methods: give seeds of the/],
    [{ methods: ["galore_adamw:rank=auto"] }, /rank=auto.* give a number/],
    [{ lora: 3 }, /lora: unknown option/],
  ];
  for (const [change, message] of cases) {
    const text = await faultsOf(change);
    assert(message.test(text), `${JSON.stringify(change)}: ${text}`);
  }
});

/** The exit code of a command, and what it says to people. */
async function say(...args: string[]): Promise<[code: number, text: string]> {
  const err: string[] = [];
  const code = await main(args, {
    stdout: () => {},
    stderr: (line) => err.push(line),
    write: () => {},
    interactive: false,
    signal: new AbortController().signal,
  });
  return [code, err.join("\n")];
}

Deno.test("the command refuses before it opens a GPU, in flags and in a file", async () => {
  const run = "--methods adamw,muon --model llama_nano --data a --output b --steps 2".split(" ");
  const [code, text] = await say("compare", ...run, "--galore-scale", "1");
  assertEquals(code, 2);
  assert(text.includes("--galore-scale: needs the optimizer"), text);

  // One value is a list of it; what a file says of one run alone is none of a comparison's options.
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  const lines = ["methods: adamw,muon", "seeds: 7", "model: llama_nano", "data: a", "output: b"];
  try {
    await Deno.writeTextFile(file, [...lines, "steps: 2", "galore_scale: 1"].join("\n"));
    assertEquals((await say("compare", "--config", file))[0], 2);
    const [, same] = await say("compare", "--config", file);
    assert(/galore[-_]scale: needs the optimizer/.test(same), same);
    await Deno.writeTextFile(file, [...lines, "optimizer: adamw", "seed: 7"].join("\n"));
    const [, other] = await say("compare", "--config", file);
    assert(/:6: optimizer: unknown key/.test(other) && /:7: seed: unknown key/.test(other), other);
  } finally {
    await Deno.remove(file);
  }
});
