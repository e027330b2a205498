/** `pretrain`: trains a model from scratch. */
import { type PretrainOptions, pretrainOptions } from "../train/options.ts";
import { Trainer } from "../train/trainer.ts";
import type { Command, Io } from "./command.ts";
import { runTraining } from "./training.ts";

export const pretrain: Command = {
  name: "pretrain",
  summary: "train a model from scratch",
  details: "Writes metrics.jsonl, summary.json, checkpoints and a model in Hugging Face's layout " +
    "to --output. Ctrl-C saves a checkpoint before exiting; --resume auto continues from it.",
  examples: [
    "pretrain --model llama_nano --data texts/ --output runs/nano --steps 200",
    "pretrain --model llama_60m --data c4.jsonl --tokenizer tokenizer.json --output runs/60m",
  ],
  options: pretrainOptions,
  run,
};

function run(options: PretrainOptions, io: Io): Promise<number> {
  return runTraining((gpu, preparing) => Trainer.pretrain(gpu, options, preparing), io);
}
