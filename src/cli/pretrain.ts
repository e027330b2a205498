/** `pretrain`: a model from scratch. */
import { Gpu } from "../gpu/gpu.ts";
import { type PretrainOptions, pretrainOptions } from "../train/options.ts";
import { Trainer } from "../train/trainer.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { Progress } from "./progress.ts";

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

async function run(options: PretrainOptions, io: Io): Promise<number> {
  const gpu = await Gpu.open();
  const progress = new Progress(io);
  try {
    const trainer = await Trainer.create(gpu, options);
    for await (const event of trainer.run({ signal: io.signal })) {
      progress.handle(event);
      io.event(event);
    }
  } finally {
    progress.stop();
    gpu.close();
  }
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}
