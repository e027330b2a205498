/** Sums of gradients that begin while the backward pass goes on. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { KernelPass } from "../../src/gpu/pass.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { ALONE, type Ranks } from "../../src/parallel/ranks.ts";
import type { ParameterState } from "../../src/optim/parameter_state.ts";
import type { Exchange } from "../../src/train/exchange.ts";
import { StepSum } from "../../src/train/step_sum.ts";
import type { Training } from "../../src/train/build.ts";
import { type Part, Passage, whole } from "../../src/train/pieces.ts";
import { inRounds } from "../../src/train/share_exchange.ts";
import { Team } from "../../src/train/team.ts";
import type { Ways } from "./overlap.ts";
import { gpuTest } from "../support.ts";
import { TINY } from "../train/support.ts";
import { inRanks, mpiTest } from "./support.ts";
import { CASES, LEAST_BYTES, STEPS, type StepsCase, trainSteps } from "./support_steps.ts";

mpiTest("sums that begin within the backward pass change no bit", async () => {
  // Of three, whose shares of a piece are not always equal.
  const { code, stderr, reports } = await inRanks<Record<string, Ways>>(3, "overlap.ts", []);
  assertEquals(code, 0, stderr);
  const [[leads]] = reports;
  for (const [name, { method }] of Object.entries(CASES)) {
    const { checksum } = leads[name].other!;
    for (const [{ [name]: { within } }] of reports) {
      assertEquals(within.checksum, checksum, name);
      if (method !== "galore_adamw") assertEquals(within.sent, within.planned, name);
    }
  }
});

const WHOLE: StepsCase = { method: "adamw" };

/** Rank 0 of two that have the same gradients; `sum` sees the numbers of each piece. */
function twins(sum: (numbers: number) => Promise<void>): Ranks {
  return {
    ...ALONE,
    size: 2,
    async sum(values) {
      await sum(values.length);
      for (let i = 0; i < values.length; i++) values[i] *= 2;
    },
  };
}

const later = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

/** What happens in a step, in order. */
async function eventsOf(
  run: (ranks: Ranks, log: (event: string, step: number) => void) => Promise<unknown>,
) {
  const steps = Array.from({ length: STEPS }, (): string[] => []);
  let now = 0;
  const ranks = twins(async (numbers) => {
    steps[now].push(`sum of ${numbers}`);
    await later();
    steps[now].push("summed");
  });
  await run(ranks, (event, step) => void steps[now = step - 1].push(event));
  return steps;
}

gpuTest("the head's sum is there before the layers below have their work", async (gpu) => {
  const stepsOf = (given: StepsCase, leastBytes: number) =>
    eventsOf((ranks, log) => trainSteps(gpu, given, { size: 2, ranks, leastBytes }, log));
  const head = `sum of ${TINY.vocabSize * TINY.hiddenSize}`;
  // A step that refreshes subspaces gives these first.
  const [first, ...others] = await stepsOf(CASES.low_rank, LEAST_BYTES);
  assertEquals(first.filter((event) => event === "place"), []);
  // But with Fira, where all have them from the sum.
  const fira = await stepsOf({ ...CASES.low_rank, fira: true }, LEAST_BYTES);
  for (const events of [...others, ...fira, ...await stepsOf(WHOLE, LEAST_BYTES)]) {
    assertEquals(events.find((event) => event.startsWith("sum of")), head);
    const places = events.flatMap((event, index) => event === "place" ? [index] : []);
    const summed = events.flatMap((event, index) => event === "summed" ? [index] : []);
    // Head, final norm, nine of each of two layers, embedding.
    assertEquals(places.length, 21);
    // At each place the piece before the last has arrived, and the card is given more work after it.
    for (const [index, place] of places.slice(2).entries()) {
      assert(summed[index] < events.indexOf("work", place), `${index}: ${events}`);
    }
    assert(events.slice(summed[0], places.at(-1)).includes("work"), `${events}`);
    // The updates come when all is there.
    assert(!events.slice(places.at(-1), summed.at(-1)).includes("work"), `${events}`);
    assertEquals(events.at(-1), "work");
  }
  for (const events of await stepsOf(WHOLE, Infinity)) {
    const sum = events.findIndex((event) => event.startsWith("sum of"));
    const summed = events.lastIndexOf("summed");
    assert(!events.includes("place") && !events.slice(sum, summed).includes("work"), `${events}`);
  }
});

gpuTest(
  "a sum that fails ends the step, and a step that fails leaves no sum behind",
  async (gpu) => {
    let under = 0, count = 0;
    const failing = twins(async () => {
      await later();
      if (++count === 3) throw new Error("the others are gone");
    });
    const together = { size: 2, ranks: failing, leastBytes: LEAST_BYTES };
    await assertRejects(() => trainSteps(gpu, WHOLE, together), Error, "the others are gone");
    assertEquals(count, 3);
    // The other does not come.
    const absent = twins(() => new Promise<void>(() => under++));
    let given = 0;
    const breaks = (event: string) => {
      if (event === "place" && ++given === 3) throw new Error("the card is gone");
    };
    await assertRejects(
      () => trainSteps(gpu, WHOLE, { size: 2, ranks: absent, leastBytes: LEAST_BYTES }, breaks),
      Error,
      "the card is gone",
    );
    await later();
    assertEquals(under, 0);
  },
);

Deno.test("what is on its way is left to itself, and waited for by what comes after it", async () => {
  const events: string[] = [], come = Promise.withResolvers<void>();
  const gpu = {
    readAtOnce: (bytes: number) => events.push(`${bytes} at once`),
    readInto: async ({ name }: Tensor) => {
      events.push(`read ${name}`);
      await later();
      if (name === "broken") throw new Error("the card is gone");
    },
    write: ({ name }: Tensor) => events.push(`write ${name}`),
  };
  const pieceOf = (name: string, bytes: number) => [whole({ name, byteLength: bytes } as Tensor)];
  const passing = {
    reads: () => true,
    writes: () => true,
    exchange: async (_: unknown, [{ tensor: { name } }]: readonly Part[]) => {
      events.push(`send ${name}`);
      if (name === "a") await come.promise;
    },
  };
  const passage = new Passage(gpu as unknown as Gpu);
  await passage.begin(pieceOf("a", 4), passing);
  await passage.begin(pieceOf("broken", 8), passing);
  await assertRejects(() => passage.begin(pieceOf("b", 4), passing), Error, "the card is gone");
  passage.abandon();
  const next = passage.pass([pieceOf("c", 4)], passing);
  await later();
  assertEquals(events.splice(0), ["4 at once", "read a", "8 at once", "read broken", "send a"]);
  come.resolve();
  await next;
  assertEquals(events, ["4 at once", "read c", "send c", "write c"]);
});

Deno.test("layers of the backward pass are told of together, once a piece is read", async () => {
  const waits: (() => Promise<void>)[] = [], told: string[] = [];
  const gpu = {
    pause: (wait: () => Promise<void>) => waits.push(wait),
    enqueue: (work: () => void) => work(),
  };
  const accumulated = { byteLength: 8 } as Tensor, state = { accumulated } as ParameterState;
  const training = { optimizer: { states: [state] } } as unknown as Training;
  const exchange = {
    leastBytes: 8,
    pieces: (parts: readonly Part[]) => ({ pieces: [parts], left: [] }),
    beginSum: () => Promise.resolve({ read: Promise.resolve() }),
    finishSums: (...[, , , onRead]: Parameters<Exchange["finishSums"]>) => {
      onRead();
      told.push("finished");
      return Promise.resolve();
    },
  };
  const pass = { gpu, submit: () => {} } as unknown as KernelPass;
  const sum = new StepSum(pass, training, exchange as unknown as Exchange, 0);
  const watch = sum.watching((part, layer) => (more) => told.push(`${part} ${layer} ${more}`))!;
  sum.within(() => {
    watch("forward", 3, 3)!();
    watch("backward", 1, 3);
    watch("backward", 2, 3);
    sum.add(state);
    watch("backward", 3, 3);
  });
  // The card gives the third before the read of the first two ends.
  await Promise.all(waits.map((wait) => wait()));
  await sum.finish();
  assertEquals(told, [
    "forward 3 undefined",
    "backward 1 true",
    "backward 2 true",
    "backward 3 false",
    "finished",
  ]);
});

Deno.test("a failed run does not wait for ranks that do not come", async () => {
  const absent: Ranks = { ...ALONE, size: 2, gather: () => new Promise(() => {}) };
  const training = { optimizer: { shape: {} } } as unknown as Training;
  const team = new Team({} as Gpu, training, absent);
  team.exchange.abandon();
  await assertRejects(
    () => team.fetch({ index: 0, start: 0 }, new Uint8Array(4)),
    Error,
    "is lost",
  );
  await team.dismiss("failed", 5);
});

Deno.test("a part that no rank keeps is no part of an exchange", () => {
  const part = (keeper?: number) => ({ ...whole({ byteLength: 8 } as Tensor), keeper });
  assertEquals(inRounds([part(1), part(0)], 2), [[part(0), part(1)]]);
  assertThrows(() => inRounds([part(0), part()], 2), Error, "one of 2 ranks as its keeper");
});
