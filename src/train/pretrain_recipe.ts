/** Pre-training: randomly initialised weights, all trained on text. */
import { join } from "../packages/std_path.ts";
import { BatchStream, type DataPosition } from "../data/batches.ts";
import { loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import { conversing, writeModelFolder } from "../export/model_folder.ts";
import { TEXT_SAMPLING } from "../formats/generation_config.ts";
import { saveWeights } from "../formats/pretrained.ts";
import { KernelPass } from "../gpu/pass.ts";
import { initialize } from "../model/initialize.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import { optimizerRates, resolveRunConfig, shapeWarnings, trainingShape } from "./method.ts";
import { HeldOut, shareHeldOut } from "./held_out.ts";
import type { Only } from "../options/schema.ts";
import { type PretrainInput, pretrainOptions } from "./options.ts";
import type { Recipe, RunResults } from "./recipe.ts";
import { notingRepeats } from "./repeats.ts";
import { writeRunCard } from "./run_card.ts";
import { encodeText } from "./samples.ts";

/**
 * The recipe of a pre-training run: random weights, packed or padded text. Throws a {@link
 * UserError} if model, tokenizer and data do not fit one another.
 */
export async function pretrainRecipe<Given extends PretrainInput>(
  given: Only<Given, PretrainInput>,
): Promise<Recipe> {
  const options = pretrainOptions.parse<PretrainInput>(given);
  const tokenizer = await loadTokenizer(options.tokenizer);
  const config = await resolveRunConfig(options, tokenizer);
  const shape = trainingShape(options, config);
  const { data, evalData, batchSize, seqLen, packing, shuffleBuffer, seed, textField } = options;
  const { evalShare, warnings } = shareHeldOut(options);
  const stream = {
    data,
    evalData,
    tokenizer,
    batchSize,
    seqLen,
    packing,
    shuffleBuffer,
    seed,
    textField,
    heldOutShare: evalShare,
  };
  const heldOut = new HeldOut(
    () => BatchStream.open({ ...stream, split: "eval", repeat: false }),
    evalData ? undefined : evalShare,
  );
  const describe = async (folder: string, _: LlamaParameters, results: RunResults) => {
    await writeModelFolder(folder, {
      config: { ...config, trainedLength: seqLen },
      dtype: shape.dtype,
      base: {},
      tokenizer,
      conversing: conversing("default", tokenizer),
      sampled: TEXT_SAMPLING,
    });
    await writeRunCard(folder, { kind: "model", options, results });
  };
  return {
    options,
    config,
    shape,
    rates: optimizerRates(options),
    tokenizer,
    warnings: [
      ...tokenizer.warnings,
      ...warnings,
      ...options.rank === "auto" ? [] : shapeWarnings(config, shape),
    ],
    evaluateFirst: false,
    async openData(position) {
      const batches = await BatchStream.open({
        ...stream,
        split: "train",
        repeat: true,
        position: position as DataPosition | undefined,
      });
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
    start(gpu, { model, scratch }) {
      const pass = new KernelPass(gpu);
      initialize(gpu, pass, config, model.parameters, { seed, scratch });
      pass.submit();
      return Promise.resolve();
    },
    describe,
    async save(gpu, { model: { parameters } }, results) {
      const folder = join(options.output, "model");
      await Deno.mkdir(folder, { recursive: true });
      await saveWeights(gpu, parameters, folder, shape.dtype);
      await describe(folder, parameters, results);
      return folder;
    },
  };
}
