/** `pretrain`: trains a model on text, from random weights or those of another. */
import { type PretrainOptions, pretrainOptions } from "../train/options.ts";
import { Trainer } from "../train/trainer.ts";
import type { Command, Io } from "./command.ts";
import { foundModel } from "./found_model.ts";
import { runTraining } from "./training.ts";

export const pretrain: Command = {
  name: "pretrain",
  summary: "train a model on text, from scratch or from another model",
  details: "Writes metrics.jsonl, summary.json, checkpoints and a model in Hugging Face's layout " +
    "(with lora and qlora beside --from: an adapter in peft's) to --output. Ctrl-C saves a checkpoint before exiting; --resume auto continues from it.",
  examples: [
    "pretrain --model llama_nano --data texts/ --output runs/nano --steps 200",
    "pretrain --from runs/nano/model --data more/ --output runs/nano-2 --steps 200",
    "pretrain --model llama_60m --data c4.jsonl --tokenizer tokenizer.json --output runs/60m",
  ],
  opensGpu: true,
  options: pretrainOptions,
  run,
};

async function run(options: PretrainOptions, io: Io): Promise<number> {
  if (options.from !== undefined) await foundModel({ model: options.from }, io);
  return await runTraining((gpu, preparing) => Trainer.pretrain(gpu, options, preparing), io);
}
