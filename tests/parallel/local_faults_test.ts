/** What ends a run whose ranks train by themselves, or is refused; the other rank is played. */
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { explain, UserError } from "../../src/options/user_error.ts";
import { ALONE, type Ranks } from "../../src/parallel/ranks.ts";
import { NotFiniteError } from "../../src/train/divergence.ts";
import type { StepMetrics, TrainingEvent } from "../../src/train/events.ts";
import { follow } from "../../src/train/follower.ts";
import { assertMeets, assertMet, ownStates } from "../../src/train/local_run.ts";
import {
  type PretrainInput,
  type PretrainOptions,
  pretrainOptions,
} from "../../src/train/options.ts";
import { changedRates, identityOf } from "../../src/train/run_identity.ts";
import type { RunState } from "../../src/train/run_state.ts";
import { runNotes } from "../../src/train/run_notes.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import type { Stepping } from "../../src/train/stepping.ts";
import type { SubmittedSteps } from "../../src/train/submitted_steps.ts";
import { type Order, sharedRecipe, type Team } from "../../src/train/team.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { trainingTest, withWorkshop } from "../train/support.ts";

/** Rank 0 of two, of which the other says what rank 0 does, but for what is given. */
function played({ sums = 0, checksum }: { readonly sums?: number; readonly checksum?: string }) {
  let compared = 0, answer: Uint8Array<ArrayBuffer> | undefined, gathered = 0;
  const ranks: Ranks = {
    ...ALONE,
    size: 2,
    sum: (values) => {
      values[values.length - 1] += sums;
      // What it brought was not finite.
      if (sums !== 0) answer = Uint8Array.of(0);
      return Promise.resolve();
    },
    gather: (bytes) => {
      gathered++;
      const own = new TextDecoder().decode(bytes);
      // The first is before the first step.
      const isCompared = /^[0-9a-f]{8}$/.test(own) && compared++ > 0;
      const other = isCompared && checksum ? new TextEncoder().encode(checksum) : bytes;
      return Promise.resolve([bytes, answer ?? other]);
    },
  };
  return { ranks, gathered: () => gathered };
}

/** The error that ends a run, and its events. */
async function failed(options: PretrainOptions, ranks: Ranks) {
  const trainer = await Trainer.pretrain(await sharedGpu(), options, { ranks });
  const events: TrainingEvent[] = [];
  const error = await assertRejects(async () => {
    for await (const event of trainer.run()) events.push(event);
  }, NotFiniteError);
  return { error, events };
}

trainingTest(
  "what another rank trains must be finite: nothing of it is met in or saved",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const run = { optimizer: "adamw", dtype: "float32", evalShare: 0, steps: 4, saveEvery: 1 };
      for (const sums of [NaN, -Infinity]) {
        const name = `met-${sums}`, { ranks } = played({ sums });
        const { error, events } = await failed(options(name, { ...run, localSteps: 2 }), ranks);
        assertStringIncludes(error.message, "step 2: what rank 1 trained by itself is not finite");
        const checkpoint = join(folder, name, "checkpoint-1");
        const saved = { checkpoint, checkpoint_step: 1 };
        assertEquals(events.at(-1), { type: "failed", step: 1, saved });
      }
      // Before they meet a checkpoint would have its states.
      const { ranks } = played({ checksum: "not finite" });
      const { error, events } = await failed(options("apart", { ...run, localSteps: 9 }), ranks);
      assertStringIncludes(error.message, "step 1: what rank 1 trained by itself is not finite");
      assertEquals(events.at(-1), { type: "failed", step: 1, saved: {} });
    }),
);

Deno.test("another rank says once what it has trained is not finite", async () => {
  for (
    const [figures, expected] of [
      [[{ loss: 2 }, { loss: 3, grad_norm: 1 }], true],
      [[{ loss: NaN }, { loss: 3 }], false],
      [[{ loss: 2, grad_norm: Infinity }, { loss: 3 }], false],
    ] as const
  ) {
    const orders: Order[] = ["step", "check", "step", "check", "end"], said: unknown[] = [];
    const team = {
      nextOrder: () => Promise.resolve(orders.shift()!),
      compare: (...args: unknown[]) => Promise.resolve(void said.push(args)),
    } as Partial<Team> as Team;
    const stepping = { step: 7, compile: async () => {}, take: () => Promise.resolve(true) };
    const steps = [...figures];
    const submitted = {
      mustRead: false,
      read: () => Promise.resolve(steps.splice(0, 1) as unknown as StepMetrics[]),
    };
    const played = [stepping as Partial<Stepping>, submitted as Partial<SubmittedSteps>] as const;
    await follow(team, played[0] as Stepping, played[1] as SubmittedSteps, undefined);
    assertEquals(said, [[7, figures[0].loss === 2 && expected], [7, expected]]);
  }
});

/** After step 7 of 100, with three ranks. */
const STATE = {
  step: 7,
  schedule: { steps: 100 },
  lazy: { a: 0 },
  local: { local_steps: 20, lazy: [{ a: 1 }, { a: 2 }] },
} as unknown as RunState;

Deno.test("between two meetings a run neither ends nor goes on without meetings", () => {
  const message = (state: RunState, steps: number) =>
    explain(assertThrows(() => assertMet("c", state, steps), UserError));
  assertEquals(
    message(STATE, 7),
    "checkpoint c is between two meetings of localSteps: 20, and the run ends with step 7: its " +
      "processes would not meet any more\n  hint: give steps: 8 or more: they meet after the last",
  );
  assertMet("c", STATE, 8);
  assertMet("c", { ...STATE, step: 20 }, 20);
  assertMet("c", { ...STATE, schedule: { steps: 7 } } as RunState, 7);
  assertMet("c", { ...STATE, local: undefined }, 7);
  const without = { localSteps: undefined } as PretrainOptions;
  assertThrows(
    () => assertMeets("c", STATE, without),
    UserError,
    "checkpoint c belongs to a different run: localSteps was 20, is not set",
  );
});

Deno.test("new ranks take the states of those that there were", () => {
  const sources = [0, 1, 2, 3, 4].map((rank) => ownStates(STATE, { rank }));
  const lazy = (a: number) => ({ a }) as unknown as RunState["lazy"];
  const all = [
    { prefix: "", lazy: lazy(0) },
    { prefix: "rank1.", lazy: lazy(1) },
    { prefix: "rank2.", lazy: lazy(2) },
  ];
  assertEquals(sources, [...all, ...all.slice(0, 2)]);
});

Deno.test("one process says of options for several what becomes of them", () => {
  const warnings = (options: Record<string, unknown>) =>
    sharedRecipe({ options, warnings: [] } as unknown as Recipe, ALONE).warnings
      .map((warning) => explain(new UserError(warning)));
  assertEquals(warnings({ communicationDataType: "float32" }), []);
  assertEquals(warnings({ communicationDataType: "bfloat16", localSteps: 20 }), [
    'communicationDataType: "bfloat16" has no effect: one process sends nothing, and no MPI launcher ' +
    "started several",
    "localSteps: 20: one process takes outer steps by itself, since no MPI launcher started several",
  ]);
  assertEquals(warnings({ shardStates: true, shardWeights: true }), [
    "shardWeights: true has no effect: one process has nothing to share, and no MPI launcher started " +
    "several",
  ]);
});

Deno.test("few local steps advise less momentum, unless it is given", () => {
  const notes = (given: Partial<PretrainInput>) =>
    runNotes(pretrainOptions.parse({ model: "llama_nano", data: ["x"], output: "x", ...given }), {
      steps: 400,
      warmupSteps: 1,
    }).map((note) => explain(new UserError(note)));
  assertEquals(notes({ localSteps: 20 }), [
    "localSteps: 20: below 100 the usual outerMomentum: 0.9 is too much: with 20 the loss ended above " +
    "that of one process by itself, and with outerMomentum: 0.5 below it (docs/parallel.md)",
  ]);
  assertEquals(notes({ localSteps: 20, outerMomentum: 0.9 }), []);
  assertEquals([...notes({ localSteps: 100 }), ...notes({})], []);
});

Deno.test("a resume with local steps says nothing of an accumulation that is the same", () => {
  const recipe = (localSteps?: number) =>
    ({
      options: { gradientAccumulation: 4, localSteps },
      shape: { optimizer: { gradientAccumulation: 4 } },
      rates: {},
      warnings: [],
    }) as unknown as Recipe;
  const [exchanged, apart] = [recipe(), recipe(20)]
    .map((each) => identityOf(sharedRecipe(each, { ...ALONE, size: 2 })));
  assertEquals(changedRates(exchanged, apart), undefined);
});
