/** `finetune`: trains a pre-trained model on examples. */
import { preview } from "../data/instruct/preview.ts";
import { spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import { openExamples, reportText } from "../train/finetune_data.ts";
import { type FinetuneOptions, finetuneOptions } from "../train/finetune_options.ts";
import { openBase } from "../train/base_model.ts";
import { Trainer } from "../train/trainer.ts";
import { counted } from "../text.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { foundModel } from "./found_model.ts";
import { runTraining } from "./training.ts";

export const finetune: Command = {
  name: "finetune",
  summary: "fine-tune a pre-trained model on examples",
  details: "Writes metrics.jsonl, summary.json, checkpoints and a model in Hugging Face's layout " +
    "(with lora and qlora: an adapter in peft's) to --output. Ctrl-C saves a checkpoint before " +
    "exiting; --resume auto continues from it.",
  examples: [
    "finetune --model hf:HuggingFaceTB/SmolLM2-135M-Instruct --data alpaca.json --output runs/ft",
    "finetune --model llama-3-8b/ --data chats.jsonl --optimizer qlora --output runs/qlora",
  ],
  opensGpu: true,
  options: finetuneOptions,
  run,
};

async function run(options: FinetuneOptions, io: Io): Promise<number> {
  await foundModel(options, io);
  if (options.preview) return await showPreview(options, io);
  return await runTraining((gpu, preparing) => Trainer.finetune(gpu, options, preparing), io);
}

/** Shows what the model would learn, without a GPU. */
async function showPreview(options: FinetuneOptions, io: Io): Promise<number> {
  const { tokenizer, config, warnings } = await openBase(options);
  for (const text of warnings) io.log(`warning: ${text}`);
  const { examples, report, rowsPerEpoch } = await openExamples(
    options,
    tokenizer,
    config.vocabSize,
  );
  const text = preview(examples, options.preview!, { tokenizer, colour: io.interactive });
  const summary = `${counted(report.examples, "example")}, ${report.tokens} tokens, ` +
    `${report.trainedTokens} of them trained; ${counted(rowsPerEpoch, "sequence")} of ` +
    `${options.seqLen} tokens per epoch`;
  io.result(
    {
      ...report,
      notes: report.notes.map((note) => spell(note, FLAGS)),
      rows_per_epoch: rowsPerEpoch,
    },
    [text, "", summary, ...reportText(report, options).map((line) => spell(line, FLAGS))].join(
      "\n",
    ),
  );
  return EXIT.done;
}
