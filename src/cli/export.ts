/** `export`: a trained model as a GGUF file, for llama.cpp and programs built on it. */
import { z } from "../packages/zod.ts";
import { exportGguf } from "../export/gguf.ts";
import { GGUF_TYPES } from "../export/write_gguf.ts";
import { defineOptions, section } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { formatBytes } from "../text.ts";

const options = defineOptions({
  fields: section("Files", {
    model: z.string().min(1).describe("folder of a model, in Hugging Face's layout")
      .meta({ value: "dir" }),
    output: z.string().min(1).describe("GGUF file to write; an existing one is replaced")
      .meta({ value: "file" }),
    type: z.enum(GGUF_TYPES).default("f16").describe("format of the weight matrices"),
  }),
});
export type ExportModelOptions = ReturnType<typeof options.parse>;

export const exportModel: Command = {
  name: "export",
  summary: "write a model as a GGUF file, for llama.cpp",
  details:
    "q8_0 takes about half the space of f16; its rounding error is at most 1/254 of the largest " +
    "of 32 weights. The tokenizer and chat template are included. A Modelfile for Ollama is " +
    "written beside the file.",
  examples: ["export --model runs/demo/model --output model.gguf --type q8_0"],
  options,
  run,
};

async function run(options: ExportModelOptions, io: Io): Promise<number> {
  const { bytes, modelfile, warnings } = await exportGguf(options);
  for (const warning of warnings) io.log(`warning: ${warning}`);
  const { output, type } = options;
  io.result(
    { output, type, bytes, modelfile },
    `${output}: ${formatBytes(bytes)}, ${type}; for Ollama: ${modelfile}`,
  );
  return EXIT.done;
}
