/** `tokenizer train`: trains a tokenizer on the user's own texts. */
import { z } from "../packages/zod.ts";
import { basename, dirname, join } from "../packages/std_path.ts";
import {
  tokenizerFields,
  type TokenizerOptions,
  vocabularyRule,
} from "../data/tokenizer_options.ts";
import { trainTokenizer } from "../data/train_tokenizer.ts";
import { isThere } from "../files/stat.ts";
import { TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import { option, phrase, spell } from "../options/phrase.ts";
import { defineOptions, section } from "../options/schema.ts";
import { FLAGS } from "../options/spelling.ts";
import { UserError } from "../options/user_error.ts";
import { formatBytes } from "../text.ts";
import { Output } from "../train/start.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { Working } from "./working.ts";

const options = defineOptions({
  fields: {
    ...tokenizerFields,
    ...section("Output", {
      output: z.string().min(1).describe("folder to write tokenizer.json and its companion to")
        .meta({ value: "dir" }),
      overwriteOutput: z.boolean().default(false).describe("replace a tokenizer that is there"),
    }),
  },
  rules: [vocabularyRule],
});

export const tokenizerTrain: Command = {
  name: "tokenizer train",
  summary: "train a tokenizer on texts of one's own",
  details:
    "Learns a vocabulary of common pieces of words (byte-level BPE, which encodes any text) " +
    "and writes it as Hugging Face's libraries read it: `pretrain --tokenizer <dir>` trains a model " +
    "with it. Ctrl-C leaves no half-written file.",
  examples: [
    "tokenizer train --data texts/ --vocab-size 8000 --output my8k",
    'tokenizer train --data c4.jsonl --special-tokens "<|im_start|>" "<|im_end|>" --output chat8k',
  ],
  options,
  run,
};

async function run(
  { output, overwriteOutput, ...training }: ReturnType<typeof options.parse>,
  io: Io,
): Promise<number> {
  const folder = basename(output) === TOKENIZER_JSON ? dirname(output) : output;
  if (!overwriteOutput && await isThere(join(folder, TOKENIZER_JSON))) {
    throw new UserError(
      `${folder} already holds a tokenizer: ${join(folder, TOKENIZER_JSON)}`,
      phrase`add ${option("overwriteOutput", true)} to replace it, or choose another
        ${option("output")}`,
    );
  }
  using _output = await Output.claim(folder);
  const trained = await trainShowing(training, io);
  await trained.tokenizer.save(folder);
  for (const note of trained.notes) io.log(`warning: ${spell(note, FLAGS)}`);
  const { bytes, words, tokenizer: { vocabSize } } = trained;
  io.result(
    { output: folder, vocab_size: vocabSize, bytes, words },
    `${folder}: ${vocabSize} tokens, from ${
      formatBytes(bytes)
    } of text with ${words} distinct words`,
  );
  return EXIT.done;
}

async function trainShowing(training: TokenizerOptions, io: Io) {
  const working = new Working(io).start();
  try {
    return await trainTokenizer(training, {
      signal: io.signal,
      onProgress: ({ phase, done, total }) => working.show(phase, { share: done / total }),
    });
  } finally {
    working.stop();
  }
}
