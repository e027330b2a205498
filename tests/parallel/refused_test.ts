/** What several ranks are refused, or warned of; no process is started. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { OptionsError } from "../../src/options/faults.ts";
import { UserError } from "../../src/options/user_error.ts";
import { ALONE } from "../../src/parallel/ranks.ts";
import type { TrainingShape } from "../../src/train/build.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { ofAllRanks, ofOneRank } from "../../src/train/rank_options.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { assertSame } from "../../src/train/same_run.ts";
import { sharedCardsText } from "../../src/train/shared_cards.ts";
import { sharedRecipe } from "../../src/train/team.ts";

Deno.test("ranks of one machine that were not told their cards are warned of", () => {
  const place = (host: string, selection?: string) => ({ host, selection: [selection] });
  assertEquals(sharedCardsText([place("a"), place("b")]), undefined);
  assertEquals(sharedCardsText([place("a", "pci-1"), place("a", "pci-2")]), undefined);
  const text = sharedCardsText([place("a"), place("b"), place("b"), place("b", "pci-2")])!;
  assertStringIncludes(text, "ranks 1 and 2 are on one machine (b) and were not told which card");
});

Deno.test("standard input is not for several ranks", () => {
  const options = { gradientAccumulation: 2, data: ["a.txt", "-"] }, ranks = { ...ALONE, size: 4 };
  assertThrows(() => ofAllRanks(options, ranks), UserError, 'data: "-"');
  assertEquals(ofAllRanks(options, ALONE), options);
  const all = ofAllRanks({ ...options, data: "a.txt" }, ranks);
  assertEquals(all, { gradientAccumulation: 8, data: "a.txt" });
  assertEquals(ofOneRank(all, 4).gradientAccumulation, 2);
});

Deno.test("what ranks have otherwise is named with both values", () => {
  const marks = (change: Record<string, string>) => ({
    "shape.batchSize": "8",
    "the card's.device": '"7900"',
    data: "#1",
    ...change,
  });
  assertSame([marks({}), marks({})]);
  const { message } = assertThrows(() =>
    assertSame([
      marks({}),
      marks({ "the card's.device": '"6600"' }),
      marks({ "the card's.device": '"6600"', "shape.batchSize": "4", maxGradNorm: "1" }),
    ]), UserError);
  assertEquals(
    message,
    "the processes would not train one model: batchSize is 4 on rank 2, 8 on rank 0; " +
      'the card\'s device is "6600" on ranks 1 and 2, "7900" on rank 0; ' +
      "maxGradNorm is 1 on rank 2, not set on rank 0",
  );
});

Deno.test("what ranks cannot share is refused", () => {
  const ranks = { ...ALONE, size: 2 };
  const recipe = (gradientAccumulation: number, accumulatorQuant = false, localSteps?: number) =>
    ({
      options: { gradientAccumulation, localSteps },
      warnings: [],
      shape: { optimizer: { gradientAccumulation, accumulatorQuant } } as TrainingShape,
    }) as unknown as Recipe;
  assertEquals(sharedRecipe(recipe(4), ranks).shape.optimizer.exchange, true);
  assertEquals(sharedRecipe(recipe(3), ALONE).shape.optimizer.exchange, undefined);
  assertThrows(() => sharedRecipe(recipe(3), ranks), UserError, "gradientAccumulation: 3");
  assertThrows(() => sharedRecipe(recipe(4, true), ranks), UserError, "accumulatorQuant: true");
  // Ranks that train by themselves have steps of their own.
  const { optimizer } = sharedRecipe(recipe(4, true, 20), ranks).shape;
  assertEquals([optimizer.exchange, optimizer.gradientAccumulation], [undefined, 2]);
  assertThrows(
    () => pretrainOptions.parse({ model: "llama_nano", data: ["x"], output: "x", outerLr: 1 }),
    OptionsError,
    "outerLr: needs localSteps",
  );
  assertThrows(
    () =>
      pretrainOptions.parse({
        model: "llama_nano",
        data: ["x"],
        output: "x",
        shardWeights: true,
        communicationDataType: "bfloat16",
      }),
    OptionsError,
    "communicationDataType: does not apply to shardWeights: true",
  );
  assertThrows(
    () =>
      finetuneOptions.parse({
        model: "x",
        data: ["x"],
        output: "x",
        optimizer: "relora",
        localSteps: 2,
      }),
    OptionsError,
    "localSteps: meets in what is trained",
  );
});
