/** `generate`: continues a text with a trained model. */
import { z } from "zod";
import { loadTokenizer, TextStream } from "../data/tokenizer.ts";
import { Gpu } from "../gpu/gpu.ts";
import { LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import { trainedFields } from "../train/options.ts";
import { defineOptions, section } from "../train/options_schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";

const options = defineOptions({
  fields: {
    ...trainedFields,
    ...section("Text", {
      prompt: z.string().describe("text to continue"),
      maxNewTokens: z.number().int().min(1).default(128).describe("tokens to add at most"),
      temperature: z.number().min(0).default(0).describe(
        "0 takes the likeliest token; higher values draw more freely",
      ),
      topP: z.number().gt(0).max(1).default(1).describe(
        "draw from the likeliest tokens that make up this share; 1: from all",
      ),
      topK: z.number().int().min(0).default(0).describe(
        "draw from this many of the likeliest tokens; 0: from all",
      ),
      seed: z.number().int().min(0).max(0xffffffff).default(42).describe("of the draw"),
    }),
  },
});
export type GenerateOptions = ReturnType<typeof options.parse>;

export const generate: Command = {
  name: "generate",
  summary: "continue a text with a trained model",
  examples: ['generate --model runs/nano/model --prompt "Once upon a time" --temperature 0.8'],
  options,
  run,
};

async function run(options: GenerateOptions, io: Io): Promise<number> {
  const gpu = await Gpu.open();
  const tokenizer = await loadTokenizer(options.model);
  const model = await LlamaForCausalLM.fromPretrained(options.model, { gpu, ...options });
  const prompt = [...tokenizer.encode(options.prompt)];
  const { eosTokenId = [] } = model.config;
  const ids: number[] = [];
  const stream = new TextStream(tokenizer);
  for await (
    const id of model.generate(prompt, { ...options, stopTokens: [eosTokenId].flat() })
  ) {
    if (io.signal.aborted) break;
    ids.push(id);
    io.text(stream.push(id));
  }
  io.result({ text: tokenizer.decode(ids), token_ids: ids }, stream.flush());
  gpu.close();
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}
