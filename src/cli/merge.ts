/** `merge`: merges an adapter into its model. */
import { z } from "../packages/zod.ts";
import { mergeAdapter } from "../export/merge.ts";
import { defineOptions, section } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { foundModel } from "./found_model.ts";
import { openGpu } from "./open_gpu.ts";
import { whileDoing } from "./working.ts";

const options = defineOptions({
  fields: section("Files", {
    model: z.string().min(1).describe(
      "model the adapter was trained on; or the adapter itself, or its run, which name their model",
    ).meta({ value: "dir|gguf|hf:…" }),
    adapter: z.string().min(1).optional().describe(
      "folder of the adapter, in peft's layout, or of the run that trains it",
    ).meta({ value: "dir" }),
    output: z.string().min(1).describe("folder to write the merged model to")
      .meta({ value: "dir" }),
    dtype: z.enum(["keep", "bfloat16", "float32"]).default("keep")
      .describe("format of the merged weights; keep: the model's format"),
  }),
});
export type MergeModelOptions = ReturnType<typeof options.parse>;

export const merge: Command = {
  name: "merge",
  summary: "merge an adapter into its model, in Hugging Face's layout",
  details: "Adds the low-rank updates of lora or qlora to the weights and writes a model that no " +
    "longer needs the adapter, for generate, export and transformers. A qlora adapter is added to " +
    "the original weights, not the quantised ones.",
  examples: [
    "merge --model runs/qlora --output merged/",
    "merge --model llama-3-8b/ --adapter runs/qlora/adapter --output merged/",
  ],
  opensGpu: true,
  options,
  run,
};

async function run(options: MergeModelOptions, io: Io): Promise<number> {
  const found = await foundModel(options, io);
  const gpu = await openGpu(io);
  try {
    const result = await whileDoing(
      io,
      "merging",
      (report) =>
        mergeAdapter(gpu, {
          ...options,
          ...found,
          onProgress: (share) => report({ share }),
          signal: io.signal,
        }),
    );
    const { warnings, ...rest } = result, { merged, dtype, tokenizer } = rest, { output } = options;
    for (const warning of warnings) io.log(`warning: ${warning}`);
    if (!tokenizer) {
      io.log("warning: neither the model nor the adapter has a tokenizer.json: none written");
    }
    io.result({ output, ...rest }, `${output}: ${merged} projections merged, ${dtype}`);
  } finally {
    gpu.close();
  }
  return EXIT.done;
}
