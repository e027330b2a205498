/** What a pre-training run starts from: random weights, or a model that is trained further. */
import { join } from "../packages/std_path.ts";
import { ByteTokenizer } from "../tokenizers/byte_tokenizer.ts";
import { loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { conversing, readBaseFiles, writeModelFolder } from "../export/model_folder.ts";
import { TEXT_SAMPLING } from "../formats/generation_config.ts";
import { saveWeights } from "../formats/pretrained.ts";
import { weightsIn } from "../formats/safetensors.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import { initializeAll } from "../model/initialize.ts";
import { resultOf } from "../model/lora_shape.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import { longerNote } from "../model/length_note.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import {
  describeResult,
  loadBase,
  openBase,
  otherResult,
  saveResult,
  writeResult,
} from "./base_model.ts";
import type { TrainedModel } from "./build.ts";
import type { OnWritten } from "./events.ts";
import { initializeAdapters } from "./initialize_adapters.ts";
import { resolveRunConfig, trainingShape, type Vocabulary } from "./method.ts";
import type { PretrainOptions } from "./options.ts";
import { presetOf } from "./presets.ts";
import { begunRun } from "./start.ts";
import type { Recipe } from "./recipe.ts";
import type { RunCard } from "./run_card.ts";

/** The part of a recipe that depends on where the weights come from. */
export interface PretrainStart extends
  Pick<
    Recipe,
    "config" | "shape" | "tokenizer" | "evaluateFirst" | "start" | "base" | "markBase"
  > {
  /** For the user. */
  readonly warnings: readonly Phrase[];
  /** For the card of the result. */
  readonly card: Pick<RunCard, "kind" | "base" | "chat">;
  /** Writes all of the result but weights and card. */
  describe(folder: string, parameters: LlamaParameters): Promise<void>;
  /** Writes the result but its card, and returns its folder. */
  save(gpu: Gpu, training: TrainedModel, onProgress?: OnWritten): Promise<string>;
}

/** Throws a {@link UserError} if model and tokenizer do not fit each other. */
export async function pretrainStart(options: PretrainOptions): Promise<PretrainStart> {
  const { from } = options;
  return from === undefined ? await randomStart(options) : await trainedStart(options, from);
}

async function randomStart(options: PretrainOptions): Promise<PretrainStart> {
  const { output, seqLen, seed, tokenizer: spec = "bytes" } = options, model = options.model!;
  const tokenizer = await loadTokenizer(spec);
  const vocabSize = options.vocabSize ?? (await begunRun(options))?.config.vocabSize;
  const config = await resolveRunConfig({ model, seqLen, tokenizer: spec, vocabSize }, tokenizer);
  const shape = trainingShape(options, config), { dtype } = shape;
  const describe = (folder: string) =>
    writeModelFolder(folder, {
      config: { ...config, trainedLength: seqLen },
      dtype,
      base: {},
      tokenizer,
      conversing: conversing("default", tokenizer),
      sampled: TEXT_SAMPLING,
    });
  return {
    config,
    shape,
    tokenizer,
    warnings: await startNotes(options, model, config, tokenizer),
    evaluateFirst: false,
    card: { kind: "model" },
    async start(gpu, { model, scratch }, onPreparation, resumed) {
      if (resumed) return; // random weights are all kept
      const onProgress = onPreparation &&
        ((share: number) =>
          onPreparation({ type: "preparation", what: "initialising weights", share }));
      await initializeAll(gpu, config, model.parameters, { seed, scratch, onProgress });
      initializeAdapters(gpu, model, seed);
    },
    describe,
    save: (gpu, { model: { parameters } }, onProgress) =>
      writeResult(join(output, "model"), async (folder) => {
        await saveWeights(gpu, parameters, folder, dtype, { onProgress });
        await describe(folder);
      }),
  };
}

/** Width from which a model is made for more than bytes. */
const WIDE = 512;

/** For the user: what a run from random weights makes of the model that was named. */
async function startNotes(
  options: PretrainOptions,
  model: string,
  config: LlamaConfig,
  tokenizer: Tokenizer,
): Promise<Phrase[]> {
  const preset = presetOf(model), notes: Phrase[] = [];
  const named = option("model", model), bytes = option("tokenizer", "bytes");
  if (!preset && (isGgufPath(model) || await weightsIn(model))) {
    notes.push(
      phrase`${named} holds trained weights, which are not used: the run starts from random ones
        (${option("from", model)} trains them further)`,
    );
  }
  if (tokenizer instanceof ByteTokenizer && config.hiddenSize >= WIDE) {
    notes.push(
      phrase`with ${bytes} the model spells every word: one of this size learns more from the tokens
        of a vocabulary that was trained on the data (\`tokenizer train\` on the command line,
        \`trainTokenizer\` in the library)`,
    );
  }
  if (preset && options.vocabSize === undefined && config.vocabSize < preset.vocabSize) {
    const usual = option("vocabSize", preset.vocabSize);
    notes.push(
      phrase`embedding and head have ${config.vocabSize} rows, one for each id of the tokenizer,
        where ${named} had ${preset.vocabSize} in earlier releases (${usual})`,
    );
  }
  return notes;
}

async function trainedStart(options: PretrainOptions, model: string): Promise<PretrainStart> {
  const { output, seqLen, seed } = options;
  const { config, tokenizer, path, origin, adapter, warnings, mark } = await openBase({
    ...options,
    model,
  });
  if (adapter !== undefined) {
    throw new UserError(
      phrase`${option("from", model)}: is an adapter, not a model`,
      "merge it into its model first, and start from that",
    );
  }
  if (options.tokenizer) assertRoom(options.tokenizer, tokenizer, { name: model, config });
  // Read before training: nothing must fail once the model is trained.
  const files = await readBaseFiles(path), talk = conversing("default", tokenizer);
  const shape = trainingShape(options, config);
  const result = {
    output,
    model: origin,
    base: { path, files, mark },
    config: trainedTo(config, seqLen),
    shape,
    tokenizer,
    talk,
  };
  return {
    config,
    shape,
    tokenizer,
    warnings: [
      ...warnings,
      ...longerNote(config, seqLen),
      ...await otherResult(output, shape),
    ],
    evaluateFirst: true,
    card: { kind: resultOf(shape.lora), base: model, chat: talk.about },
    start: (gpu, training, onPreparation, resumed) =>
      loadBase(gpu, training, { path, config, seed, resumed }, onPreparation),
    base: origin,
    markBase: mark,
    describe: (folder, parameters) => describeResult(folder, parameters, result),
    save: (gpu, training, onProgress) => saveResult(gpu, training, result, onProgress),
  };
}

/** Refuses another tokenizer than the model's own that has more ids than the model has rows. */
export function assertRoom(
  tokenizer: string,
  { vocabSize }: Vocabulary,
  { name, config }: { readonly name: string; readonly config: LlamaConfig },
): void {
  if (vocabSize <= config.vocabSize) return;
  throw new UserError(
    phrase`${option("tokenizer", tokenizer)} has ${vocabSize} ids, ${name} rows for
      ${config.vocabSize}`,
    phrase`leave ${option("tokenizer")} out to use the model's own`,
  );
}

/** With the length that the model has seen, where that was known of it. */
function trainedTo(config: LlamaConfig, seqLen: number): LlamaConfig {
  const { trainedLength } = config;
  return { ...config, trainedLength: trainedLength && Math.max(trainedLength, seqLen) };
}
