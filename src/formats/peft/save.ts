/** Writes a trained adapter as peft does. */
import { join } from "../../packages/std_path.ts";
import type { TensorReader } from "../../gpu/tensor.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { unpackTensor } from "../../numbers/plain.ts";
import { LORA_TARGETS } from "../../model/description.ts";
import { loraOf, type LoraShape, type ModuleLora } from "../../model/lora_shape.ts";
import { ADAPTER_PREFIX, type LlamaParameters, type Parameter } from "../../model/parameters.ts";
import { writeJson } from "../../files/atomic.ts";
import { exported } from "../pretrained.ts";
import { type SafetensorsEntry, writeSafetensors } from "../safetensors.ts";
import { ADAPTER_WEIGHTS, fileShape, isTransposed, transposed } from "./layout.ts";
import { ADAPTER_CONFIG } from "./config.ts";

export interface SavedAdapter {
  /** What the parameters were created with. */
  readonly lora: LoraShape;
  readonly dropout: number;
  /** Path of the adapters' base model. */
  readonly base: string;
}

/**
 * Writes the adapters' weights; with {@link saveAdapterConfig}
 * `peft.PeftModel.from_pretrained(base, folder)` loads them.
 */
export async function saveAdapter(
  reader: TensorReader,
  parameters: LlamaParameters,
  folder: string,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  await writeSafetensors(
    join(folder, ADAPTER_WEIGHTS),
    [
      ...adaptersOf(parameters).map((parameter) => factorEntry(reader, parameter)),
      ...Object.entries(wholesOf(parameters)).map((
        [module, { weight, shape }],
      ): SafetensorsEntry => ({
        name: `${ADAPTER_PREFIX}${module === "lm_head" ? "" : "model."}${module}.weight`,
        shape,
        dtype: "F32",
        data: exported(reader, weight, "F32"),
      })),
    ],
    { format: "pt", ...metadata },
  );
}

/** Writes adapter_config.json. */
export async function saveAdapterConfig(
  parameters: LlamaParameters,
  folder: string,
  { lora, dropout, base }: SavedAdapter,
): Promise<void> {
  const adapters = adaptersOf(parameters), wholes = wholesOf(parameters);
  const { modules, usual } = modulesOf(adapters, lora);
  const pattern = (field: keyof ModuleLora) =>
    Object.fromEntries(
      modules.flatMap(([module, size]) =>
        size[field] === usual[field] ? [] : [[module, size[field]]]
      ),
    );
  await writeJson(join(folder, ADAPTER_CONFIG), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: usual.rank,
    lora_alpha: usual.alpha,
    lora_dropout: dropout,
    target_modules: targetsOf(modules.map(([module]) => module), parameters.layers.length),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: parameters.embedding.trainable ? Object.keys(wholes) : null,
    use_dora: lora.dora ?? false,
    use_rslora: lora.rankStabilised ?? false,
    rank_pattern: pattern("rank"),
    alpha_pattern: pattern("alpha"),
  });
}

function adaptersOf({ all }: LlamaParameters): Parameter[] {
  return all.filter(({ kind }) => kind === "adapter");
}

/** Parameters that are saved whole, by module. */
function wholesOf({ embedding, head }: LlamaParameters): Record<string, Parameter> {
  return embedding.trainable ? { embed_tokens: embedding, lm_head: head } : {};
}

function factorEntry(reader: TensorReader, parameter: Parameter): SafetensorsEntry {
  const { name, weight } = parameter, shape = fileShape(parameter);
  const fill = async (into: Uint8Array) => {
    const values = unpackTensor(weight, await reader.read(weight));
    const data = isTransposed(parameter) ? transposed(values, shape[1]) : values;
    into.set(new Uint8Array(data.buffer));
  };
  return { name, shape, dtype: "F32", data: [{ bytes: 4 * elementsOf(parameter), fill }] };
}

/** The adapted modules, and the size of the first, from which patterns name the deviations. */
function modulesOf(
  adapters: readonly Parameter[],
  lora: LoraShape,
): { modules: [string, ModuleLora][]; usual: ModuleLora } {
  const names = adapters.map(({ name }) =>
    name.slice(ADAPTER_PREFIX.length).replace(/\.lora_.*$/, "")
  );
  const modules = [...new Set(names)].map((name): [string, ModuleLora] => [
    name,
    loraOf(lora, name)!,
  ]);
  return { modules, usual: modules[0][1] };
}

/** The last parts of the modules' names where all layers have the same, otherwise all names. */
function targetsOf(modules: readonly string[], layers: number): string[] {
  const lasts = modules.map((module) => module.split(".").at(-1)!);
  const targets = LORA_TARGETS.filter((target) => lasts.includes(target));
  const expected = targets.map((target) => target in WHOLE_MODEL ? 1 : layers);
  const sum = expected.reduce((total, count) => total + count, 0);
  return sum === modules.length ? targets : [...modules];
}

/** Modules that are not in every layer. */
const WHOLE_MODEL = { embed_tokens: true, lm_head: true };
