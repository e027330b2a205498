/** A chat model with random weights and a real chat tokenizer. */
import { fromFileUrl, join } from "@std/path";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { LLAMA_TRAITS, type LlamaConfig } from "../../src/model/config.ts";
import { createParameters } from "../../src/model/parameters.ts";
import { randomNormal } from "../support.ts";

export const TOKENIZER = fromFileUrl(import.meta.resolve("../fixtures/instruct/tokenizer-chat/"));

const CONFIG: LlamaConfig = {
  ...LLAMA_TRAITS,
  vocabSize: 408,
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 8,
  maxPositions: 256,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  tieWordEmbeddings: false,
  initializerRange: 0.02,
  eosTokenId: 0,
};

export interface ChatFolder {
  readonly config?: Partial<LlamaConfig>;
  /** Files beside the weights; an object is written as JSON. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/** Writes the model into the folder, with the chat template of ChatML unless files say otherwise. */
export async function writeChatModel(folder: string, options: ChatFolder = {}): Promise<void> {
  const config = { ...CONFIG, ...options.config };
  const format = {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "all",
  } as const;
  const { all } = createParameters(new PlanAllocator(), config, format);
  await Deno.mkdir(folder, { recursive: true });
  await writeSafetensors(
    join(folder, "model.safetensors"),
    all.map(({ name, shape, kind, index }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const values = kind === "norm"
        ? new Float32Array(count).fill(1)
        : randomNormal(count, index, 0.3);
      const data = (async function* () {
        yield await Promise.resolve(new Uint8Array(values.buffer));
      })();
      return { name, shape, dtype: "F32" as const, data };
    }),
  );
  await writeHfConfig(folder, config, "float32");
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    await Deno.copyFile(join(TOKENIZER, name), join(folder, name));
  }
  const chatml = new URL("../../src/data/instruct/templates/chatml.jinja", import.meta.url);
  const files = { "chat_template.jinja": await Deno.readTextFile(chatml), ...options.files };
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(join(folder, name), text);
  }
}

/** Runs with a temporary folder of such a model. */
export async function withChatModel(
  options: ChatFolder,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await writeChatModel(folder, options);
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes an adapter of the model: of rank 1, for the query projections, without effect if B is 0. */
export async function writeAdapter(folder: string, b = 0): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const factor = (layer: number, which: string, shape: readonly number[], value: number) => ({
    name: `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_${which}.weight`,
    shape,
    dtype: "F32" as const,
    data: (async function* () {
      yield await Promise.resolve(new Uint8Array(new Float32Array(32).fill(value).buffer));
    })(),
  });
  await writeSafetensors(
    join(folder, "adapter_model.safetensors"),
    [0, 1].flatMap((layer) => [factor(layer, "A", [1, 32], 1), factor(layer, "B", [32, 1], b)]),
  );
  const config = { peft_type: "LORA", r: 1, lora_alpha: 1, target_modules: ["q_proj"] };
  await Deno.writeTextFile(join(folder, "adapter_config.json"), JSON.stringify(config));
}
