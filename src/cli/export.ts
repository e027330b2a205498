/** `export`: a trained model as a GGUF file, for llama.cpp and programs built on it. */
import { basename, resolve } from "../packages/std_path.ts";
import { z } from "../packages/zod.ts";
import { exportGguf } from "../export/gguf.ts";
import { GGUF_TYPES } from "../export/write_gguf.ts";
import { defineOptions, section } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { foundModel } from "./found_model.ts";
import { whileDoing } from "./working.ts";
import { formatBytes } from "../text.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import { UserError } from "../options/user_error.ts";
import { saveCheckpointModel } from "../train/checkpoint_model.ts";

const options = defineOptions({
  fields: section("Files", {
    model: z.string().min(1).describe(
      "folder of a model in Hugging Face's layout, or of a run, or one of its checkpoints",
    ).meta({ value: "dir" }),
    output: z.string().min(1).describe(
      "GGUF file to write, ending in .gguf, which is replaced if it exists; or, for a run that was " +
        "stopped, a new folder for its model in Hugging Face's layout",
    ).meta({ value: "file.gguf|dir" }),
    type: z.enum(GGUF_TYPES).default("f16").describe("format of the weight matrices in GGUF"),
  }),
  rules: [
    ({ output }, given) =>
      given.type !== undefined && typeof output === "string" && !isGgufPath(output)
        ? {
          option: "output",
          message: `must end in .gguf, got ${output}: a folder has no type of GGUF`,
        }
        : undefined,
    ({ output }) =>
      typeof output === "string" && /\.g[gfu]{1,4}$/i.test(output) && !isGgufPath(output)
        ? { option: "output", message: `must end in .gguf, got ${output}` }
        : undefined,
  ],
});
export type ExportModelOptions = ReturnType<typeof options.parse>;

export const exportModel: Command = {
  name: "export",
  summary: "write a model as a GGUF file, for llama.cpp, or a stopped run's as a folder",
  details:
    "q8_0 takes about half the space of f16; its rounding error is at most 1/254 of the largest " +
    "of 32 weights. The tokenizer and chat template are included. A Modelfile for Ollama is " +
    "written beside the file.",
  examples: [
    "export --model runs/demo --output model.gguf --type q8_0",
    "export --model runs/stopped --output runs/stopped/model",
  ],
  options,
  run,
};

async function run(options: ExportModelOptions, io: Io): Promise<number> {
  const found = await foundModel(options, io);
  if (!isGgufPath(options.output)) return await saveFolder(options, io);
  const { model } = options;
  if (found.adapter !== undefined) {
    throw new UserError(
      `${model}: is an adapter, and a GGUF file holds a whole model`,
      `\`merge --model ${model} --output DIR\` first, then export DIR`,
    );
  }
  const name = basename(resolve(model));
  const { bytes, modelfile, warnings } = await whileDoing(
    io,
    "exporting",
    (report) =>
      exportGguf({
        ...options,
        model: found.model,
        name,
        onProgress: (share) => report({ share }),
      }),
  );
  for (const warning of warnings) io.log(`warning: ${warning}`);
  const { output, type } = options;
  io.result(
    { output, type, bytes, modelfile },
    `${output}: ${formatBytes(bytes)}, ${type}; for Ollama: ${modelfile}`,
  );
  return EXIT.done;
}

/** A stopped run's model, or adapter, as other programs read it. */
async function saveFolder({ model: run, output }: ExportModelOptions, io: Io): Promise<number> {
  const path = await whileDoing(
    io,
    "saving",
    (report) =>
      saveCheckpointModel({
        run,
        output,
        signal: io.signal,
        onProgress: (share) => report({ share }),
      }),
  );
  io.result({ output: path }, `${path}: saved in Hugging Face's layout`);
  return EXIT.done;
}
