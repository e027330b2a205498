/** LoRA adapters as peft's folders: adapter_config.json and adapter_model.safetensors. */
import { basename, join } from "@std/path";
import { UserError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { packTensor, unpackTensor } from "../kernels/convert.ts";
import { type LlamaParameters, type LoraShape, PROJECTIONS } from "../model/parameters.ts";
import { writeJson } from "./atomic.ts";
import { Fields, isObject } from "./fields.ts";
import { Safetensors, writeSafetensors } from "./safetensors.ts";

const CONFIG = "adapter_config.json", WEIGHTS = "adapter_model.safetensors";

export interface AdapterOptions {
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  /** Where the model lies that the adapters belong to. */
  readonly base: string;
}

/** Writes the adapters so that `peft.PeftModel.from_pretrained(base, folder)` loads them. */
export async function saveAdapter(
  gpu: Gpu,
  parameters: LlamaParameters,
  folder: string,
  { loraRank, loraAlpha, loraDropout, base }: AdapterOptions,
): Promise<void> {
  const adapters = parameters.all.filter(({ kind }) => kind === "adapter");
  const targets = PROJECTIONS.filter((name) =>
    adapters.some((parameter) => parameter.name.includes(`.${name}.`))
  );
  await writeSafetensors(
    join(folder, WEIGHTS),
    adapters.map(({ name, shape, weight }) => ({
      name,
      shape,
      dtype: "F32" as const,
      data: (async function* () {
        yield new Uint8Array(unpackTensor(weight, await gpu.read(weight)).buffer);
      })(),
    })),
    { format: "pt" },
  );
  await writeJson(join(folder, CONFIG), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: loraRank,
    lora_alpha: loraAlpha,
    lora_dropout: loraDropout,
    target_modules: targets,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    use_dora: false,
    use_rslora: false,
    rank_pattern: {},
    alpha_pattern: {},
  });
}

/** The shape of a saved adapter; what it asks for and is not computed here is refused by name. */
export async function readAdapterConfig(folder: string): Promise<LoraShape & { base?: string }> {
  const path = join(folder, CONFIG);
  let json: unknown;
  try {
    json = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new UserError(
      `${path}: cannot be read: ${(error as Error).message}`,
      "an adapter is a folder with adapter_config.json and adapter_model.safetensors",
    );
  }
  if (!isObject(json)) throw new UserError(`${path}: must be a JSON object`);
  const fields = new Fields(json);
  refuseUnsupported(fields);
  const rank = fields.count("r");
  const given = fields.positive("lora_alpha", rank);
  // rsLoRA (Kalajdzievski 2023) divides by √r.
  const alpha = fields.flag("use_rslora", false) ? given * Math.sqrt(rank) : given;
  const targets = targetsOf(fields);
  fields.finish(path);
  const base = json.base_model_name_or_path;
  return { rank, alpha, targets, base: typeof base === "string" ? base : undefined };
}

/** Reads a saved adapter into parameters that were made with its shape. */
export async function loadAdapter(
  gpu: Gpu,
  parameters: LlamaParameters,
  folder: string,
): Promise<void> {
  using file = await Safetensors.open(join(folder, WEIGHTS));
  const adapters = parameters.all.filter(({ kind }) => kind === "adapter");
  const expected = new Set(adapters.map(({ name }) => name));
  const faults = [...file.tensors.keys()].filter((name) => !expected.has(name))
    .map((name) => `${name} belongs to no projection that the adapter targets`);
  for (const { name, shape } of adapters) {
    const found = file.tensors.get(name)?.shape;
    if (!found) faults.push(`${name} is missing`);
    else if (String(found) !== String(shape)) {
      faults.push(`${name} must be [${shape.join(", ")}], is [${found.join(", ")}]`);
    }
  }
  if (faults.length) {
    throw new UserError(
      `${file.path}: does not fit the model:\n  ${faults.slice(0, 8).join("\n  ")}` +
        (faults.length > 8 ? `\n  and ${faults.length - 8} more` : ""),
      `is ${basename(folder)} an adapter of this model?`,
    );
  }
  for (const { name, weight } of adapters) {
    gpu.write(weight, packTensor(weight, await file.readFloat32(name)));
  }
  await gpu.check();
}

/** Features of peft that change what the adapter computes. */
function refuseUnsupported(fields: Fields): void {
  const { json } = fields;
  const { peft_type = "LORA", bias = "none" } = json;
  if (peft_type !== "LORA") {
    fields.fault(`peft_type ${JSON.stringify(peft_type)} is not supported (LORA is)`);
  }
  if (bias !== "none") fields.fault(`bias ${JSON.stringify(bias)} is not supported (none is)`);
  for (const name of ["use_dora", "fan_in_fan_out", "lora_bias"]) {
    if (fields.flag(name, false)) fields.fault(`${name} is not supported`);
  }
  const whole = ["modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform"];
  for (const name of [...whole, "trainable_token_indices", "target_parameters"]) {
    const value = json[name] ?? {};
    const empty = typeof value === "object" && Object.keys(value as object).length === 0;
    if (!empty) fields.fault(`${name} is not supported, got ${JSON.stringify(value)}`);
  }
}

function targetsOf(fields: Fields): LoraShape["targets"] {
  const { target_modules: given } = fields.json;
  if (given === "all-linear") return PROJECTIONS;
  const names = Array.isArray(given) ? given.map(String) : [String(given)];
  const unknown = names.filter((name) => !(PROJECTIONS as readonly string[]).includes(name));
  if (unknown.length) {
    fields.fault(
      `target_modules ${JSON.stringify(unknown)} are not supported (${PROJECTIONS.join(", ")} are)`,
    );
  }
  return PROJECTIONS.filter((name) => names.includes(name));
}
