/** `pretrain`: a model from scratch. */
import { UserError } from "../gpu/errors.ts";
import { type PretrainOptions, pretrainOptions } from "../train/options.ts";
import type { Command, Io } from "./command.ts";

export const pretrain: Command = {
  name: "pretrain",
  summary: "train a model from scratch",
  details: "Writes metrics.jsonl, summary.json, checkpoints and a model in Hugging Face's layout " +
    "to --output. Ctrl-C saves a checkpoint first; --resume auto goes on from there.",
  examples: [
    "pretrain --model llama_nano --data texts/ --output runs/nano --steps 200",
    "pretrain --model llama_60m --data c4.jsonl --tokenizer tokenizer.json --output runs/60m",
  ],
  options: pretrainOptions,
  run,
};

function run(_options: PretrainOptions, _io: Io): Promise<number> {
  throw new UserError("pretrain: not wired yet");
}
