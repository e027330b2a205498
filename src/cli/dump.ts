/** `dump`: logits, loss and gradients of a model on given tokens, to compare with another program. */
import { z } from "../packages/zod.ts";
import { Safetensors, writeSafetensors } from "../formats/safetensors.ts";
import { UserError } from "../options/user_error.ts";
import { LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import { defineOptions, section } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { foundModel } from "./found_model.ts";
import { openChosenGpu } from "./open_gpu.ts";

const options = defineOptions({
  fields: section("Files", {
    model: z.string().min(1).describe("folder of a trained model, in Hugging Face's layout")
      .meta({ value: "dir" }),
    inputs: z.string().min(1).describe("safetensors file with input_ids and labels, int32 (B, T)")
      .meta({ value: "file" }),
    output: z.string().min(1).describe(
      "safetensors file to write: logits, loss and gradients, float32",
    )
      .meta({ value: "file" }),
    gradients: z.boolean().default(false).describe("also write grad.<parameter>"),
  }),
});
export type DumpOptions = ReturnType<typeof options.parse>;

export const dump: Command = {
  name: "dump",
  summary: "write a model's logits, loss and gradients for given tokens",
  examples: ["dump --model model/ --inputs tokens.safetensors --output out.safetensors"],
  opensGpu: true,
  options,
  run,
};

async function run(options: DumpOptions, io: Io): Promise<number> {
  const { inputIds, labels, batch, length } = await readInputs(options.inputs);
  await foundModel(options, io);
  using gpu = await openChosenGpu();
  const model = await LlamaForCausalLM.fromPretrained(options.model, { gpu });
  const { logits, loss, gradients } = await model.lossAndGradients(inputIds, labels, {
    batch,
    length,
  });
  const entry = (name: string, shape: readonly number[], values: Float32Array) => ({
    name,
    shape,
    dtype: "F32" as const,
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
  await writeSafetensors(options.output, [
    entry("logits", [batch, length, model.config.vocabSize], logits),
    entry("loss", [1], Float32Array.of(loss)),
    ...(options.gradients
      ? model.parameters.all.map(({ name, shape }) =>
        entry(`grad.${name}`, shape, gradients.get(name)!)
      )
      : []),
  ]);
  io.result(
    { loss, output: options.output },
    `loss ${loss.toFixed(6)}, written to ${options.output}`,
  );
  return EXIT.done;
}

/** input_ids and labels, both (B, T) integers. */
async function readInputs(path: string) {
  using file = await Safetensors.open(path);
  const { shape } = file.info("input_ids");
  const labels = file.info("labels");
  if (shape.length !== 2 || String(labels.shape) !== String(shape)) {
    throw new UserError(
      `${path}: input_ids and labels must both be (B, T), got (${shape.join(", ")}) and (${
        labels.shape.join(", ")
      })`,
    );
  }
  return {
    inputIds: await file.readFloat32("input_ids"),
    labels: await file.readFloat32("labels"),
    batch: shape[0],
    length: shape[1],
  };
}
