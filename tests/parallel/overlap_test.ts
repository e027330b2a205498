/** Sums of gradients that begin while the backward pass goes on. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ALONE, type Ranks } from "../../src/parallel/ranks.ts";
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
  for (const events of [...others, ...await stepsOf(WHOLE, LEAST_BYTES)]) {
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
    const slow = twins(async () => {
      under++;
      await later();
      under--;
    });
    let given = 0;
    const breaks = (event: string) => {
      if (event === "place" && ++given === 5) throw new Error("the card is gone");
    };
    await assertRejects(
      () => trainSteps(gpu, WHOLE, { size: 2, ranks: slow, leastBytes: LEAST_BYTES }, breaks),
      Error,
      "the card is gone",
    );
    assertEquals(under, 0);
  },
);
