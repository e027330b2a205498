/** Comparisons over several sittings: what is kept, and what is never touched. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { compare } from "../../src/compare/compare.ts";
import type { ComparedKind, CompareInput } from "../../src/compare/options.ts";
import { COMPARE_FILE, type CompareRecord, type RunRecord } from "../../src/compare/record.ts";
import { AllocationError } from "../../src/gpu/errors.ts";
import { askedRates, followSweep, rateOf } from "../../src/compare/sweep.ts";
import { writeComparison } from "../../src/compare/write.ts";
import { sharedGpu } from "../support.ts";
import { withWorkshop } from "../train/support.ts";

/** All runs, without plots; the record, the runs that began, and what each said of those to come. */
async function sitting(kind: ComparedKind, options: CompareInput) {
  const controller = new AbortController(), begun: string[] = [], counts: number[][] = [];
  const comparing = { signal: controller.signal, speeds: { rounds: 1, milliseconds: 1 } };
  let record: CompareRecord | undefined;
  for await (const event of compare(await sharedGpu(), kind, options, comparing)) {
    if (event.type === "run") {
      begun.push(event.run.folder);
      counts.push([event.done, event.left.length]);
    }
    if (event.type === "measuring") controller.abort();
    if (event.type === "compared") record = JSON.parse(JSON.stringify(event.record));
  }
  return { record: record!, begun, counts };
}

Deno.test("a comparison grows, shrinks and grows without a second run; it removes its own alone", async () => {
  await withWorkshop(async ({ folder }) => {
    const output = join(folder, "c"), stray = join(output, "runs", "x");
    const options = (methods: string[], change = {}) => ({
      methods,
      seeds: [1],
      lrSweep: [0.5, 2],
      lrSweepShare: 0.5,
      output,
      model: join(folder, "config.json"),
      data: [join(folder, "text.txt")],
      evalShare: 0,
      steps: 2,
      batchSize: 1,
      seqLen: 8,
      ...change,
    });
    const both = options(["adamw", "adamw:lr=0.002"]);
    // A folder of another's runs is none to write or to remove from.
    await Deno.mkdir(stray, { recursive: true });
    await Deno.writeTextFile(join(stray, "mine"), "mine");
    for (const overwriteOutput of [false, true]) {
      await assertRejects(() => sitting("pretrain", { ...both, overwriteOutput }), Error, stray);
    }
    assertEquals(await Deno.readTextFile(join(stray, "mine")), "mine");
    await Deno.remove(stray, { recursive: true });

    const first = await sitting("pretrain", both);
    const [swept, given] = first.record.methods;
    assertEquals(first.counts[0], [0, 3]);
    assertEquals(first.counts.at(-1)![1], 0);
    assert(swept.sweep.length >= 3 && swept.runs.length === 1 && given.runs.length === 1);
    // Nothing is held out: the mean of the last tenth of a step or two is the last loss.
    assertEquals(
      swept.sweep.map(({ tail_loss }) => tail_loss),
      swept.sweep.map((r) => r.final_loss),
    );

    // Without the sweep the usual rate is another run; the one of the sweep is kept.
    const usual = await sitting("pretrain", options(["adamw"], { lrSweep: [1] }));
    assertEquals([usual.begun.length, usual.record.methods[0].runs.length], [1, 1]);
    assertEquals([usual.record.methods[0].sweep, usual.record.methods[0].lr_from], [[], "usual"]);
    const again = await sitting("pretrain", both);
    assertEquals(again.begun, []);
    assertEquals(
      again.record.methods.map(({ runs, sweep }) => [runs, sweep]),
      first.record.methods.map(({ runs, sweep }) => [runs, sweep]),
    );

    // Runs of another card or program are not mixed with today's.
    const path = join(output, COMPARE_FILE), text = await Deno.readTextFile(path);
    const { adapter } = again.record;
    await Deno.writeTextFile(path, text.replaceAll(`"adapter": "${adapter}"`, '"adapter": "old"'));
    await assertRejects(
      () => sitting("pretrain", both),
      Error,
      `adapter: old there, ${adapter} here`,
    );

    // A file that was tampered with removes nothing; started over, only what was made is gone.
    const folders = [...again.record.folders, "runs/../../text.txt"];
    await Deno.writeTextFile(path, JSON.stringify({ ...again.record, folders }));
    const over = { ...options(["adamw:lr=0.002"]), overwriteOutput: true };
    await assertRejects(() => sitting("pretrain", over), Error, "names a folder that is no run's");
    await Deno.writeTextFile(path, text);
    await Deno.writeTextFile(join(output, "notes.txt"), "mine");
    // What is wrong with the data is known before anything is removed.
    const text8 = join(folder, "text.txt"), before = await Deno.readTextFile(text8);
    await Deno.writeTextFile(text8, "a");
    await assertRejects(() => sitting("pretrain", over), Error, "has 2 tokens, a row of 8 needs 9");
    assertEquals(await Deno.readTextFile(path), text);
    // Another content of the same size is another data set.
    await Deno.writeTextFile(text8, before.toUpperCase());
    await assertRejects(() => sitting("pretrain", both), Error, "content of the data");
    await Deno.writeTextFile(text8, before);
    // Before the data had a mark.
    const old = text.replaceAll(/"data_mark": "\w+"/g, '"data_bytes": 7');
    await Deno.writeTextFile(path, old);
    await assertRejects(() => sitting("pretrain", both), Error, "written by an older version");
    await Deno.writeTextFile(path, text);
    const restarted = await sitting("pretrain", over);
    assertEquals(restarted.record.runs.length, 1);
    const names = (await Array.fromAsync(Deno.readDir(output))).map(({ name }) => name);
    assert(!names.includes("sweep") && names.includes("notes.txt"), names.join());
  });
});

Deno.test("methods that read no rank need none; those that do must keep theirs", async () => {
  await withWorkshop(async ({ folder }) => {
    const options = (methods: string[], change = {}) => ({
      methods,
      seeds: [1],
      lrSweep: [1],
      output: join(folder, "c"),
      model: join(folder, "config.json"),
      data: [join(folder, "text.txt")],
      evalShare: 0,
      steps: 2,
      batchSize: 1,
      seqLen: 8,
      ...change,
    });
    const begun = async (methods: string[], change = {}) =>
      (await sitting("pretrain", options(methods, change))).begun.length;
    assertEquals(await begun(["adamw", "galore_adamw"], { rank: 8 }), 2);
    assertEquals(await begun(["adamw"]), 0);
    assertEquals(await begun(["adamw", "galore_adamw"], { rank: 8 }), 0);
    for (const [change, was] of [[{ rank: 4 }, "8"], [{}, "8"]] as const) {
      const other = () => begun(["adamw", "galore_adamw"], change);
      await assertRejects(other, Error, `rank was ${was} there`);
    }
    // A rank of its own is of a method, and other options than the runs' are still refused.
    assertEquals(await begun(["adamw", "galore_adamw:rank=4"], { rank: 8 }), 1);
    await assertRejects(() => begun(["adamw"], { batchSize: 2 }), Error, "batchSize was 1 there");
  });
});

Deno.test("a comparison warns of no option that nobody gave", async () => {
  await withWorkshop(async ({ folder }) => {
    const warnings: string[] = [];
    const events = compare(await sharedGpu(), "pretrain", {
      methods: ["adamw:lr=0.002"],
      seeds: [1],
      output: join(folder, "c"),
      model: join(folder, "config.json"),
      data: [join(folder, "text.txt")],
      evalShare: 0,
      steps: 2,
      batchSize: 1,
      seqLen: 8,
    }, { speeds: { rounds: 1, milliseconds: 1 } });
    for await (const event of events) {
      if (event.type === "run_event" && event.event.type === "warning") {
        warnings.push(event.event.message);
      }
    }
    assertEquals(warnings.filter((text) => /evalEvery|keepCheckpoints/.test(text)), []);
  });
});

Deno.test("a run that the driver refused memory is made at the next sitting", async () => {
  await withWorkshop(async ({ folder }) => {
    const gpu = await sharedGpu();
    const options = {
      methods: ["adamw:lr=0.002", "muon:lr=0.002"],
      seeds: [1],
      output: join(folder, "c"),
      model: join(folder, "config.json"),
      data: [join(folder, "text.txt")],
      steps: 2,
      batchSize: 1,
      seqLen: 8,
    };
    const statuses = ({ methods }: CompareRecord) =>
      methods.map(({ runs: [run] }) => run && run.status);
    // The first run's memory is refused, as a driver does whose card others use; the second's is not.
    const { reserve } = gpu;
    let refused = 0;
    gpu.reserve = (tensors) => {
      if (refused++ === 0) throw new AllocationError("the driver refused", 0);
      return reserve.call(gpu, tensors);
    };
    try {
      const first = await sitting("pretrain", options);
      assertEquals(statuses(first.record), ["out_of_memory", "done"]);
      assertMatch(first.record.methods[0].runs[0].message!, /the driver gave .* and refused more/);
    } finally {
      gpu.reserve = reserve;
    }
    const second = await sitting("pretrain", options);
    assertEquals(second.begun.map((each) => each.split("/")[1]), ["adamw_lr=0.002"]);
    assertEquals(statuses(second.record), ["done", "done"]);
  });
});

Deno.test("a run that lacked memory is tried again; a plot that fails loses no table", async () => {
  await withWorkshop(async ({ folder }) => {
    const output = join(folder, "c");
    const options = {
      methods: ["adamw:lr=0.002:gpu-memory=0.00001"],
      seeds: [1, 2],
      output,
      model: join(folder, "config.json"),
      data: [join(folder, "text.txt")],
      steps: 2,
      batchSize: 1,
      seqLen: 8,
    };
    const { begun, counts, record } = await sitting("pretrain", options);
    // No other seed takes less memory.
    assertEquals([begun.length, counts], [1, [[0, 1]]]);
    assertEquals(record.methods[0].runs.map(({ status }) => status), ["does_not_fit"]);
    assertEquals((await sitting("pretrain", options)).begun, begun);

    const plot = join(output, "memory.svg");
    await Deno.remove(plot);
    await Deno.mkdir(join(plot, "x"), { recursive: true });
    const [missing] = await writeComparison(output, record);
    assertMatch(missing, /^memory could not be drawn: /);
    const text = await Deno.readTextFile(join(output, "compare.md"));
    assertMatch(text, /\| adamw:lr=0\.002:gpu-memory=0\.00001 \|.* planned \|.* does not fit \|/);
    assert(text.includes("loss-steps.png") && !text.includes('"memory.png"'), text);
  });
});

Deno.test("a sweep counts its own rates alone, and a single multiple needs none", () => {
  const method = { name: "adamw", optimizer: "adamw" as const, options: {}, lr: 1, lrGiven: false };
  const losses = new Map([[0.25, 9], [0.5, 3], [1, 2], [2, 1], [4, 1.5], [64, 0.1]]);
  const find = (lr: number) =>
    losses.has(lr) ? { lr, status: "done", eval_loss: losses.get(lr) } as RunRecord : undefined;
  const rates = (lrSweep: number[]) => askedRates(method, { lrSweep });
  // 64 was tried for another sweep; 4 is the extension beyond 2, where the best was.
  const sweep = followSweep(rates([1, 0.5, 2]), find);
  assertEquals(sweep.tried.map(({ lr }) => lr), [0.5, 1, 2, 4]);
  assertEquals(rateOf(method, { lrSweep: [0.5, 1, 2] }, sweep), 2);
  assertEquals([rates([0.5]), rateOf(method, { lrSweep: [0.5] }, { tried: [] })], [[], 0.5]);
  assertEquals(followSweep(rates([1, 8]), find), { tried: [find(1)!], next: 8 });
});

Deno.test("a comparison of fine-tuning trains adapters and weights on the same examples", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const data = join(folder, "examples.jsonl");
    const lines = Array.from(
      { length: 12 },
      (_, at) => JSON.stringify({ prompt: `${at} red: `, completion: "red ".repeat(1 + at % 3) }),
    );
    await Deno.writeTextFile(data, lines.join("\n"));
    const options = {
      methods: ["lora", "adamw"],
      seeds: [1],
      lrSweep: [1],
      output: join(folder, "c"),
      model: fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied")),
      tokenizer: "bytes",
      data: [data],
      steps: 2,
      batchSize: 2,
      seqLen: 32,
    };
    const { record } = await sitting("finetune", options);
    const [lora, adamw] = record.methods.map(({ runs: [run] }) => run);
    assertEquals([lora.status, adamw.status], ["done", "done"]);
    // An adapter begins at nothing: both begin with the base's loss, and part from it.
    assertEquals(lora.first_loss, adamw.first_loss);
    assert(lora.final_loss !== adamw.final_loss);
    assert(lora.made_with.base_mark !== undefined);
    for (const [run, name] of [[lora, "adapter"], [adamw, "model"]] as const) {
      assert((await Deno.stat(join(folder, "c", run.folder, name))).isDirectory);
    }
    // What is wrong with a later method is known before anything is removed.
    const methods = ["lora", "lora:offload-embedding"];
    await assertRejects(
      () => sitting("finetune", { ...options, methods, overwriteOutput: true }),
      Error,
      "this model's embedding is its head as well",
    );
    assert((await Deno.stat(join(folder, "c", adamw.folder))).isDirectory);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
