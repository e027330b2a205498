/** Pre-training: weights, random or given, trained on text. */
import { BatchStream, type DataPosition } from "../data/batches.ts";
import { optimizerRates, shapeWarnings } from "./method.ts";
import { HeldOut, shareHeldOut } from "./held_out.ts";
import { readDataOnce } from "./read_data_once.ts";
import type { Only } from "../options/schema.ts";
import { type PretrainInput, pretrainOptions } from "./options.ts";
import { pretrainStart } from "./pretrain_start.ts";
import type { Recipe, RunResults } from "./recipe.ts";
import { notingRepeats } from "./repeats.ts";
import { writeRunCard } from "./run_card.ts";
import { encodeText } from "./samples.ts";

/**
 * The recipe of a pre-training run: random weights or those of a model, packed or padded text.
 * Throws a {@link UserError} if model, tokenizer and data do not fit one another.
 */
export async function pretrainRecipe<Given extends PretrainInput>(
  given: Only<Given, PretrainInput>,
): Promise<Recipe> {
  const options = pretrainOptions.parse<PretrainInput>(given);
  const { warnings, card, describe, save, ...begun } = await pretrainStart(options);
  const { config, shape, tokenizer } = begun;
  const { data, evalData, batchSize, seqLen, packing, shuffleBuffer, seed, textField } = options;
  const { evalShare, warnings: shareNotes } = shareHeldOut(options);
  const stream = {
    data,
    evalData,
    tokenizer,
    vocabSize: config.vocabSize,
    batchSize,
    seqLen,
    packing,
    shuffleBuffer,
    seed,
    textField,
    heldOutShare: evalShare,
  };
  let holdsOutFiles: boolean | undefined;
  const heldOut = new HeldOut(
    () => BatchStream.open({ ...stream, split: "eval", repeat: false, holdsOutFiles }),
    evalData ? undefined : evalShare,
  );
  const writeCard = (folder: string, results: RunResults) =>
    writeRunCard(folder, { ...card, options, results });
  return {
    ...begun,
    options,
    rates: optimizerRates(options),
    warnings: [
      ...tokenizer.warnings,
      ...warnings,
      ...shareNotes,
      ...options.rank === "auto" ? [] : shapeWarnings(config, shape),
    ],
    async openData(position, onPreparation) {
      await readDataOnce(options, onPreparation);
      const batches = await BatchStream.open({
        ...stream,
        split: "train",
        repeat: true,
        position: position as DataPosition | undefined,
      });
      ({ holdsOutFiles } = batches);
      const { steps, warmupSteps } = options;
      const { evaluates, warnings } = await heldOut.check();
      return {
        batches: notingRepeats(batches, options),
        steps,
        warmupSteps,
        evaluates,
        warnings: [...batches.notes, ...warnings],
      };
    },
    openEvaluation: () => heldOut.open(),
    encodePrompt: (text) => Promise.resolve(encodeText(tokenizer, text)),
    async describe(folder, parameters, results) {
      await describe(folder, parameters);
      await writeCard(folder, results);
    },
    async save(gpu, training, results, onProgress) {
      const folder = await save(gpu, training, onProgress);
      await writeCard(folder, results);
      return folder;
    },
  };
}
