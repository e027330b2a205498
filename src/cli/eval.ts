/** `eval`: loss and perplexity of a trained model on a text. */
import { z } from "zod";
import { BatchStream } from "../data/batches.ts";
import { loadTokenizer } from "../data/tokenizer.ts";
import { Gpu } from "../gpu/gpu.ts";
import { LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import { textFields, trainedFields } from "../train/options.ts";
import { defineOptions, section } from "../train/options_schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";

const options = defineOptions({
  fields: {
    ...trainedFields,
    ...section("Data", {
      data: z.array(z.string().min(1)).min(1).describe("text to evaluate on")
        .meta({ value: "file|dir|hf:…" }),
      tokenizer: z.string().min(1).optional().describe("tokenizer to use instead of the model's")
        .meta({ value: "bytes|dir|tokenizer.json|hf:…" }),
      ...textFields,
    }),
  },
});
export type EvalOptions = ReturnType<typeof options.parse>;

export const evaluate: Command = {
  name: "eval",
  summary: "loss and perplexity of a trained model on a text",
  examples: ["eval --model runs/nano/model --data held-out.txt"],
  options,
  run,
};

async function run(options: EvalOptions, io: Io): Promise<number> {
  const gpu = await Gpu.open();
  const tokenizer = await loadTokenizer(options.tokenizer ?? options.model);
  const model = await LlamaForCausalLM.fromPretrained(options.model, { gpu, ...options });
  const { batchSize: batch } = options;
  const length = Math.min(options.seqLen, model.config.maxPositions);
  if (length < options.seqLen) {
    io.log(`warning: the model has ${length} positions: --seq-len ${length}`);
  }
  const stream = await BatchStream.open({
    ...options,
    seqLen: length,
    evalData: options.data,
    split: "eval",
    tokenizer,
  });
  const { loss, perplexity, tokens } = await model.evaluate(stream, { batch, length });
  io.result(
    { loss, perplexity, tokens },
    `loss ${loss.toFixed(4)} nats a token, perplexity ${perplexity.toFixed(3)}, ${tokens} tokens`,
  );
  gpu.close();
  return EXIT.done;
}
