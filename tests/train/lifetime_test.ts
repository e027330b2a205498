/** A device that trains run after run: what each takes, and that it gives it back. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Gpu } from "../../src/gpu/gpu.ts";
import { GpuError } from "../../src/gpu/errors.ts";
import { UserError } from "../../src/options/user_error.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { trainingTest, withWorkshop } from "./support.ts";

const MODULE = import.meta.resolve("../../mod.ts");
const TEXT = fromFileUrl(import.meta.resolve("../../examples/data/tinyshakespeare.txt"));

trainingTest(
  "five runs on one device leave it as it was, each with its own peak",
  async () => {
    await withWorkshop(async ({ folder }) => {
      // In a process of its own, whose garbage can be collected before its memory is read.
      const program = join(folder, "runs.ts");
      await Deno.writeTextFile(
        program,
        `import { Gpu, LlamaForCausalLM, Trainer } from ${JSON.stringify(MODULE)};
      using gpu = await Gpu.open();
      for (const run of [1, 2, 3, 4, 5]) {
        const output = ${JSON.stringify(folder)} + "/run" + run;
        using trainer = await Trainer.pretrain(gpu, {
          ...${JSON.stringify({ model: "llama_nano", data: [TEXT], steps: 1, batchSize: 2 })},
          output, seqLen: 32, evalShare: 0, optimizer: "adamw", dtype: "float32",
          vocabSize: 32_000,
        });
        let summary;
        for await (const event of trainer.run()) if (event.type === "done") summary = event.summary;
        {
          using model = await LlamaForCausalLM.fromPretrained(output + "/model", { gpu });
          for await (const _ of model.generate([65], { maxNewTokens: 1 })) { /* generates */ }
        }
        for (let i = 0; i < 3; i++) {
          globalThis.gc();
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        const { gpu_peak_bytes: peak, planned_peak_bytes: planned } = summary;
        const { live } = gpu.account, groups = gpu.bindGroups.size, { rss } = Deno.memoryUsage();
        console.log(JSON.stringify({ live, groups, peak, planned, rss }));
      }`,
      );
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", program],
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      const runs = new TextDecoder().decode(stdout).trim().split("\n").map((line) =>
        JSON.parse(line)
      );
      assertEquals(runs.length, 5);
      for (const { live, groups, peak, planned } of runs) {
        assertEquals([live, groups], [0, 0]);
        assertEquals(peak, planned);
      }
      // On the software adapter the tensors are the process's own memory. Four runs that kept theirs
      // would add four times the peak of 150 MB, where V8's heap varies by some 40.
      const [first, last] = [runs[0], runs[4]];
      assert(last.rss - first.rss < first.peak, `${first.rss} bytes became ${last.rss}`);
    });
  },
);

trainingTest(
  "a second run on a device is refused in words, until the first has ended",
  async () => {
    await withWorkshop(async ({ folder, options }) => {
      using gpu = await Gpu.open();
      const [one, two] = ["one", "two"].map((name) => join(folder, name));
      const first = await Trainer.pretrain(gpu, options("one"));
      const { live } = gpu.account;
      await assertRejects(
        () => Trainer.pretrain(gpu, options("two")),
        UserError,
        `${two}: this Gpu already trains ${one}`,
      );
      assertEquals(gpu.account.live, live);
      for await (const event of first.run()) {
        if (event.type === "step") {
          await assertRejects(
            () => Trainer.pretrain(gpu, options("two")),
            UserError,
            "already trains",
          );
        }
      }
      assertEquals(gpu.account.live, 0);
      await assertRejects(
        () => first.run().next(),
        UserError,
        "this trainer has run, or runs",
      );
      using second = await Trainer.pretrain(gpu, options("two"));
      assertEquals(gpu.account.live, live);
      second.close();
      assertEquals(gpu.account.live, 0);
      using _again = await Trainer.pretrain(gpu, options("two"));
    });
  },
);

trainingTest("a run that cannot be opened gives back device, memory and folder", async () => {
  await withWorkshop(async ({ options }) => {
    using gpu = await Gpu.open();
    const allocated: number[] = [], { tensor } = gpu;
    // A device that fails in the middle of the allocations.
    gpu.tensor = (spec) => {
      if (allocated.push(gpu.account.live) === 20) {
        throw new GpuError("tensor: refused by the test");
      }
      return tensor.call(gpu, spec);
    };
    await assertRejects(() => Trainer.pretrain(gpu, options("run")), GpuError, "by the test");
    assert(allocated.at(-1)! > 0);
    assertEquals(gpu.account.live, 0);
    gpu.tensor = tensor;
    using _trainer = await Trainer.pretrain(gpu, options("run"));
  });
});

trainingTest("other models on the device are not counted to a run", async () => {
  await withWorkshop(async ({ folder, options }) => {
    using gpu = await Gpu.open();
    const base = join(folder, "base");
    {
      using trainer = await Trainer.pretrain(gpu, options("base"));
      for await (const _ of trainer.run()) { /* trains */ }
    }
    using _model = await LlamaForCausalLM.fromPretrained(join(base, "model"), { gpu });
    const { live } = gpu.account;
    assert(live > 0);
    using trainer = await Trainer.pretrain(gpu, options("run"));
    for await (const event of trainer.run()) {
      if (event.type === "step") assertEquals(event.gpu_bytes, trainer.plan.plannedPeakBytes);
      if (event.type !== "done") continue;
      assertEquals(event.summary.gpu_peak_bytes, event.summary.planned_peak_bytes);
    }
    assertEquals(gpu.account.live, live);
  });
});

trainingTest("what no program with types writes is refused in words", async () => {
  await withWorkshop(async ({ options }) => {
    using gpu = await Gpu.open();
    const refused = async (given: unknown, what: unknown, message: string) => {
      const error = await assertRejects(
        () => Trainer.pretrain(given as Gpu, what as ReturnType<typeof options>),
        UserError,
      );
      assertEquals(error.message.split("\n")[0], message);
    };
    await refused(undefined, options("run"), "gpu: must be a Gpu, got undefined");
    await refused(Promise.resolve(gpu), options("run"), "gpu: must be a Gpu, got a Promise");
    for (const nothing of [undefined, null, {}]) await refused(gpu, nothing, "data: is required");
    await refused(gpu, { ...options("run"), steps: "3" }, 'steps: must be a number, got "3"');
    await refused(
      gpu,
      { ...options("run"), data: null },
      "data: must be paths, or data in memory, got null",
    );
    using _trainer = await Trainer.pretrain(gpu, options("run"));
  });
});

trainingTest("a trainer runs once, and closed in its loop it ends in words", async () => {
  await withWorkshop(async ({ options }) => {
    using gpu = await Gpu.open();
    using trainer = await Trainer.pretrain(gpu, options("run"));
    const run = trainer.run();
    await run.next();
    await assertRejects(() => trainer.run().next(), UserError, "this trainer has run, or runs");
    await assertRejects(
      async () => {
        for await (const event of run) if (event.type === "checkpoint") trainer.close();
      },
      UserError,
      "this trainer was closed",
    );
    assertEquals([trainer.saved.checkpoint_step, gpu.account.live], [3, 0]);
    using again = await Trainer.pretrain(gpu, { ...options("run"), resume: "auto" });
    for await (const event of again.run()) {
      if (event.type === "done") assertEquals(event.step, 6);
    }
  });
});
